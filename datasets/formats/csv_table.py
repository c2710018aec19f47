"""A plain table, `poses.csv`, for poses from any other source.

The first line contains the names of the columns, in any order: `image,x,y,z,qw,qx,qy,qz`, and
optionally `split` (train or test), `sequence`, and `fx,fy,cx,cy` in pixels of the image file. Poses
are camera to world: x y z is the camera center, and the quaternion (Hamilton) rotates camera axes
(x right, y down, z forward) to world axes. Rows are in the order of time. A line `# unit: m`, or
with any other unit, at the start sets the unit of the positions. The default is meters.
"""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path
from typing import NamedTuple

import numpy as np

from posenet.datasets.formats.calibration import check_intrinsics
from posenet.datasets.formats.image_files import sequence_from_name, size_or_none
from posenet.datasets.formats.image_names import escape_comment, tidy_name
from posenet.datasets.formats.image_search import find_images
from posenet.datasets.formats.parsing import parse_floats, read_lines, read_text, shorten
from posenet.datasets.formats.pose_columns import LIST_COLUMNS, check_columns
from posenet.datasets.scene import Scene
from posenet.datasets.validation import RawScene
from posenet.errors import PoseNetError, count
from posenet.geometry.camera import Camera
from posenet.io.files import write_text

NAME = "plain table"
FILE = "poses.csv"
LOOKS_FOR = "poses.csv with the columns image,x,y,z,qw,qx,qy,qz"
POSE_COLUMNS = ("x", "y", "z", "qw", "qx", "qy", "qz")
INTRINSICS_COLUMNS = ("fx", "fy", "cx", "cy")
COLUMNS = ("image", *POSE_COLUMNS, "split", "sequence", *INTRINSICS_COLUMNS)
_UNIT = re.compile(r"^#[ \t]*unit:[ \t]*(\S.*)$", re.MULTILINE)


class _Row(NamedTuple):
    """One line: its cells by column, and where it is."""

    cells: dict[str, str]
    source: str


def recognizes(folder: Path) -> bool:
    """Return whether a folder contains poses.csv.

    Args:
        folder: any folder.

    Returns:
        True if it does.
    """
    return (folder / FILE).is_file()


def read(folder: Path) -> RawScene:
    """Read the table.

    Args:
        folder: the scene folder.

    Returns:
        The labels.

    Raises:
        PoseNetError: a column is missing or unknown, or a value is malformed.
    """
    path = folder / FILE
    columns, rows = _read_table(path)
    written = [tidy_name(row.cells["image"]) for row in rows]
    sources = [row.source for row in rows]
    notes: list[str] = []
    names = find_images(folder, written, sources, notes)
    wanted = "a pose must be 7 numbers"
    poses = [
        parse_floats([row.cells[column] for column in POSE_COLUMNS], row.source, wanted)
        for row in rows
    ]
    table = np.array(poses, np.float64).reshape(-1, 7)
    wanted = "x,y,z must be a position and qw,qx,qy,qz a quaternion"
    check_columns(table, LIST_COLUMNS, [row.source for row in rows], wanted)
    unit = _UNIT.search(read_text(path))
    return RawScene(
        name=folder.resolve().name,
        root=folder,
        names=names,
        positions=table[:, :3],
        quaternions_wxyz=table[:, 3:],
        splits=[_parse_split(row) for row in rows] if "split" in columns else None,
        sequences=[
            row.cells.get("sequence") or sequence_from_name(name)
            for row, name in zip(rows, names, strict=True)
        ],
        sources=sources,
        cameras=[_parse_camera(row, folder / name) for row, name in zip(rows, names, strict=True)],
        unit=unit[1].strip() if unit else "m",
        notes=notes,
    )


def write(scene: Scene, folder: Path, lost: list[str]) -> list[str]:
    """Write poses.csv with every column.

    Args:
        scene: the scene.
        folder: an existing folder.
        lost: gets descriptions of what the format cannot store.

    Returns:
        Names of the images, unchanged.
    """
    text = io.StringIO()
    text.write(f"# unit: {scene.unit}\n")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    poses = np.hstack([scene.poses.positions, scene.poses.quaternions_wxyz]).tolist()
    for row, camera in enumerate(scene.cameras):
        name = escape_comment(scene.names[row])
        intrinsics = (camera.fx, camera.fy, camera.cx, camera.cy) if camera else ("",) * 4
        writer.writerow([name, *poses[row], scene.splits[row], scene.sequences[row], *intrinsics])
    write_text(folder / FILE, text.getvalue())
    if any(camera and camera.has_distortion for camera in scene.cameras):
        lost.append("lens distortion")
    return list(scene.names)


def _read_table(path: Path) -> tuple[list[str], list[_Row]]:
    """Return the names of the columns, and the rows."""
    lines = read_lines(path)
    if not lines:
        raise PoseNetError(
            f"{path}:1: a table must start with the names of its columns, the file is empty"
        )
    source, header = lines[0]
    columns = [column.lower() for column in _split_cells(header, source)]
    missing = [name for name in ("image", *POSE_COLUMNS) if name not in columns]
    unknown = [name for name in columns if name not in COLUMNS]
    if missing or unknown or len(set(columns)) != len(columns):
        wrong = ", ".join(unknown) or "the same column twice"
        if missing:
            wrong = f"none named {', '.join(missing)}"
        known = f"image,{','.join(POSE_COLUMNS)}"
        optional = f"split,sequence,{','.join(INTRINSICS_COLUMNS)}"
        raise PoseNetError(
            f"{source}: the columns must be {known} and optionally {optional}, "
            f"received {shorten(wrong)}"
        )
    return columns, [_parse_row(columns, line, place) for place, line in lines[1:]]


def _split_cells(line: str, source: str) -> list[str]:
    """Return the cells of a line without surrounding spaces."""
    try:
        return [cell.strip() for cell in next(csv.reader([line]))]
    except csv.Error as error:
        raise PoseNetError(f"{source}: a line must be comma-separated values ({error})") from None


def _parse_row(columns: list[str], line: str, source: str) -> _Row:
    """Return the cells of a line by column."""
    cells = _split_cells(line, source)
    if len(cells) != len(columns):
        wanted = f"a line must have {count(len(columns), 'column')}"
        raise PoseNetError(f"{source}: {wanted}, received {len(cells)}: {shorten(line)}")
    return _Row(dict(zip(columns, cells, strict=True)), source)


def _parse_split(row: _Row) -> str:
    """Return the split of a row, which must be train or test."""
    split = row.cells["split"]
    if split not in ("train", "test"):
        raise PoseNetError(
            f"{row.source}: a split must be train or test, received {shorten(split)}"
        )
    return split


def _parse_camera(row: _Row, image: Path) -> Camera | None:
    """Return the camera of a row, None without fx. The default is fy = fx, and the image center."""
    size = size_or_none(image)
    fx_cell = row.cells.get("fx")
    if not fx_cell or size is None:
        return None
    width, height = size
    defaults = {"fx": fx_cell, "fy": fx_cell, "cx": str(width / 2), "cy": str(height / 2)}
    cells = [row.cells.get(name) or defaults[name] for name in INTRINSICS_COLUMNS]
    fx, fy, cx, cy = parse_floats(cells, row.source, "intrinsics must be numbers")
    check_intrinsics(fx, fy, cx, cy, source=row.source)
    return Camera(width, height, fx, fy, cx, cy)
