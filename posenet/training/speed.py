"""Measure how many images a network trains on per second, on this machine and right now."""

from __future__ import annotations

import time
from itertools import repeat
from typing import Any

import keras
import numpy as np

from posenet.geometry.cropping import Crop
from posenet.training.batches import random_batch
from posenet.training.prefetch import for_fit
from posenet.training.trainer import Trainer

# Steps that are timed, after one that also compiles.
TIMED_STEPS = 3


class _StepTimes(keras.callbacks.Callback):
    """Records when steps end."""

    def __init__(self) -> None:
        super().__init__()
        self.ends: list[float] = []

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Record the time; JAX and GPUs return before the loss is computed."""
        float((logs or {}).get("loss", 0.0))
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
    batch = random_batch(crop, batch_size)
    trainer.fit(
        for_fit(repeat(batch)),
        steps_per_epoch=1 + TIMED_STEPS,
        callbacks=[times],
        verbose=0,
        shuffle=False,
    )
    for variable, value in zip(variables, saved, strict=True):
        variable.assign(value)
    return batch_size / float(np.median(np.diff(times.ends)))
