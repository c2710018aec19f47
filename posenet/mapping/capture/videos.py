"""Read the frames of a video with OpenCV, past those that are damaged."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from posenet.errors import PoseNetError
from posenet.mapping.capture.containers import find_video_issue

log = logging.getLogger("posenet")

# Reading ends after this many frames in a row that cannot be decoded: over a minute, or the end.
MAX_FAILED = 3000


@contextmanager
def read_frames(source: Path, label: str) -> Iterator[Iterator[tuple[int, np.ndarray]]]:
    """Open a video for the duration of a block.

    Args:
        source: the video.
        label: what the frames are read for, for the progress bar.

    Yields:
        Number, counted from 0, and BGR values (h, w, 3) of the frames that can be decoded.

    Raises:
        PoseNetError: OpenCV cannot open the video.
    """
    with _open_video(source) as video:
        total = int(video.get(cv2.CAP_PROP_FRAME_COUNT))
        with tqdm(desc=label, total=total if total > 0 else None, unit="frame") as bar:
            yield _decode(video, bar)


def warn_about_missing(source: Path, numbers: Sequence[int]) -> None:
    """Warn if the file of a video contains more frames than those that were decoded.

    The number of frames in a header is an estimate, too high for many intact videos (variable frame
    rate, longer sound, edit lists). It counts only if the structure of the file is incomplete.

    Args:
        source: the video.
        numbers: numbers of the decoded frames, ascending.
    """
    total = numbers[-1] + 1
    issue = find_video_issue(source)
    if issue:
        with _open_video(source) as video:
            total = max(total, int(video.get(cv2.CAP_PROP_FRAME_COUNT)))
    if len(numbers) < total:
        about = "about " if issue else ""
        log.warning(
            "%s: the file is %s, %d of %s%d frames could be read",
            source,
            issue or "damaged",
            len(numbers),
            about,
            total,
        )


def why_unreadable(source: Path) -> str:
    """Return why a video cannot be read, for the end of an error message.

    Args:
        source: the video.

    Returns:
        What is wrong with the file, or its codec, after a comma; nothing if both are unknown.
    """
    if issue := find_video_issue(source):
        return f", the file is {issue}"
    video = cv2.VideoCapture(str(source))
    codec = (int(video.get(cv2.CAP_PROP_FOURCC)) & 0xFFFFFFFF).to_bytes(4, "little")
    video.release()
    return f", its codec is {codec.decode('latin-1')}" if codec.isalnum() else ""


@contextmanager
def _open_video(source: Path) -> Iterator[cv2.VideoCapture]:
    """Open a video for the duration of a block."""
    video = cv2.VideoCapture(str(source))
    try:
        if not source.is_file():
            raise PoseNetError(f"{source} must be a video that OpenCV can read")
        if not video.isOpened():
            raise PoseNetError(
                f"{source} must be a video that OpenCV can read{why_unreadable(source)}"
            )
        yield video
    finally:
        video.release()


def _decode(video: cv2.VideoCapture, bar: tqdm) -> Iterator[tuple[int, np.ndarray]]:
    """Yield the number and pixels of all frames that can be decoded."""
    number = 0
    failed = 0
    while failed < MAX_FAILED:  # OpenCV does not distinguish a damaged frame from the end
        good, frame = video.read()
        if good:
            yield number, frame
            bar.update()
        failed = 0 if good else failed + 1
        number += 1
