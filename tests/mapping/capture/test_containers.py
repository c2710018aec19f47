"""The structure of video files, from files put together by hand."""

import struct

import pytest

from posenet.mapping.capture.containers import find_video_issue


def box(kind, content=b"", length=None):
    """A box of an MP4 file."""
    return struct.pack(">I4s", 8 + len(content) if length is None else length, kind) + content


def chunk(kind, content):
    """A chunk of an AVI file, padded to an even length."""
    return struct.pack("<4sI", kind, len(content)) + content + b"\0" * (len(content) % 2)


def element(kind, content, *, unknown=False):
    """An element of a Matroska file; its size has four bytes, or one for an unknown size."""
    size = b"\xff" if unknown else struct.pack(">I", 0x10000000 | len(content))
    return bytes.fromhex(kind) + size + content


def damage(content, start, stop):
    """Fill a part of a file with zeros."""
    return content[:start] + bytes(stop - start) + content[stop:]


MP4 = box(b"ftyp", b"isom") + box(b"moov", bytes(20)) + box(b"mdat", b"frames" * 40)
LARGE_MP4 = box(b"ftyp") + box(b"mdat", struct.pack(">Q", 16 + 240) + b"frames" * 40, length=1)
OPEN_MP4 = box(b"ftyp") + box(b"mdat", b"frames" * 40, length=0)
QUICKTIME = box(b"wide") + box(b"mdat", bytes(50)) + box(b"\xa9xyz", b"+10+50/")

HEADER = chunk(b"LIST", b"hdrl" + bytes(30))
FRAMES = b"".join(chunk(b"00dc", b"f" * length) for length in (7, 8, 9, 100))
AVI = chunk(b"RIFF", b"AVI " + HEADER + chunk(b"LIST", b"movi" + FRAMES) + chunk(b"idx1", b"i" * 8))
LONG_AVI = AVI + chunk(b"RIFF", b"AVIX" + chunk(b"LIST", b"movi" + FRAMES))
UNFINISHED_AVI = struct.pack("<4sI", b"RIFF", 0) + AVI[8:]

EBML = element("1A45DFA3", b"webm")
BLOCKS = b"".join(element("A3", bytes([129, 0, row, 0]) + b"f" * 30) for row in range(5))
CLUSTER = element("1F43B675", element("E7", b"\0") + BLOCKS)
MATROSKA = EBML + element("18538067", element("1654AE6B", b"tracks") + CLUSTER + CLUSTER)
LIVE = EBML + element(
    "18538067", element("1F43B675", element("E7", b"\0") + BLOCKS, unknown=True), unknown=True
)

PACKETS = b"".join(b"\x47" + bytes([row]) * 187 for row in range(6))
CAMCORDER = b"".join(b"\0\0\0\0\x47" + bytes([row]) * 187 for row in range(6))


@pytest.mark.parametrize(
    "content",
    [MP4, LARGE_MP4, OPEN_MP4, QUICKTIME, AVI, LONG_AVI, UNFINISHED_AVI, MATROSKA, LIVE, PACKETS, CAMCORDER, MATROSKA + bytes(99), b"", b"text", b"RIFF0000WEBP"],
)  # fmt: skip
def test_intact_files_and_other_formats_have_no_issue(tmp_path, content):
    (tmp_path / "video").write_bytes(content)
    assert find_video_issue(tmp_path / "video") is None


@pytest.mark.parametrize("content", [MP4, LARGE_MP4, AVI, LONG_AVI, MATROSKA, LIVE])
@pytest.mark.parametrize("missing", [20, 60])
def test_files_that_end_early_are_cut_off(tmp_path, content, missing):
    (tmp_path / "video").write_bytes(content[:-missing])
    assert find_video_issue(tmp_path / "video") == "cut off"


@pytest.mark.parametrize(
    "content",
    [
        damage(MP4, 12, 30),  # the header of the second box
        box(b"ftyp") + box(b"moov") + box(b"mdat", b"f" * 9 + bytes(5000)),  # the end of the frames
        damage(AVI, AVI.index(b"00dc"), AVI.index(b"00dc") + 40),
        damage(MATROSKA, len(MATROSKA) - 60, len(MATROSKA) - 20),
        damage(LIVE, len(LIVE) - 60, len(LIVE) - 20),
        damage(PACKETS, 500, 600),
        damage(CAMCORDER, 500, 600),
    ],
    ids=["mp4", "end of mp4", "avi", "matroska", "live", "mpeg-ts", "camcorder"],
)
def test_zeros_in_the_structure_are_damage(tmp_path, content):
    (tmp_path / "video").write_bytes(content)
    assert find_video_issue(tmp_path / "video") == "damaged"
