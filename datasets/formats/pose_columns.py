"""Which columns of a pose file are the position and the quaternion: by their names, or checked."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from posenet.datasets.formats.parsing import is_number, shorten
from posenet.errors import PoseNetError, count
from posenet.geometry.poses import is_valid_quaternion

# The seven numbers of a pose, in posenet's order.
POSE_NAMES = ("x", "y", "z", "qw", "qx", "qy", "qz")
# How files call them: x, tx, p_x, and EuRoC's p_RS_R_x; qw, q_w, and EuRoC's q_RS_w.
_POSITION = re.compile(r"(t|p|pos|position)?(?:_rs_r)?_?([xyz])")
_QUATERNION = re.compile(r"q(?:uat|uaternion)?(?:_rs)?_?([wxyz])")
_UNIT = re.compile(r"\[[^\]]{0,40}\]|\([^)]{0,40}\)")
# Largest error of the length of a quaternion that is written with a few digits.
LENGTH_TOLERANCE = 1e-2
# The quaternion is at one place if nine in ten lines have unit length there, since a file may
# contain zeros for images that failed, and fewer than half have it at the other place.
MIN_UNIT_FRACTION = 0.9
MAX_OTHER_FRACTION = 0.5


class PoseColumns(NamedTuple):
    """Where a pose is in the columns of a file.

    Attributes:
        indices: index of the column of each of `POSE_NAMES`.
        key: index of the column of the name or the timestamp.
        is_translation: whether the position is called tx ty tz and follows the quaternion, as in
            lists of world-to-camera poses.
        is_body: whether the names are EuRoC's of the body, p_RS_R and q_RS.
    """

    indices: tuple[int, ...]
    key: int = 0
    is_translation: bool = False
    is_body: bool = False

    @property
    def quaternion_start(self) -> int:
        """Index of the quaternion among the seven numbers in the order of the file, 0 or 3."""
        return 0 if min(self.indices[3:]) < min(self.indices[:3]) else 3

    @property
    def last(self) -> int:
        """Index of the last column that is needed."""
        return max(self.key, *self.indices)

    def pose_order(self, table: np.ndarray) -> np.ndarray:
        """Reorder seven numbers.

        Args:
            table: n poses in the order of the file, shape (n, 7).

        Returns:
            Position and quaternion wxyz, shape (n, 7).
        """
        order = sorted(self.indices)
        reordered: np.ndarray = table[:, [order.index(index) for index in self.indices]]
        return reordered


# timestamp x y z qx qy qz qw
TUM_COLUMNS = PoseColumns((1, 2, 3, 7, 4, 5, 6))
# name X Y Z W P Q R
LIST_COLUMNS = PoseColumns((1, 2, 3, 4, 5, 6, 7))
# name qw qx qy qz tx ty tz
HLOC_COLUMNS = PoseColumns((5, 6, 7, 1, 2, 3, 4), is_translation=True)


def find_pose_columns(header: str) -> PoseColumns | None:
    """Return where a pose is in the columns that a line names.

    Args:
        header: the line, with or without #. Units in brackets are ignored.

    Returns:
        The columns; None if the line does not name each of the seven numbers once.
    """
    text = _UNIT.sub("", header.lstrip("# ").lower())
    cells = text.split(",") if text.count(",") >= len(POSE_NAMES) else re.split(r"[\s,;]+", text)
    cells = [cell.strip() for cell in cells]
    names = [_pose_name(cell) for cell in cells]
    if any(names.count(name) != 1 for name in POSE_NAMES):
        return None
    indices = tuple(names.index(name) for name in POSE_NAMES)
    others = [column for column in range(len(cells)) if column not in indices]
    if not others:
        return None
    key = cells.index("image") if "image" in cells else others[0]
    quaternion_first = max(indices[3:]) < min(indices[:3])
    return PoseColumns(
        indices=indices,
        key=key,
        is_translation=quaternion_first and cells[indices[0]].startswith("t"),
        is_body="_rs" in cells[indices[0]],
    )


def _pose_name(cell: str) -> str:
    """Return which of the seven numbers a column is, "" if none."""
    if match := _QUATERNION.fullmatch(cell):
        return f"q{match[1]}"
    match = _POSITION.fullmatch(cell)
    return match[2] if match else ""


def header_columns(text: str) -> PoseColumns | None:
    """Return where poses are in the columns of a file, if its header names them.

    Args:
        text: content of the file. A header is a comment before the first line, or that line.

    Returns:
        The columns; None if no line names them.
    """
    found = None
    for line in text.split("\n"):
        if not line.strip():
            continue
        found = find_pose_columns(line) or found
        if not line.lstrip().startswith("#"):
            break
    return found


def split_columns(line: str) -> list[str]:
    """Split a line at commas if they separate at least eight columns, otherwise at spaces.

    Args:
        line: the line.

    Returns:
        The columns without outer whitespace.
    """
    cells = [cell.strip() for cell in line.rstrip().rstrip(",").split(",")]
    return cells if len(cells) > len(POSE_NAMES) else line.split()


def is_header(line: str) -> bool:
    """Return whether a line names columns instead of containing a pose.

    Args:
        line: a line that is not a comment.

    Returns:
        True if it does.
    """
    return find_pose_columns(line) is not None and not any(map(is_number, split_columns(line)))


def columns_missing(source: str, line: str, received: int) -> str:
    """Return the message for a line that is shorter than its header.

    Args:
        source: where the line is, "file:line".
        line: the line.
        received: how many columns it has.

    Returns:
        The message.
    """
    return (
        f"{source}: a line must have the columns that the header names, received "
        f"{count(received, 'column')}: {shorten(line)}"
    )


def quaternion_start(table: np.ndarray) -> int | None:
    """Return where the quaternion is among seven numbers, if its length shows it.

    Args:
        table: position and quaternion in either order, shape (n, 7).

    Returns:
        0 if the first four numbers have unit length in nine of ten lines and the last four in less
        than half of them, 3 if it is the other way round, otherwise None.
    """
    table = table[np.isfinite(table).all(axis=1)]
    if len(table) == 0:
        return None
    unit = {
        start: np.abs(np.linalg.norm(table[:, start : start + 4], axis=1) - 1) < LENGTH_TOLERANCE
        for start in (0, 3)
    }
    for start, other in ((0, 3), (3, 0)):
        is_here = unit[start].mean() >= MIN_UNIT_FRACTION
        if is_here and unit[other].mean() < MAX_OTHER_FRACTION:
            return start
    return None


def check_columns(
    table: np.ndarray, columns: PoseColumns, sources: Sequence[str], wanted: str
) -> None:
    """Check that the quaternion is where a format has it.

    Args:
        table: the seven numbers of n poses in the order of the file, shape (n, 7).
        columns: where they are.
        sources: where each line is, "file:line".
        wanted: what must hold, for the message.

    Raises:
        PoseNetError: the quaternion is at the other place.
    """
    start = columns.quaternion_start
    found = quaternion_start(table)
    if found is None or found == start:
        return
    place = {0: "first", 3: "last"}
    raise PoseNetError(
        f"{sources[0]}: {wanted}, received poses whose {place[found]} four numbers have unit "
        f"length, not the {place[start]} four"
    )


def median_length(quaternions: np.ndarray) -> float:
    """Return the median length of quaternions.

    Args:
        quaternions: shape (n, 4).

    Returns:
        The median of those that are finite and not zero; 1 if there are none.
    """
    valid = is_valid_quaternion(quaternions)
    return float(np.median(np.linalg.norm(quaternions[valid], axis=1))) if valid.any() else 1.0
