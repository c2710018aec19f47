"""COLMAP's camera models: which numbers they hold, and how a Camera carries them.

Names, numbers and parameters are those of COLMAP's src/colmap/sensor/models.h (4.2). Every model is focal length
(one or two), principal point, then the parameters of the lens, which have no unit.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from posenet.geometry.camera import Camera


@dataclass(frozen=True)
class CameraModel:
    """A camera model: its number in COLMAP's binary files, focal lengths (1 or 2; 0 for a panorama), and the
    parameters behind the principal point."""

    number: int
    focals: int
    extra: tuple[str, ...] = ()

    @property
    def parameters(self) -> int:
        """How many numbers COLMAP writes."""
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
# by angle, with up to four coefficients: OpenCV's fisheye
FISHEYES = (
    "OPENCV_FISHEYE",
    "SIMPLE_RADIAL_FISHEYE",
    "RADIAL_FISHEYE",
    "SIMPLE_FISHEYE",
    "FISHEYE",
)
UNTIL = (
    cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS,
    60,
    1e-9,
)  # OpenCV's own five rounds leave pixels, far out


def camera_from_colmap(lens: str, width: int, height: int, parameters: tuple[float, ...]) -> Camera:
    """The Camera of a model's name and its numbers, in COLMAP's order.

    A panorama's focal lengths are pixels per radian. Raises ValueError for a wrong count of numbers.
    """
    model = CAMERA_MODELS[lens]
    if len(parameters) != model.parameters:
        raise ValueError(f"{lens} has {model.parameters} parameters. Received: {len(parameters)}")
    if lens == PANORAMA:
        return Camera(
            width, height, width / math.tau, height / math.pi, width / 2, height / 2, lens
        )
    fx, fy = parameters[0], parameters[model.focals - 1]
    cx, cy = parameters[model.focals : model.focals + 2]
    return Camera(width, height, fx, fy, cx, cy, lens, tuple(parameters[model.focals + 2 :]))


def colmap_parameters(camera: Camera) -> tuple[str, tuple[float, ...]]:
    """(model's name, its numbers) of a Camera as COLMAP writes them.

    A model with one focal length becomes the like with two where resizing has made them differ.
    """
    lens, distortion = camera.lens, camera.distortion
    if lens == PANORAMA:
        return lens, (float(camera.width), float(camera.height))
    if CAMERA_MODELS[lens].focals == 1 and not math.isclose(camera.fx, camera.fy, rel_tol=1e-12):
        lens, distortion = _with_two_focals(lens, distortion)
    focals = (camera.fx, camera.fy)[: CAMERA_MODELS[lens].focals]
    return lens, (*focals, camera.cx, camera.cy, *distortion)


def _with_two_focals(lens: str, distortion: tuple[float, ...]) -> tuple[str, tuple[float, ...]]:
    """The model with two focal lengths that draws the same image."""
    wider = {
        "SIMPLE_PINHOLE": ("PINHOLE", 0),
        "SIMPLE_RADIAL": ("OPENCV", 4),
        "RADIAL": ("OPENCV", 4),
        "SIMPLE_RADIAL_FISHEYE": ("OPENCV_FISHEYE", 4),
        "RADIAL_FISHEYE": ("OPENCV_FISHEYE", 4),
        "SIMPLE_DIVISION": ("DIVISION", 1),
        "SIMPLE_FISHEYE": ("FISHEYE", 0),
    }
    name, count = wider[lens]
    return name, distortion + (0.0,) * (count - len(distortion))


def projected(camera: Camera, points: np.ndarray) -> np.ndarray | None:
    """(n, 2) pixels of points (n, 3) in the camera's axes, z above 0. None for a lens that OpenCV does not know.

    Pixel (0, 0)'s center is at (0.5, 0.5), as the principal point is given.
    """
    points = np.asarray(points, np.float64).reshape(-1, 1, 3)
    if len(points) == 0:
        return np.zeros((0, 2))
    lens, module = _for_opencv(camera)
    nothing = np.zeros(3)
    return (
        None
        if lens is None
        else module.projectPoints(points, nothing, nothing, camera.matrix, lens)[0][:, 0]
    )


def unprojected(camera: Camera, pixels: np.ndarray) -> np.ndarray | None:
    """(n, 2) where the rays of pixels (n, 2) meet the plane z = 1 of the camera's axes: `projected` the other way.

    None for a lens that OpenCV does not know.
    """
    pixels = np.asarray(pixels, np.float64).reshape(-1, 1, 2)
    if len(pixels) == 0:
        return np.zeros((0, 2))
    lens, module = _for_opencv(camera)
    if lens is None:
        return None
    if module is cv2.fisheye:
        return cv2.fisheye.undistortPoints(pixels, camera.matrix, lens)[:, 0]
    straight = cv2.undistortImagePoints(pixels, camera.matrix, lens, arg1=UNTIL).reshape(-1, 2)
    return (straight - [camera.cx, camera.cy]) / [camera.fx, camera.fy]


def _for_opencv(camera: Camera):
    """The lens parameters in OpenCV's order, and the module that computes with them; (None, cv2) for other lenses."""
    values = dict(zip(CAMERA_MODELS[camera.lens].extra, camera.distortion, strict=True))
    k1 = values.get("k1", values.get("k", 0.0))
    if camera.lens in FISHEYES:
        return np.array([k1, *(values.get(name, 0.0) for name in ("k2", "k3", "k4"))]), cv2.fisheye
    if camera.lens in (
        "SIMPLE_PINHOLE",
        "PINHOLE",
        "SIMPLE_RADIAL",
        "RADIAL",
        "OPENCV",
        "FULL_OPENCV",
    ):
        names = ("k2", "p1", "p2", "k3", "k4", "k5", "k6")
        return np.array([k1, *(values.get(name, 0.0) for name in names)]), cv2
    return None, cv2
