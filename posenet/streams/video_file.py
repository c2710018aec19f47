"""Write an MP4 file at a constant frame rate: under a temporary name, whole even if interrupted."""

from __future__ import annotations

import errno
import logging
import math
from contextlib import suppress
from pathlib import Path

import cv2
import numpy as np

from posenet.errors import PoseNetError
from posenet.io.temporary_names import temporary_path

log = logging.getLogger("posenet")

# Codecs in the order of preference. OpenCV's wheels for Linux have no H.264 encoder.
CODECS = {"avc1": "H.264", "mp4v": "MPEG-4 Part 2"}
# Highest frame rate that is written, so that a minute stays below 15 MB.
MAX_FPS = 10.0
# How much earlier than its time in the file a frame may come, in frames: clocks of cameras jitter.
EARLY = 0.25


def output_rate(fps: float) -> float:
    """Return the frame rate to write the images of a source with.

    Args:
        fps: frame rate of the source.

    Returns:
        The highest rate of at most 10 that takes every image, every second, every third...
    """
    return fps / max(1, math.ceil(fps / MAX_FPS - 1e-6))


class VideoFile:
    """An MP4 file that is being written. Use it in a `with` block.

    At the end of the block it gets its name, also if an exception ended it, but not if nothing was
    written.

    Attributes:
        path: the file.
        fps: frames per second.
        codec: name of the codec.
        num_frames: number of frames written so far.
    """

    def __init__(self, path: Path, fps: float, size: tuple[int, int]) -> None:
        """Open the file under a temporary name.

        Args:
            path: the file to write, *.mp4.
            fps: frames per second.
            size: (width, height) of its frames.

        Raises:
            PoseNetError: the file cannot be written, or OpenCV has no codec.
        """
        check_video_path(path)
        self.path = path
        self.fps = fps
        self.num_frames = 0
        self._temporary = temporary_path(path)
        try:
            self._temporary.touch()
        except OSError as error:
            raise PoseNetError(f"{path} cannot be written: {error.strerror}") from None
        for fourcc, self.codec in CODECS.items():
            self._writer = cv2.VideoWriter(
                str(self._temporary), cv2.VideoWriter.fourcc(*fourcc), fps, size
            )
            if self._writer.isOpened():
                return
        with suppress(OSError):
            self._temporary.unlink()
        raise PoseNetError(f"{path} cannot be written: OpenCV can encode neither H.264 nor MPEG-4")

    def __enter__(self) -> VideoFile:
        """Return the file."""
        return self

    def __exit__(self, *_: object) -> None:
        """End the file and give it its name."""
        self._writer.release()
        try:
            if self.num_frames:
                if self._count_frames() != self.num_frames:
                    raise OSError(errno.ENOSPC, "the disk may be full")
                self._temporary.replace(self.path)
        except OSError as error:
            raise PoseNetError(f"{self.path} cannot be written: {error.strerror}") from error
        finally:
            with suppress(OSError):
                self._temporary.unlink()

    def takes(self, seconds: float) -> bool:
        """Return whether a frame of a time is needed.

        Args:
            seconds: time since the start.

        Returns:
            False if the file extends beyond this time already.
        """
        return self._end(seconds) > self.num_frames

    def write(self, frame: np.ndarray, seconds: float) -> None:
        """Write a frame, as often as needed for the file to extend to its time.

        Args:
            frame: RGB values of the file's size, shape (h, w, 3), uint8.
            seconds: time since the start.
        """
        bgr = cv2.cvtColor(frame, cv2.COLOR_RGB2BGR)
        while self.takes(seconds):
            self._writer.write(bgr)
            self.num_frames += 1

    def _count_frames(self) -> int:
        """Return the number of frames that can be read back; OpenCV reports no failed write."""
        capture = cv2.VideoCapture(str(self._temporary))
        try:
            return int(capture.get(cv2.CAP_PROP_FRAME_COUNT)) if capture.isOpened() else 0
        finally:
            capture.release()

    def _end(self, seconds: float) -> int:
        """Return the number of frames up to a time, included."""
        return math.floor(seconds * self.fps + EARLY) + 1


def check_video_path(path: Path, *, overwrite: bool = True) -> None:
    """Check that a video can be written to a path.

    Args:
        path: the file to write.
        overwrite: the file may exist already.

    Raises:
        PoseNetError: its suffix is not .mp4, its folder does not exist, it is a folder, or it
            exists and must not be replaced.
    """
    if path.suffix.lower() != ".mp4":
        raise PoseNetError(f"a video must be written to a file *.mp4, received {path}")
    if not path.parent.is_dir():
        raise PoseNetError(f"{path} cannot be written: folder not found: {path.parent}")
    if path.is_dir():
        raise PoseNetError(f"{path} cannot be written: it is a folder")
    if path.exists() and not overwrite:
        raise PoseNetError(f"output file already exists: {path} (use --overwrite to replace it)")
