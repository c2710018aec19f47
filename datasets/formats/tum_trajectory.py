"""Read and write TUM trajectories, which evo reads too."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from posenet.datasets.formats.parsing import (
    parse_floats,
    read_lines,
    shorten,
)
from posenet.errors import PoseNetError, count
from posenet.geometry.poses import Poses
from posenet.io.files import write_text

_LINE = "a TUM line must be 8 numbers, timestamp x y z qx qy qz qw"


def read_tum_table(path: Path) -> tuple[np.ndarray, list[str]]:
    """Read a TUM trajectory without validating its poses.

    Args:
        path: a file of lines `timestamp x y z qx qy qz qw`.

    Returns:
        The numbers, shape (n, 8), and where each line is ("file:line").

    Raises:
        PoseNetError: a line does not consist of 8 numbers.
    """
    rows = []
    sources = []
    for source, line in read_lines(path):
        columns = line.split()
        if len(columns) != 8:
            received = count(len(columns), "column")
            raise PoseNetError(f"{source}: {_LINE}, received {received}: {shorten(line)}")
        rows.append(parse_floats(columns, source, _LINE))
        sources.append(source)
    return np.array(rows, np.float64).reshape(-1, 8), sources


def write_tum(path: Path, poses: Poses, timestamps: Iterable[float]) -> None:
    """Write a TUM trajectory with all digits: lines `timestamp x y z qx qy qz qw`.

    Args:
        path: the file to write, completely or not at all.
        poses: n poses, world_from_camera.
        timestamps: n timestamps in seconds.

    Raises:
        ValueError: the numbers of timestamps and poses differ.
        PoseNetError: the file cannot be written.
    """
    seconds = np.asarray(list(timestamps), np.float64)
    if len(seconds) != len(poses):
        raise ValueError(
            f"as many timestamps as poses ({len(poses)}) are needed. Received: {len(seconds)}"
        )
    quaternions_xyzw = np.roll(poses.quaternions_wxyz, -1, axis=1)
    table = np.column_stack([seconds, poses.positions, quaternions_xyzw])
    write_text(path, "".join(" ".join(map(repr, row)) + "\n" for row in table.tolist()))
