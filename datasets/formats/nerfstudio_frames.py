"""Parse the frames of a `transforms.json`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from posenet.datasets.formats.image_names import natural_key, tidy_name
from posenet.datasets.formats.parsing import is_number, read_text, shorten
from posenet.errors import PoseNetError

# Larger numbers are refused; their products would not be finite.
MAX_NUMBER = 1e12


class Frame:
    """A frame of a file. Values are those of the frame, otherwise those at the top of the file.

    Attributes:
        source: where the frame is, for messages.
        values: all values.
        name: name of the image.
        split: "train", "test", or "" if unknown.
        matrix: world_from_camera, OpenGL camera axes, shape (4, 4).
    """

    def __init__(self, top: dict[str, Any], entry: object, source: str, split: str) -> None:
        """Read a frame.

        Args:
            top: the values at the top of the file.
            entry: the frame as JSON.
            source: where it is, for messages.
            split: "train", "test", or "" if unknown.

        Raises:
            PoseNetError: the frame has no file_path, or no transform_matrix of 4 x 4 or 3 x 4.
        """
        self.source = source
        if not isinstance(entry, dict) or not isinstance(entry.get("file_path"), str):
            raise PoseNetError(
                f"{source} must contain a file_path and a transform_matrix, "
                f"received {shorten(repr(entry))}"
            )
        self.values = top | entry
        self.name = tidy_name(entry["file_path"])
        self.split = split
        self.matrix = _parse_matrix(entry.get("transform_matrix"))
        if self.matrix.shape != (4, 4):
            raise PoseNetError(
                f"{source} must contain a transform_matrix of 4 x 4 numbers, {self.name} does not"
            )

    def number(self, key: str, default: float = 0.0) -> float:
        """Return a number, which some files contain as text.

        Args:
            key: its key.
            default: the number if there is none.

        Returns:
            The number.

        Raises:
            PoseNetError: the value is not a finite number.
        """
        value = self.values.get(key, default)
        if isinstance(value, str) and is_number(value):
            value = float(value)
        is_valid = isinstance(value, int | float) and not isinstance(value, bool)
        if not is_valid or not abs(value) < MAX_NUMBER:
            raise PoseNetError(
                f"{self.source}: {key} must be a number, received {shorten(repr(value))}"
            )
        return float(value)

    def numbers(self, key: str, length: int) -> tuple[float, ...]:
        """Return a list of numbers.

        Args:
            key: its key.
            length: how many there must be.

        Returns:
            The numbers.

        Raises:
            PoseNetError: the value is not a list of as many finite numbers.
        """
        value = self.values.get(key)
        numbers = value if isinstance(value, list) else []
        if len(numbers) != length or not all(
            type(number) in (int, float) and abs(number) < MAX_NUMBER for number in numbers
        ):
            raise PoseNetError(
                f"{self.source}: {key} must be {length} numbers, received {shorten(repr(value))}"
            )
        return tuple(map(float, numbers))


def read_frames(path: Path, split: str) -> list[Frame]:
    """Read the frames of a file, in the natural order of their names.

    Args:
        path: the JSON file.
        split: the split of its frames; "" for that of nerfstudio's lists in the file, if any.

    Returns:
        The frames.

    Raises:
        PoseNetError: the file is malformed.
    """
    try:
        top = json.loads(read_text(path))
    except (ValueError, RecursionError) as error:
        line = getattr(error, "lineno", 1)
        raise PoseNetError(
            f"{path}:{line}: the file must be JSON, {error}".split("\n")[0]
        ) from None
    if not isinstance(top, dict) or not isinstance(top.get("frames"), list):
        raise PoseNetError(f"{path}: the file must be an object with a list of frames")
    frames = [
        Frame(top, entry, f"{path}: frame {number}", split)
        for number, entry in enumerate(top["frames"])
    ]
    if not split:
        _apply_split_lists(top, frames)
    return sorted(frames, key=lambda frame: natural_key(frame.name))


def _parse_matrix(value: Any) -> np.ndarray:
    """Return a 3 x 4 or 4 x 4 matrix as (4, 4); any other value with its own shape."""
    if value is None:
        return np.zeros(0)
    try:
        matrix = np.array(value, np.float64)
    except (TypeError, ValueError, OverflowError):
        return np.zeros(0)
    return np.vstack([matrix, [0, 0, 0, 1]]) if matrix.shape == (3, 4) else matrix


def _apply_split_lists(top: dict[str, Any], frames: list[Frame]) -> None:
    """Set the splits from nerfstudio's lists, if the file contains them."""
    lists = [
        top[key] for key in ("test_filenames", "val_filenames") if isinstance(top.get(key), list)
    ]
    if lists and isinstance(top.get("train_filenames"), list):
        test: list[Any] = next(filter(None, lists), [])
        names = {tidy_name(str(name)) for name in test}
        for frame in frames:
            frame.split = "test" if frame.name in names else "train"
