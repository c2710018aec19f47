"""Measure how many images a network trains on per second, on this machine and right now."""

from __future__ import annotations

import time
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from posenet.geometry.cropping import Crop
from posenet.training.batches import batch_signature, without_tuner
from posenet.training.trainer import Trainer

# Steps that are timed, after one that also compiles.
TIMED_STEPS = 3


class _StepTimes(keras.callbacks.Callback):
    """Records when steps end."""

    def __init__(self) -> None:
        super().__init__()
        self.ends: list[float] = []

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Record the time."""
        self.ends.append(time.perf_counter())


def measure_speed(trainer: Trainer, crop: Crop, batch_size: int) -> float:
    """Time a few training steps on random images.

    The trainer is left as it was; a later training of the same size is compiled already.

    Args:
        trainer: a compiled trainer.
        crop: how images are resized and cropped.
        batch_size: images per step.

    Returns:
        Images per second.
    """
    variables = [*trainer.variables, *trainer.optimizer.variables]
    saved = [keras.ops.convert_to_numpy(variable).copy() for variable in variables]
    times = _StepTimes()
    trainer.fit(
        _random_batches(crop, batch_size),
        steps_per_epoch=1 + TIMED_STEPS,
        callbacks=[times],
        verbose=0,
        shuffle=False,
    )
    for variable, value in zip(variables, saved, strict=True):
        variable.assign(value)
    return batch_size / float(np.median(np.diff(times.ends)))


def _random_batches(crop: Crop, batch_size: int) -> tf.data.Dataset:
    """Return endless copies of one random batch, as `TrainingBatches.stream` yields them."""
    rng = np.random.default_rng(0)

    def random(spec: tf.TensorSpec) -> tf.Tensor:
        if spec.dtype == tf.uint8:
            return tf.constant(rng.integers(0, 255, spec.shape, np.uint8))
        return tf.constant(rng.normal(size=spec.shape), spec.dtype)

    batch = tf.nest.map_structure(random, batch_signature(crop, batch_size))
    return without_tuner(tf.data.Dataset.from_tensors(batch).repeat())
