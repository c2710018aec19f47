"""Starting a scene from a pretrained backbone: the heads first, on features that the frozen backbone gives once.

Heads of random weights would send the backbone gradients that mean nothing, and spoil what it knows.
"""

from __future__ import annotations

import logging
import time

import keras
import numpy as np

from posenet.training.batches import TrainingBatches
from posenet.training.trainer import Trainer

log = logging.getLogger("posenet")

VIEWS, VIEWS_EACH, STEPS, BATCH, PEAK = 1500, 8, 400, 32, 2e-3
MOST_BYTES = 2**29  # of features: views of large images are fewer
ENOUGH_MINUTES = 5.0  # shorter trainings start with fewer views and steps
VIEW_EPOCH = 1_000_000  # epochs of the batches' stream that training itself never comes to


def warm_up_heads(trainer: Trainer, batches: TrainingBatches, minutes: float) -> None:
    """Fit the heads of a single-headed network to the features of some 1500 augmented views, in some twenty seconds.

    minutes: that the whole training has.
    """
    began = time.monotonic()
    names = {layer.name for layer in trainer.network.layers}
    firsts = ["points_fine", "points_coarse"] if "points_fine" in names else ["cls3_pool"]
    features = [trainer.network.get_layer(name).input for name in firsts]
    backbone = keras.Model(trainer.network.input, features)
    heads = Trainer(keras.Model(features, trainer.network.output), trainer.pose_loss)
    heads.compile(optimizer=keras.optimizers.Adam(PEAK), jit_compile=False)
    share = min(1.0, minutes / ENOUGH_MINUTES)
    steps = max(1, round(share * STEPS))
    seen, poses = _features(backbone, batches, share)
    rng, count = np.random.default_rng(batches.seed), len(seen[0])
    for step in range(steps):
        heads.optimizer.learning_rate = PEAK * (0.5 + 0.5 * np.cos(np.pi * step / steps))
        rows = np.sort(rng.choice(count, min(BATCH, count), replace=False))
        maps = [each[rows].astype(np.float32) for each in seen]
        heads.train_on_batch(maps, {name: each[rows] for name, each in poses.items()})
    log.info(
        "heads trained on the frozen backbone's features of %d views in %.0f s",
        count,
        time.monotonic() - began,
    )


def _features(
    backbone, batches: TrainingBatches, share: float
) -> tuple[list[np.ndarray], dict[str, np.ndarray]]:
    """Feature maps (n, h, w, c) float16 of augmented views, and the truth about them."""
    seen: list[list[np.ndarray]] = []
    truth, epoch, count = [], VIEW_EPOCH, 0
    wanted = share * min(VIEWS, VIEWS_EACH * len(batches.scene))
    while count < wanted:
        for images, each in batches.epoch(epoch):
            maps = backbone.predict_on_batch(
                images.astype(np.float32)
            )  # not a list where there is only one
            seen.append(
                [
                    np.asarray(each, np.float16)
                    for each in (maps if isinstance(maps, list) else [maps])
                ]
            )
            truth.append(each)
            count += len(images)
            wanted = min(wanted, MOST_BYTES * len(images) / sum(each.nbytes for each in seen[0]))
            if count >= wanted:
                break
        epoch += 1
    maps = [np.concatenate(each) for each in zip(*seen, strict=True)]
    return maps, {name: np.concatenate([each[name] for each in truth]) for name in truth[0]}
