"""What happens during `fit`: validation, the best model, history, and the check for NaN."""

from __future__ import annotations

import csv
import io
import logging
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np

from posenet.errors import PoseNetError, first_line
from posenet.io.files import write_text
from posenet.training.budget import TrainingBudget

log = logging.getLogger("posenet")

# A later model whose score is within this factor of the best one replaces it: with few validation
# images a smaller difference is chance, and the schedule has let the later model settle.
SCORE_TOLERANCE = 1.2
# Fraction of the training time that validation may take, if the time counts.
VALIDATION_SHARE = 0.06
# Largest fraction of the time budget that is reserved for the last validation, and extra seconds.
MAX_RESERVE = 0.05
EXTRA_RESERVE = 1.0
HISTORY_COLUMNS = (
    "epoch",
    "minutes",
    "learning_rate",
    "loss",
    "position_error",
    "rotation_error_deg",
    "val_position_error",
    "val_rotation_error_deg",
)
# Columns of history.csv of versions before 0.1.0.
OLD_COLUMNS = {
    "position": "position_error",
    "rotation_deg": "rotation_error_deg",
    "val_position": "val_position_error",
    "val_rotation_deg": "val_rotation_error_deg",
}


class MedianErrors(NamedTuple):
    """Median errors, or the scales that they are divided by.

    Attributes:
        position: scene units.
        rotation_deg: degrees.
    """

    position: float
    rotation_deg: float


def diverged_error(reason: str) -> PoseNetError:
    """Return the error of a training that diverged.

    Args:
        reason: what is not finite.

    Returns:
        The error.
    """
    return PoseNetError(
        f"training diverged: {reason}; the best model so far, if there is one, is kept. A smaller "
        "--learning-rate or --precision float32 usually helps"
    )


class StopOnNaN(keras.callbacks.Callback):
    """Ends the training with an explanation if the loss is not finite."""

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Check the loss. Raises PoseNetError."""
        if logs and not np.isfinite(logs.get("loss", 0.0)):
            raise diverged_error(f"the loss became {logs['loss']} in step {batch + 1}")


class BestModel(keras.callbacks.Callback):
    """Evaluates the validation images after epochs and saves the best model.

    The score is position / scale + rotation / scale, the scales being the medians of the mean-pose
    baseline. If the time counts, validation runs only after as many epochs as take a small fraction
    of it. If epochs are counted, it runs after each of them: the clock must not select the model.
    """

    def __init__(
        self,
        measure: Callable[[], MedianErrors],
        save_model: Callable[[], None],
        scales: MedianErrors,
        budget: TrainingBudget,
        *,
        share: float = VALIDATION_SHARE,
    ) -> None:
        """Prepare the validation.

        Args:
            measure: returns the median errors of the validation images.
            save_model: writes model.keras.
            scales: what the errors are divided by.
            budget: the budget of the training.
            share: fraction of the training time that validation may take.
        """
        super().__init__()
        self.measure = measure
        self.save_model = save_model
        self.scales = scales
        self.budget = budget
        self.share = share
        self.best_score = math.inf
        self.best_epoch = 0
        self.last_epoch = 0
        self.best_errors = MedianErrors(math.nan, math.nan)
        self._seconds = 0.0
        self._started = 0.0

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Start the clock."""
        self._started = time.monotonic()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Evaluate the validation images, and save the model if it is the best."""
        is_last = self.budget.is_spent or self.model.stop_training
        is_expensive = self._seconds > self.share * (time.monotonic() - self._started)
        if is_expensive and self.budget.epochs is None and not is_last:
            return
        started = time.monotonic()
        errors = self.validate(epoch + 1)
        if logs is not None:
            logs["val_position_error"] = errors.position
            logs["val_rotation_error_deg"] = errors.rotation_deg
        seconds = time.monotonic() - started
        self._seconds += seconds if self._seconds else 0.5 * seconds  # the first also compiles
        self.budget.reserve(min(seconds, MAX_RESERVE * self.budget.seconds) + EXTRA_RESERVE)

    def validate(self, epoch: int) -> MedianErrors:
        """Evaluate the validation images, and save the model if it is the best.

        Args:
            epoch: number of epochs that the model was trained for; 0 after the head warm-up.

        Returns:
            The errors.
        """
        self.last_epoch = epoch
        errors = self.measure()
        score = errors.position / self.scales.position
        score += errors.rotation_deg / self.scales.rotation_deg
        if score <= SCORE_TOLERANCE * self.best_score:
            self.best_score = min(score, self.best_score)
            self.best_epoch = epoch
            self.best_errors = errors
            self.save_model()
        return errors

    def state(self) -> tuple[float, ...]:
        """Return what a checkpoint saves.

        Returns:
            Score, epoch and errors of the best model.
        """
        return (self.best_score, self.best_epoch, *self.best_errors)

    def restore(self, state: list[float]) -> None:
        """Restore what `state` returned.

        Args:
            state: score, epoch and errors of the best model.
        """
        score, epoch, position, rotation_deg = state
        self.best_score = score
        self.best_epoch = int(epoch)
        self.best_errors = MedianErrors(position, rotation_deg)


class History(keras.callbacks.Callback):
    """Writes history.csv: one row per epoch; the file is complete at any time."""

    def __init__(self, path: Path, budget: TrainingBudget, *, epochs_done: int = 0) -> None:
        """Prepare the history.

        Args:
            path: the file to write.
            budget: the budget of the training.
            epochs_done: number of epochs whose rows are kept.
        """
        super().__init__()
        self.path = path
        self.budget = budget
        self.rows = read_history(path)[:epochs_done] if epochs_done else []

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Add a row."""
        values = {
            "epoch": epoch + 1,
            "minutes": self.budget.elapsed / 60,
            "learning_rate": float(self.model.optimizer.learning_rate),
        }
        values |= logs or {}
        self.rows.append({name: _format(values.get(name, "")) for name in HISTORY_COLUMNS})
        text = io.StringIO()
        writer = csv.DictWriter(text, HISTORY_COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.rows)
        write_text(self.path, text.getvalue())


def read_history(path: Path) -> list[dict[str, str]]:
    """Read history.csv, of this version or of one before 0.1.0.

    Args:
        path: the file.

    Returns:
        One row per epoch, with all columns; the validation columns are empty if
        nothing was measured. No rows, and a warning, if the file is missing or damaged: a training
        does not depend on it.
    """
    try:
        with open(path, encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
    except (OSError, ValueError, csv.Error) as error:
        log.warning("%s cannot be read and is replaced (%s)", path, first_line(error))
        return []
    named = [{OLD_COLUMNS.get(str(key), str(key)): row[key] for key in row} for row in rows]
    return [{name: row.get(name) or "" for name in HISTORY_COLUMNS} for row in named]


def _format(value: Any) -> Any:
    return f"{value:.6g}" if isinstance(value, float | np.floating) else value
