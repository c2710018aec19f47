"""What a person sees while training runs: a line an epoch, with the errors, the speed and the time left."""

from __future__ import annotations

import logging
import math
import sys
import time

import keras

from posenet.training.callbacks import TrainingBudget

log = logging.getLogger("posenet")


class Progress(keras.callbacks.Callback):
    """One line an epoch on stderr, and on a terminal a live line with the time left."""

    def __init__(self, budget: TrainingBudget, unit: str, batch_size: int):
        super().__init__()
        self.budget, self.unit, self.batch_size = budget, unit, batch_size
        self.live = sys.stderr.isatty()
        self.first_step, self.began, self.shown = 0, 0.0, 0.0

    def on_epoch_begin(self, epoch, logs=None):
        self.began, self.steps = time.monotonic(), 0
        self.start_progress = getattr(self, "start_progress", self.budget.progress)
        self.start_time = getattr(self, "start_time", self.began)

    def on_train_batch_end(self, batch, logs=None):
        self.steps += 1
        if self.live and time.monotonic() - self.shown > 0.3:
            self.shown = time.monotonic()
            self._show(self._line("", logs))

    def on_epoch_end(self, epoch, logs=None):
        if self.live:
            self._show("")
        log.info("%s", self._line(f"epoch {epoch + 1}", logs))

    def _show(self, line: str) -> None:
        """Put a line in the place of the last one."""
        sys.stderr.write(f"\r\x1b[K{line}")
        sys.stderr.flush()

    def _line(self, head: str, logs) -> str:
        logs = logs or {}
        rate = self.steps * self.batch_size / max(1e-9, time.monotonic() - self.began)
        parts = [
            head,
            f"{100 * self.budget.progress:3.0f} %",
            f"loss {logs.get('loss', math.nan):.3f}",
        ]
        parts.append(
            f"training {logs.get('position', math.nan):.3f} {self.unit} {logs.get('rotation_deg', math.nan):.1f} deg"
        )
        if "val_position" in logs:
            parts.append(
                f"held out {logs['val_position']:.3f} {self.unit} {logs['val_rotation_deg']:.1f} deg"
            )
        parts += [f"{rate:.0f} images/s", f"{self._left()} left"]
        return "  ".join(part for part in parts if part)

    def _left(self) -> str:
        if self.budget.epochs is None:
            seconds = max(0.0, self.budget.seconds - self.budget.elapsed)
        else:
            done = self.budget.progress - self.start_progress
            seconds = (
                (time.monotonic() - self.start_time) * (1 - self.budget.progress) / max(done, 1e-6)
            )
        return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"
