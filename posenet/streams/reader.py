"""Read the images of a stream in a thread: every image of a file, the newest of a live stream."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from posenet.errors import PoseNetError, count
from posenet.mapping.capture.videos import MAX_FAILED, warn_about_missing, why_unreadable
from posenet.streams.handover import Handover
from posenet.streams.source import Capture, StreamSource, frame_rate

log = logging.getLogger("posenet")

# Attempts to open a live stream again after it broke, and the seconds before each.
RETRIES = 3
RETRY_SECONDS = 1.0
# Images of a file that are decoded ahead.
AHEAD = 4


class StreamFrame(NamedTuple):
    """An image of a stream.

    Attributes:
        number: its number, counted from 0 with those that were dropped or could not be decoded.
        seconds: its time since the start of the stream.
        image: RGB values, shape (h, w, 3), uint8.
    """

    number: int
    seconds: float
    image: np.ndarray


class FrameReader:
    """Reads a stream in a thread of its own; iterate over it once, within a `with` block.

    Attributes:
        source: the stream.
        fps: its frame rate, images per second.
        drops: whether the newest image replaces one that has not been taken yet.
    """

    def __init__(self, source: StreamSource, *, realtime: bool = False) -> None:
        """Open the stream.

        Args:
            source: the stream.
            realtime: read a file at its own speed and drop images, as of a live stream.

        Raises:
            PoseNetError: it cannot be opened.
        """
        self.source = source
        self.drops = source.is_live or realtime
        self._capture = source.open()
        self.fps = frame_rate(self._capture)
        self._started = time.monotonic()
        self._handover = Handover(self._read_all, ahead=AHEAD, newest=self.drops)

    @property
    def num_dropped(self) -> int:
        """Number of images that newer ones replaced."""
        return self._handover.num_dropped

    def __enter__(self) -> FrameReader:
        """Start reading."""
        self._started = time.monotonic()
        self._handover.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop reading."""
        self._handover.__exit__()

    def __iter__(self) -> Iterator[StreamFrame]:
        """Yield the images. Raises PoseNetError if a live stream breaks, or none can be decoded."""
        return iter(self._handover)

    def _read_all(self) -> Iterator[StreamFrame]:
        try:
            yield from self._live() if self.source.is_live else self._file()
        finally:
            self._capture.release()

    def _file(self) -> Iterator[StreamFrame]:
        """Yield the images of a file, past those that are damaged."""
        path = Path(self.source.name)
        numbers: list[int] = []
        failed = number = 0
        while failed < MAX_FAILED:
            image = _read(self._capture)
            if image is not None:
                seconds = _file_seconds(self._capture, number, self.fps)
                if self.drops:  # at the speed of the video
                    self._handover.wait(self._started + seconds - time.monotonic())
                numbers.append(number)
                yield StreamFrame(number, seconds, image)
            failed = 0 if image is not None else failed + 1
            number += 1
        if not numbers:
            reason = why_unreadable(path)
            raise PoseNetError(f"{path} must be a video, none of its frames can be read{reason}")
        warn_about_missing(path, numbers)

    def _live(self) -> Iterator[StreamFrame]:
        """Yield the images of a live stream, and open it again if it breaks off."""
        number = failed = 0
        # A video on a server ends, and would start from its beginning again.
        is_finite = self._capture.get(cv2.CAP_PROP_FRAME_COUNT) > 0
        while True:
            image = _read(self._capture)
            if image is not None:
                yield StreamFrame(number, time.monotonic() - self._started, image)
                number += 1
                failed = 0
                continue
            if is_finite and number:
                return
            failed += 1
            if failed > RETRIES:
                raise PoseNetError(
                    f"{self.source} broke off after {count(number, 'image')} and did not come back "
                    f"in {count(RETRIES, 'attempt')}"
                )
            self._capture.release()
            if self._handover.wait(RETRY_SECONDS):
                return
            with suppress(PoseNetError):
                self._capture = self.source.open()


def _read(capture: Capture) -> np.ndarray | None:
    """Return the next image in RGB, None if there is none or it is damaged."""
    good, image = capture.read()
    if not good or image is None:
        return None
    return cv2.cvtColor(image, cv2.COLOR_GRAY2RGB if image.ndim == 2 else cv2.COLOR_BGR2RGB)


def _file_seconds(capture: Capture, number: int, fps: float) -> float:
    """Return the time of the image that was just read: the file's, if it states a plausible one."""
    seconds = float(capture.get(cv2.CAP_PROP_POS_MSEC)) / 1000
    return seconds if number == 0 or seconds > 0 else number / fps
