"""Convert the intrinsics of a `transforms.json` to cameras, and back."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from posenet.datasets.formats.nerfstudio_frames import Frame
from posenet.datasets.intrinsics import MAX_FOCAL, MIN_FOCAL
from posenet.errors import PoseNetError
from posenet.geometry.camera import Camera
from posenet.geometry.camera_models import (
    CAMERA_MODELS,
    FISHEYES,
    OPENCV_MODELS,
    PANORAMA,
    camera_from_colmap,
)
from posenet.io.image_headers import stored_size

# The camera model of Project Aria.
NERFSTUDIO_ARIA = "FISHEYE624"
COLMAP_ARIA = "RAD_TAN_THIN_PRISM_FISHEYE"
# nerfstudio's names of the camera models that a file can contain.
WRITTEN_MODELS = {
    "PINHOLE": "OPENCV",
    "SIMPLE_PINHOLE": "OPENCV",
    "SIMPLE_RADIAL": "OPENCV",
    "RADIAL": "OPENCV",
    "OPENCV": "OPENCV",
    "FULL_OPENCV": "OPENCV",
    **dict.fromkeys(FISHEYES, "OPENCV_FISHEYE"),
    PANORAMA: PANORAMA,
    COLMAP_ARIA: NERFSTUDIO_ARIA,
}
# Names of camera models that are read, "" for none. For others, such as nerfstudio's ORTHOPHOTO and
# VR180_L, there are no intrinsics.
SUPPORTED_MODELS = {"", "PERSPECTIVE", *OPENCV_MODELS, *FISHEYES, *WRITTEN_MODELS.values()}
# Number of distortion parameters of OpenCV's model that a file can contain: k1 k2 p1 p2 k3.
NUM_DISTORTION = 5


def camera_of_frame(frame: Frame, path: Path) -> Camera | None:
    """Return the intrinsics of a frame.

    Args:
        frame: the frame.
        path: its image, whose stored size is the default.

    Returns:
        The camera; None if the frame has no intrinsics, or they have no size.

    Raises:
        PoseNetError: a value is not a number.
    """
    stored_width, stored_height = stored_size(path).size
    width = frame.number("w", stored_width)
    height = frame.number("h", stored_height)
    if width < 1 or height < 1 or frame.model not in SUPPORTED_MODELS:
        return None
    model, distortion = _parse_model(frame)
    if model == PANORAMA:
        return camera_from_colmap(model, int(width), int(height), (width, height))
    fx = (
        frame.number("fl_x")
        or _focal_length(width, frame.number("camera_angle_x"))
        or _read_focal(frame, max(width, height))
    )
    fy = frame.number("fl_y") or _focal_length(height, frame.number("camera_angle_y")) or fx
    if fx <= 0 or fy <= 0:
        return None
    cx = frame.number("cx", width / 2)
    cy = frame.number("cy", height / 2)
    return Camera(int(width), int(height), fx, fy, cx, cy, model, distortion)


def intrinsics_of_camera(camera: Camera | None) -> dict[str, Any]:
    """Return the values of a frame for a camera.

    Args:
        camera: the camera, None if unknown.

    Returns:
        The values; none if the camera is unknown or its model cannot be stored.
    """
    if camera is None or camera.model not in WRITTEN_MODELS:
        return {}
    values: dict[str, Any] = {
        "camera_model": WRITTEN_MODELS[camera.model],
        "w": camera.width,
        "h": camera.height,
    }
    if camera.model == PANORAMA:
        return values
    values |= {"fl_x": camera.fx, "fl_y": camera.fy, "cx": camera.cx, "cy": camera.cy}
    if camera.model == COLMAP_ARIA:
        return values | {"distortion_params": list(camera.distortion)}
    names = ["k1" if name == "k" else name for name in CAMERA_MODELS[camera.model].extra]
    return values | dict(zip(names[:NUM_DISTORTION], camera.distortion, strict=False))


def _focal_length(size: float, angle: float) -> float:
    """Return pixels from an angle of view in radians; 0 without an angle."""
    return size / 2 / math.tan(angle / 2) if 0 < angle < math.pi else 0.0


def _read_focal(frame: Frame, long_side: float) -> float:
    """Return the value of the key focal; 0 without it. Raises PoseNetError if it is in mm."""
    focal = frame.number("focal")
    if focal and not MIN_FOCAL * long_side < focal < MAX_FOCAL * long_side:
        raise PoseNetError(
            f"{frame.source}: focal must be in pixels, {MIN_FOCAL:g} to {MAX_FOCAL:g} times the "
            f"longer side of the image, received {focal:g}"
        )
    return focal


def _parse_model(frame: Frame) -> tuple[str, tuple[float, ...]]:
    """Return COLMAP's name of the camera model, and its distortion parameters."""
    k1, k2, k3, k4, p1, p2 = (frame.number(key) for key in ("k1", "k2", "k3", "k4", "p1", "p2"))
    model = frame.model
    if model == PANORAMA:
        return PANORAMA, ()
    if model == NERFSTUDIO_ARIA:
        length = len(CAMERA_MODELS[COLMAP_ARIA].extra)
        return COLMAP_ARIA, frame.numbers("distortion_params", length)
    if "FISHEYE" in model or frame.values.get("is_fisheye") is True:
        return "OPENCV_FISHEYE", (k1, k2, k3, k4)
    if model == "FULL_OPENCV":
        k5, k6 = frame.number("k5"), frame.number("k6")
        return "FULL_OPENCV", (k1, k2, p1, p2, k3, k4, k5, k6)
    if k3:
        return "FULL_OPENCV", (k1, k2, p1, p2, k3, 0.0, 0.0, 0.0)
    if any((k1, k2, p1, p2)):
        return "OPENCV", (k1, k2, p1, p2)
    return "PINHOLE", ()
