"""MP4 files: number of frames, times, names."""

import cv2
import numpy as np
import pytest

from posenet.streams.video_file import VideoFile, check_video_path, output_rate
from tests.helpers.errors import refusal

SIZE = (64, 48)
FRAME = np.full((48, 64, 3), 90, np.uint8)


def read_back(path):
    video = cv2.VideoCapture(str(path))
    frames = []
    while True:
        good, frame = video.read()
        if not good:
            return frames
        frames.append(frame)


@pytest.mark.parametrize(
    ("fps", "expected"),
    [(10, 10), (5, 5), (30, 10), (25, 25 / 3), (12, 6), (29.97, 9.99), (60, 10)],
)
def test_rate_of_the_file(fps, expected):
    assert output_rate(fps) == pytest.approx(expected)


def test_frames_can_be_read_back(tmp_path):
    path = tmp_path / "a.mp4"
    with VideoFile(path, 10, SIZE) as video:
        for number in range(7):
            video.write(np.full((48, 64, 3), [30 * number, 0, 0], np.uint8), number / 10)
    assert video.codec in ("H.264", "MPEG-4 Part 2")
    frames = read_back(path)
    assert len(frames) == video.num_frames == 7
    # OpenCV reads BGR: the last one is red of value 180.
    np.testing.assert_allclose(frames[6].mean(axis=(0, 1)), [0, 0, 180], atol=12)
    assert [each.name for each in tmp_path.iterdir()] == ["a.mp4"]


def test_only_frames_that_are_needed_are_written(tmp_path):
    with VideoFile(tmp_path / "a.mp4", 10, SIZE) as video:
        written = []
        for number in range(30):  # one second at 30 frames per second
            if video.takes(number / 30):
                video.write(FRAME, number / 30)
                written.append(number)
    assert written == list(range(0, 30, 3))
    assert video.num_frames == 10


def test_a_frame_is_repeated_over_a_gap(tmp_path):
    with VideoFile(tmp_path / "a.mp4", 10, SIZE) as video:
        video.write(FRAME, 0.0)
        video.write(FRAME, 0.52)  # for 0.1 to 0.5 s
    assert len(read_back(tmp_path / "a.mp4")) == 6


def test_an_interrupted_file_is_whole(tmp_path):
    path = tmp_path / "a.mp4"
    video = VideoFile(path, 10, SIZE)
    video.write(FRAME, 0.0)
    assert not path.exists()
    video.__exit__(KeyboardInterrupt)
    assert len(read_back(path)) == 1


def test_a_file_without_frames_is_not_kept(tmp_path):
    (tmp_path / "a.mp4").write_bytes(b"from before")
    with VideoFile(tmp_path / "a.mp4", 10, SIZE):
        pass
    assert (tmp_path / "a.mp4").read_bytes() == b"from before"
    assert len(list(tmp_path.iterdir())) == 1


def test_wrong_paths(tmp_path):
    def message(name):
        return refusal(check_video_path, tmp_path / name).replace(str(tmp_path), "F")

    (tmp_path / "b.mp4").mkdir()
    assert message("a.avi") == "a video must be written to a file *.mp4, received F/a.avi"
    assert message("none/a.mp4") == "F/none/a.mp4 cannot be written: folder not found: F/none"
    assert message("b.mp4") == "F/b.mp4 cannot be written: it is a folder"


def test_without_a_codec(tmp_path, monkeypatch):
    monkeypatch.setattr("posenet.streams.video_file.CODECS", {"zzzz": "none"})
    assert refusal(VideoFile, tmp_path / "a.mp4", 10, SIZE) == (
        f"{tmp_path}/a.mp4 cannot be written: OpenCV can encode neither H.264 nor MPEG-4"
    )
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_cannot_be_renamed(tmp_path):
    video = VideoFile(tmp_path / "a.mp4", 10, SIZE)
    video.write(FRAME, 0.0)
    (tmp_path / "a.mp4").mkdir()
    assert refusal(video.__exit__).startswith(f"{tmp_path}/a.mp4 cannot be written: ")
    assert len(list(tmp_path.iterdir())) == 1


def test_an_existing_file_is_kept_unless_it_may_be_replaced(tmp_path):
    path = tmp_path / "a.mp4"
    path.write_bytes(b"from before")
    line = refusal(lambda: check_video_path(path, overwrite=False))
    assert line == f"output file already exists: {path} (use --overwrite to replace it)"
    check_video_path(path)


def test_a_full_disk_leaves_no_broken_file(tmp_path, monkeypatch):
    path = tmp_path / "a.mp4"
    path.write_bytes(b"from before")
    video = VideoFile(path, 10, SIZE)
    for row in range(5):
        video.write(FRAME, row / 10)
    release = video._writer.release

    class FullDisk:
        def release(self):
            release()
            whole = video._temporary.read_bytes()
            video._temporary.write_bytes(whole[: len(whole) // 2])

    monkeypatch.setattr(video, "_writer", FullDisk())
    line = refusal(lambda: video.__exit__(None))
    assert line == f"{path} cannot be written: the disk may be full"
    assert path.read_bytes() == b"from before"
    assert len(list(tmp_path.iterdir())) == 1
