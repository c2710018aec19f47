"""Reading streams in a thread."""

import time

import cv2
import numpy as np
import pytest

from posenet.errors import PoseNetError
from posenet.streams import reader as readers
from posenet.streams.reader import FrameReader
from posenet.streams.source import StreamSource
from tests.helpers.errors import refusal


class FakeCapture:
    """Stands in for cv2.VideoCapture: gray images of value 0, 1, ..., None where reading fails."""

    def __init__(self, images, delay=0.0, count=0):
        self.images = list(images)
        self.delay, self.count = delay, count
        self.released = False

    def read(self):
        time.sleep(self.delay)
        value = self.images.pop(0) if self.images else None
        if value is None:
            return False, None
        return True, np.full((4, 6, 3), value, np.uint8)

    def get(self, property_id):
        return {cv2.CAP_PROP_FPS: 25.0, cv2.CAP_PROP_FRAME_COUNT: self.count}.get(property_id, 0.0)

    def release(self):
        self.released = True


@pytest.fixture
def live(monkeypatch):
    """Return a function that opens a live stream, whose captures are the given ones in turns."""
    monkeypatch.setattr(readers, "RETRY_SECONDS", 0.01)

    def make(*captures):
        waiting = list(captures)

        def open_next(_):
            found = waiting.pop(0) if waiting else None
            if found is None:
                raise PoseNetError("cannot be opened")
            return found

        monkeypatch.setattr(StreamSource, "open", open_next)
        return FrameReader(StreamSource("rtsp://host/live", "url"))

    return make


def write_video(path, count, size=(64, 48), fps=20):
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), fps, size)
    for number in range(count):
        writer.write(np.full((size[1], size[0], 3), 10 * number % 250, np.uint8))
    writer.release()
    return str(path)


def test_every_frame_of_a_file_in_order(tmp_path):
    path = write_video(tmp_path / "a.avi", 12)
    with FrameReader(StreamSource(path, "file")) as reader:
        frames = []
        for frame in reader:
            time.sleep(0.01)  # slower than reading
            frames.append(frame)
    assert [frame.number for frame in frames] == list(range(12))
    np.testing.assert_allclose([frame.seconds for frame in frames], np.arange(12) / 20, atol=1e-6)
    assert np.abs([frame.image.mean() - 10 * frame.number for frame in frames]).max() < 2
    assert (reader.fps, reader.drops, reader.num_dropped) == (20, False, 0)


def test_images_are_rgb(tmp_path):
    writer = cv2.VideoWriter(str(tmp_path / "a.avi"), cv2.VideoWriter.fourcc(*"MJPG"), 5, (64, 48))
    writer.write(np.full((48, 64, 3), [0, 0, 200], np.uint8))  # red in BGR
    writer.release()
    with FrameReader(StreamSource(str(tmp_path / "a.avi"), "file")) as reader:
        [frame] = reader
    red, _, blue = frame.image.mean(axis=(0, 1))
    assert red > 190
    assert blue < 10


def test_a_file_in_real_time_drops_frames(tmp_path):
    path = write_video(tmp_path / "a.avi", 20)  # one second
    started = time.monotonic()
    with FrameReader(StreamSource(path, "file"), realtime=True) as reader:
        numbers = []
        for frame in reader:
            numbers.append(frame.number)
            time.sleep(0.2)
    assert time.monotonic() - started > 0.9
    assert len(numbers) + reader.num_dropped == 20
    assert reader.num_dropped > 8
    assert numbers[-1] == 19


def test_a_damaged_video_is_read_as_far_as_possible(tmp_path, caplog):
    path = tmp_path / "a.avi"
    write_video(path, 40)
    content = path.read_bytes()
    path.write_bytes(content[: int(0.7 * len(content))])
    with FrameReader(StreamSource(str(path), "file")) as reader:
        numbers = [frame.number for frame in reader]
    assert 10 < len(numbers) < 40
    assert "could be read" in caplog.text


def test_the_newest_image_of_a_live_stream_wins(live):
    capture = FakeCapture(range(10))
    with live(capture) as reader:
        time.sleep(0.1)  # all ten are read meanwhile
        frame = next(iter(reader))
    assert frame.number == 9
    assert frame.image[0, 0, 0] == 9
    assert reader.num_dropped == 9


def test_a_broken_stream_comes_back(live):
    first = FakeCapture([0, 1], delay=0.02)
    second = FakeCapture([2, 3], delay=0.02)
    taken = []
    with live(first, None, second) as reader, pytest.raises(PoseNetError):
        taken.extend((frame.number, int(frame.image[0, 0, 0])) for frame in reader)
    assert taken == [(0, 0), (1, 1), (2, 2), (3, 3)]
    assert first.released


def test_a_stream_that_stays_broken_is_an_error(live):
    with live(FakeCapture([0], delay=0.02)) as reader:
        message = refusal(list, reader)
    assert message == (
        "rtsp://host/live broke off after 1 image and did not come back in 3 attempts"
    )


def test_a_video_on_a_server_is_read_once(live):
    with live(FakeCapture([0, 1], delay=0.02, count=2), FakeCapture([0, 1])) as reader:
        assert [frame.number for frame in reader] == [0, 1]


def test_a_file_without_frames_is_an_error(monkeypatch, tmp_path):
    path = tmp_path / "a.avi"
    path.write_bytes(b"no frames")
    monkeypatch.setattr(StreamSource, "open", lambda _: FakeCapture([]))
    monkeypatch.setattr(readers, "MAX_FAILED", 5)
    with FrameReader(StreamSource(str(path), "file")) as reader:
        message = refusal(list, reader)
    assert message == f"{path} must be a video, none of its frames can be read"
