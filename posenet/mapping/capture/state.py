"""The state file of a reconstruction: which inputs it has, and whether it is finished."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from posenet.errors import PoseNetError
from posenet.io.files import fingerprint_files, write_text
from posenet.io.folders import list_folder
from posenet.io.json_files import read_json
from posenet.mapping.capture.images import is_video

STATE = "capture.json"
# Only the state of a finished reconstruction has this field.
FINISHED = "placed"


def belongs_to(output: Path, *inputs: Path) -> bool:
    """Return whether a folder contains a reconstruction of these inputs, finished or not.

    Args:
        output: the folder.
        inputs: folders of photos, and videos, in their present state.
    """
    state = _read_state(output / STATE)
    return state is not None and _has_inputs(state, inputs)


def is_finished(output: Path, *inputs: Path) -> bool:
    """Return whether a folder contains a finished reconstruction of these inputs.

    Args:
        output: the folder.
        inputs: folders of photos, and videos, in their present state.
    """
    state = _read_state(output / STATE)
    return state is not None and FINISHED in state and _has_inputs(state, inputs)


def prepare_folder(output: Path, inputs: Sequence[Path]) -> None:
    """Create the output folder, or check that an interrupted reconstruction can resume there.

    Args:
        output: the folder.
        inputs: folders of photos, and videos.

    Raises:
        PoseNetError: the folder contains anything else, or cannot be created.
    """
    state = _read_state(output / STATE)
    if state is not None:
        _check_unfinished(output, state, inputs)
        return
    if output.exists() and (not output.is_dir() or list_folder(output)):
        raise PoseNetError(f"{output} must be a new folder or an unfinished reconstruction")
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise PoseNetError(f"{output} cannot be created: {error.strerror}") from None
    write_text(output / STATE, json.dumps(describe_inputs(inputs)) + "\n")


def describe_inputs(inputs: Sequence[Path]) -> dict:
    """Return what the state file says about the inputs.

    Args:
        inputs: folders of photos, and videos.

    Returns:
        Their paths, and the fingerprint of the videos if there are any.
    """
    description: dict = {"inputs": [str(path.resolve()) for path in inputs]}
    videos = [path for path in inputs if is_video(path)]
    if videos:
        description["videos"] = fingerprint_files(videos)
    return description


def _check_unfinished(output: Path, state: dict, inputs: Sequence[Path]) -> None:
    """Raise an error unless the state belongs to an unfinished reconstruction of these inputs."""
    if FINISHED in state:
        what = "a finished reconstruction"
    elif not _has_inputs(state, inputs):
        of = ", ".join(map(str, state["inputs"]))
        what = f"an unfinished reconstruction of other inputs, or of changed ones ({of})"
    else:
        return
    raise PoseNetError(f"{output} is {what}: use another folder or remove it")


def _has_inputs(state: dict, inputs: Sequence[Path]) -> bool:
    """Return whether a state is that of these inputs.

    A video may have moved to another folder: its fingerprint identifies it.
    """
    now = describe_inputs(inputs)
    same = state["inputs"] == now["inputs"]
    if not same and "videos" in state and all(map(is_video, inputs)):
        same = [Path(path).name for path in state["inputs"]] == [path.name for path in inputs]
    return same and state.get("videos") in (None, now.get("videos"))


def _read_state(path: Path) -> dict | None:
    """Return the content of a state file, or None if there is none."""
    if not path.is_file():
        return None
    try:
        state = read_json(path)
        return {"inputs": state["inputs"]} | state
    except (ValueError, KeyError, TypeError):
        raise PoseNetError(
            f"{path} must be the state file of a reconstruction, it is damaged"
        ) from None
