"""How much of a training is done, and the learning rate that follows from it."""

from __future__ import annotations

import math
import time
from typing import Any

import keras

# Fraction of the training in which the learning rate rises linearly.
WARMUP = 0.04
# Smallest learning rate relative to the peak.
MIN_RATE = 1e-3


class TrainingBudget:
    """The budget of a training: a number of epochs, or seconds since a point in time.

    Attributes:
        epochs: number of epochs; None if the time counts.
        seconds: the time budget, preparation included.
        steps_per_epoch: number of steps of an epoch.
        steps_done: number of steps so far, those before a resume included.
    """

    def __init__(
        self, *, epochs: int | None, seconds: float, steps_per_epoch: int, started: float
    ) -> None:
        """Start the budget.

        Args:
            epochs: number of epochs, or None.
            seconds: time in seconds; infinite if epochs are counted.
            steps_per_epoch: number of steps of an epoch.
            started: `time.monotonic()` when the training started.
        """
        self.epochs = epochs
        self.seconds = seconds
        self.steps_per_epoch = steps_per_epoch
        self.steps_done = 0
        self._started = started
        self._reserve = 0.0
        self._final_work = 0.0
        self._first_progress: float | None = None

    @property
    def elapsed(self) -> float:
        """Seconds since the start, those before a resume included."""
        return time.monotonic() - self._started

    @property
    def progress(self) -> float:
        """Fraction of the budget that is spent, 0 to 1."""
        if self.epochs is not None:
            return min(1.0, self.steps_done / (self.epochs * self.steps_per_epoch))
        reserved = self._reserve + self._final_work
        return min(1.0, self.elapsed / max(1e-9, self.seconds - reserved))

    @property
    def training_progress(self) -> float:
        """Fraction of the training that is done, 0 at its first step, 1 at the end."""
        first = self.first_progress
        return (self.progress - first) / max(1e-9, 1 - first)

    @property
    def first_progress(self) -> float:
        """Progress before the first step: preparation is no part of the warm-up."""
        return self._first_progress or 0.0

    @property
    def is_spent(self) -> bool:
        """Whether nothing is left."""
        return self.progress >= 1

    def begin(self) -> None:
        """Record the progress before the first step; later calls change nothing."""
        if self._first_progress is None:
            self._first_progress = self.progress

    def step(self) -> None:
        """Count a training step."""
        self.steps_done += 1

    def reserve(self, seconds: float) -> None:
        """Reserve time at the end, for the last validation and saving.

        Args:
            seconds: the time.
        """
        self._reserve = seconds

    def reserve_final_work(self, seconds: float) -> None:
        """Reserve time for work that follows the last step, beside that of `reserve`.

        Args:
            seconds: the time.
        """
        self._final_work = seconds

    def resume(self, *, steps_done: int, elapsed: float, first_progress: float) -> None:
        """Continue the budget of an interrupted training.

        Args:
            steps_done: number of steps so far.
            elapsed: seconds so far.
            first_progress: progress before the first step.
        """
        self.steps_done = steps_done
        self._started = time.monotonic() - elapsed
        self._first_progress = first_progress


class WarmupCosine(keras.callbacks.Callback):
    """Learning rate: linear warm-up, then cosine decay to zero. Stops when the budget is spent."""

    def __init__(self, budget: TrainingBudget, peak: float) -> None:
        super().__init__()
        self.budget = budget
        self.peak = peak

    def on_train_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Set the learning rate."""
        self.budget.begin()
        done = self.budget.training_progress
        if done < WARMUP:
            rate = done / WARMUP
        else:
            rate = 0.5 + 0.5 * math.cos(math.pi * (done - WARMUP) / (1 - WARMUP))
        self.model.optimizer.learning_rate = self.peak * max(rate, MIN_RATE)

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Count the step."""
        self.budget.step()
        if self.budget.is_spent:
            self.model.stop_training = True
