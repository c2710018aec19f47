"""What happens during fit: the schedule, validation, the best model, history, backup, NaN."""

from __future__ import annotations

import csv
import io
import math
import time
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np

from posenet.errors import PoseNetError, first_line
from posenet.io.files import atomic_path, write_text

WARM_UP = 0.04  # of the whole training


class TrainingBudget:
    """How much of the training is done: by epochs, or by the clock since `started` (time.monotonic)."""

    def __init__(self, epochs: int | None, seconds: float, steps: int, started: float):
        self.epochs, self.seconds, self.steps, self.started = epochs, seconds, steps, started
        self.step = 0
        self.start: float | None = (
            None  # the progress before the first step: no part of the warm-up
        )
        self.reserve = 0.0  # seconds kept for the last validation and saving

    @property
    def elapsed(self) -> float:
        """Seconds trained, those before a resume included."""
        return time.monotonic() - self.started

    @property
    def progress(self) -> float:
        """0 at the start, 1 when the budget is spent."""
        if self.epochs is not None:
            return min(1.0, self.step / (self.epochs * self.steps))
        return min(1.0, self.elapsed / max(1e-9, self.seconds - self.reserve))


class WarmupCosine(keras.callbacks.Callback):
    """Learning rate: linear warm-up, then a cosine to zero; stops when the budget is spent."""

    def __init__(self, budget: TrainingBudget, peak: float):
        super().__init__()
        self.budget, self.peak = budget, peak

    def on_train_batch_begin(self, batch, logs=None):
        progress = self.budget.progress
        if self.budget.start is None:
            self.budget.start = progress
        share = (progress - self.budget.start) / max(1e-9, 1 - self.budget.start)
        rate = (
            share / WARM_UP
            if share < WARM_UP
            else 0.5 + 0.5 * math.cos(math.pi * (share - WARM_UP) / (1 - WARM_UP))
        )
        self.model.optimizer.learning_rate = self.peak * max(rate, 1e-3)

    def on_train_batch_end(self, batch, logs=None):
        self.budget.step += 1
        if self.budget.progress >= 1:
            self.model.stop_training = True


class StopOnNaN(keras.callbacks.Callback):
    """Ends the run with an explanation when the loss is no number; the last good model, if there is one, stays."""

    def on_train_batch_end(self, batch, logs=None):
        if logs and not np.isfinite(logs.get("loss", 0.0)):
            raise _diverged(f"the loss became {logs['loss']} in step {batch + 1}")


def _diverged(why: str) -> PoseNetError:
    return PoseNetError(
        f"training stopped: {why}; the last good model, if there is one, is kept. A smaller --learning-rate or "
        "--precision float32 usually helps"
    )


class BestModel(keras.callbacks.Callback):
    """Measures the held-out images after epochs; keeps the best.

    Where the clock ends the training, only after as many epochs as take a small share of the time; after all where
    epochs are counted: the clock must not choose the model there.

    measure() -> (median position error, median rotation error in degrees). save() writes the model.
    score = position / scale + degrees / scale_deg, the scales being the mean-pose baseline's medians. A later model
    that comes within CHANCE of the best score takes its place: on few held-out images less is chance, and the
    schedule has let the later one settle.
    """

    CHANCE = 1.1

    def __init__(
        self,
        measure: Callable,
        save: Callable,
        scales: tuple[float, float],
        budget: TrainingBudget,
        share=0.06,
    ):
        super().__init__()
        self.measure, self.save, self.scales, self.budget, self.share = (
            measure,
            save,
            scales,
            budget,
            share,
        )
        self.best, self.best_epoch, self.best_errors = math.inf, 0, (math.nan, math.nan)
        self.spent = self.began = 0.0

    def on_train_begin(self, logs=None):
        self.began = time.monotonic()

    def on_epoch_end(self, epoch, logs=None):
        last = self.budget.progress >= 1 or self.model.stop_training
        dear = self.spent > self.share * (time.monotonic() - self.began)
        if dear and self.budget.epochs is None and not last:
            return
        began = time.monotonic()
        position, degrees = self.measure()
        logs |= {"val_position": position, "val_rotation_deg": degrees}
        score = position / self.scales[0] + degrees / self.scales[1]
        if score <= self.CHANCE * self.best:
            self.best, self.best_epoch, self.best_errors = (
                min(score, self.best),
                epoch + 1,
                (position, degrees),
            )
            self.save()
        took = time.monotonic() - began
        self.spent += took if self.spent else 0.5 * took  # the first one also compiles
        self.budget.reserve = min(took, 0.05 * self.budget.seconds) + 1.0


class History(keras.callbacks.Callback):
    """history.csv: a row an epoch, the file whole at any moment."""

    COLUMNS = (
        "epoch",
        "minutes",
        "learning_rate",
        "loss",
        "position",
        "rotation_deg",
        "val_position",
        "val_rotation_deg",
    )

    def __init__(self, path: Path, budget: TrainingBudget, epochs_done: int = 0):
        super().__init__()
        self.path, self.budget = path, budget
        self.rows = read_history(path)[:epochs_done] if epochs_done else []

    def on_epoch_end(self, epoch, logs=None):
        rate = float(self.model.optimizer.learning_rate)
        values = {
            "epoch": epoch + 1,
            "minutes": self.budget.elapsed / 60,
            "learning_rate": rate,
        } | (logs or {})
        self.rows.append({name: _short(values.get(name, "")) for name in self.COLUMNS})
        text = io.StringIO()
        writer = csv.DictWriter(text, self.COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.rows)
        write_text(self.path, text.getvalue())


def read_history(path: Path) -> list[dict[str, str]]:
    """The rows of history.csv, one an epoch; validation columns are empty where none was measured."""
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _short(value):
    return f"{value:.6g}" if isinstance(value, float | np.floating) else value


class TrainingCheckpoint(keras.callbacks.Callback):
    """backup/state.npz: all weights, the optimizer, the epoch, the clock and the best score, for --resume.

    Without validation there is no best model: then save() writes the latest each time. Raises PoseNetError instead of
    keeping weights that are no numbers, as an epoch's last step may leave them.
    """

    def __init__(
        self,
        path: Path,
        budget: TrainingBudget,
        validation: BestModel | None,
        save: Callable,
        every_seconds=15.0,
    ):
        super().__init__()
        self.path, self.budget, self.validation, self.save, self.every = (
            path,
            budget,
            validation,
            save,
            every_seconds,
        )
        self.written = -math.inf
        self.best_epoch_written = 0

    def on_epoch_end(self, epoch, logs=None):
        best_epoch = self.validation.best_epoch if self.validation else 0
        last = (
            self.budget.progress >= 1 or self.model.stop_training
        )  # a finished run is not trained further
        if (
            not last
            and time.monotonic() - self.written < self.every
            and best_epoch == self.best_epoch_written
        ):
            return
        self.written, self.best_epoch_written = time.monotonic(), best_epoch
        arrays = {f"v{i}": np.asarray(variable) for i, variable in enumerate(_state(self.model))}
        if not all(np.isfinite(array).all() for array in arrays.values()):
            raise _diverged(f"the weights became no numbers at the end of epoch {epoch + 1}")
        best_of = (
            (self.validation.best, best_epoch, *self.validation.best_errors)
            if self.validation
            else ()
        )
        if not self.validation:
            self.save()
        self.path.parent.mkdir(exist_ok=True)
        with atomic_path(self.path) as temporary, open(temporary, "wb") as file:
            # a training ends a little before its time, what it kept for saving: nothing of it is left
            elapsed = max(self.budget.elapsed, self.budget.seconds) if last else self.budget.elapsed
            clock = {
                "step": self.budget.step,
                "elapsed": elapsed,
                "start": self.budget.start or 0.0,
            }
            np.savez(file, epoch=epoch + 1, best=best_of, **clock, **arrays)

    def restore(self, model) -> int:
        """Put the saved state back; the number of epochs done. Raises PoseNetError for a file that does not fit."""
        try:
            with np.load(self.path, allow_pickle=False) as saved:
                for i, variable in enumerate(_state(model)):
                    variable.assign(saved[f"v{i}"])
                self.budget.step, self.budget.start = int(saved["step"]), float(saved["start"])
                self.budget.started = time.monotonic() - float(saved["elapsed"])
                if self.validation and len(saved["best"]):
                    best, epoch, *errors = saved["best"].tolist()
                    self.validation.best, self.validation.best_epoch = best, int(epoch)
                    self.validation.best_errors = tuple(errors)
                return int(saved["epoch"])
        except Exception as error:
            raise PoseNetError(
                f"{self.path} must be a backup of this run, it cannot be read ({first_line(error)})"
            ) from None


def _state(model) -> list:
    return [*model.network.variables, *model.pose_loss.variables, *model.optimizer.variables]
