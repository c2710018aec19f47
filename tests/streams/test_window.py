"""Whether a window can be opened, before any work starts."""

import cv2
import pytest

from posenet.streams import window
from posenet.streams.window import Window, require_window
from tests.helpers.errors import refusal


def test_opencv_without_windows(monkeypatch):
    monkeypatch.setattr(cv2, "getBuildInformation", lambda: "  GUI:                  NONE\n")
    assert refusal(require_window) == (
        "--show requires OpenCV with windows, the package opencv-python-headless has none: write a "
        "video with --output instead"
    )


def test_no_display(monkeypatch):
    monkeypatch.setattr(window.sys, "platform", "linux")
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    assert refusal(require_window) == (
        "--show requires a display, DISPLAY is not set: write a video with --output instead"
    )


def test_a_display_that_does_not_answer(monkeypatch):
    monkeypatch.setenv("DISPLAY", ":987")
    monkeypatch.setattr(window, "PROBE", "raise SystemExit(1)")
    assert refusal(require_window) == (
        "--show requires a display, no window can be opened on this one: write a video with "
        "--output instead"
    )


@pytest.mark.parametrize(
    ("key", "visible", "goes_on"),
    [(-1, 1, True), (ord("q"), 1, False), (27, 1, False), (-1, 0, False)],
)
def test_keys_that_close_the_window(monkeypatch, key, visible, goes_on):
    shown = []
    monkeypatch.setattr(cv2, "namedWindow", lambda title: shown.append(title))
    monkeypatch.setattr(cv2, "imshow", lambda title, image: shown.append(image))
    monkeypatch.setattr(cv2, "waitKey", lambda _: key)
    monkeypatch.setattr(cv2, "getWindowProperty", lambda *_: visible)
    monkeypatch.setattr(cv2, "destroyWindow", lambda title: shown.append("closed"))
    opened = Window("title")
    assert opened.show(None) == goes_on
    opened.close()
    assert shown == ["title", "closed"]
