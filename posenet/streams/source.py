"""What a stream is read from: a video file, a camera or a URL, opened by OpenCV."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np

from posenet.errors import PoseNetError
from posenet.io.image_headers import VIDEO_SUFFIXES, image_size
from posenet.mapping.capture.videos import why_unreadable

# Schemes of network streams that OpenCV's FFmpeg reads.
URL = re.compile(r"(rtsps?|rtmp|https?|udp)://", re.IGNORECASE)
# Milliseconds that a network stream may take to open, and between two of its images.
TIMEOUT_MS = 8000
# Frame rate of sources that do not state a plausible one.
DEFAULT_FPS = 30.0
MAX_FPS = 1000.0


class Capture(Protocol):
    """The part of cv2.VideoCapture that streams use."""

    def read(self) -> tuple[bool, np.ndarray | None]:
        """Read the next image.

        Returns:
            Whether an image could be read, and its BGR values.
        """

    def get(self, property_id: int) -> float:
        """Return a property of the source.

        Args:
            property_id: one of OpenCV's constants CAP_PROP_*.

        Returns:
            Its value, 0 if it is unknown.
        """

    def release(self) -> None:
        """Close the source."""


@dataclass(frozen=True)
class StreamSource:
    """A video file, camera or network stream.

    Attributes:
        name: what the user gave: the path, the number of the camera, or the URL.
        kind: "file", "camera" or "url".
    """

    name: str
    kind: str

    @property
    def is_live(self) -> bool:
        """Whether images are lost if they are not read in time."""
        return self.kind != "file"

    @property
    def title(self) -> str:
        """The source in a few words, to be shown in a video."""
        return Path(self.name).name if self.kind == "file" else str(self)

    def __str__(self) -> str:
        """Return the source for a message, without the password of a URL."""
        if self.kind == "camera":
            return f"camera {self.name}"
        return re.sub(r"(://)[^/@]*@", r"\1", self.name)

    def open(self) -> Capture:
        """Open the source.

        Returns:
            The opened capture.

        Raises:
            PoseNetError: the source cannot be opened.
        """
        if self.kind == "file":
            return _open_file(Path(self.name))
        if self.kind == "camera":
            capture = cv2.VideoCapture(int(self.name))
            hint = "a camera of this number must exist and be free"
        else:
            timeouts = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, TIMEOUT_MS]
            timeouts += [cv2.CAP_PROP_READ_TIMEOUT_MSEC, TIMEOUT_MS]
            capture = cv2.VideoCapture(self.name, cv2.CAP_FFMPEG, timeouts)
            hint = f"a stream must answer within {TIMEOUT_MS // 1000} s and be readable by FFmpeg"
        if not capture.isOpened():
            capture.release()
            raise PoseNetError(f"{self} cannot be opened: {hint}")
        return capture


def find_source(name: str) -> StreamSource | None:
    """Return the stream that an argument means.

    Args:
        name: a path, a number or a URL.

    Returns:
        The source. None for images and folders: what exists under a number is not a camera.
    """
    if URL.match(name):
        return StreamSource(name, "url")
    path = Path(name)
    if name.isdecimal() and not path.exists():
        return StreamSource(name, "camera")
    if path.suffix.lower() in VIDEO_SUFFIXES and not path.is_dir():
        return StreamSource(name, "file")
    return None


def frame_rate(capture: Capture) -> float:
    """Return the frame rate of a source.

    Args:
        capture: the opened source.

    Returns:
        Images per second; 30 if the source does not state it.
    """
    fps = float(capture.get(cv2.CAP_PROP_FPS))
    return fps if 0 < fps <= MAX_FPS else DEFAULT_FPS


def _open_file(path: Path) -> Capture:
    """Open a video file. Raises PoseNetError."""
    if not path.is_file():
        raise PoseNetError(f"video not found: {path}")
    if path.stat().st_size == 0:
        raise PoseNetError(f"{path} must be a video that OpenCV can read, the file is empty")
    if _is_image(path):
        raise PoseNetError(f"{path} must be a video, it is an image")
    capture = cv2.VideoCapture(str(path))
    if not capture.isOpened():
        capture.release()
        raise PoseNetError(f"{path} must be a video that OpenCV can read{why_unreadable(path)}")
    return capture


def _is_image(path: Path) -> bool:
    """Return whether the header of a file is that of an image."""
    try:
        image_size(path)
    except PoseNetError:
        return False
    return True
