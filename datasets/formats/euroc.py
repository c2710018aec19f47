"""EuRoC MAV (ASL layout): `mav0/cam0/data.csv` and `sensor.yaml`, `mav0/state_groundtruth_estimate0/data.csv`.

The ground truth is the body's (the IMU's) pose in the world, meters, quaternion w x y z; the camera's is
T_WC = T_WB T_BS, with T_BS of cam0's sensor.yaml. OpenCV axes. Each image takes the ground truth nearest in time, at
most 0.02 s away; those without (the start and the end of a flight) are reported. Source: Burri et al. (2016), and the
data set's page "The EuRoC MAV Dataset", ASL data format.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from posenet.datasets.formats.image_files import fitted_cameras, nearest
from posenet.datasets.formats.parsing import (
    is_number,
    parse_floats,
    read_lines,
    read_text,
    shortened,
    tidy_name,
)
from posenet.datasets.formats.pose_conversion import is_rigid
from posenet.datasets.validation import RawScene
from posenet.errors import PoseNetError
from posenet.geometry.camera import Camera
from posenet.geometry.poses import rotations_from_quaternions

NAME = "EuRoC"
LOOKS_FOR = "mav0/cam0/data.csv beside mav0/state_groundtruth_estimate0/data.csv"
TRUTH = Path("state_groundtruth_estimate0") / "data.csv"


def recognizes(folder: Path) -> bool:
    """Whether the images' list and the ground truth are there."""
    return _base(folder) is not None


def read(folder: Path) -> RawScene:
    """Read the images of cam0 in the order of time. Raises PoseNetError (file:line) for what is malformed."""
    base = _base(folder) or folder
    images = _images(base / "cam0" / "data.csv")
    truth = _truth(base / TRUTH)
    body_from_camera, camera = _sensor(base / "cam0" / "sensor.yaml")
    rows = nearest([time for time, _, _ in images], truth[:, 0])
    found = np.vstack([truth, np.full(8, np.nan)])[rows]  # row -1 is a pose that is not there
    positions, quaternions = _moved(found[:, 1:4], found[:, 4:], body_from_camera)
    below = base.relative_to(folder).as_posix()
    names = [tidy_name(f"{below}/cam0/data/{name}") for _, name, _ in images]
    cameras, faults = fitted_cameras([camera] * len(names), folder, names)
    return RawScene(
        name=folder.resolve().name, root=folder, names=names, positions=positions, quaternions_wxyz=quaternions,
        splits=None, sequences=["all"] * len(names), sources=[place for _, _, place in images], cameras=cameras,
        faults=faults, times=[time for time, _, _ in images],
    )  # fmt: skip


def _base(folder: Path) -> Path | None:
    places = (folder / "mav0", folder)
    return next(
        (at for at in places if (at / "cam0" / "data.csv").is_file() and (at / TRUTH).is_file()),
        None,
    )


def _images(path: Path) -> list[tuple[float, str, str]]:
    """(seconds, file name, place) of every line, sorted by time."""
    images = []
    for place, line in read_lines(path):
        columns = [column.strip() for column in line.split(",")]
        if len(columns) != 2 or not is_number(columns[0]):
            raise PoseNetError(
                f"{place}: a line must be 'timestamp [ns],filename', received {shortened(line)}"
            )
        images.append((float(columns[0]) * 1e-9, columns[1], place))
    return sorted(images)


def _truth(path: Path) -> np.ndarray:
    """(n, 8) seconds, position, quaternion wxyz of the body in the world."""
    wanted = "a line must be timestamp [ns], p x y z, q w x y z, and maybe velocities and biases"
    rows = []
    for place, line in read_lines(path):
        columns = line.rstrip(",").split(",")
        if len(columns) < 8:
            raise PoseNetError(
                f"{place}: {wanted}, received {len(columns)} columns: {shortened(line)}"
            )
        rows.append(parse_floats(columns[:8], place, wanted))
    return np.array(rows, np.float64).reshape(-1, 8) * [1e-9, *[1.0] * 7]


def _moved(positions: np.ndarray, quaternions: np.ndarray, body_from_camera: np.ndarray):
    """The camera's positions and quaternions, from the body's; what is broken stays so."""
    body, good = rotations_from_quaternions(quaternions)
    turned = (body * Rotation.from_matrix(body_from_camera[:3, :3])).as_quat(
        canonical=True, scalar_first=True
    )
    moved = positions + body.apply(body_from_camera[:3, 3]).reshape(-1, 3)
    return moved, np.where(good[:, None], turned.reshape(-1, 4), quaternions)


def _sensor(path: Path) -> tuple[np.ndarray, Camera]:
    """(4, 4) body_from_camera and the camera of a sensor.yaml."""
    text = read_text(path)
    matrix = np.reshape(_numbers(text, r"T_BS:[^\[]*?data:\s*", 16, path), (4, 4))
    if not is_rigid(matrix[None])[0]:
        raise PoseNetError(f"{path}: T_BS must be a rotation and a shift, it is not")
    fx, fy, cx, cy = _numbers(text, r"^intrinsics:\s*", 4, path)
    width, height = (int(value) for value in _numbers(text, r"^resolution:\s*", 2, path))
    if not (min(fx, fy) > 0 and min(width, height) > 0):
        raise PoseNetError(f"{path}: resolution and focal lengths must be above 0")
    lens = tuple(_numbers(text, r"^distortion_coefficients:\s*", 4, path))
    fisheye = re.search(r"^distortion_model:\s*equidistant", text, re.MULTILINE)
    model = "OPENCV_FISHEYE" if fisheye else "OPENCV"
    return matrix, Camera(width, height, fx, fy, cx + 0.5, cy + 0.5, model, lens)


def _numbers(text: str, key: str, count: int, path: Path) -> tuple[float, ...]:
    """The numbers in brackets behind a key of the YAML file."""
    wanted = f"{key.strip('^').split(':')[0]} must be followed by {count} numbers in brackets"
    found = re.search(key + r"\[([^\]]*)\]", text, re.MULTILINE)
    if not found:
        raise PoseNetError(f"{path}: {wanted}")
    numbers = parse_floats(found[1].replace(",", " ").split(), str(path), wanted)
    if len(numbers) != count or not np.isfinite(numbers).all():
        raise PoseNetError(f"{path}: {wanted}, received {shortened(found[1])}")
    return numbers
