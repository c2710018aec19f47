"""Frames of videos."""

import struct

import cv2
import numpy as np
import pytest

from posenet.errors import PoseNetError
from posenet.io.image_headers import image_size
from posenet.mapping.capture import frames as capture_frames
from posenet.mapping.capture.frames import (
    STEP,
    Measurements,
    choose_frames,
    extract_frames,
    median_flow,
)
from tests.helpers.errors import refusal
from tests.helpers.images import texture


def write_video(path, shifts, blurred=(), codec="MJPG"):
    """Write a video, 320 x 240, of a crop that moves over a texture; some frames are blurred."""
    wide = texture()
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*codec), 30, (320, 240))
    for row, shift in enumerate(shifts):
        view = wide[:, shift : shift + 320]
        writer.write(cv2.GaussianBlur(view, (0, 0), 4) if row in blurred else view)
    writer.release()
    return path


def test_sharpest_frame_of_each_section():
    # Sections: rows 0 to 2 (0 to 0.8 steps) and 3 to 5 (1.2 to 2 steps).
    flow = np.array([0, 0.4, 0.4, 0.4, 0.4, 0.4]) * STEP
    sharpness = np.array([1, 5, 2, 1, 9, 3.0])
    np.testing.assert_array_equal(choose_frames(sharpness, flow, 100)[:2], [1, 4])


def test_number_of_frames_is_limited():
    chosen = choose_frames(np.ones(1000), np.full(1000, STEP), 40)
    assert len(chosen) == 40
    assert np.diff(chosen).max() <= 26
    assert len(choose_frames(np.zeros(0), np.zeros(0), 5)) == 0


def test_static_video_has_one_frame():
    assert len(choose_frames(np.arange(50.0), np.zeros(50), 10)) == 1


def test_flow_is_in_image_widths():
    wide = cv2.cvtColor(texture(), cv2.COLOR_BGR2GRAY)
    assert median_flow(wide[:, :320], wide[:, 8:328]) == pytest.approx(8 / 320, rel=0.05)
    assert median_flow(np.zeros((240, 320), np.uint8), wide[:, :320]) == 0.0
    assert median_flow(wide[:200, :320], wide[:, :320]) == STEP  # the size of the video changes


def test_video_frames_are_well_spaced_and_sharp(tmp_path):
    shifts = [4 * row for row in range(100)]
    video = write_video(tmp_path / "walk.avi", shifts, blurred=range(0, 100, 2))
    (tmp_path / "out").mkdir()
    names = extract_frames(video, tmp_path / "out", 250)
    rows = [int(name[5:11]) for name in names]
    assert all(row % 2 for row in rows)  # every even frame is blurred
    gaps = np.diff(rows) * 4 / 320
    assert 0.5 * STEP < np.median(gaps) < 1.6 * STEP
    assert image_size(tmp_path / "out" / names[0]) == (320, 240)
    assert extract_frames(video, tmp_path / "out", 250) == names


def test_other_file_raises_error(tmp_path):
    (tmp_path / "text.mp4").write_text("no video")
    with pytest.raises(PoseNetError, match=r"text.mp4 must be a video that OpenCV can read"):
        extract_frames(tmp_path / "text.mp4", tmp_path / "out", 5)


# File suffix and codec of videos that OpenCV writes.
VIDEOS = {".mp4": "mp4v", ".mov": "mp4v", ".avi": "XVID", ".mkv": "VP80", ".webm": "VP80"}


def count_frames(path):
    """Count the frames that OpenCV decodes, over those that it does not."""
    video = cv2.VideoCapture(str(path))
    return sum(video.read()[0] for _ in range(200))


@pytest.fixture
def walk(tmp_path, request):
    """A video of 60 frames and a folder for its frames."""
    (tmp_path / "out").mkdir()
    shifts = [4 * row for row in range(60)]
    return write_video(tmp_path / f"walk{request.param}", shifts, codec=VIDEOS[request.param])


@pytest.mark.parametrize("walk", VIDEOS, indirect=True)
def test_intact_videos_have_no_warning(walk, caplog):
    assert (
        len(extract_frames(walk, walk.parent / "out", 250)) == 13
    )  # 59 * 4 px in steps of 19.2 px
    assert caplog.messages == []


@pytest.mark.parametrize("walk", VIDEOS, indirect=True)
def test_damaged_frames_are_skipped_and_counted(walk, caplog):
    content = walk.read_bytes()
    middle = len(content) // 2
    length = len(content) // 8
    walk.write_bytes(content[:middle] + bytes(length) + content[middle + length :])
    read = count_frames(walk)
    assert 30 < read < 60
    names = extract_frames(walk, walk.parent / "out", 250)
    # Some are after the damage.
    assert sorted(path.name for path in (walk.parent / "out").iterdir()) == names
    assert len(names) >= 8
    about = "" if VIDEOS[walk.suffix] == "mp4v" else "about "
    assert caplog.messages == [
        f"{walk}: the file is damaged, {read} of {about}60 frames could be read"
    ]
    # A second pass finds the same frames under the same names.
    caplog.clear()
    assert extract_frames(walk, walk.parent / "out", 250) == names


@pytest.mark.parametrize("walk", [".avi", ".mkv", ".webm"], indirect=True)
def test_frames_before_the_end_of_a_cut_off_video_are_used(walk, caplog):
    content = walk.read_bytes()
    walk.write_bytes(content[: len(content) * 3 // 4])
    read = count_frames(walk)
    assert 20 < read < 60
    names = extract_frames(walk, walk.parent / "out", 250)
    assert len(names) >= 4
    assert caplog.messages == [
        f"{walk}: the file is cut off, {read} of about 60 frames could be read"
    ]


@pytest.mark.parametrize("walk", [".mp4", ".mov"], indirect=True)
def test_a_cut_off_video_that_cannot_be_opened_raises_error(walk):
    walk.write_bytes(walk.read_bytes()[:9000])
    line = refusal(extract_frames, walk, walk.parent / "out", 250)
    assert line == f"{walk} must be a video that OpenCV can read, the file is cut off"


@pytest.mark.parametrize("walk", [".avi"], indirect=True)
def test_an_estimated_number_of_frames_is_no_warning(walk, caplog):
    content = bytearray(walk.read_bytes())
    for field, offset in ((b"avih", 24), (b"strh", 40)):  # dwTotalFrames and dwLength
        start = content.index(field) + offset
        assert content[start : start + 4] == (60).to_bytes(4, "little")
        content[start : start + 4] = (100).to_bytes(4, "little")
    walk.write_bytes(content)
    assert cv2.VideoCapture(str(walk)).get(cv2.CAP_PROP_FRAME_COUNT) == 100
    assert len(extract_frames(walk, walk.parent / "out", 250)) == 13
    assert caplog.messages == []


@pytest.mark.parametrize("walk", [".mp4"], indirect=True)
def test_frames_are_rotated_as_the_video_says(walk):
    content = bytearray(walk.read_bytes())
    # The matrix of a track, 3 x 3: numbers with 16 bits after the point, 30 in the last column.
    matrix = content.index(b"tkhd") + 44
    unit = (0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)
    assert struct.unpack_from(">9i", content, matrix) == unit
    struct.pack_into(">9i", content, matrix, 0, 0x10000, 0, -0x10000, 0, 0, 0, 0, 0x40000000)
    walk.write_bytes(content)
    names = extract_frames(walk, walk.parent / "out", 250)
    assert image_size(walk.parent / "out" / names[0]) == (240, 320)


@pytest.mark.parametrize("walk", [".webm"], indirect=True)
def test_a_video_without_a_readable_frame_raises_error(walk, monkeypatch):
    monkeypatch.setattr("posenet.mapping.capture.videos._decode", lambda *_: iter(()))
    line = refusal(extract_frames, walk, walk.parent / "out", 250)
    assert line == (f"{walk} must be a video, none of its frames can be read, its codec is VP80")


def test_warning_about_frames_too_far_apart(tmp_path, monkeypatch, caplog):
    for row in range(8):
        (tmp_path / f"frame{row:06d}.jpg").write_bytes(b"there already")
    # 27 frames of 4 image widths are 0.15 apart.
    message = "which may be too far: use --max-frames 27"
    for flow, warned in ((0.5, True), (0.1, False)):
        monkeypatch.setattr(
            capture_frames,
            "_measure",
            lambda _, flow=flow: Measurements(np.arange(8), np.ones(8), np.full(8, flow)),
        )
        assert len(extract_frames(tmp_path / "long.mp4", tmp_path, 4)) <= 5
        assert (message in caplog.text) == warned
        caplog.clear()


def test_unwritable_frames_raise_error(tmp_path, monkeypatch):
    write_video(tmp_path / "walk.avi", [0, 60, 120])
    (tmp_path / "out").mkdir()
    monkeypatch.setattr(cv2, "imwrite", lambda *_: False)
    line = refusal(extract_frames, tmp_path / "walk.avi", tmp_path / "out", 10)
    assert line.endswith("cannot be written: the disk may be full")
    assert list((tmp_path / "out").iterdir()) == []
