"""Image files without decoding them: size, EXIF orientation, and whether they are complete."""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from PIL import Image
from PIL.TiffImagePlugin import TiffImageFile

from posenet.errors import MissingExtraError, PoseNetError
from posenet.io.heif import (
    HEAD_BYTES,
    HEIF_SUFFIXES,
    enable_heif,
    has_all_boxes,
    has_zeros_in_pixels,
    is_heif,
)

# Suffixes of images that OpenCV or Pillow decodes, the most usual first.
IMAGE_SUFFIXES = (
    *(".jpg", ".png", ".jpeg", ".bmp", ".tif", ".tiff", ".webp", ".ppm"),
    *(".jpe", ".jfif", ".mpo", ".apng", ".dib", ".pgm", ".pbm", ".pnm"),
    *(".jp2", ".j2k", ".j2c", ".jpc", ".jpf", ".jpx", ".avif", ".gif"),
    *(".hdr", ".tga", ".qoi", ".ras", ".sr", ".sgi", ".pcx"),
    *HEIF_SUFFIXES,
)
# How many of them messages name.
NUM_USUAL_SUFFIXES = 8
# Suffixes of images that neither decodes: JPEG XL, raw formats of cameras, and others.
UNSUPPORTED_SUFFIXES = (
    *(".jxl", ".exr", ".pfm", ".psd", ".insp"),
    *(".raw", ".dng", ".cr2", ".cr3", ".crw", ".nef", ".nrw", ".arw", ".sr2", ".srf", ".orf"),
    *(".rw2", ".raf", ".pef", ".srw", ".x3f", ".3fr", ".iiq", ".gpr", ".rwl", ".kdc", ".dcr"),
)
VIDEO_SUFFIXES = (".mp4", ".mov", ".avi", ".mkv", ".webm", ".m4v", ".mts", ".3gp")
# What Pillow raises for files that are not images.
PILLOW_ERRORS = (OSError, SyntaxError, ValueError, struct.error, Image.DecompressionBombError)
# Pillow refuses images of twice as many pixels. OpenCV has the same limit.
Image.MAX_IMAGE_PIXELS = 2**29
# Largest image that is decoded: 16384 x 16384 pixels, more than any camera's. A file of 1 MB can
# have a thousand times as many bytes of pixels.
MAX_PIXELS = 2**28

# EXIF 2.3, tag Orientation; the values that swap width and height; and the number of
# counter-clockwise quarter turns with which a viewer shows the stored pixels (others are mirrored).
EXIF_ORIENTATION = 0x0112
SWAPPED_ORIENTATIONS = (5, 6, 7, 8)
QUARTER_TURNS = {3: 2, 6: 3, 8: 1}
# How the header of a Radiance HDR image starts, and its longest length in bytes.
RADIANCE_STARTS = (b"#?RADIANCE", b"#?RGBE")
MAX_RADIANCE_HEADER = 4096
# Tags of TIFF 6.0.
TIFF_WIDTH = 256
TIFF_HEIGHT = 257
# Number of images that the typical size of a scene is determined from.
SAMPLED_IMAGES = 50
# Bytes at the end of a JPEG file in which its end marker is searched first.
JPEG_TAIL = 65536
# Fewest bits of a block of a JPEG: one for its mean, one for all others (ITU-T T.81, annex F).
BITS_PER_BLOCK = 2
# Bytes of the tables of a JPEG that may be zero.
TABLE_BYTES = 256


class ImageTooLargeError(PoseNetError):
    """An image with more pixels than are decoded."""


class StoredSize(NamedTuple):
    """The size of an image as stored, and how viewers rotate it.

    Attributes:
        size: (width, height) in pixels; (0, 0) if the file cannot be read.
        quarter_turns: number of counter-clockwise rotations by 90 degrees; 0 if it is mirrored.
    """

    size: tuple[int, int]
    quarter_turns: int


def image_size(path: Path) -> tuple[int, int]:
    """Return the size of the upright image. Only the header is read.

    Args:
        path: the image file.

    Returns:
        (width, height) in pixels, EXIF orientation applied.

    Raises:
        PoseNetError: the file is not an image, has too many pixels (`ImageTooLargeError`), or
            requires an extra that is not installed.
    """
    try:
        (width, height), orientation = _read_header(path)
    except MissingExtraError as error:
        raise MissingExtraError(f"{path}: {error}") from None
    except PILLOW_ERRORS as error:
        raise PoseNetError(f"{path}: not a valid image ({error})") from None
    return (height, width) if orientation in SWAPPED_ORIENTATIONS else (width, height)


def read_exif(image: Image.Image) -> Image.Exif:
    """Return the EXIF data of an image, without the orientation in XMP, which OpenCV ignores.

    Args:
        image: an open Pillow image.

    Returns:
        The EXIF data, empty if it is broken.
    """
    for name in ("xmp", "XML:com.adobe.xmp"):
        image.info.pop(name, None)
    # Opening a JPEG reads its EXIF data for the resolution, and adds the orientation from XMP.
    image._exif = None  # type: ignore[attr-defined]
    try:
        return Image.Image.getexif(image)  # the getexif of a PNG decodes the whole image
    except (SyntaxError, struct.error, ValueError):  # broken EXIF data of a valid image
        return Image.Exif()


def read_exif_block(path: Path, block: int) -> dict[int, Any]:
    """Return the tags of a block of EXIF data.

    Args:
        path: the image file.
        block: the tag of the block.

    Returns:
        The value of each tag; none if the file has no such block or is broken.
    """
    try:
        enable_heif(path)
        with open(path, "rb") as file, Image.open(path) as image:
            # In a PNG the EXIF data may follow the pixels; Pillow then decodes them first.
            is_late = image.format == "PNG" and b"eXIf" in png_chunks(file)
            return dict((image.getexif() if is_late else read_exif(image)).get_ifd(block))
    except (*PILLOW_ERRORS, MissingExtraError, TypeError, ArithmeticError):
        return {}


def stored_size(path: Path) -> StoredSize:
    """Return the size of an image as stored, and how its EXIF orientation rotates it.

    Args:
        path: the image file.

    Returns:
        Size and rotation.
    """
    try:
        size, orientation = _read_header(path)
    except (*PILLOW_ERRORS, MissingExtraError, ImageTooLargeError):
        return StoredSize((0, 0), 0)
    return StoredSize(size, QUARTER_TURNS.get(orientation, 0))


def sample_sizes(paths: Sequence[Path]) -> list[tuple[int, int]]:
    """Return the sizes of some fifty of the images, at even steps.

    Args:
        paths: image files.

    Returns:
        (width, height) of each, EXIF orientation applied.

    Raises:
        PoseNetError: a file is not an image.
    """
    return [image_size(path) for path in paths[:: max(1, len(paths) // SAMPLED_IMAGES)]]


def find_image_issue(path: Path) -> str | None:
    """Check an image file without decoding it.

    Args:
        path: the file.

    Returns:
        What is wrong with it, or None.
    """
    try:
        size = path.stat().st_size
    except OSError:
        return "missing image"
    if not path.is_file():
        return "image that is not a file"
    if size == 0:
        return "empty image file"
    try:
        image_size(path)
    except MissingExtraError as error:
        return str(error).removeprefix(f"{path}: ")
    except ImageTooLargeError:
        return f"image of more than {MAX_PIXELS} pixels"
    except PoseNetError:
        return "file that is not an image"
    with open(path, "rb") as file:
        return None if is_complete(file) else "truncated image"


def is_complete(file: BinaryIO) -> bool:
    """Return whether a JPEG, PNG or HEIC reaches its end; a decoder fills missing parts with gray.

    Args:
        file: the open file.

    Returns:
        True for complete files, and for other formats.
    """
    head = file.read(HEAD_BYTES)
    if is_heif(head):
        return has_all_boxes(file)
    if head[:2] == b"\x89P":
        return b"IEND" in png_chunks(file)
    if head[:2] != b"\xff\xd8":
        return True
    size = file.seek(0, 2)
    file.seek(max(0, size - JPEG_TAIL))
    # The thumbnail has an end marker too. It is in the first few segments, of 64 kB at most.
    return (size > 4 * JPEG_TAIL and b"\xff\xd9" in file.read()) or _jpeg_has_end(file)


def has_zeros_in_scan(content: bytes) -> bool:
    """Return whether a part of a JPEG or HEIC is zeros, which decoders show as a gray area.

    Flat areas may be zeros too, of at least two bits per block of 8 x 8 values. Only more zeros
    than those of an image without any content are found.

    Args:
        content: the bytes of an image file.

    Returns:
        False for other formats.
    """
    if is_heif(content[:HEAD_BYTES]):
        return has_zeros_in_pixels(content)
    if content[:2] != b"\xff\xd8":
        return False
    start = _first_scan(content)
    try:
        with Image.open(BytesIO(content)) as image:
            blocks = math.prod(-(-side // 16) * 2 for side in image.size) * len(image.getbands())
    except PILLOW_ERRORS:
        return False
    zeros = bytes(blocks * BITS_PER_BLOCK // 8 + TABLE_BYTES)
    return content.find(zeros, start, max(start, content.find(b"\xff\xd9", start))) >= 0


def png_chunks(file: BinaryIO) -> set[bytes]:
    """Return the types of the chunks of a PNG, up to its end (PNG specification, 5.3).

    Args:
        file: the open file.

    Returns:
        The four-byte types.
    """
    types: set[bytes] = set()
    position = 8
    size = file.seek(0, 2)
    while position + 12 <= size and b"IEND" not in types:
        file.seek(position)
        length, kind = struct.unpack(">I4s", file.read(8))
        position += 12 + length
        if position <= size:
            types.add(kind)
    return types


def _read_header(path: Path) -> tuple[tuple[int, int], int]:
    """Return (width, height) as stored and the EXIF orientation. Raises PILLOW_ERRORS."""
    radiance = _radiance_size(path)
    if radiance:
        return radiance, 1
    enable_heif(path)
    with Image.open(path) as image:
        size = image.size
        if isinstance(image, TiffImageFile):  # Pillow applies the orientation to its size
            size = image.tag_v2[TIFF_WIDTH], image.tag_v2[TIFF_HEIGHT]
        if size[0] * size[1] > MAX_PIXELS:
            raise ImageTooLargeError(
                f"{path}: an image must have at most {MAX_PIXELS} pixels, "
                f"received {size[0]} x {size[1]}"
            )
        return size, read_exif(image).get(EXIF_ORIENTATION, 1)


def is_radiance(head: bytes) -> bool:
    """Return whether a file is a Radiance HDR image, which Pillow does not read.

    Args:
        head: the first bytes of the file, or more.

    Returns:
        True if it is.
    """
    return head.startswith(RADIANCE_STARTS)


def _radiance_size(path: Path) -> tuple[int, int] | None:
    """Return (width, height) of a Radiance HDR image, None for other files. Raises ValueError."""
    with open(path, "rb") as file:
        head = file.read(MAX_RADIANCE_HEADER if is_radiance(file.peek(16)) else 0)
    if not head:
        return None
    size = re.search(rb"\n-Y ([0-9]+) \+X ([0-9]+)\n", head)
    if not size:
        raise ValueError("a Radiance HDR image without its size")
    return int(size[2]), int(size[1])


def _jpeg_has_end(file: BinaryIO) -> bool:
    """Return whether an end marker follows the first scan, after an embedded thumbnail."""
    file.seek(0)
    data = file.read()
    return data.find(b"\xff\xd9", _first_scan(data)) >= 0


def _first_scan(jpeg: bytes) -> int:
    """Return where the first scan of a JPEG begins, after its headers and thumbnail."""
    position = 2
    while position + 4 <= len(jpeg) and jpeg[position] == 0xFF and jpeg[position + 1] != 0xDA:
        is_fill_byte = jpeg[position + 1] == 0xFF
        length = int.from_bytes(jpeg[position + 2 : position + 4], "big")
        position += 1 if is_fill_byte else 2 + length
    return position
