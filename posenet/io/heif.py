"""HEIC photos, as iPhones take them: recognized here, decoded by the optional package pi-heif.

The decoder applies the rotation that the container states, and resets the EXIF orientation, which
has no meaning in this format.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from typing import BinaryIO, NamedTuple

from posenet.environment import import_extra

HEIF_SUFFIXES = (".heic", ".heif", ".hif")
# Brands of ISO/IEC 23008-12 whose images are HEVC. AVIF images have brands of their own.
BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs")
GENERIC_BRANDS = (b"mif1", b"msf1")
AVIF_BRANDS = (b"avif", b"avis")
# Bytes at the start of a file that contain its brands.
HEAD_BYTES = 64
# Boxes at the top of a file that must not reach beyond its end (ISO/IEC 14496-12).
TOP_BOXES = (b"ftyp", b"meta", b"mdat", b"moov", b"free", b"skip", b"uuid")
# Most boxes at the top of a file that are looked at.
MAX_BOXES = 1000
# Zero bytes in a row that a damaged file has: a block of a disk.
MANY_ZEROS = 4096
# What the decoder raises for damaged files beside Pillow's own errors.
DECODER_ERRORS = (EOFError, RuntimeError)


class _Box(NamedTuple):
    """A box of a file.

    Attributes:
        kind: its four-byte type.
        start: position of its header in the file.
        end: position after it.
    """

    kind: bytes
    start: int
    end: int


def is_heif(head: bytes) -> bool:
    """Return whether a file is a HEIC image.

    Args:
        head: the first 64 bytes of the file, or more.

    Returns:
        True if it is.
    """
    if head[4:8] != b"ftyp":
        return False
    size = min(int.from_bytes(head[:4], "big"), HEAD_BYTES)
    brands = [head[8:12], *(head[start : start + 4] for start in range(16, size, 4))]
    if brands[0] in GENERIC_BRANDS:
        return not any(brand in AVIF_BRANDS for brand in brands)
    return brands[0] in BRANDS


def enable_heif(path: Path) -> bool:
    """Let Pillow open a file if it is a HEIC image.

    Args:
        path: the file.

    Returns:
        Whether it is a HEIC image.

    Raises:
        OSError: the file cannot be read.
        MissingExtraError: it is a HEIC image, and the decoder is not installed.
    """
    with open(path, "rb") as file:
        found = is_heif(file.read(HEAD_BYTES))
    if found:
        register_decoder()
    return found


@lru_cache(maxsize=1)
def register_decoder() -> None:
    """Register the decoder in Pillow.

    Raises:
        MissingExtraError: it is not installed.
    """
    decoder = import_extra("pi_heif", "heic", "a HEIC image")
    decoder.register_heif_opener(thumbnails=False, depth_images=False, aux_images=False)


def has_all_boxes(file: BinaryIO) -> bool:
    """Return whether all boxes at the top of a HEIC file end inside it.

    Args:
        file: the open file.

    Returns:
        False if the file is truncated.
    """
    size = file.seek(0, 2)
    return all(box.end <= size for box in _top_boxes(file))


def has_zeros_in_pixels(content: bytes) -> bool:
    """Return whether a part of the compressed pixels is filled with zeros.

    HEVC never has more than two zero bytes in a row (Rec. ITU-T H.265, 7.4.2). Only many are found,
    since EXIF data may be beside the pixels.

    Args:
        content: the bytes of a HEIC file.

    Returns:
        True if the image is damaged.
    """
    boxes = [box for box in _top_boxes(BytesIO(content)) if box.kind == b"mdat"]
    return any(content.find(bytes(MANY_ZEROS), box.start, box.end) >= 0 for box in boxes)


def _top_boxes(file: BinaryIO) -> Iterator[_Box]:
    """Yield the boxes at the top of a file, up to what programs append after the last one."""
    file_size = file.seek(0, 2)
    start = 0
    for _ in range(MAX_BOXES):
        file.seek(start)
        header = file.read(16)
        if header[4:8] not in TOP_BOXES:
            return
        size = int.from_bytes(header[:4], "big")
        if size == 1:
            size = int.from_bytes(header[8:], "big")
        end = start + size if size else file_size
        yield _Box(header[4:8], start, end)
        if end < start + 8:
            return
        start = end
