"""Show the progress of a training: one line per epoch, and a live line on a terminal."""

from __future__ import annotations

import logging
import math
import sys
import time
from typing import Any

import keras

from posenet.training.budget import TrainingBudget

log = logging.getLogger("posenet")

# Seconds between two updates of the live line.
INTERVAL = 0.3


class Progress(keras.callbacks.Callback):
    """Logs errors, speed and remaining time after each epoch."""

    def __init__(self, budget: TrainingBudget, unit: str, batch_size: int) -> None:
        """Prepare the display.

        Args:
            budget: the budget of the training.
            unit: unit of the positions.
            batch_size: images per step.
        """
        super().__init__()
        self.budget = budget
        self.unit = unit
        self.batch_size = batch_size
        self.is_live = sys.stderr.isatty()
        self.started_at = 0.0
        self.start_progress = 0.0
        self.epoch_started_at = 0.0
        self.epoch_steps = 0
        self.shown_at = 0.0

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Start the clock."""
        self.started_at = time.monotonic()
        self.start_progress = self.budget.progress

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Start the clock of the epoch."""
        self.epoch_started_at = time.monotonic()
        self.epoch_steps = 0

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Update the live line."""
        self.epoch_steps += 1
        if self.is_live and time.monotonic() - self.shown_at > INTERVAL:
            self.shown_at = time.monotonic()
            self._replace_line(self._format("", logs))

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Log a line."""
        if self.is_live:
            self._replace_line("")
        log.info("%s", self._format(f"epoch {epoch + 1}", logs))

    def _replace_line(self, line: str) -> None:
        sys.stderr.write(f"\r\x1b[K{line}")
        sys.stderr.flush()

    def _format(self, label: str, logs: dict[str, Any] | None) -> str:
        logs = logs or {}
        seconds = max(1e-9, time.monotonic() - self.epoch_started_at)
        speed = self.epoch_steps * self.batch_size / seconds
        parts = [label, f"{100 * self.budget.progress:3.0f} %"]
        parts.append(f"loss {logs.get('loss', math.nan):.3f}")
        parts.append(f"training {self._format_errors(logs, '')}")
        if "val_position_error" in logs:
            parts.append(f"validation {self._format_errors(logs, 'val_')}")
        parts.append(f"{speed:.0f} images/s")
        parts.append(f"{self._remaining()} left")
        return "  ".join(part for part in parts if part)

    def _format_errors(self, logs: dict[str, Any], prefix: str) -> str:
        position = logs.get(f"{prefix}position_error", math.nan)
        rotation = logs.get(f"{prefix}rotation_error_deg", math.nan)
        return f"{position:.3f} {self.unit} {rotation:.1f} deg"

    def _remaining(self) -> str:
        """Return the remaining time as minutes:seconds."""
        if self.budget.epochs is None:
            seconds = max(0.0, self.budget.seconds - self.budget.elapsed)
        else:
            done = max(self.budget.progress - self.start_progress, 1e-6)
            elapsed = time.monotonic() - self.started_at
            seconds = elapsed * (1 - self.budget.progress) / done
        return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"
