"""TUM RGB-D: `rgb.txt` with lines `timestamp file`, and `groundtruth.txt` with `timestamp tx ty tz qx qy qz qw`.

Camera to world, meters, quaternion x y z w, OpenCV axes. Each image takes the pose nearest in time, at most 0.02 s
away (as the benchmark's associate.py); images without one are reported. Intrinsics are the benchmark's own
calibrations of its three cameras, told by the sequence's name; a file `calibration.txt` with the numbers
`fx fy cx cy [k1 k2 p1 p2 [k3]]` goes before them. Source: vision.in.tum.de/data/datasets/rgbd-dataset,
pages "file formats" and "intrinsic camera calibration".
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

import numpy as np

from posenet.datasets.formats.image_files import fitted_cameras, nearest, size_or_none
from posenet.datasets.formats.parsing import (
    is_number,
    parse_floats,
    read_lines,
    read_text,
    shortened,
    tidy_name,
)
from posenet.datasets.scene import Scene
from posenet.datasets.splits import write_test_list
from posenet.datasets.validation import RawScene
from posenet.errors import PoseNetError
from posenet.geometry.camera import Camera
from posenet.geometry.poses import Poses
from posenet.io.files import write_text

NAME = "TUM RGB-D"
LOOKS_FOR = "rgb.txt beside groundtruth.txt"
_LINE = "a TUM line must be 8 numbers, stamp x y z qx qy qz qw"


def _calibration(fx: float, fy: float, cx: float, cy: float, *lens: float) -> Camera:
    """The page's numbers: pixel (0, 0)'s center is at (0, 0) there; lens k1 k2 p1 p2 k3."""
    distortion = (*lens, 0.0, 0.0, 0.0) if lens else ()
    return Camera(
        640, 480, fx, fy, cx + 0.5, cy + 0.5, "FULL_OPENCV" if lens else "PINHOLE", distortion
    )


CAMERAS = {
    "1": _calibration(517.3, 516.5, 318.6, 255.3, 0.2624, -0.9531, -0.0054, 0.0026, 1.1633),
    "2": _calibration(520.9, 521.0, 325.1, 249.7, 0.2312, -0.7849, -0.0033, -0.0001, 0.9172),
    "3": _calibration(535.4, 539.2, 320.1, 247.6),
}


def recognizes(folder: Path) -> bool:
    """Whether both files are there."""
    return (folder / "rgb.txt").is_file() and (folder / "groundtruth.txt").is_file()


def read(folder: Path) -> RawScene:
    """Read the images in the order of time. Raises PoseNetError (file:line) for a malformed line."""
    images = _images(folder / "rgb.txt")
    table, _ = tum_table(folder / "groundtruth.txt")
    rows = nearest([time for time, _, _ in images], table[:, 0])
    found = np.vstack([table, np.full(8, np.nan)])[rows]  # row -1 is a pose that is not there
    names = [name for _, name, _ in images]
    cameras, faults = fitted_cameras([_camera(folder, names)] * len(names), folder, names)
    return RawScene(
        name=folder.resolve().name, root=folder, names=names, positions=found[:, 1:4],
        quaternions_wxyz=np.roll(found[:, 4:], 1, axis=1), splits=None, sequences=["all"] * len(names),
        sources=[place for _, _, place in images], cameras=cameras, faults=faults,
        times=[time for time, _, _ in images],
    )  # fmt: skip


def _images(path: Path) -> list[tuple[float, str, str]]:
    """(time, name, place) of every line, sorted by time."""
    images = []
    for place, line in read_lines(path):
        columns = line.split(maxsplit=1)
        if len(columns) != 2 or not is_number(columns[0]):
            raise PoseNetError(
                f"{place}: a line must be 'timestamp file', received {shortened(line)}"
            )
        images.append((float(columns[0]), tidy_name(columns[1]), place))
    return sorted(images)


def _camera(folder: Path, names: list[str]) -> Camera | None:
    """calibration.txt's, or the one that the sequence's name or the first lines of groundtruth.txt tell."""
    if (folder / "calibration.txt").is_file():
        return _own_calibration(folder / "calibration.txt", folder, names)
    told = folder.resolve().name + "\n".join(read_text(folder / "groundtruth.txt").split("\n")[:3])
    found = re.search(r"(?:freiburg|fr)([123])", told)
    return CAMERAS[found[1]] if found else None


def _own_calibration(path: Path, folder: Path, names: list[str]) -> Camera | None:
    """The file's numbers, for images of the size that they have."""
    place, line = (read_lines(path) or [(f"{path}:1", "")])[0]
    wanted = "a calibration must be fx fy cx cy [k1 k2 p1 p2 [k3]]"
    numbers = parse_floats(line.split(), place, wanted)
    if len(numbers) not in (4, 8, 9) or not (np.isfinite(numbers).all() and min(numbers[:2]) > 0):
        raise PoseNetError(f"{place}: {wanted}, received {shortened(line)}")
    size = next(filter(None, (size_or_none(folder / name) for name in names)), None)
    if size is None:
        return None
    fx, fy, cx, cy, *lens = numbers
    model = {0: "PINHOLE", 4: "OPENCV", 5: "FULL_OPENCV"}[len(lens)]
    distortion = (*lens, 0.0, 0.0, 0.0) if len(lens) == 5 else tuple(lens)
    return Camera(size[0], size[1], fx, fy, cx + 0.5, cy + 0.5, model, distortion)


def write(scene: Scene, folder: Path, lost: list[str]) -> list[str]:
    """Write rgb.txt, groundtruth.txt, calibration.txt and test.txt; the images belong into rgb/, a second apart."""
    names = [
        f"rgb/{row:06d}{PurePosixPath(name).suffix.lower()}" for row, name in enumerate(scene.names)
    ]
    lines = [f"{row:.6f} {name}\n" for row, name in enumerate(names)]
    write_text(folder / "rgb.txt", "# timestamp filename\n" + "".join(lines))
    write_tum(folder / "groundtruth.txt", scene.poses, range(len(names)))
    write_test_list(folder, scene, names)
    lost.append("names, times and sequences: images are numbered, a second apart")
    camera = scene.cameras[0]
    if camera is None or set(scene.cameras) != {camera} or camera.lens not in _WRITABLE:
        lost.append("intrinsics of several cameras, unknown ones, or of lenses other than OpenCV's")
    else:
        lens = (*camera.distortion, 0.0, 0.0, 0.0)[: _WRITABLE[camera.lens]]
        numbers = (camera.fx, camera.fy, camera.cx - 0.5, camera.cy - 0.5, *lens)
        if camera.lens == "FULL_OPENCV" and any(camera.distortion[5:]):
            lost.append("the lens' parameters k4 to k6")
        write_text(folder / "calibration.txt", " ".join(map(repr, numbers)) + "\n")
    return names


_WRITABLE = {
    "PINHOLE": 0,
    "SIMPLE_PINHOLE": 0,
    "SIMPLE_RADIAL": 4,
    "RADIAL": 4,
    "OPENCV": 4,
    "FULL_OPENCV": 5,
}


def tum_table(path: Path) -> tuple[np.ndarray, list[str]]:
    """(n, 8) numbers of a TUM file, stamp x y z qx qy qz qw, and the place of each row."""
    rows, places = [], []
    for place, line in read_lines(path):
        columns = line.split()
        if len(columns) != 8:
            raise PoseNetError(
                f"{place}: {_LINE}, received {len(columns)} columns: {shortened(line)}"
            )
        rows.append(parse_floats(columns, place, _LINE))
        places.append(place)
    return np.array(rows, np.float64).reshape(-1, 8), places


def write_tum(path: Path, poses: Poses, stamps: Iterable[float]) -> None:
    """Write `stamp x y z qx qy qz qw`, world_from_camera, in digits that read back exactly. All or nothing.

    Raises ValueError unless there are as many stamps as poses, and PoseNetError when the file cannot be written.
    """
    stamps = np.asarray(list(stamps), np.float64)
    if len(stamps) != len(poses):
        raise ValueError(
            f"as many stamps as poses ({len(poses)}) are needed. Received: {len(stamps)}"
        )
    table = np.column_stack([stamps, poses.positions, np.roll(poses.quaternions_wxyz, -1, axis=1)])
    write_text(path, "".join(" ".join(map(repr, row)) + "\n" for row in table.tolist()))
