"""Parse the frames of a `transforms.json`."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from posenet.datasets.formats.image_names import natural_key, tidy_name
from posenet.datasets.formats.nerfstudio_keys import ignored_keys, merge, usual_names
from posenet.datasets.formats.parsing import is_number, read_text, shorten
from posenet.datasets.formats.pose_conversion import OPENCV_FROM_OPENGL
from posenet.errors import PoseNetError
from posenet.io.json_files import parse_json

# Larger numbers are refused; their products would not be finite.
MAX_NUMBER = 1e12
# Signs of the camera axes that turn those of a file into OpenCV's (x right, y down, z forward).
OPENCV_SIGNS = {
    "OpenCV": np.ones(3),
    "OpenGL": np.diag(OPENCV_FROM_OPENGL),
    "Mitsuba": np.array([-1.0, -1.0, 1.0]),
}
# Keys at the top whose values are lists of frames.
FRAME_LISTS = {"frames", "test_frames"}


class Frame:
    """A frame of a file. Values are those of the frame, otherwise those at the top of the file.

    Attributes:
        source: where the frame is, for messages.
        values: all values.
        name: name of the image.
        split: "train", "test", or "" if unknown.
        own_split: the value of the frame's key split, None without it.
        matrix: world_from_camera, shape (4, 4), camera axes as in the file.
    """

    def __init__(self, top: dict[str, Any], entry: object, source: str, split: str) -> None:
        """Read a frame.

        Args:
            top: the values at the top of the file, intrinsics by their usual names.
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
        self.values = merge(top, usual_names(entry, source))
        self.name = tidy_name(entry["file_path"])
        self.split = split
        self.own_split = entry.get("split")
        self.matrix = _parse_matrix(entry.get("transform_matrix"))
        if self.matrix.shape != (4, 4):
            raise PoseNetError(
                f"{source} must contain a transform_matrix of 4 x 4 numbers, {self.name} does not"
            )

    @property
    def model(self) -> str:
        """The name of the camera model in upper case, "" without one."""
        return str(self.values.get("camera_model") or "").upper()

    @property
    def is_bad(self) -> bool:
        """Whether the file marks the image as unusable, as ScanNet++ does with blurred ones."""
        return self.values.get("is_bad") in (True, 1)

    @property
    def camera_axes(self) -> str:
        """The camera axes: OpenGL's, or those of OpenCV or Mitsuba by instant-ngp's keys."""
        if self.values.get("from_na") is True:
            return "OpenCV"
        return "Mitsuba" if self.values.get("from_mitsuba") is True else "OpenGL"

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


class FrameFile(NamedTuple):
    """The content of a file.

    Attributes:
        top: the values at its top.
        frames: its frames, in the natural order of their names.
        ignored: keys that mean something and are not read.
    """

    top: dict[str, Any]
    frames: list[Frame]
    ignored: list[str]


def read_frames(path: Path, split: str) -> FrameFile:
    """Read the frames of a file, those of ScanNet++'s test_frames included.

    Args:
        path: the JSON file.
        split: the split of its frames; "" for "train" and "test" if it contains test_frames, and
            otherwise unknown.

    Returns:
        The frames.

    Raises:
        PoseNetError: the file is malformed.
    """
    try:
        top = parse_json(read_text(path))
    except ValueError as error:
        line = getattr(error, "lineno", 1)
        raise PoseNetError(
            f"{path}:{line}: the file must be JSON, {error}".split("\n")[0]
        ) from None
    if not isinstance(top, dict) or not isinstance(top.get("frames"), list):
        raise PoseNetError(f"{path}: the file must be an object with a list of frames")
    test_entries = top.get("test_frames") or []
    if not isinstance(test_entries, list):
        raise PoseNetError(
            f"{path}: test_frames must be a list of frames, received {shorten(repr(test_entries))}"
        )
    values = usual_names({key: top[key] for key in top.keys() - FRAME_LISTS}, str(path))
    splits = (split or "train", "test") if test_entries else (split, "")
    frames = [
        Frame(values, entry, f"{path}: {kind} {number}", of_list)
        for kind, entries, of_list in zip(
            ("frame", "test_frames"), (top["frames"], test_entries), splits, strict=True
        )
        for number, entry in enumerate(entries)
    ]
    frames.sort(key=lambda frame: natural_key(frame.name))
    return FrameFile(top, frames, ignored_keys(top, [*top["frames"], *test_entries]))


def _parse_matrix(value: Any) -> np.ndarray:
    """Return a 3 x 4 or 4 x 4 matrix as (4, 4); any other value with its own shape."""
    if value is None:
        return np.zeros(0)
    try:
        matrix = np.array(value, np.float64)
    except (TypeError, ValueError, OverflowError):
        return np.zeros(0)
    return np.vstack([matrix, [0, 0, 0, 1]]) if matrix.shape == (3, 4) else matrix
