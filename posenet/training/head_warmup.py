"""Head warm-up: train the heads on features of the frozen, pretrained backbone first.

Heads with random weights would send meaningless gradients into the backbone and spoil its weights.
"""

from __future__ import annotations

import logging
import time
from typing import Any, NamedTuple

import keras
import numpy as np

from posenet.models.folding import fold_batch_norm
from posenet.training.batches import TrainingBatches
from posenet.training.device import compiles_by_xla
from posenet.training.trainer import Trainer

log = logging.getLogger("posenet")

# Number of augmented views in all, and per image.
NUM_VIEWS = 1500
VIEWS_PER_IMAGE = 8
# Steps, images per step, and peak learning rate of Adam.
STEPS = 400
BATCH = 32
PEAK_RATE = 2e-3
# Largest size of the features in bytes; there are fewer views of large images.
MAX_BYTES = 2**29
# Epochs of the batches' stream that training itself never reaches.
FIRST_EPOCH = 1_000_000


class _Features(NamedTuple):
    """Feature maps of views as float16, (n, h, w, c) each, and the truth about the views."""

    maps: list[np.ndarray]
    truth: dict[str, np.ndarray]


def warm_up_heads(trainer: Trainer, batches: TrainingBatches, share: float) -> None:
    """Train the heads on features of some 1500 augmented views, which takes some twenty seconds.

    Args:
        trainer: the trainer of a network with one head.
        batches: the training batches.
        share: fraction of the views and steps, 0 to 1.
    """
    started = time.monotonic()
    names = {layer.name for layer in trainer.network.layers}
    is_scene_coordinates = "points_fine" in names
    first_layers = ["points_fine", "points_coarse"] if is_scene_coordinates else ["cls3_pool"]
    inputs = [trainer.network.get_layer(name).input for name in first_layers]
    backbone = fold_batch_norm(keras.Model(trainer.network.input, inputs))
    heads = Trainer(keras.Model(inputs, trainer.network.output), trainer.pose_loss)
    heads.compile(optimizer=keras.optimizers.Adam(PEAK_RATE), jit_compile=compiles_by_xla())
    steps = max(1, round(share * STEPS))
    features = _compute_features(backbone, batches, share)
    rng = np.random.default_rng(batches.seed)
    total = len(features.maps[0])
    for step in range(steps):
        decay = 0.5 + 0.5 * np.cos(np.pi * step / steps)
        heads.optimizer.learning_rate = PEAK_RATE * decay
        rows = np.sort(rng.choice(total, min(BATCH, total), replace=False))
        maps = [feature_map[rows].astype(np.float32) for feature_map in features.maps]
        truth = {
            # Keras on PyTorch does not convert the truth itself.
            name: keras.ops.convert_to_tensor(values[rows])
            for name, values in features.truth.items()
        }
        heads.train_on_batch(maps, truth)
    seconds = time.monotonic() - started
    log.info("warmed up the heads on features of %d views in %.0f s", total, seconds)


def _compute_features(backbone: keras.Model, batches: TrainingBatches, share: float) -> _Features:
    """Compute the features of augmented views with a frozen backbone."""
    batch_maps: list[list[np.ndarray]] = []
    batch_truth: list[dict[str, np.ndarray]] = []
    epoch = FIRST_EPOCH
    total = 0
    wanted = share * min(NUM_VIEWS, VIEWS_PER_IMAGE * len(batches.scene))
    while total < wanted:
        for images, truth in batches.epoch(epoch):
            outputs: Any = backbone.predict_on_batch(images.astype(np.float32))
            outputs = outputs if isinstance(outputs, list) else [outputs]
            batch_maps.append([np.asarray(output, np.float16) for output in outputs])
            batch_truth.append(truth)
            total += len(images)
            batch_bytes = sum(feature_map.nbytes for feature_map in batch_maps[0])
            wanted = min(wanted, MAX_BYTES * len(images) / batch_bytes)
            if total >= wanted:
                break
        epoch += 1
    maps = [np.concatenate(parts) for parts in zip(*batch_maps, strict=True)]
    truth = {name: np.concatenate([part[name] for part in batch_truth]) for name in batch_truth[0]}
    return _Features(maps, truth)
