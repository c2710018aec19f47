"""Checkpoints: the state of a training, for --resume."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np

from posenet.errors import PoseNetError, first_line
from posenet.io.files import atomic_path
from posenet.io.stored_arrays import open_arrays
from posenet.training.budget import TrainingBudget
from posenet.training.callbacks import BestModel, diverged_error

# Seconds between two checkpoints, unless there is a new best model.
INTERVAL = 15.0


class TrainingCheckpoint(keras.callbacks.Callback):
    """Saves weights, optimizer, epoch, clock and best score after epochs.

    Without validation there is no best model; then the latest model is saved each time.
    """

    def __init__(
        self,
        path: Path,
        budget: TrainingBudget,
        best_model: BestModel | None,
        save_model: Callable[[], None],
        *,
        interval: float = INTERVAL,
    ) -> None:
        """Prepare the checkpoint.

        Args:
            path: the file to write.
            budget: the budget of the training.
            best_model: the callback that selects the best model, if any.
            save_model: writes model.keras.
            interval: seconds between two checkpoints.
        """
        super().__init__()
        self.path = path
        self.budget = budget
        self.best_model = best_model
        self.save_model = save_model
        self.interval = interval
        self._written_at = -math.inf
        self._written_best = 0

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Save the state, unless it was saved recently. Raises PoseNetError if weights diverged."""
        best_epoch = self.best_model.best_epoch if self.best_model else 0
        is_last = self.budget.is_spent or self.model.stop_training
        is_recent = time.monotonic() - self._written_at < self.interval
        if not is_last and is_recent and best_epoch == self._written_best:
            return
        self._written_at = time.monotonic()
        self._written_best = best_epoch
        arrays = {f"v{i}": np.asarray(variable) for i, variable in enumerate(_state(self.model))}
        if not all(np.isfinite(array).all() for array in arrays.values()):
            # The last step of an epoch may break weights without an infinite loss.
            raise diverged_error(f"non-finite weights after epoch {epoch + 1}")
        if self.best_model is None:
            self.save_model()
        # A training ends slightly before its time, of which it reserves some for saving; a finished
        # training has nothing left.
        elapsed = self.budget.elapsed
        if is_last:
            elapsed = max(elapsed, self.budget.seconds)
        self.path.parent.mkdir(exist_ok=True)
        with atomic_path(self.path) as temporary, open(temporary, "wb") as file:
            np.savez(
                file,
                epoch=epoch + 1,
                best=self.best_model.state() if self.best_model else (),
                step=self.budget.steps_done,
                elapsed=elapsed,
                start=self.budget.first_progress,
                **arrays,  # type: ignore[arg-type]  # the stub takes the names for options
            )

    def restore(self, model: keras.Model) -> int:
        """Restore the saved state.

        Args:
            model: the trainer.

        Returns:
            The number of finished epochs.

        Raises:
            PoseNetError: the file is not a checkpoint of this run.
        """
        try:
            with open_arrays(self.path) as saved:
                for i, variable in enumerate(_state(model)):
                    variable.assign(saved[f"v{i}"])
                self.budget.resume(
                    steps_done=int(saved["step"]),
                    elapsed=float(saved["elapsed"]),
                    first_progress=float(saved["start"]),
                )
                if self.best_model and len(saved["best"]):
                    self.best_model.restore(saved["best"].tolist())
                return int(saved["epoch"])
        except Exception as error:
            raise PoseNetError(
                f"{self.path} must be a checkpoint of this run, cannot read it "
                f"({first_line(error)})"
            ) from None


def _state(model: Any) -> list[Any]:
    return [*model.network.variables, *model.pose_loss.variables, *model.optimizer.variables]
