"""A plain table, `poses.csv`, for poses from anywhere else.

The first line names the columns, in any order: `image,x,y,z,qw,qx,qy,qz`, and where known `split` (train or test),
`sequence`, and `fx,fy,cx,cy` in pixels of the image as it is. Camera to world: x y z is the camera center and the
quaternion (Hamilton) turns camera axes (x right, y down, z forward) to world axes. Rows are in the order of time.
A line `# unit: m` (or any other word) in front says the unit; without it the unit is meters.
"""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path

import numpy as np

from posenet.datasets.formats.image_files import existing_name, sequence_of, size_or_none
from posenet.datasets.formats.parsing import (
    escape_comment,
    parse_floats,
    read_lines,
    read_text,
    shortened,
    tidy_name,
)
from posenet.datasets.scene import Scene
from posenet.datasets.validation import RawScene
from posenet.errors import PoseNetError
from posenet.geometry.camera import Camera
from posenet.io.files import write_text

NAME = "plain table"
FILE = "poses.csv"
LOOKS_FOR = "poses.csv with the columns image,x,y,z,qw,qx,qy,qz"
POSE = ("x", "y", "z", "qw", "qx", "qy", "qz")
INTRINSICS = ("fx", "fy", "cx", "cy")
KNOWN = ("image", *POSE, "split", "sequence", *INTRINSICS)


def recognizes(folder: Path) -> bool:
    """Whether poses.csv is there."""
    return (folder / FILE).is_file()


def read(folder: Path) -> RawScene:
    """Read the table. Raises PoseNetError (file:line) for columns and values that do not fit."""
    columns, rows, places = _table(folder / FILE)
    names = [existing_name(folder, tidy_name(row["image"])) for row in rows]
    wanted = "a pose must be 7 numbers"
    numbers = [
        parse_floats([row[key] for key in POSE], at, wanted)
        for row, at in zip(rows, places, strict=True)
    ]
    table = np.array(numbers, np.float64).reshape(-1, 7)
    splits = (
        [_split(row["split"], at) for row, at in zip(rows, places, strict=True)]
        if "split" in columns
        else None
    )
    sequences = [
        row.get("sequence") or sequence_of(name) for row, name in zip(rows, names, strict=True)
    ]
    cameras = [
        _camera(row, folder / name, at) for row, name, at in zip(rows, names, places, strict=True)
    ]
    unit = re.search(r"^#\s*unit:\s*(\S.*?)\s*$", read_text(folder / FILE), re.MULTILINE)
    return RawScene(
        name=folder.resolve().name, root=folder, names=names, positions=table[:, :3], quaternions_wxyz=table[:, 3:],
        splits=splits, sequences=sequences, sources=places, cameras=cameras, unit=unit[1] if unit else "m",
    )  # fmt: skip


def _table(path: Path) -> tuple[list[str], list[dict[str, str]], list[str]]:
    """The columns' names, the rows as {column: cell}, and their places."""
    lines = read_lines(path)
    if not lines:
        raise PoseNetError(
            f"{path}:1: a table must begin with the names of its columns, the file is empty"
        )
    columns = [column.lower() for column in _cells(lines[0][1], lines[0][0])]
    missing = [name for name in ("image", *POSE) if name not in columns]
    unknown = [name for name in columns if name not in KNOWN]
    if missing or unknown or len(set(columns)) != len(columns):
        wrong = (
            f"none called {', '.join(missing)}"
            if missing
            else ", ".join(unknown) or "the same column twice"
        )
        known = f"image,{','.join(POSE)} and maybe split,sequence,{','.join(INTRINSICS)}"
        raise PoseNetError(
            f"{lines[0][0]}: the columns must be {known}, received {shortened(wrong)}"
        )
    return (
        columns,
        [_row(columns, line, place) for place, line in lines[1:]],
        [place for place, _ in lines[1:]],
    )


def _cells(line: str, place: str) -> list[str]:
    try:
        return [cell.strip() for cell in next(csv.reader([line]))]
    except csv.Error as error:
        raise PoseNetError(f"{place}: a line must be comma-separated values ({error})") from None


def _row(columns: list[str], line: str, place: str) -> dict[str, str]:
    cells = _cells(line, place)
    if len(cells) != len(columns):
        raise PoseNetError(
            f"{place}: a line must have {len(columns)} columns, received {len(cells)}: {shortened(line)}"
        )
    return dict(zip(columns, cells, strict=True))


def _split(cell: str, place: str) -> str:
    if cell not in ("train", "test"):
        raise PoseNetError(f"{place}: a split must be train or test, received {shortened(cell)}")
    return cell


def _camera(row: dict[str, str], image: Path, place: str) -> Camera | None:
    """The row's camera; None where fx is not given. fy is fx, and the center the middle, where they are not."""
    size = size_or_none(image)
    if not row.get("fx") or size is None:
        return None
    default = {"fy": row["fx"], "cx": str(size[0] / 2), "cy": str(size[1] / 2)}
    values = [row.get(name) or default[name] if name != "fx" else row["fx"] for name in INTRINSICS]
    fx, fy, cx, cy = parse_floats(values, place, "intrinsics must be numbers")
    if not (np.isfinite((fx, fy, cx, cy)).all() and min(fx, fy) > 0):
        raise PoseNetError(
            f"{place}: focal lengths must be finite and above 0, received {fx} and {fy}"
        )
    return Camera(size[0], size[1], fx, fy, cx, cy)


def write(scene: Scene, folder: Path, lost: list[str]) -> list[str]:
    """Write poses.csv with every column; images keep their names."""
    text = io.StringIO()
    text.write(f"# unit: {scene.unit}\n")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(KNOWN)
    table = np.hstack([scene.poses.positions, scene.poses.quaternions_wxyz]).tolist()
    for row, camera in enumerate(scene.cameras):
        intrinsics = (camera.fx, camera.fy, camera.cx, camera.cy) if camera else ("",) * 4
        writer.writerow(
            [
                escape_comment(scene.names[row]),
                *table[row],
                scene.splits[row],
                scene.sequences[row],
                *intrinsics,
            ]
        )
    write_text(folder / FILE, text.getvalue())
    if any(camera and camera.has_distortion for camera in scene.cameras):
        lost.append("lens distortion")
    return list(scene.names)
