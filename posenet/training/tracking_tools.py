"""Log the metrics of a training to a tool for experiment tracking."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras

from posenet.environment import import_extra
from posenet.errors import PoseNetError

# Folder of the event files in a run.
LOGS = "logs"


def check_callbacks(callbacks: Sequence[Any], tool: str | None) -> None:
    """Check the user's callbacks, and that a tool for experiment tracking is installed.

    Args:
        callbacks: objects that should be Keras callbacks.
        tool: the value of --log.

    Raises:
        PoseNetError: an object is not a callback, or the tool is not installed.
    """
    for callback in callbacks:
        if not isinstance(callback, keras.callbacks.Callback):
            raise PoseNetError(
                "callbacks must be instances of keras.callbacks.Callback, "
                f"received {type(callback).__name__}"
            )
    if tool == "tensorboard":
        import_extra("tensorboard", "tensorboard", "--log tensorboard")


def tool_callbacks(tool: str | None, folder: Path) -> list[keras.callbacks.Callback]:
    """Return the callbacks that write to a tool for experiment tracking.

    Args:
        tool: the value of --log.
        folder: the run folder.

    Returns:
        The callbacks; none without a tool.
    """
    if tool != "tensorboard":
        return []
    # Graph and profile of the trainer are not of interest, and the graph is several megabytes.
    return [keras.callbacks.TensorBoard(folder / LOGS, write_graph=False, profile_batch=0)]
