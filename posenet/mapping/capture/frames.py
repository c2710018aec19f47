"""From a video to sharp, well-spaced images."""

from __future__ import annotations

import errno
import logging
import math
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from posenet.errors import PoseNetError
from posenet.io.files import atomic_path

log = logging.getLogger("posenet")

STEP = 0.06  # of the image's width: what neighboring frames of a video should be apart, as optical flow
FAR_APART = 0.3  # from here on they may no longer overlap enough to be placed
SMALL = 320  # pixels: the width in which sharpness and flow are measured


def collect_video(source: Path, target: Path, most: int) -> list[str]:
    """Write the chosen frames of a video as JPEG files named by their number."""
    sharpness, flow = _measure(source)
    chosen = choose_frames(sharpness, flow, most)
    apart = float(flow.sum()) / max(1, len(chosen))
    if apart > FAR_APART:
        log.warning(
            "%s: %d frames of so long a way lie %.2f image widths apart, which may be too far; try --images %d",
            source, len(chosen), apart, math.ceil(flow.sum() / (FAR_APART / 2)),
        )  # fmt: skip
    names = [f"frame{row:06d}.jpg" for row in chosen]
    if all((target / name).is_file() for name in names):
        return names
    wanted = set(chosen.tolist())
    with _frames(source, "frames") as frames:
        for row, frame in frames:
            if row in wanted:
                with atomic_path(target / f"frame{row:06d}.jpg") as temporary:
                    if not cv2.imwrite(str(temporary), frame, [cv2.IMWRITE_JPEG_QUALITY, 95]):
                        raise OSError(errno.ENOSPC, "the disk may be full")
    return names


def choose_frames(sharpness: np.ndarray, flow: np.ndarray, most: int) -> np.ndarray:
    """Rows of the sharpest frame in each stretch of equal motion.

    sharpness: (n,). flow: (n,) motion since the frame before, in image widths. A stretch is STEP long, or longer so
    that at most `most` frames are chosen.
    """
    way = np.cumsum(flow)
    step = max(STEP, (way[-1] + 1e-9) / most) if len(way) else STEP
    stretch = np.floor(way / step).astype(int)
    contiguous_segments = (np.flatnonzero(stretch == each) for each in np.unique(stretch))
    return np.array([rows[np.argmax(sharpness[rows])] for rows in contiguous_segments], int)


def _measure(source: Path) -> tuple[np.ndarray, np.ndarray]:
    """(n,) sharpness and (n,) flow of every frame of a video."""
    sharpness, flow = [], []
    before = None
    with _frames(source, "looking at the video") as frames:
        for _, frame in frames:
            size = (SMALL, max(1, round(frame.shape[0] * SMALL / frame.shape[1])))
            small = cv2.cvtColor(
                cv2.resize(frame, size, interpolation=cv2.INTER_AREA), cv2.COLOR_BGR2GRAY
            )
            sharpness.append(cv2.Laplacian(small, cv2.CV_32F).var())
            flow.append(0.0 if before is None else median_flow(before, small))
            before = small
    if not sharpness:
        raise PoseNetError(f"{source} must be a video, no frame of it can be read")
    return np.array(sharpness), np.array(flow)


def median_flow(before: np.ndarray, after: np.ndarray) -> float:
    """Median motion of corners between two gray images (h, w), in image widths; STEP where they are lost."""
    corners = cv2.goodFeaturesToTrack(before, 200, 0.01, 7)
    if corners is None:
        return 0.0
    moved, found, _ = cv2.calcOpticalFlowPyrLK(before, after, corners, np.empty_like(corners))
    found = found.ravel() == 1
    if found.sum() < 10:
        return STEP
    return float(
        np.median(np.linalg.norm((moved - corners).reshape(-1, 2)[found], axis=1)) / before.shape[1]
    )


class _frames:
    """The (number, BGR frame) of a video, with progress; closed at the end of the block."""

    def __init__(self, source: Path, label: str):
        self.video = cv2.VideoCapture(str(source))
        if not source.is_file() or not self.video.isOpened():
            raise PoseNetError(f"{source} must be a video that OpenCV can read")
        total = int(self.video.get(cv2.CAP_PROP_FRAME_COUNT))
        self.bar = tqdm(desc=label, total=total if total > 0 else None, unit="frame")

    def __enter__(self):
        return self

    def __iter__(self):
        row = 0
        while True:
            good, frame = self.video.read()
            if not good:
                return
            yield row, frame
            row += 1
            self.bar.update()

    def __exit__(self, *_):
        self.video.release()
        self.bar.close()
