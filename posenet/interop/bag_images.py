"""Images and intrinsics of ROS messages."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np

from posenet.errors import PoseNetError
from posenet.geometry.camera import Camera


class _Encoding(NamedTuple):
    """How pixels are stored.

    Attributes:
        channels: values per pixel, of 8 bits.
        to_bgr: OpenCV's conversion to BGR, None if they are.
    """

    channels: int
    to_bgr: int | None


# Encodings of sensor_msgs/image_encodings.hpp. 8UC3 is BGR, as in cv_bridge.
ENCODINGS = {
    "rgb8": _Encoding(3, cv2.COLOR_RGB2BGR),
    "bgr8": _Encoding(3, None),
    "8UC3": _Encoding(3, None),
    "rgba8": _Encoding(4, cv2.COLOR_RGBA2BGR),
    "bgra8": _Encoding(4, cv2.COLOR_BGRA2BGR),
    "mono8": _Encoding(1, cv2.COLOR_GRAY2BGR),
    "8UC1": _Encoding(1, cv2.COLOR_GRAY2BGR),
}
# The start of images that are written unchanged, and their suffix.
COMPRESSED = {b"\xff\xd8": ".jpg", b"\x89P": ".png"}
# Largest image in pixels, as for files.
MAX_PIXELS = 2**29
# Distortion models of sensor_msgs/distortion_models.hpp with the most parameters that each has, and
# COLMAP's models. OpenCV's order is k1 k2 p1 p2 k3 k4 k5 k6.
DISTORTION_MODELS = {
    "plumb_bob": ("FULL_OPENCV", 8),
    "rational_polynomial": ("FULL_OPENCV", 8),
    "equidistant": ("OPENCV_FISHEYE", 4),
    "fisheye": ("OPENCV_FISHEYE", 4),
}
# From pixels whose centers are at whole numbers to those at halves.
HALF_PIXEL = 0.5


def write_image(message: Any, target: Path) -> Path:
    """Write a sensor_msgs/Image without compression.

    Args:
        message: the message.
        target: the file to write, without suffix.

    Returns:
        The file.

    Raises:
        PoseNetError: the encoding is not supported, or the size contradicts the data.
    """
    encoding = ENCODINGS.get(message.encoding)
    if encoding is None:
        advice = ": debayer it with image_proc" if message.encoding.startswith("bayer") else ""
        raise PoseNetError(
            f"the encoding of images in a bag must be one of {', '.join(ENCODINGS)}, "
            f"received {message.encoding}{advice}"
        )
    height = int(message.height)
    width = int(message.width)
    step = int(message.step)
    row = width * encoding.channels
    has_size = 0 < height * width <= MAX_PIXELS and step >= row
    if not has_size or len(message.data) < step * (height - 1) + row:
        raise PoseNetError(
            f"an image of {width} x {height} pixels in {message.encoding} must have rows of at "
            f"least {row} bytes, received {len(message.data)} bytes in rows of {step}"
        )
    # The last row need not be padded.
    data = np.frombuffer(message.data, np.uint8)[: step * height]
    data = np.pad(data, (0, step * height - len(data)))
    rows = np.ascontiguousarray(data.reshape(height, step)[:, :row])
    pixels: np.ndarray = rows.reshape(height, width, encoding.channels)
    if encoding.to_bgr is not None:
        pixels = cv2.cvtColor(pixels, encoding.to_bgr)
    path = target.with_name(f"{target.name}.bmp")
    cv2.imwrite(str(path), pixels)
    return path


def write_compressed_image(message: Any, target: Path) -> Path:
    """Write the file in a sensor_msgs/CompressedImage.

    Args:
        message: the message.
        target: the file to write, without suffix.

    Returns:
        The file.

    Raises:
        PoseNetError: it is neither JPEG nor PNG.
    """
    data = bytes(message.data)
    suffix = COMPRESSED.get(data[:2])
    if suffix is None:
        raise PoseNetError(
            f"a compressed image in a bag must be JPEG or PNG, received {message.format!r} of "
            f"{len(data)} bytes"
        )
    path = target.with_name(f"{target.name}{suffix}")
    path.write_bytes(data)
    return path


def camera_from_info(message: Any, *, is_rectified: bool) -> Camera | None:
    """Return the intrinsics of a sensor_msgs/CameraInfo.

    Args:
        message: the message.
        is_rectified: whether the images are rectified, so that the projection matrix holds and
            there is no distortion.

    Returns:
        The camera; None if it is not calibrated or has an unknown distortion model.
    """
    if is_rectified:
        fx, _, cx, _, _, fy, cy = np.asarray(message.p, float)[:7]
    else:
        fx, _, cx, _, fy, cy = np.asarray(message.k, float)[:6]
    numbers = np.array([fx, fy, cx, cy, *message.d], float)
    if not (fx > 0 and fy > 0 and message.width > 0 and message.height > 0):
        return None
    if not np.isfinite(numbers).all():
        return None
    model = "PINHOLE"
    distortion: list[float] = []
    if not is_rectified and np.any(message.d):
        if message.distortion_model not in DISTORTION_MODELS:
            return None
        model, total = DISTORTION_MODELS[message.distortion_model]
        if len(message.d) > total:  # a tilted sensor
            return None
        distortion = [*map(float, message.d), *[0.0] * (total - len(message.d))]
    width = int(message.width)
    height = int(message.height)
    return Camera(width, height, fx, fy, cx + HALF_PIXEL, cy + HALF_PIXEL, model, tuple(distortion))
