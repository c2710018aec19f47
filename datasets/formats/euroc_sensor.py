"""Read the calibration of an EuRoC camera, `sensor.yaml`."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from posenet.datasets.formats.calibration import PIXEL_OFFSET
from posenet.datasets.formats.parsing import is_number, parse_floats, read_text, shorten
from posenet.datasets.formats.pose_matrices import normalize_matrices
from posenet.errors import PoseNetError
from posenet.geometry.camera import Camera

# Keys that are read, and those that only describe the camera.
READ_KEYS = frozenset(
    {
        *("T_BS", "resolution", "intrinsics", "camera_model", "distortion_model"),
        *("distortion_coefficients", "sensor_type", "comment", "rate_hz", "rostopic"),
        *("shutter_type", "exposure_time", "gain"),
    }
)
# Camera models by names of distortion models: those of EuRoC, and Kalibr's and ROS' for the first.
DISTORTION_MODELS = {
    "radial-tangential": "OPENCV",
    "radtan": "OPENCV",
    "plumb_bob": "OPENCV",
    "equidistant": "OPENCV_FISHEYE",
}


def read_sensor(path: Path, notes: list[str]) -> tuple[np.ndarray, Camera]:
    """Read a sensor.yaml.

    Args:
        path: the file.
        notes: gets a line about keys that mean something and are not read, if there are any.

    Returns:
        body_from_camera, shape (4, 4), and the camera.

    Raises:
        PoseNetError: a value is missing or malformed, or the camera model is not supported.
    """
    text = read_text(path)
    model = _read_model(text, path, notes)
    matrix = np.reshape(_find_numbers(text, r"T_BS:[^\[]*?data:\s*", 16, path), (4, 4))
    if issues := normalize_matrices(matrix[None]).issues:
        raise PoseNetError(
            f"{path}: T_BS must be a rotation and a translation, received a {issues[0].kind}"
        )
    fx, fy, cx, cy = _find_numbers(text, r"^intrinsics:\s*", 4, path)
    resolution = _find_numbers(text, r"^resolution:\s*", 2, path)
    width, height = (int(value) for value in resolution)
    if not (min(fx, fy) > 0 and min(width, height) > 0):
        raise PoseNetError(
            f"{path}: resolution and focal lengths must be above 0, "
            f"received {width} x {height}, {fx} and {fy}"
        )
    distortion = _find_numbers(text, r"^distortion_coefficients:\s*", 4, path)
    center = (cx + PIXEL_OFFSET, cy + PIXEL_OFFSET)
    return matrix, Camera(width, height, fx, fy, *center, model, distortion)


def _read_model(text: str, path: Path, notes: list[str]) -> str:
    """Return COLMAP's name of the camera model, and note keys that are not read."""
    values = {
        key: value.strip(" \t\r\"'")
        for key, value in re.findall(r"^(\w+):[ \t]*([^\n#]*)", text, re.MULTILINE)
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


def _find_numbers(text: str, key: str, number: int, path: Path) -> tuple[float, ...]:
    """Return the numbers in brackets after a key (a regular expression) of a YAML file."""
    wanted = f"{key.strip('^').split(':')[0]} must be followed by {number} numbers in brackets"
    match = re.search(key + r"\[([^\]]*)\]", text, re.MULTILINE)
    if not match:
        raise PoseNetError(f"{path}: {wanted}")
    numbers = parse_floats(match[1].replace(",", " ").split(), str(path), wanted)
    if len(numbers) != number or not np.isfinite(numbers).all():
        raise PoseNetError(f"{path}: {wanted}, received {shorten(match[1])}")
    return numbers
