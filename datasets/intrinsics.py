"""Intrinsics that no file states: the focal length in EXIF data, or a typical field of view."""

from __future__ import annotations

import logging
import math
from dataclasses import replace
from pathlib import Path

from posenet.datasets.scene import Scene
from posenet.datasets.validation import share_cameras
from posenet.errors import count
from posenet.geometry.camera import Camera
from posenet.io.image_headers import image_size, read_exif_block

log = logging.getLogger("posenet")

# Typical field of view along the long side, degrees: a focal length of 31 mm on 35 mm film, between
# the 24 mm of phones and 50 mm.
TYPICAL_VIEW_DEG = 60.0
# Diagonal of 35 mm film in mm.
FILM_DIAGONAL = math.hypot(36.0, 24.0)
# EXIF tags (CIPA DC-008): the EXIF block, FocalLength in mm, FocalLengthIn35mmFilm, pixels per unit
# of the sensor, that unit, and the size of the image that the camera wrote.
EXIF_IFD = 0x8769
FOCAL_LENGTH = 0x920A
FOCAL_LENGTH_35MM = 0xA405
PLANE_X_RESOLUTION = 0xA20E
PLANE_UNIT = 0xA210
PIXEL_X = 0xA002
PIXEL_Y = 0xA003
# Values of the tag for the unit, in mm; 2, inches, is the default.
UNIT_MM = {2: 25.4, 3: 10.0, 4: 1.0, 5: 0.001}
# Plausible focal lengths, in multiples of the long side.
MIN_FOCAL = 0.2
MAX_FOCAL = 20


def guess_camera(path: Path) -> Camera:
    """Return a pinhole camera with the principal point at the center of the image.

    Args:
        path: the image file.

    Returns:
        The camera; its source is "EXIF" or "assumed".

    Raises:
        PoseNetError: the file is not an image.
    """
    width, height = image_size(path)
    focal = focal_from_exif(path, width, height)
    if not focal:
        return assume_camera(width, height)
    return Camera(width, height, focal, focal, width / 2, height / 2, source="EXIF")


def assume_camera(width: int, height: int) -> Camera:
    """Return the camera of an image without EXIF data, with a typical field of view.

    Args:
        width: width of the image in pixels.
        height: height of the image in pixels.

    Returns:
        The camera; its source is "assumed".
    """
    focal = max(width, height) / 2 / math.tan(math.radians(TYPICAL_VIEW_DEG) / 2)
    return Camera(width, height, focal, focal, width / 2, height / 2, source="assumed")


def guess_missing_cameras(scene: Scene) -> Scene:
    """Give every image of unknown intrinsics a guessed camera, and log how many were guessed.

    Args:
        scene: the scene.

    Returns:
        The scene with a camera for every image.
    """
    cameras = [
        camera or guess_camera(path)
        for camera, path in zip(scene.cameras, scene.paths, strict=True)
    ]
    guessed = [new.source for old, new in zip(scene.cameras, cameras, strict=True) if old is None]
    if exif := guessed.count("EXIF"):
        log.info("%s: focal length of %s from EXIF data", scene.name, count(exif, "image"))
    if assumed := guessed.count("assumed"):
        log.warning(
            "%s: the intrinsics of %s are unknown, a field of view of %.0f degrees along the long "
            "side is assumed",
            scene.name,
            count(assumed, "image"),
            TYPICAL_VIEW_DEG,
        )
    return replace(scene, cameras=share_cameras(cameras))


def focal_from_exif(path: Path, width: int, height: int) -> float | None:
    """Return the focal length in the EXIF data of an image.

    FocalLengthIn35mmFilm relates the diagonals. Otherwise FocalLength and the resolution of the
    sensor are used, if the image still has the size that the camera wrote.

    Args:
        path: the image file.
        width: its width in pixels.
        height: its height in pixels.

    Returns:
        The focal length in pixels, or None.
    """
    tags = read_exif_block(path, EXIF_IFD)
    try:
        equivalent = float(tags.get(FOCAL_LENGTH_35MM) or 0)
        if equivalent > 1:
            return equivalent / FILM_DIAGONAL * math.hypot(width, height)
        unit = UNIT_MM.get(int(tags.get(PLANE_UNIT) or 2), UNIT_MM[2])
        pixels_per_mm = float(tags.get(PLANE_X_RESOLUTION) or 0) / unit
        focal = float(tags.get(FOCAL_LENGTH) or 0) * pixels_per_mm
        camera_size = {int(tags.get(PIXEL_X) or 0), int(tags.get(PIXEL_Y) or 0)}
    except (TypeError, ValueError, ArithmeticError):
        return None
    long_side = max(width, height)
    is_plausible = MIN_FOCAL * long_side < focal < MAX_FOCAL * long_side
    return focal if is_plausible and camera_size == {width, height} else None
