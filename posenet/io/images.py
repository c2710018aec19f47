"""Reading images: RGB uint8, EXIF rotation applied, and the one resize that everything uses."""

from __future__ import annotations

import io
import struct
from pathlib import Path
from typing import BinaryIO

import cv2
import numpy as np
from PIL import Image
from PIL.TiffImagePlugin import TiffImageFile

from posenet.errors import PoseNetError
from posenet.geometry.cropping import cover_transform

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp", ".ppm")
NO_IMAGE = (
    OSError,
    SyntaxError,
    ValueError,
    struct.error,
    Image.DecompressionBombError,
)  # what Pillow raises
EXIF_ORIENTATION, _TURNED = 0x0112, (5, 6, 7, 8)  # the orientations that swap width and height
_TIFF_WIDTH, _TIFF_HEIGHT = 256, 257  # tags of TIFF 6.0
_SHOWN_TURNED = {3: 2, 6: 3, 8: 1}
Image.MAX_IMAGE_PIXELS = 2**29  # Pillow refuses images of twice as many; OpenCV has the same limit
READING = "7"  # raised whenever the same files give other images or keypoints
DIM, MOST_LIGHT = (
    160,
    8.0,
)  # images whose brightest hundredth is darker get more light, by at most so much


def image_size(path: Path) -> tuple[int, int]:
    """(width, height) in pixels as seen, EXIF rotation applied. Reads the header only.

    Raises PoseNetError when the file is no image.
    """
    try:
        (width, height), orientation = _header(path)
    except NO_IMAGE as error:
        raise PoseNetError(
            f"{path}: a image is needed, this cannot be read as one ({error})"
        ) from None
    return (height, width) if orientation in _TURNED else (width, height)


def _header(path: Path) -> tuple[tuple[int, int], int]:
    """(width, height) of a image as it is stored, and its EXIF orientation; raises one of NO_IMAGE."""
    with Image.open(path) as image:
        # Pillow gives a TIFF's size as it is seen, all others' as it is stored
        size = image.size
        if isinstance(image, TiffImageFile):
            size = image.tag_v2[_TIFF_WIDTH], image.tag_v2[_TIFF_HEIGHT]
        return size, exif_of(image).get(EXIF_ORIENTATION, 1)


def exif_of(image: Image.Image) -> Image.Exif:
    """A image's EXIF alone: Pillow also takes an orientation from XMP, which OpenCV does not heed."""
    for name in ("xmp", "XML:com.adobe.xmp"):
        image.info.pop(name, None)
    image._exif = None  # what opening a JPEG has read for its resolution, with XMP's orientation
    try:
        return Image.Image.getexif(image)  # a PNG's own getexif decodes it all
    except (SyntaxError, struct.error, ValueError):  # a broken block does not make the image one
        return Image.Exif()


def stored_size_and_turns(path: Path) -> tuple[tuple[int, int], int]:
    """(width, height) of a image as it is stored, and by how many right angles counter-clockwise it is shown turned.

    (0, 0) and no turn where it cannot be read, no turn where it is mirrored (EXIF 2.3, tag Orientation).
    """
    try:
        size, orientation = _header(path)
    except NO_IMAGE:
        return (0, 0), 0
    return size, _SHOWN_TURNED.get(orientation, 0)


def some_sizes(paths: list[Path]) -> list[tuple[int, int]]:
    """(width, height), as `image_size` gives it, of some fifty of the images, at even steps."""
    return [image_size(path) for path in paths[:: max(1, len(paths) // 50)]]


def image_fault(path: Path) -> str | None:
    """What is wrong with a image file, seen without decoding it; None when nothing is."""
    try:
        size = path.stat().st_size
    except OSError:
        return "image that does not exist"
    if not path.is_file():
        return "image that is no file"
    if size == 0:
        return "image of zero bytes"
    try:
        image_size(path)
    except PoseNetError:
        return "file that is no image"
    with open(path, "rb") as file:
        return None if _is_complete(file) else "image that is cut off"


def _is_complete(file: BinaryIO, tail: int = 65536) -> bool:
    """Whether a JPEG or PNG reaches its end marker. A decoder would fill the missing part with gray."""
    head = file.read(2)
    if head == b"\x89P":
        return b"IEND" in png_chunks(file)
    if head != b"\xff\xd8":
        return True
    size = file.seek(0, 2)
    file.seek(max(0, size - tail))
    # A thumbnail has an end marker too; it lies in the first few segments, of 64 kB at most.
    return (size > 4 * tail and b"\xff\xd9" in file.read()) or _jpeg_ends(file)


def png_chunks(file: BinaryIO) -> set[bytes]:
    """The types of a PNG's chunks, up to where it ends or is cut off (PNG specification, 5.3)."""
    types: set[bytes] = set()
    at, size = 8, file.seek(0, 2)
    while at + 12 <= size and b"IEND" not in types:
        file.seek(at)
        length, kind = struct.unpack(">I4s", file.read(8))
        at += 12 + length
        if at <= size:
            types.add(kind)
    return types


def _jpeg_ends(file: BinaryIO) -> bool:
    """Whether an end marker follows the first scan (an embedded thumbnail has an end marker of its own)."""
    file.seek(0)
    data = file.read()
    at = 2
    while at + 4 <= len(data) and data[at] == 0xFF and data[at + 1] != 0xDA:
        fill = data[at + 1] == 0xFF
        at += 1 if fill else 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return data.find(b"\xff\xd9", at) >= 0


def read_image(path: Path, at_least: tuple[int, int] | None = None) -> np.ndarray:
    """One image as (height, width, 3) uint8 RGB, EXIF rotation applied; 16-bit, gray and alpha are converted.

    at_least: (height, width); a JPEG may be decoded at 1/2, 1/4 or 1/8 of its size (much faster) as long
    as it still covers this. Without it images are decoded whole.
    Raises PoseNetError when the file does not decode.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise PoseNetError(f"{path}: the image cannot be read ({error.strerror})") from None
    flag = _decoder(path, at_least)
    try:
        image = _in_eight_bits(np.frombuffer(content, np.uint8), flag) if content else None
    except cv2.error:  # a header that promises an impossible size
        image = None
    if image is None:
        raise PoseNetError(
            f"{path}: a image is needed, this does not decode as one ({len(content)} bytes)"
        )
    if not _is_complete(io.BytesIO(content)):
        raise PoseNetError(
            f"{path}: a whole image is needed, this one is cut off ({len(content)} bytes)"
        )
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB, dst=image)


def _in_eight_bits(data: np.ndarray, flag: int) -> np.ndarray | None:
    """Decoded (h, w, 3) uint8 BGR, None for floats; of 16 bits the upper eight of those that the camera filled."""
    image = cv2.imdecode(data, flag | cv2.IMREAD_ANYDEPTH)
    if image is None or image.dtype == np.uint8:
        return image
    if image.dtype != np.uint16:
        return None
    filled = int(image.max()).bit_length()  # cameras have 10, 12, 14 or 16
    return np.right_shift(image, max(10, filled + filled % 2) - 8).astype(np.uint8)


def _decoder(path: Path, at_least: tuple[int, int] | None) -> int:
    """OpenCV's decoding flag: JPEGs at the smallest scale that still covers at_least."""
    if at_least and path.suffix.lower() in (".jpg", ".jpeg"):
        width, height = image_size(path)
        spare = min(height / at_least[0], width / at_least[1])
        for factor, flag in (
            (8, cv2.IMREAD_REDUCED_COLOR_8),
            (4, cv2.IMREAD_REDUCED_COLOR_4),
            (2, cv2.IMREAD_REDUCED_COLOR_2),
        ):
            if spare >= factor:
                return flag
    return cv2.IMREAD_COLOR


def resize_to_cover(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """Scale a (h, w, 3) image until it just covers height x width, and cut that out of its middle.

    Area averaging where it shrinks, cubic where it grows; the aspect ratio is kept.
    """
    scaled, (left, top) = cover_transform(image.shape[1], image.shape[0], width, height)
    if scaled != (image.shape[1], image.shape[0]):
        shrinks = scaled[0] < image.shape[1]
        image = cv2.resize(
            image, scaled, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
        )
    return np.ascontiguousarray(image[top : top + height, left : left + width])


def load_image(path: Path, height: int, width: int, quarter_turns: int = 0) -> np.ndarray:
    """(height, width, 3) uint8 RGB: decode, scale to cover, cut the middle, brighten: the way into a run's network.

    quarter_turns: by how many right angles it is turned counter-clockwise before.
    """
    at_least = (width, height) if quarter_turns % 2 else (height, width)
    return brightened(
        resize_to_cover(np.rot90(read_image(path, at_least), quarter_turns), height, width)
    )


def brightened(image: np.ndarray) -> np.ndarray:
    """A uint8 image; a dark one with so much more light that its brightest hundredth is at 160 of 255."""
    top = float(np.percentile(image[::3, ::3], 99))
    return (
        image
        if top >= DIM
        else cv2.convertScaleAbs(image, alpha=min(MOST_LIGHT, DIM / max(top, 1.0)))
    )


VIDEO_SUFFIXES = (".mp4", ".mov", ".avi", ".mkv", ".webm", ".m4v", ".mts", ".3gp")
