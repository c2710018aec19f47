"""The calibration of cam0 of a flight: EuRoC's `sensor.yaml`, or Kalibr's `camchain.yaml`.

TUM-VI has no `sensor.yaml`, but `dso/camchain.yaml`. There T_cam_imu takes points from the axes of
the IMU to those of the camera, the inverse of EuRoC's T_BS. Source: Kalibr's wiki, YAML formats.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

import numpy as np

from posenet.datasets.formats.calibration import PIXEL_OFFSET
from posenet.datasets.formats.parsing import is_number, parse_floats, read_text, shorten
from posenet.datasets.formats.pose_matrices import normalize_matrices
from posenet.errors import PoseNetError
from posenet.geometry.camera import Camera

SENSOR = "cam0/sensor.yaml"
# Kalibr's calibration, relative to the folder with cam0.
CAMCHAIN = "../dso/camchain.yaml"
# Keys that are read, and those that only describe the camera.
READ_KEYS = frozenset(
    {
        *("T_BS", "resolution", "intrinsics", "camera_model", "distortion_model"),
        *("distortion_coefficients", "sensor_type", "comment", "rate_hz", "rostopic"),
        *("shutter_type", "exposure_time", "gain"),
        # Those of camchain.yaml.
        *("T_cam_imu", "distortion_coeffs", "cam_overlaps"),
    }
)
# Most characters between a key and its numbers, and of numbers in brackets. Without limits, the
# time of a search grows with the square of a file's length.
MAX_GAP = 500
MAX_NUMBERS = 2000
# Camera models by names of distortion models: those of EuRoC, and Kalibr's and ROS' for the first.
DISTORTION_MODELS = {
    "radial-tangential": "OPENCV",
    "radtan": "OPENCV",
    "plumb_bob": "OPENCV",
    "equidistant": "OPENCV_FISHEYE",
}


class SensorCalibration(NamedTuple):
    """The calibration of a camera on a body.

    Attributes:
        body_from_camera: takes points from camera axes to those of the body (the IMU), meters,
            shape (4, 4).
        camera: the intrinsics.
    """

    body_from_camera: np.ndarray
    camera: Camera


def read_calibration(base: Path, notes: list[str]) -> SensorCalibration:
    """Read the calibration of cam0.

    Args:
        base: the folder with cam0.
        notes: gets a line about keys that mean something and are not read, if there are any.

    Returns:
        The calibration.

    Raises:
        PoseNetError: there is none, a value is missing or malformed, or the camera model is not
            supported.
    """
    if not (base / SENSOR).is_file() and (base / CAMCHAIN).is_file():
        return _read_camchain(base / CAMCHAIN, notes)
    return _read_sensor(base / SENSOR, notes)


def _read_sensor(path: Path, notes: list[str]) -> SensorCalibration:
    """Read a sensor.yaml."""
    text = read_text(path)
    model = _read_model(text, path, notes)
    numbers = _find_numbers(text, rf"T_BS:[^\[]{{0,{MAX_GAP}}}?data:", 16, path)
    matrix = _rigid_matrix(numbers, "T_BS", path)
    return SensorCalibration(matrix, _read_camera(text, "distortion_coefficients", model, path))


def _read_camchain(path: Path, notes: list[str]) -> SensorCalibration:
    """Read cam0 of a camchain.yaml."""
    match = re.search(r"^cam0:\s*\n((?:[ \t].*\n?|\s*\n)*)", read_text(path), re.MULTILINE)
    if not match:
        raise PoseNetError(f"{path}: the file must contain cam0")
    text = match[1]
    model = _read_model(text, path, notes)
    wanted = "T_cam_imu must be followed by 4 rows of 4 numbers in brackets"
    gap = rf"[\s,-]{{0,{MAX_GAP}}}"
    row = rf"{gap}\[[^\[\]]{{0,{MAX_NUMBERS}}}\]"
    rows = re.search(rf"T_cam_imu:(?:{gap}\[)??((?:{row}){{4}})", text)
    if not rows:
        raise PoseNetError(f"{path}: {wanted}")
    brackets = re.findall(r"\[([^\[\]]*)\]", rows[1])
    cells = [cell.strip() for row in brackets for cell in row.split(",")]
    numbers = parse_floats(cells, str(path), wanted)
    if len(numbers) != 16 or not np.isfinite(numbers).all():
        raise PoseNetError(f"{path}: {wanted}, received {shorten(' '.join(cells))}")
    camera_from_body = _rigid_matrix(numbers, "T_cam_imu", path)
    camera = _read_camera(text, "distortion_coeffs", model, path)
    return SensorCalibration(np.linalg.inv(camera_from_body), camera)


def _read_model(text: str, path: Path, notes: list[str]) -> str:
    """Return COLMAP's name of the camera model, and note keys that are not read.

    A key is at the start of a line, or indented as the first line is.
    """
    first = next((line for line in text.splitlines() if line.strip()), "")
    indent = first[: len(first) - len(first.lstrip(" \t"))]
    pattern = rf"^{indent}(\w+):[ \t]*([^\n#]*)"
    values = {
        key: value.strip(" \t\r\"'") for key, value in re.findall(pattern, text, re.MULTILINE)
    }
    ignored = [key for key, value in values.items() if key not in READ_KEYS and _is_set(value)]
    if ignored:
        notes.append(f"{path}: ignores what is not supported: {', '.join(ignored)}")
    projection = values.get("camera_model", "pinhole")
    if projection != "pinhole":
        raise PoseNetError(f"{path}: camera_model must be pinhole, received {shorten(projection)}")
    distortion = values.get("distortion_model", "radial-tangential")
    if distortion not in DISTORTION_MODELS:
        known = ", ".join(DISTORTION_MODELS)
        raise PoseNetError(
            f"{path}: distortion_model must be one of {known}, received {shorten(distortion)}"
        )
    return DISTORTION_MODELS[distortion]


def _is_set(value: str) -> bool:
    """Return whether a value in YAML is not empty, zero or false."""
    is_zero = is_number(value) and float(value) == 0
    return not is_zero and value.lower() not in ("", "[]", "{}", "~", "null", "false")


def _rigid_matrix(numbers: tuple[float, ...], name: str, path: Path) -> np.ndarray:
    """Return a 4 x 4 matrix, which must be a rotation and a translation."""
    matrix = np.reshape(numbers, (4, 4))
    if issues := normalize_matrices(matrix[None]).issues:
        raise PoseNetError(
            f"{path}: {name} must be a rotation and a translation, received a {issues[0].kind}"
        )
    return matrix


def _read_camera(text: str, distortion_key: str, model: str, path: Path) -> Camera:
    """Return the camera of a YAML text."""
    fx, fy, cx, cy = _find_numbers(text, r"^[ \t]*intrinsics:", 4, path)
    resolution = _find_numbers(text, r"^[ \t]*resolution:", 2, path)
    width, height = (int(value) for value in resolution)
    if not (min(fx, fy) > 0 and min(width, height) > 0):
        raise PoseNetError(
            f"{path}: resolution and focal lengths must be above 0, "
            f"received {width} x {height}, {fx} and {fy}"
        )
    distortion = _find_numbers(text, rf"^[ \t]*{distortion_key}:", 4, path)
    center = (cx + PIXEL_OFFSET, cy + PIXEL_OFFSET)
    return Camera(width, height, fx, fy, *center, model, distortion)


def _find_numbers(text: str, key: str, number: int, path: Path) -> tuple[float, ...]:
    """Return the numbers in brackets after a key (a regular expression) of a YAML file."""
    name = key.removeprefix(r"^[ \t]*").split(":")[0]
    wanted = f"{name} must be followed by {number} numbers in brackets"
    bracket = rf"\s{{0,{MAX_GAP}}}\[([^\]]{{0,{MAX_NUMBERS}}})\]"
    match = re.search(key + bracket, text, re.MULTILINE)
    if not match:
        raise PoseNetError(f"{path}: {wanted}")
    numbers = parse_floats(match[1].replace(",", " ").split(), str(path), wanted)
    if len(numbers) != number or not np.isfinite(numbers).all():
        raise PoseNetError(f"{path}: {wanted}, received {shorten(match[1])}")
    return numbers
