"""Whether the file of a video is complete, from the structure of its container.

Number of frames and duration in the headers are estimates in most formats, also of intact videos.
The elements of which a file consists are not: they follow one another without gaps.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import numpy as np

CUT_OFF = "cut off"
DAMAGED = "damaged"

# First box types of the ISO base media file format (MP4) and QuickTime.
ISO_BOXES = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot")
# EBML element IDs of Matroska (RFC 8794 and 9559).
EBML = b"\x1a\x45\xdf\xa3"
SEGMENT = b"\x18\x53\x80\x67"
CLUSTER = b"\x1f\x43\xb6\x75"
# Longest ID and size of an EBML element in bytes.
EBML_ID_BYTES = 4
EBML_SIZE_BYTES = 8
# Sizes that RIFF chunks have if the recording was not finished.
UNKNOWN_SIZES = (0, 0xFFFFFFFF)
# MPEG transport stream: first byte of a packet; packet size and what precedes a packet, in bytes.
SYNC_BYTE = 0x47
PACKETS = ((188, 0), (192, 4))
# Bytes at the end of an MP4's media data that are not all zero in an intact file.
TAIL_BYTES = 4096


def find_video_issue(path: Path) -> str | None:
    """Check whether the file of a video is complete, without decoding it.

    Args:
        path: the file.

    Returns:
        "cut off", "damaged", or None if nothing was found or the format is another.
    """
    size = path.stat().st_size
    with open(path, "rb") as file:
        check = _check_of(file.read(3 * max(PACKETS)[0]))
        return check(file, size) if check else None


def _check_of(head: bytes) -> Callable[[BinaryIO, int], str | None] | None:
    """Return the function that checks the format of a file, by its first bytes."""
    if head[4:8] in ISO_BOXES:
        return _check_iso
    if head[:4] == b"RIFF" and head[8:12] == b"AVI ":
        return _check_avi
    if head[:4] == EBML:
        return _check_matroska
    return _check_transport_stream if _packet_layout(head) else None


def _check_iso(file: BinaryIO, size: int) -> str | None:
    """Follow the boxes of an MP4 or QuickTime file."""
    position = 0
    kind = b""
    while position + 8 <= size:
        file.seek(position)
        length, kind = struct.unpack(">I4s", file.read(8))
        header = 8
        if length == 1:  # the size is a 64-bit number behind the type
            length = int.from_bytes(file.read(8), "big")
            header = 16
        elif length == 0:  # the last box
            length = size - position
        if length < header or not _is_printable(kind):
            return DAMAGED
        position += length
    if position > size:
        return CUT_OFF
    file.seek(max(0, size - TAIL_BYTES))
    return DAMAGED if kind == b"mdat" and not any(file.read()) else None


def _check_avi(file: BinaryIO, size: int) -> str | None:
    """Follow the chunks of an AVI file, into the list of frames."""
    position = 0
    while position + 8 <= size:
        file.seek(position)
        kind, length = struct.unpack("<4sI", file.read(8))
        if not _is_printable(kind):
            return DAMAGED
        is_entered = kind == b"RIFF" or (kind == b"LIST" and file.read(4) in (b"movi", b"rec "))
        if is_entered and length in UNKNOWN_SIZES:
            return None
        if position + 8 + length > size:
            return CUT_OFF
        position += 12 if is_entered else 8 + length + length % 2
    return None


def _check_matroska(file: BinaryIO, size: int) -> str | None:
    """Follow the elements of a Matroska or WebM file, into the clusters of frames."""
    position = 0
    while position < size:
        file.seek(position)
        kind = _read_vint(file, EBML_ID_BYTES)
        length = _read_vint(file, EBML_SIZE_BYTES)
        if not kind or not length:
            return DAMAGED
        value = int.from_bytes(length, "big") & ((1 << 7 * len(length)) - 1)
        is_unknown = value == (1 << 7 * len(length)) - 1  # written by a live stream
        position += len(kind) + len(length)
        if kind in (SEGMENT, CLUSTER):
            if not is_unknown and position + value > size:
                return CUT_OFF
            if kind == SEGMENT and not is_unknown:
                size = position + value
        elif is_unknown:
            return DAMAGED
        else:
            position += value
    return CUT_OFF if position > size else None


def _read_vint(file: BinaryIO, longest: int) -> bytes:
    """Read an EBML number, whose first bit that is set gives its length; empty if invalid."""
    first = file.read(1)
    length = 9 - first[0].bit_length() if first else 0
    rest = file.read(length - 1) if 0 < length <= longest else b""
    return first + rest if len(rest) == length - 1 else b""


def _check_transport_stream(file: BinaryIO, size: int) -> str | None:
    """Check the first byte of each packet of an MPEG transport stream."""
    file.seek(0)
    packet, offset = _packet_layout(file.read(3 * max(PACKETS)[0])) or PACKETS[0]
    starts = np.memmap(file, np.uint8, "r")[offset::packet]
    return DAMAGED if (starts != SYNC_BYTE).any() else None


def _packet_layout(head: bytes) -> tuple[int, int] | None:
    """Return packet size and offset of the first packet, if a file is a transport stream."""
    for packet, offset in PACKETS:
        starts = head[offset::packet]
        if len(starts) >= 3 and set(starts[:3]) == {SYNC_BYTE}:
            return packet, offset
    return None


def _is_printable(kind: bytes) -> bool:
    """Return whether four bytes can be the type of a box or chunk; QuickTime has a (c) in some."""
    return all(0x20 <= byte < 0x7F or byte == 0xA9 for byte in kind)
