"""SIFT keypoints of images, as rays of their cameras."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np

from posenet.environment import keep_freed_memory
from posenet.errors import PoseNetError
from posenet.geometry.camera import Camera
from posenet.geometry.camera_models import unproject
from posenet.io.images import normalize_exposure, read_image

log = logging.getLogger("posenet")

# Long side in pixels that larger images are scaled to before keypoints are detected.
LONG_SIDE = 640
# Keypoints whose rays meet z = 1 farther from the axis are ignored: beyond 79 degrees, at the rim
# of fisheyes.
MAX_RAY_LENGTH = 5.0
# SIFT's contrast threshold, half of OpenCV's default: walls have little contrast.
CONTRAST_THRESHOLD = 0.02
# Threshold for images that too few keypoints were found in.
FAINT_THRESHOLD = 0.01
DESCRIPTOR_SIZE = 128
# Number of images whose keypoints a cache keeps, and keypoints of each: 180 MB.
CACHED_IMAGES = 500
CACHED_KEYPOINTS = 2500


@dataclass(frozen=True, eq=False)
class Keypoints:
    """n keypoints of an image.

    Attributes:
        rays: where their rays meet the plane z = 1 of the camera, distortion removed, shape (n, 2).
        descriptors: SIFT (Lowe, 2004), shape (n, 128), uint8.
        pixel: width of a pixel on that plane.
    """

    rays: np.ndarray
    descriptors: np.ndarray
    pixel: float

    def __len__(self) -> int:
        """Return the number of keypoints."""
        return len(self.rays)

    def __getitem__(self, rows: Any) -> Keypoints:
        """Return some of the keypoints, by mask, slice or indices."""
        return Keypoints(self.rays[rows], self.descriptors[rows], self.pixel)

    def zoomed(self, factor: float) -> Keypoints:
        """Return the keypoints for another focal length.

        Args:
            factor: factor of the focal length.

        Returns:
            The keypoints with shorter rays.
        """
        return Keypoints(self.rays / factor, self.descriptors, self.pixel / factor)


class _DetectedKeypoints(NamedTuple):
    """Keypoints without a camera, the strongest first."""

    points: np.ndarray  # (n, 2) x, y in pixels
    descriptors: np.ndarray  # (n, 128) uint8
    size: tuple[int, int]  # (width, height) of the scaled image


class KeypointCache:
    """Detected keypoints that a second step needs again, for a limited number of images.

    The intrinsics are estimated from the strongest of the keypoints that the landmark map and the
    depth are triangulated from later, with other cameras. Each entry is used once and then
    forgotten.
    """

    def __init__(
        self, max_keypoints: int = CACHED_KEYPOINTS, *, capacity: int = CACHED_IMAGES
    ) -> None:
        self.max_keypoints = max_keypoints
        self.capacity = capacity
        self._entries: dict[Path, _DetectedKeypoints] = {}

    def detect(self, path: Path, max_keypoints: int) -> _DetectedKeypoints:
        """Detect keypoints, or take them from the cache."""
        detected = self._entries.pop(path, None)
        if detected is None:
            largest = max(max_keypoints, self.max_keypoints)
            detected = _detect(read_image(path), largest, LONG_SIDE)
            if len(self._entries) < self.capacity:
                self._entries[path] = detected
        return _DetectedKeypoints(
            detected.points[:max_keypoints], detected.descriptors[:max_keypoints], detected.size
        )


def detect(
    path: Path, camera: Camera, max_keypoints: int, *, cache: KeypointCache | None = None
) -> Keypoints:
    """Detect keypoints in an image file, scaled to 640 pixels if it is larger.

    Args:
        path: the image file.
        camera: the camera of the file.
        max_keypoints: largest number of keypoints.
        cache: keypoints that were detected before.

    Returns:
        The keypoints; none if the camera model cannot be computed.

    Raises:
        PoseNetError: the file does not decode.
    """
    if cache is not None:
        return _to_rays(camera, cache.detect(path, max_keypoints))
    return _to_rays(camera, _detect(read_image(path), max_keypoints, LONG_SIDE))


def detect_or_empty(
    path: Path, camera: Camera | None, max_keypoints: int, *, cache: KeypointCache | None = None
) -> Keypoints:
    """Detect keypoints, or none if the camera is unknown or, with a warning, the file unreadable.

    Args:
        path: the image file.
        camera: the camera of the file, None if unknown.
        max_keypoints: largest number of keypoints.
        cache: keypoints that were detected before.

    Returns:
        The keypoints.
    """
    try:
        if camera is not None:
            return detect(path, camera, max_keypoints, cache=cache)
    except PoseNetError as error:
        log.warning("%s", error)
    return _no_keypoints(1.0)


def detect_faint(
    image: np.ndarray, camera: Camera, max_keypoints: int, *, scale: float
) -> Keypoints:
    """Detect keypoints of less contrast in a scaled image, for those where `detect` finds too few.

    A larger scale finds smaller keypoints, a smaller scale those of blurred images.

    Args:
        image: RGB values of the camera's size or scaled from it, shape (h, w, 3), uint8.
        camera: the camera.
        max_keypoints: largest number of keypoints.
        scale: factor by which the image of at most 640 pixels is scaled.

    Returns:
        The keypoints; none if the camera model cannot be computed.
    """
    factor = scale * min(1.0, LONG_SIDE / max(image.shape))
    size = max(1, round(image.shape[1] * factor)), max(1, round(image.shape[0] * factor))
    interpolation = cv2.INTER_CUBIC if factor > 1 else cv2.INTER_AREA
    scaled = cv2.resize(image, size, interpolation=interpolation)
    return _to_rays(camera, _detect(scaled, max_keypoints, max(size), FAINT_THRESHOLD))


def detect_in(
    image: np.ndarray, camera: Camera, max_keypoints: int, *, long_side: int = LONG_SIDE
) -> Keypoints:
    """Detect keypoints in a decoded image.

    Args:
        image: RGB values of the camera's size or scaled from it, shape (h, w, 3), uint8.
        camera: the camera.
        max_keypoints: largest number of keypoints.
        long_side: long side in pixels that a larger image is scaled to.

    Returns:
        The keypoints; none if the camera model cannot be computed.
    """
    return _to_rays(camera, _detect(image, max_keypoints, long_side))


def _detect(
    image: np.ndarray,
    max_keypoints: int,
    long_side: int,
    contrast_threshold: float = CONTRAST_THRESHOLD,
) -> _DetectedKeypoints:
    keep_freed_memory()
    gray = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    scale = long_side / max(gray.shape)
    if scale < 1:
        size = (round(gray.shape[1] * scale), round(gray.shape[0] * scale))
        gray = cv2.resize(gray, size, interpolation=cv2.INTER_AREA)
    # Without precise upscaling all keypoints are a quarter of a pixel too far right and down.
    sift = cv2.SIFT.create(
        max_keypoints, contrastThreshold=contrast_threshold, enable_precise_upscale=True
    )
    detected, descriptors = sift.detectAndCompute(normalize_exposure(gray), None)
    size = gray.shape[1], gray.shape[0]
    if not detected or descriptors is None:
        return _DetectedKeypoints(np.zeros((0, 2)), np.zeros((0, DESCRIPTOR_SIZE), np.uint8), size)
    points = np.array([keypoint.pt for keypoint in detected]) + 0.5
    strongest = np.argsort([-keypoint.response for keypoint in detected], kind="stable")
    return _DetectedKeypoints(points[strongest], descriptors[strongest].astype(np.uint8), size)


def _to_rays(camera: Camera, detected: _DetectedKeypoints) -> Keypoints:
    camera = camera.resized(*detected.size)
    pixel = 2.0 / (camera.fx + camera.fy)
    rays = unproject(camera, detected.points) if len(detected.points) else None
    if rays is None:
        return _no_keypoints(pixel)
    # Comparisons with NaN are false, so that rays that miss the plane are dropped too.
    good = np.linalg.norm(rays, axis=1) < MAX_RAY_LENGTH
    return Keypoints(rays[good], detected.descriptors[good], pixel)


def _no_keypoints(pixel: float) -> Keypoints:
    return Keypoints(np.zeros((0, 2)), np.zeros((0, DESCRIPTOR_SIZE), np.uint8), pixel)
