"""What an argument means: a video, a camera, a URL, or no stream."""

import socket

import numpy as np
import pytest

from posenet.streams import source as sources
from posenet.streams.source import StreamSource, find_source, frame_rate
from tests.helpers.errors import refusal
from tests.helpers.images import write_image


class Rate:
    def __init__(self, fps):
        self.fps = fps

    def get(self, _):
        return self.fps


@pytest.mark.parametrize(
    ("argument", "kind"),
    [
        ("walk.mp4", "file"),
        ("a/WALK.MOV", "file"),
        ("0", "camera"),
        ("12", "camera"),
        ("rtsp://10.0.0.3:554/live", "url"),
        ("http://host/video.mjpg", "url"),
        ("https://host/a.mp4", "url"),
        ("photo.jpg", None),
        ("photos", None),
        ("-1", None),
    ],
)
def test_kind_of_an_argument(argument, kind):
    found = find_source(argument)
    assert (found.kind if found else None) == kind
    assert found is None or found.name == argument  # both slashes of a URL are kept


def test_what_exists_under_a_number_is_not_a_camera(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "7").mkdir()
    (tmp_path / "folder.mp4").mkdir()
    assert find_source("7") is None
    assert find_source("folder.mp4") is None
    assert find_source("8").is_live


def test_messages_do_not_contain_the_password():
    source = find_source("rtsp://user:secret@10.0.0.3/live")
    assert str(source) == source.title == "rtsp://10.0.0.3/live"
    assert str(find_source("3")) == "camera 3"
    assert find_source("a/b.mp4").title == "b.mp4"


def test_wrong_files(tmp_path):
    def message(name, content=None):
        path = tmp_path / name
        if content is not None:
            path.write_bytes(content)
        return refusal(StreamSource(str(path), "file").open).replace(str(tmp_path), "F")

    assert message("none.mp4") == "video not found: F/none.mp4"
    assert (
        message("empty.mp4", b"")
        == "F/empty.mp4 must be a video that OpenCV can read, the file is empty"
    )
    assert message("text.mp4", b"words\n" * 99) == "F/text.mp4 must be a video that OpenCV can read"
    write_image(tmp_path / "photo.png")
    (tmp_path / "photo.png").rename(tmp_path / "photo.mp4")
    assert message("photo.mp4") == "F/photo.mp4 must be a video, it is an image"


def test_a_camera_that_does_not_exist():
    assert refusal(StreamSource("987", "camera").open) == (
        "camera 987 cannot be opened: a camera of this number must exist and be free"
    )


def test_a_stream_that_does_not_answer_in_time(monkeypatch):
    monkeypatch.setattr(sources, "TIMEOUT_MS", 1000)
    with socket.create_server(("127.0.0.1", 0)) as server:  # accepts, and never answers
        port = server.getsockname()[1]
        message = refusal(StreamSource(f"rtsp://127.0.0.1:{port}/live", "url").open)
    assert message == (
        f"rtsp://127.0.0.1:{port}/live cannot be opened: a stream must answer within 1 s and be "
        "readable by FFmpeg"
    )


@pytest.mark.parametrize(
    ("stated", "fps"), [(25.0, 25.0), (0.0, 30.0), (np.nan, 30.0), (-1.0, 30.0), (90000.0, 30.0)]
)
def test_implausible_frame_rates_are_replaced(stated, fps):
    assert frame_rate(Rate(stated)) == fps
