"""Read matrices from text files."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from posenet.datasets.formats.parsing import parse_floats, read_lines, shorten
from posenet.errors import PoseNetError

# How Microsoft's C runtime prints NaN and infinity: -1.#IND, 1.#QNAN, 1.#INF.
_WINDOWS_NAN = re.compile(rb"-?1\.#[A-Z0-9]+")


def read_pose(path: Path) -> list[float]:
    """Read a pose file.

    Args:
        path: the file.

    Returns:
        The 16 numbers of the matrix row by row; NaN if there is no such file.

    Raises:
        PoseNetError: the file cannot be read or does not contain 4 lines of 4 numbers.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return [np.nan] * 16
    except OSError as error:
        raise PoseNetError(f"{path}: the pose cannot be read ({error.strerror})") from None
    try:
        values = [float(column) for column in _WINDOWS_NAN.sub(b"nan", data).split()]
    except ValueError:
        values = []
    if len(values) == 16:
        return values
    # Comments and byte order marks are accepted too. This is slower, and names the malformed line.
    return [float(value) for value in read_matrix(path, 4).ravel()]


def read_poses(paths: Sequence[Path]) -> np.ndarray:
    """Read pose files.

    Args:
        paths: n files.

    Returns:
        Their matrices, shape (n, 4, 4); NaN for files that do not exist.

    Raises:
        PoseNetError: as `read_pose`.
    """
    return np.array([read_pose(path) for path in paths], np.float64).reshape(-1, 4, 4)


def read_matrix(path: Path, size: int) -> np.ndarray:
    """Read a square matrix from a text file.

    Args:
        path: the file.
        size: number of rows and of columns.

    Returns:
        The matrix, shape (size, size).

    Raises:
        PoseNetError: a line or a number is missing or malformed.
    """
    rows: list[tuple[float, ...]] = []
    wanted = f"{size} lines of {size} numbers are needed"
    for source, line in read_lines(path):
        columns = line.split()
        if len(columns) != size or len(rows) == size:
            raise PoseNetError(
                f"{source}: {wanted}, received {shorten(line)} as line {len(rows) + 1}"
            )
        rows.append(parse_floats(columns, source, wanted))
    if len(rows) != size:
        raise PoseNetError(f"{path}:{len(rows) + 1}: {wanted}, the file ends after {len(rows)}")
    return np.array(rows)
