"""The ONNX file of a run, which `predict --runtime onnx` makes once and then uses without Keras."""

from __future__ import annotations

from pathlib import Path

from posenet.errors import PoseNetError, first_line
from posenet.export import onnx
from posenet.io.files import fingerprint_content
from posenet.io.json_files import read_json
from posenet.models.inference import Network
from posenet.run import MODEL, Run

# Key of the fingerprint of model.keras in the description.
STAMP = "model_fingerprint"


def description_path(path: Path) -> Path:
    """Return the JSON file beside an exported network.

    Args:
        path: the exported file or folder.

    Returns:
        The file with ".json" after the whole name.
    """
    return path.with_name(f"{path.name}.json")


def model_stamp(run: Run) -> str:
    """Return the fingerprint of the model.keras that a network is exported from.

    Args:
        run: the run.

    Returns:
        32 hexadecimal digits.
    """
    return fingerprint_content(run.folder / MODEL)


def load_exported(run: Run) -> Network | None:
    """Load RUN/model.onnx, without Keras.

    Args:
        run: the run.

    Returns:
        The network; None if it was not exported from this model.keras.

    Raises:
        PoseNetError: ONNX Runtime is not installed, or cannot load the file.
    """
    path = run.folder / onnx.FILE
    try:
        description = read_json(description_path(path))
        is_current = path.is_file() and description[STAMP] == model_stamp(run)
    except (OSError, ValueError, KeyError, TypeError):
        is_current = False
    if not is_current:
        return None
    try:
        return onnx.load(path)
    except PoseNetError:
        raise
    except Exception as error:
        raise PoseNetError(
            f"{path} must be an ONNX file, cannot load it: delete it ({first_line(error)})"
        ) from None
