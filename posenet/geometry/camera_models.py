"""COLMAP's camera models: their parameters, and projection with them.

Names, numbers and parameters are those of COLMAP's src/colmap/sensor/models.h (4.2). Every model
has one or two focal lengths, the principal point, then distortion parameters, which have no unit.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from types import ModuleType

import cv2
import numpy as np

from posenet.geometry.camera import Camera


@dataclass(frozen=True)
class CameraModel:
    """A camera model of COLMAP.

    Attributes:
        number: its number in COLMAP's binary files.
        focals: number of focal lengths, 1 or 2; 0 for a panorama.
        extra: names of the parameters after the principal point.
    """

    number: int
    focals: int
    extra: tuple[str, ...] = ()

    @property
    def num_parameters(self) -> int:
        """Number of parameters in COLMAP's files."""
        return self.focals + 2 + len(self.extra)


def _names(text: str) -> tuple[str, ...]:
    return tuple(text.split())


CAMERA_MODELS = {
    "SIMPLE_PINHOLE": CameraModel(0, 1),
    "PINHOLE": CameraModel(1, 2),
    "SIMPLE_RADIAL": CameraModel(2, 1, _names("k")),
    "RADIAL": CameraModel(3, 1, _names("k1 k2")),
    "OPENCV": CameraModel(4, 2, _names("k1 k2 p1 p2")),
    "OPENCV_FISHEYE": CameraModel(5, 2, _names("k1 k2 k3 k4")),
    "FULL_OPENCV": CameraModel(6, 2, _names("k1 k2 p1 p2 k3 k4 k5 k6")),
    "FOV": CameraModel(7, 2, _names("omega")),
    "SIMPLE_RADIAL_FISHEYE": CameraModel(8, 1, _names("k")),
    "RADIAL_FISHEYE": CameraModel(9, 1, _names("k1 k2")),
    "THIN_PRISM_FISHEYE": CameraModel(10, 2, _names("k1 k2 p1 p2 k3 k4 sx1 sy1")),
    "RAD_TAN_THIN_PRISM_FISHEYE": CameraModel(11, 2, _names("k0 k1 k2 k3 k4 k5 p0 p1 s0 s1 s2 s3")),
    "SIMPLE_DIVISION": CameraModel(12, 1, _names("k")),
    "DIVISION": CameraModel(13, 2, _names("k")),
    "SIMPLE_FISHEYE": CameraModel(14, 1),
    "FISHEYE": CameraModel(15, 2),
    "EUCM": CameraModel(16, 2, _names("alpha beta")),
    "EQUIRECTANGULAR": CameraModel(17, 0),
}
PANORAMA = "EQUIRECTANGULAR"
# Models that OpenCV's fisheye module computes: by angle, with up to four coefficients.
FISHEYES = (
    "OPENCV_FISHEYE",
    "SIMPLE_RADIAL_FISHEYE",
    "RADIAL_FISHEYE",
    "SIMPLE_FISHEYE",
    "FISHEYE",
)
# Models that OpenCV's calib3d module computes.
OPENCV_MODELS = (
    "SIMPLE_PINHOLE",
    "PINHOLE",
    "SIMPLE_RADIAL",
    "RADIAL",
    "OPENCV",
    "FULL_OPENCV",
)
# Models with one focal length: the equivalent model with two, and its number of distortion
# parameters.
TWO_FOCAL_MODELS = {
    "SIMPLE_PINHOLE": ("PINHOLE", 0),
    "SIMPLE_RADIAL": ("OPENCV", 4),
    "RADIAL": ("OPENCV", 4),
    "SIMPLE_RADIAL_FISHEYE": ("OPENCV_FISHEYE", 4),
    "RADIAL_FISHEYE": ("OPENCV_FISHEYE", 4),
    "SIMPLE_DIVISION": ("DIVISION", 1),
    "SIMPLE_FISHEYE": ("FISHEYE", 0),
}
# When to stop undistorting a pixel. OpenCV's default of five rounds leaves errors of several pixels
# far from the center.
UNDISTORT_CRITERIA = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 60, 1e-9)


def camera_from_colmap(model: str, width: int, height: int, parameters: Sequence[float]) -> Camera:
    """Return a camera from COLMAP's parameters.

    The focal lengths of a panorama are pixels per radian.

    Args:
        model: name of the camera model.
        width: width of the image in pixels.
        height: height of the image in pixels.
        parameters: the parameters in COLMAP's order.

    Returns:
        The camera.

    Raises:
        ValueError: the number of parameters is wrong.
    """
    known = CAMERA_MODELS[model]
    if len(parameters) != known.num_parameters:
        raise ValueError(
            f"{model} has {known.num_parameters} parameters. Received: {len(parameters)}"
        )
    if model == PANORAMA:
        fx = width / math.tau
        fy = height / math.pi
        return Camera(width, height, fx, fy, width / 2, height / 2, model)
    fx = parameters[0]
    fy = parameters[known.focals - 1]
    cx, cy = parameters[known.focals : known.focals + 2]
    distortion = tuple(parameters[known.focals + 2 :])
    return Camera(width, height, fx, fy, cx, cy, model, distortion)


def colmap_parameters(camera: Camera) -> tuple[str, tuple[float, ...]]:
    """Return the name of the camera model and its parameters in COLMAP's order.

    A model with one focal length becomes the equivalent one with two if resizing has made them
    different.

    Args:
        camera: the camera.

    Returns:
        Name and parameters.
    """
    model = camera.model
    distortion = camera.distortion
    if model == PANORAMA:
        return model, (float(camera.width), float(camera.height))
    if CAMERA_MODELS[model].focals == 1 and not math.isclose(camera.fx, camera.fy, rel_tol=1e-12):
        model, length = TWO_FOCAL_MODELS[model]
        distortion += (0.0,) * (length - len(distortion))
    focals = (camera.fx, camera.fy)[: CAMERA_MODELS[model].focals]
    return model, (*focals, camera.cx, camera.cy, *distortion)


def project(camera: Camera, points: np.ndarray) -> np.ndarray | None:
    """Project points to pixels.

    Args:
        camera: the camera.
        points: points in camera axes with z > 0, shape (n, 3).

    Returns:
        Pixels, shape (n, 2); pixel (0, 0) has its center at (0.5, 0.5). None if OpenCV does not
        support the camera model.
    """
    points = np.asarray(points, np.float64).reshape(-1, 1, 3)
    if len(points) == 0:
        return np.zeros((0, 2))
    distortion, module = _opencv_distortion(camera)
    if distortion is None:
        return None
    origin = np.zeros(3)
    pixels, _ = module.projectPoints(points, origin, origin, camera.matrix, distortion)
    projected: np.ndarray = pixels[:, 0]
    return projected


def unproject(camera: Camera, pixels: np.ndarray) -> np.ndarray | None:
    """Return where the rays of pixels meet the plane z = 1: the inverse of `project`.

    Args:
        camera: the camera.
        pixels: pixels, shape (n, 2).

    Returns:
        x and y on the plane z = 1 in camera axes, shape (n, 2). None if OpenCV does not support
        the camera model.
    """
    pixels = np.asarray(pixels, np.float64).reshape(-1, 1, 2)
    if len(pixels) == 0:
        return np.zeros((0, 2))
    distortion, module = _opencv_distortion(camera)
    if distortion is None:
        return None
    if module is cv2.fisheye:
        rays: np.ndarray = cv2.fisheye.undistortPoints(pixels, camera.matrix, distortion)[:, 0]
        return rays
    undistorted = cv2.undistortImagePoints(
        pixels, camera.matrix, distortion, arg1=UNDISTORT_CRITERIA
    ).reshape(-1, 2)
    return np.asarray((undistorted - [camera.cx, camera.cy]) / [camera.fx, camera.fy])


def _opencv_distortion(camera: Camera) -> tuple[np.ndarray | None, ModuleType]:
    """Return the distortion in OpenCV's order and its module; None for other camera models."""
    values = dict(zip(CAMERA_MODELS[camera.model].extra, camera.distortion, strict=True))
    k1 = values.get("k1", values.get("k", 0.0))
    names: tuple[str, ...]
    if camera.model in FISHEYES:
        names = ("k2", "k3", "k4")
        return np.array([k1, *(values.get(name, 0.0) for name in names)]), cv2.fisheye
    if camera.model in OPENCV_MODELS:
        names = ("k2", "p1", "p2", "k3", "k4", "k5", "k6")
        return np.array([k1, *(values.get(name, 0.0) for name in names)]), cv2
    return None, cv2
