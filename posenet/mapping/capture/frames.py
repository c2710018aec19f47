"""From a video to sharp, well-spaced frames."""

from __future__ import annotations

import errno
import logging
import math
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from posenet.errors import PoseNetError
from posenet.io.files import atomic_path
from posenet.mapping.capture.videos import read_frames, warn_about_missing, why_unreadable

log = logging.getLogger("posenet")

# Optical flow between chosen frames, in image widths.
STEP = 0.06
# Optical flow between chosen frames from which they may not overlap enough, in image widths.
MAX_STEP = 0.3
# Width in pixels at which sharpness and optical flow are measured.
SMALL_WIDTH = 320
# Corners that optical flow is measured at: number, relative quality, distance in pixels.
NUM_CORNERS = 200
CORNER_QUALITY = 0.01
CORNER_DISTANCE = 7
# Fewest tracked corners for a usable optical flow.
MIN_TRACKED = 10
JPEG_QUALITY = 95


@dataclass(frozen=True)
class Measurements:
    """What frames are chosen by.

    Attributes:
        numbers: numbers of the n frames that can be decoded, counted from 0, shape (n,).
        sharpness: their sharpness, shape (n,).
        flow: optical flow since the previous one of them in image widths, shape (n,).
    """

    numbers: np.ndarray
    sharpness: np.ndarray
    flow: np.ndarray


def extract_frames(source: Path, target: Path, max_frames: int) -> list[str]:
    """Write the chosen frames of a video as JPEG files.

    Frames that cannot be decoded are skipped with one warning.

    Args:
        source: the video.
        target: an existing folder.
        max_frames: largest number of frames.

    Returns:
        File names with the number of each frame; in temporal order.

    Raises:
        PoseNetError: OpenCV cannot read the video.
    """
    measured = _measure(source)
    chosen = measured.numbers[choose_frames(measured.sharpness, measured.flow, max_frames)]
    total_flow = float(measured.flow.sum())
    step = total_flow / max(1, len(chosen))
    if step > MAX_STEP:
        log.warning(
            "%s: %d frames of this video are %.2f image widths apart, which may be too far: use "
            "--max-frames %d",
            source,
            len(chosen),
            step,
            math.ceil(total_flow / (MAX_STEP / 2)),
        )
    names = {int(number): f"frame{number:06d}.jpg" for number in chosen}
    if all((target / name).is_file() for name in names.values()):
        return list(names.values())
    with read_frames(source, "writing frames") as frames:
        for number, frame in frames:
            if number in names:
                _write_jpeg(target / names[number], frame)
    return list(names.values())


def choose_frames(sharpness: np.ndarray, flow: np.ndarray, max_frames: int) -> np.ndarray:
    """Choose the sharpest frame in each section of equal motion.

    A section is STEP long, or longer if there would be too many frames.

    Args:
        sharpness: sharpness of each frame, shape (n,).
        flow: optical flow since the previous frame in image widths, shape (n,).
        max_frames: largest number of frames.

    Returns:
        Indices of the chosen frames, ascending.
    """
    distance = np.cumsum(flow)
    step = max(STEP, (distance[-1] + 1e-9) / max_frames) if len(distance) else STEP
    section = np.floor(distance / step).astype(int)
    members = (np.flatnonzero(section == each) for each in np.unique(section))
    return np.array([rows[np.argmax(sharpness[rows])] for rows in members], int)


def median_flow(before: np.ndarray, after: np.ndarray) -> float:
    """Measure the motion between two frames.

    Args:
        before: gray image, shape (h, w), uint8.
        after: gray image, uint8.

    Returns:
        Median motion of corners in image widths; STEP if it cannot be measured.
    """
    if before.shape != after.shape:
        return STEP
    corners = cv2.goodFeaturesToTrack(before, NUM_CORNERS, CORNER_QUALITY, CORNER_DISTANCE)
    if corners is None:
        return 0.0
    moved, status, _ = cv2.calcOpticalFlowPyrLK(before, after, corners, np.empty_like(corners))
    tracked = status.ravel() == 1
    if tracked.sum() < MIN_TRACKED:
        return STEP
    motion = np.linalg.norm((moved - corners).reshape(-1, 2)[tracked], axis=1)
    return float(np.median(motion) / before.shape[1])


def _measure(source: Path) -> Measurements:
    """Measure all frames of a video; warn about those that cannot be decoded."""
    numbers: list[int] = []
    sharpness: list[float] = []
    flow: list[float] = []
    before = None
    with read_frames(source, "choosing frames") as frames:
        for number, frame in frames:
            size = (SMALL_WIDTH, max(1, round(frame.shape[0] * SMALL_WIDTH / frame.shape[1])))
            small = cv2.resize(frame, size, interpolation=cv2.INTER_AREA)
            gray = cv2.cvtColor(small, cv2.COLOR_BGR2GRAY)
            sharpness.append(cv2.Laplacian(gray, cv2.CV_32F).var())
            flow.append(0.0 if before is None else median_flow(before, gray))
            before = gray
            numbers.append(number)
    if not numbers:
        reason = why_unreadable(source)
        raise PoseNetError(f"{source} must be a video, none of its frames can be read{reason}")
    warn_about_missing(source, numbers)
    return Measurements(np.array(numbers), np.array(sharpness), np.array(flow))


def _write_jpeg(path: Path, frame: np.ndarray) -> None:
    """Write a BGR image, all or nothing."""
    with atomic_path(path) as temporary:
        if not cv2.imwrite(str(temporary), frame, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]):
            raise OSError(errno.ENOSPC, "the disk may be full")
