"""Draw a followed stream in a second thread, into a video file and for a window."""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress

import numpy as np

from posenet.errors import PoseNetError
from posenet.localization.pnp import CameraPose
from posenet.streams.drawing import CameraPathDrawing
from posenet.streams.follower import FollowedFrame
from posenet.streams.video_file import VideoFile

# Images that may wait to be drawn.
MAX_WAITING = 8


class PathVideo:
    """Draws images as they come. Use it in a `with` block, at whose end the file is whole.

    Attributes:
        latest: the image that was drawn last, RGB, shape (720, 1280, 3); None before the first.
    """

    def __init__(
        self, drawing: CameraPathDrawing, file: VideoFile | None, *, every: bool = False
    ) -> None:
        """Start the thread.

        Args:
            drawing: draws the images.
            file: the file to write, None to write none.
            every: draw images that the file does not take too, for a window.
        """
        self.latest: np.ndarray | None = None
        self._drawing = drawing
        self._file = file
        self._every = every
        self._pool = ThreadPoolExecutor(1, "posenet-drawing")
        self._waiting: deque[Future[None]] = deque()

    def __enter__(self) -> PathVideo:
        """Return the video."""
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Draw what waits and end the file. Raises PoseNetError if it cannot be written."""
        try:
            if kind is None:
                self._wait_until(0)
        finally:
            self._pool.shutdown()
            if self._file is not None:
                if kind is None:
                    self._file.__exit__()
                else:  # the first error counts
                    with suppress(PoseNetError):
                        self._file.__exit__()

    def add(
        self, frame: FollowedFrame, truth: CameraPose | None = None, *, breaks: bool = False
    ) -> None:
        """Draw the next image.

        Args:
            frame: the image with its pose.
            truth: its true pose, if it is known.
            breaks: the path starts again, in another sequence.
        """
        self._wait_until(MAX_WAITING - 1)
        self._waiting.append(self._pool.submit(self._draw, frame, truth, breaks))

    def _wait_until(self, number: int) -> None:
        """Wait until at most so many images wait; raise what drawing raised."""
        while len(self._waiting) > number:
            self._waiting.popleft().result()

    def _draw(self, frame: FollowedFrame, truth: CameraPose | None, breaks: bool) -> None:
        self._drawing.advance(frame, breaks=breaks)
        is_taken = self._file is not None and self._file.takes(frame.seconds)
        if is_taken or self._every:
            self.latest = self._drawing.compose(frame, truth)
        if self._file is not None and is_taken and self.latest is not None:
            self._file.write(self.latest, frame.seconds)
