"""EuRoC MAV (ASL layout), with the ground truth in `mav0/state_groundtruth_estimate0/data.csv`.

TUM-VI has the same layout, with the ground truth of motion capture in `mav0/mocap0/data.csv`.
`mav0/cam0/data.csv` lists the images, `mav0/cam0/sensor.yaml` contains the calibration. The ground
truth is the pose of the body (the IMU) in the world frame, in meters, quaternion w x y z. The pose
of the camera is T_WC = T_WB T_BS, with T_BS of sensor.yaml. OpenCV axes. Each image gets the ground
truth nearest in time, at most 0.02 s away. Images without it, at the start and the end of a flight,
are reported. Source: Burri et al. (2016), and the data set's page "The EuRoC MAV Dataset", ASL data
format; Schubert et al. (2018), and the page "Visual-Inertial Dataset" for TUM-VI.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from posenet.datasets.formats.euroc_calibration import read_calibration
from posenet.datasets.formats.image_files import fit_cameras
from posenet.datasets.formats.image_names import is_absolute, tidy_name
from posenet.datasets.formats.image_search import find_images
from posenet.datasets.formats.parsing import is_number, parse_floats, read_lines, read_text, shorten
from posenet.datasets.formats.pose_columns import LIST_COLUMNS, check_columns
from posenet.datasets.formats.timestamps import (
    MAX_SECONDS,
    SECONDS_PER_NANOSECOND,
    TimedImage,
    describe_repeated,
    rows_by_time,
)
from posenet.datasets.validation import RawScene
from posenet.errors import PoseNetError, count
from posenet.geometry.poses import rotations_from_quaternions

NAME = "EuRoC"
LOOKS_FOR = (
    "mav0/cam0/data.csv beside mav0/state_groundtruth_estimate0/data.csv or mav0/mocap0/data.csv"
)
IMAGE_LIST = "cam0/data.csv"
# Estimates from all sensors (EuRoC), and poses of the body from motion capture (TUM-VI).
GROUND_TRUTHS = ("state_groundtruth_estimate0/data.csv", "mocap0/data.csv")


def recognizes(folder: Path) -> bool:
    """Return whether a folder contains the list of images and the ground truth.

    Args:
        folder: any folder.

    Returns:
        True if it does.
    """
    return _find_base(folder) is not None


def read(folder: Path) -> RawScene:
    """Read the images of cam0 in the order of time.

    Args:
        folder: the scene folder, or the folder mav0 in it.

    Returns:
        The labels.

    Raises:
        PoseNetError: a file is malformed.
    """
    base = _find_base(folder) or folder
    notes: list[str] = []
    images = _read_images(base / IMAGE_LIST)
    ground_truth = _read_ground_truth(_find_ground_truth(base) or base / GROUND_TRUTHS[0], notes)
    body_from_camera, camera = read_calibration(base, notes)
    body = rows_by_time(images, ground_truth)
    positions, quaternions = _camera_poses(body[:, 1:4], body[:, 4:], body_from_camera)
    sources = [image.source for image in images]
    parent = f"{base.relative_to(folder).as_posix()}/cam0/data"
    written = [
        image.name if is_absolute(image.name) else tidy_name(f"{parent}/{image.name}")
        for image in images
    ]
    names = find_images(folder, written, sources, notes)
    cameras, issues = fit_cameras([camera] * len(names), folder, names)
    return RawScene(
        name=folder.resolve().name,
        root=folder,
        names=names,
        positions=positions,
        quaternions_wxyz=quaternions,
        splits=None,
        sequences=["all"] * len(names),
        sources=sources,
        cameras=cameras,
        issues=issues,
        notes=notes,
        times=[image.time for image in images],
    )


def camera_from_body_poses(
    folder: Path, positions: np.ndarray, quaternions: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Convert poses of the body to those of cam0.

    Args:
        folder: a folder that `recognizes` accepts.
        positions: of the body in the world frame, shape (n, 3).
        quaternions: body axes to world axes, wxyz, shape (n, 4).

    Returns:
        Camera centers, shape (n, 3), and quaternions world_from_camera, shape (n, 4). Invalid
        quaternions stay invalid.

    Raises:
        PoseNetError: the calibration is malformed.
    """
    calibration = read_calibration(_find_base(folder) or folder, [])
    return _camera_poses(positions, quaternions, calibration.body_from_camera)


def _find_base(folder: Path) -> Path | None:
    """Return the folder with cam0, mav0 or the folder itself; None if there is none."""
    for base in (folder / "mav0", folder):
        if (base / IMAGE_LIST).is_file() and _find_ground_truth(base):
            return base
    return None


def _find_ground_truth(base: Path) -> Path | None:
    """Return the file with the ground truth; None if there is none."""
    files = (base / name for name in GROUND_TRUTHS)
    return next((path for path in files if path.is_file()), None)


def _seconds(timestamps: np.ndarray) -> np.ndarray:
    """Convert timestamps: nanoseconds, or seconds if some have a fraction and all are small."""
    with np.errstate(invalid="ignore"):
        has_fraction = (timestamps != np.round(timestamps)) & np.isfinite(timestamps)
    if has_fraction.any() and (np.nan_to_num(timestamps) < MAX_SECONDS).all():
        return timestamps
    return timestamps * SECONDS_PER_NANOSECOND


def _read_images(path: Path) -> list[TimedImage]:
    """Return the images sorted by time."""
    images = []
    for source, line in read_lines(path):
        columns = [column.strip() for column in line.split(",")]
        if len(columns) != 2 or not is_number(columns[0]):
            raise PoseNetError(
                f"{source}: a line must be 'timestamp [ns],filename', received {shorten(line)}"
            )
        images.append(TimedImage(float(columns[0]), tidy_name(columns[1]), source))
    seconds = _seconds(np.array([image.time for image in images])).tolist()
    return sorted(image._replace(time=time) for image, time in zip(images, seconds, strict=True))


def _read_ground_truth(path: Path, notes: list[str]) -> np.ndarray:
    """Return seconds, position and quaternion wxyz of the body in the world frame, (n, 8)."""
    wanted = (
        "a line must be timestamp [ns], p x y z, q w x y z, and optionally velocities and biases"
    )
    _check_header(path)
    rows = []
    sources = []
    for source, line in read_lines(path):
        columns = line.rstrip(",").split(",")
        if len(columns) < 8:
            received = count(len(columns), "column")
            raise PoseNetError(f"{source}: {wanted}, received {received}: {shorten(line)}")
        rows.append(parse_floats(columns[:8], source, wanted))
        sources.append(source)
    table = np.array(rows, np.float64).reshape(-1, 8)
    check_columns(table[:, 1:], LIST_COLUMNS, sources, wanted)
    notes += describe_repeated(table, sources)
    table[:, 0] = _seconds(table[:, 0])
    return table


def _check_header(path: Path) -> None:
    """Check the order of the quaternion's columns, if the first line names them."""
    header = read_text(path).split("\n")[0]
    order = re.findall(r"\bq\w*_([wxyz])\b", header) if header.startswith("#") else []
    if order and order[:4] != ["w", "x", "y", "z"]:
        raise PoseNetError(
            f"{path}:1: the quaternion must be in columns w, x, y, z, received {', '.join(order)}"
        )


def _camera_poses(
    positions: np.ndarray, quaternions: np.ndarray, body_from_camera: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the camera's positions and quaternions from the body's; invalid ones stay invalid."""
    body, valid = rotations_from_quaternions(quaternions)
    rotations = body * Rotation.from_matrix(body_from_camera[:3, :3])
    camera_quaternions = rotations.as_quat(canonical=True, scalar_first=True).reshape(-1, 4)
    camera_positions = positions + body.apply(body_from_camera[:3, 3]).reshape(-1, 3)
    return camera_positions, np.where(valid[:, None], camera_quaternions, quaternions)
