"""Decode images to RGB uint8, EXIF orientation applied, and resize them."""

from __future__ import annotations

import io
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageOps

from posenet.errors import MissingExtraError, PoseNetError
from posenet.geometry.cropping import cover_transform
from posenet.io.heif import DECODER_ERRORS, HEAD_BYTES, is_heif, register_decoder
from posenet.io.image_headers import (
    PILLOW_ERRORS,
    ImageTooLargeError,
    has_zeros_in_scan,
    image_size,
    is_complete,
    is_radiance,
)

# Raised whenever the same files give other pixels or keypoints; part of every cache's fingerprint.
DECODER_VERSION = "8"
# The brightest hundredth of an image must have this value; darker images are multiplied, at most by
# the gain. Chosen on sequences held out of RedKitchen's training split (docs/lab-notes.md).
MIN_BRIGHTNESS = 160
MAX_GAIN = 8.0
# OpenCV's flags to decode a JPEG at a fraction of its size, smallest first.
REDUCED_DECODERS = {
    8: cv2.IMREAD_REDUCED_COLOR_8,
    4: cv2.IMREAD_REDUCED_COLOR_4,
    2: cv2.IMREAD_REDUCED_COLOR_2,
}
# Formats that Pillow decodes if OpenCV does not. Not those that OpenCV refuses if damaged.
PILLOW_FORMATS = ("AVIF", "DIB", "GIF", "PCX", "QOI", "SGI", "TGA")
# Fewest bits per value of cameras that store more than eight.
MIN_CAMERA_BITS = 10


def read_image(path: Path, at_least: tuple[int, int] | None = None) -> np.ndarray:
    """Decode an image. 16-bit, gray and transparent images are converted.

    Args:
        path: the image file.
        at_least: (height, width) that must be covered. A JPEG may be decoded at 1/2, 1/4 or 1/8 of
            its size, which is much faster. Default: decode at full size.

    Returns:
        RGB values, shape (h, w, 3), uint8, EXIF orientation applied.

    Raises:
        PoseNetError: the file cannot be read, is not an image, is truncated or partly zero, or
            requires an extra that is not installed.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise PoseNetError(f"{path}: cannot read the image ({error.strerror})") from None
    flag = _decoder_flag(path, at_least)
    try:
        image = _decode_8_bit(np.frombuffer(content, np.uint8), flag) if content else None
    except cv2.error:  # a header with an impossible size
        image = None
    except MissingExtraError as error:
        raise MissingExtraError(f"{path}: {error}") from None
    if image is None:
        raise PoseNetError(f"{path}: not a valid image (could not decode {len(content)} bytes)")
    if not is_complete(io.BytesIO(content)):
        raise PoseNetError(f"{path}: truncated image ({len(content)} bytes)")
    if has_zeros_in_scan(content):
        raise PoseNetError(f"{path}: damaged image (a part of its {len(content)} bytes is 0)")
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB, dst=image)


def resize_to_cover(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """Scale an image until it just covers a size, and crop the center. The aspect ratio is kept.

    Args:
        image: shape (h, w, 3).
        height: height to cover in pixels.
        width: width to cover in pixels.

    Returns:
        The crop, shape (height, width, 3). Pixels are averaged to shrink, interpolated cubically to
        enlarge.
    """
    old = (image.shape[1], image.shape[0])
    scaled, (left, top) = cover_transform(*old, width, height)
    if scaled != old:
        shrinks = scaled[0] < old[0]
        interpolation = cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
        image = cv2.resize(image, scaled, interpolation=interpolation)
    return np.ascontiguousarray(image[top : top + height, left : left + width])


def load_image(path: Path, height: int, width: int, *, quarter_turns: int = 0) -> np.ndarray:
    """Decode, rotate, resize and crop an image and normalize its exposure, for a network.

    Args:
        path: the image file.
        height: height in pixels.
        width: width in pixels.
        quarter_turns: number of counter-clockwise rotations by 90 degrees.

    Returns:
        RGB values, shape (height, width, 3), uint8.

    Raises:
        PoseNetError: the file does not decode.
    """
    at_least = (width, height) if quarter_turns % 2 else (height, width)
    rotated = np.rot90(read_image(path, at_least), quarter_turns)
    return normalize_exposure(resize_to_cover(rotated, height, width))


def normalize_exposure(image: np.ndarray) -> np.ndarray:
    """Brighten a dark image until its brightest hundredth has the value 160.

    Args:
        image: shape (h, w) or (h, w, 3), uint8.

    Returns:
        The brightened image, or the image itself.
    """
    brightness = float(np.percentile(image[::3, ::3], 99))
    if brightness >= MIN_BRIGHTNESS:
        return image
    return cv2.convertScaleAbs(image, alpha=min(MAX_GAIN, MIN_BRIGHTNESS / max(brightness, 1.0)))


def _decode_8_bit(data: np.ndarray, flag: int) -> np.ndarray | None:
    """Decode to BGR uint8: of 16 bits the upper eight that the camera fills.

    Returns None for files that do not decode, and for floats other than Radiance HDR.
    """
    if is_heif(data[:HEAD_BYTES].tobytes()):
        register_decoder()
        return _decode_by_pillow(data, ("HEIF",))
    image = None if _is_avif(data) else cv2.imdecode(data, flag | cv2.IMREAD_ANYDEPTH)
    if image is None:
        return _decode_by_pillow(data)
    if image.dtype == np.uint8:
        return image
    if is_radiance(data[:16].tobytes()):
        return _encode_srgb(image)
    if image.dtype != np.uint16:
        return None
    filled = int(image.max()).bit_length()  # cameras have 10, 12, 14 or 16 bits
    bits = max(MIN_CAMERA_BITS, filled + filled % 2)
    return np.right_shift(image, bits - 8).astype(np.uint8)


def _is_avif(data: np.ndarray) -> bool:
    """Return whether a file is AVIF, whose rotation OpenCV ignores."""
    return data[4:12].tobytes() in (b"ftypavif", b"ftypavis")


def _decode_by_pillow(
    data: np.ndarray, formats: tuple[str, ...] = PILLOW_FORMATS
) -> np.ndarray | None:
    """Decode a format that OpenCV does not read, to BGR uint8; None if Pillow does not either."""
    try:
        with Image.open(io.BytesIO(data.tobytes()), formats=formats) as image:
            upright = ImageOps.exif_transpose(image).convert("RGB")
    except (*PILLOW_ERRORS, *DECODER_ERRORS):
        return None
    return np.ascontiguousarray(np.asarray(upright)[:, :, ::-1])


def _encode_srgb(radiance: np.ndarray) -> np.ndarray:
    """Return linear values as sRGB, uint8; the brightest hundredth of the values becomes white."""
    white = max(float(np.percentile(radiance, 99)), float(np.finfo(np.float32).tiny))
    linear = np.clip(radiance / white, 0, 1)
    # IEC 61966-2-1.
    encoded = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return np.rint(255 * encoded).astype(np.uint8)


def _decoder_flag(path: Path, at_least: tuple[int, int] | None) -> int:
    """Return OpenCV's flag for the smallest scale of a JPEG that covers a size.

    Raises:
        PoseNetError: the image has too many pixels, or is not the JPEG that its name states.
    """
    is_jpeg = path.suffix.lower() in (".jpg", ".jpeg")
    try:
        width, height = image_size(path)
    except ImageTooLargeError:
        raise
    except PoseNetError:
        if is_jpeg and at_least:
            raise
        return cv2.IMREAD_COLOR  # OpenCV may read it
    if at_least and is_jpeg:
        spare = min(height / at_least[0], width / at_least[1])
        for factor, flag in REDUCED_DECODERS.items():
            if spare >= factor:
                return flag
    return cv2.IMREAD_COLOR
