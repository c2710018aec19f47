"""Keypoints of a image, and which keypoints of two images show the same thing."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from posenet.errors import PoseNetError
from posenet.geometry.camera import Camera
from posenet.geometry.camera_models import unprojected
from posenet.io.images import brightened, read_image

log = logging.getLogger("posenet")

LONG_SIDE = 640
WIDEST_RAY = 5.0  # from the axis at z = 1: 79 degrees
CONTRAST = 0.02  # half of OpenCV's default: walls have little
REMEMBERED = 500  # images: 90 MB


@dataclass(frozen=True, eq=False)
class Keypoints:
    """n keypoints of one image.

    rays: (n, 2) where their rays meet the plane z = 1 of the camera's axes, the lens undone.
    descriptors: (n, 128) uint8, SIFT (Lowe 2004). pixel: the width of a pixel on that plane.
    """

    rays: np.ndarray
    descriptors: np.ndarray
    pixel: float

    def __len__(self) -> int:
        return len(self.rays)

    def __getitem__(self, rows) -> Keypoints:
        return Keypoints(self.rays[rows], self.descriptors[rows], self.pixel)

    def zoomed(self, factor: float) -> Keypoints:
        """The same keypoints, had the focal length been `factor` times as long."""
        return Keypoints(self.rays / factor, self.descriptors, self.pixel / factor)


class _DetectedKeypoints(NamedTuple):
    """Keypoints without a camera: points (n, 2) x, y in pixels of a image of size (width, height), descriptors."""

    points: np.ndarray
    descriptors: np.ndarray
    size: tuple[int, int]


_remembered: dict[tuple[Path, int], _DetectedKeypoints] | None = None


@contextmanager
def remembered() -> Iterator[None]:
    """Within it `detect` looks twice for as many keypoints of a image only once, in up to 500 images: what is
    measured of a camera needs them before the camera is known, and depth after it."""
    global _remembered
    before, _remembered = _remembered, {}
    try:
        yield
    finally:
        _remembered = before


def detect(path: Path, camera: Camera, most: int) -> Keypoints:
    """At most `most` keypoints of a image, scaled to 640 pixels where it is larger.

    camera: of the image as it is on the disk. None are found in a image whose lens cannot be computed.
    Raises PoseNetError when the file does not decode.
    """
    kept = {} if _remembered is None else _remembered
    spots = kept.pop((path, most), None)
    if spots is None:
        spots = _spots(read_image(path), most, LONG_SIDE)
        if len(kept) < REMEMBERED:
            kept[path, most] = spots
    return _seen_by(camera, spots)


def detect_or_empty(path: Path, camera: Camera | None, most: int) -> Keypoints:
    """As `detect`; no keypoints where the camera is unknown, nor, with a warning, where the file does not decode."""
    try:
        if camera is not None:
            return detect(path, camera, most)
    except PoseNetError as error:
        log.warning("%s", error)
    return Keypoints(np.zeros((0, 2)), np.zeros((0, 128), np.uint8), 1.0)


def detect_in(
    image: np.ndarray, camera: Camera, most: int, long_side: int = LONG_SIDE
) -> Keypoints:
    """As `detect`, of a decoded image (h, w, 3) uint8 RGB, of the camera's size or scaled from it."""
    return _seen_by(camera, _spots(image, most, long_side))


def _spots(image: np.ndarray, most: int, long_side: int) -> _DetectedKeypoints:
    gray = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    scale = long_side / max(gray.shape)
    if scale < 1:
        size = (round(gray.shape[1] * scale), round(gray.shape[0] * scale))
        gray = cv2.resize(gray, size, interpolation=cv2.INTER_AREA)
    # without the precise upscaling all keypoints lie a quarter of a pixel too far right and down
    sift = cv2.SIFT.create(most, contrastThreshold=CONTRAST, enable_precise_upscale=True)
    found, descriptors = sift.detectAndCompute(brightened(gray), None)
    if not found or descriptors is None:
        return _DetectedKeypoints(np.zeros((0, 2)), np.zeros((0, 128), np.uint8), gray.shape[::-1])
    return _DetectedKeypoints(
        np.array([each.pt for each in found]) + 0.5, descriptors.astype(np.uint8), gray.shape[::-1]
    )


def _seen_by(camera: Camera, spots: _DetectedKeypoints) -> Keypoints:
    camera = camera.resized(*spots.size)
    rays = unprojected(camera, spots.points) if len(spots.points) else None
    pixel = 2.0 / (camera.fx + camera.fy)
    if rays is None:
        return Keypoints(np.zeros((0, 2)), np.zeros((0, 128), np.uint8), pixel)
    good = (
        np.linalg.norm(rays, axis=1) < WIDEST_RAY
    )  # not those of a fisheye that look sideways, or nowhere
    return Keypoints(rays[good], spots.descriptors[good], pixel)
