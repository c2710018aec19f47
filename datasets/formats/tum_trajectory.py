"""Read and write TUM trajectories, which evo reads too."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from posenet.datasets.formats.parsing import parse_floats, read_lines, read_text, shorten
from posenet.datasets.formats.pose_columns import (
    TUM_COLUMNS,
    check_columns,
    columns_missing,
    header_columns,
    is_header,
    split_columns,
)
from posenet.datasets.formats.timestamps import seconds_from_timestamps
from posenet.errors import PoseNetError, count
from posenet.geometry.poses import Poses
from posenet.io.files import write_text

_LINE = "a TUM line must be 8 numbers, timestamp x y z qx qy qz qw"


def read_tum_table(path: Path) -> tuple[np.ndarray, list[str]]:
    """Read a TUM trajectory without validating its poses.

    Args:
        path: a file of lines `timestamp x y z qx qy qz qw`. If a header names the columns, they may
            be in another order, separated by commas, and followed by others. Timestamps are
            seconds, or nanoseconds since 1970.

    Returns:
        Timestamp in seconds, position and quaternion xyzw, shape (n, 8), and where each line is
        ("file:line").

    Raises:
        PoseNetError: a line does not consist of 8 numbers, the quaternion precedes the position, or
            a timestamp is neither in seconds nor in nanoseconds.
    """
    header = header_columns(read_text(path))
    columns = header or TUM_COLUMNS
    rows: list[tuple[float, ...]] = []
    sources: list[str] = []
    for source, line in read_lines(path):
        if header and not rows and is_header(line):
            continue
        cells = split_columns(line) if header else line.split()
        if not header and len(cells) != 8:
            received = count(len(cells), "column")
            raise PoseNetError(f"{source}: {_LINE}, received {received}: {shorten(line)}")
        if columns.last >= len(cells):
            raise PoseNetError(columns_missing(source, line, len(cells)))
        used = (columns.key, *sorted(columns.indices))
        rows.append(parse_floats([cells[index] for index in used], source, _LINE))
        sources.append(source)
    table = np.array(rows, np.float64).reshape(-1, 8)
    check_columns(table[:, 1:], columns, sources, _LINE)
    seconds = seconds_from_timestamps(table[:, 0], sources)
    poses = columns.pose_order(table[:, 1:])
    xyzw = np.roll(poses[:, 3:], -1, axis=1)
    return np.column_stack([seconds, poses[:, :3], xyzw]), sources


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
