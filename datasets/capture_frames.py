"""From photographs and videos to a folder of upright, sharp, well-spaced pictures."""

from __future__ import annotations

import errno
import logging
import os
import shutil
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageOps
from tqdm import tqdm

from posenet.config import VIDEO_SUFFIXES
from posenet.datasets.text import natural_key, without_blanks
from posenet.errors import PoseNetError
from posenet.images import EXIF_ORIENTATION, IMAGE_SUFFIXES, picture_fault
from posenet.storage import atomic_path

log = logging.getLogger("posenet")

STEP = 0.06  # of the picture's width: what neighbouring frames of a video should be apart, as optical flow
UNREAD = (".webp",)  # structure from motion does not read these: they become JPEG files
SMALL = 320  # pixels: the width in which sharpness and flow are measured


def collect_pictures(inputs: tuple[Path, ...], folder: Path, most: int) -> list[str]:
    """Put the pictures of all inputs into `folder` and return their names below it, in the order of time.

    inputs: folders of photographs, and videos; several become a folder each. most: pictures taken from a video.
    Raises PoseNetError for an input that is neither, and when nothing usable is found.
    """
    names: list[str] = []
    stems = _sequence_names(inputs)
    for path, stem in zip(inputs, stems, strict=True):
        target = folder / stem if len(inputs) > 1 else folder
        target.mkdir(parents=True, exist_ok=True)
        found = collect_video(path, target, most) if is_video(path) else collect_photos(path, target)
        names += [f"{stem}/{name}" if len(inputs) > 1 else name for name in found]
    return names


def is_video(path: Path) -> bool:
    """Whether a path is a video, by its suffix."""
    return path.suffix.lower() in VIDEO_SUFFIXES and not path.is_dir()


def _sequence_names(inputs: tuple[Path, ...]) -> list[str]:
    """A short name for each input, all different, without blanks."""
    stems = [without_blanks(path.resolve().stem) or "input" for path in inputs]
    return [stem if stems.count(stem) == 1 else f"{stem}_{number + 1}" for number, stem in enumerate(stems)]


def collect_photos(source: Path, target: Path) -> list[str]:
    """Link or copy the photographs of a folder, turned upright where their EXIF says so, in natural order."""
    if not source.is_dir():
        raise PoseNetError(f"{source} must be a folder of photographs or a video ({', '.join(VIDEO_SUFFIXES)})")
    photos = [path for path in source.iterdir() if path.suffix.lower() in IMAGE_SUFFIXES]
    names: list[str] = []
    taken = {path.name.lower() for path in photos}
    for path in sorted(photos, key=lambda path: natural_key(path.name)):
        fault = picture_fault(path)
        if fault:
            log.warning("%s is left out: %s", path, fault)
            continue
        name = _name_in_capture(path, taken)
        try:
            if not (target / name).exists():
                _place_upright(path, target / name)
        except (OSError, SyntaxError, ValueError) as error:  # what Pillow says of a damaged picture
            log.warning("%s is left out: %s", path, error)
            continue
        names.append(name)
    if not names:
        raise PoseNetError(f"{source} must hold photographs ({', '.join(IMAGE_SUFFIXES)}), none is usable")
    return names


def _name_in_capture(path: Path, taken: set[str]) -> str:
    """A photograph's name without blanks and with a suffix that can be read; no other's, in small letters in `taken`,
    which it joins."""
    suffix = ".jpg" if path.suffix.lower() in UNREAD else path.suffix
    name = without_blanks(path.stem) + suffix
    while name != path.name and name.lower() in taken:
        name = f"{Path(name).stem}_{suffix}"
    taken.add(name.lower())
    return name


def _place_upright(source: Path, target: Path) -> None:
    """Structure from motion takes the pixels as they are stored, everything else as they are seen."""
    upright = None
    with Image.open(source) as image:
        if image.getexif().get(EXIF_ORIENTATION, 1) != 1 or source.suffix.lower() in UNREAD:
            upright = ImageOps.exif_transpose(image).convert("RGB")
            exif = upright.getexif()
            exif.pop(EXIF_ORIENTATION, None)
    with atomic_path(target) as temporary:
        if upright:
            upright.save(temporary, quality=97, exif=exif)
            return
        try:
            os.link(source.resolve(), temporary)
        except OSError:
            shutil.copyfile(source, temporary)


def drop_others(folder: Path, names: list[str]) -> bool:
    """Remove pictures that a stopped capture collected and the inputs have no more; whether there were any."""
    kept = {folder / name for name in names}
    others = [path for path in folder.rglob("*") if path.is_file() and path not in kept]
    for path in others:
        path.unlink()
    return bool(others)


def collect_video(source: Path, target: Path, most: int) -> list[str]:
    """Write the chosen frames of a video as JPEG files named by their number."""
    sharpness, flow = _measure(source)
    chosen = choose_frames(sharpness, flow, most)
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

    sharpness: (n,). flow: (n,) motion since the frame before, in picture widths. A stretch is STEP long, or longer so
    that at most `most` frames are chosen.
    """
    way = np.cumsum(flow)
    step = max(STEP, (way[-1] + 1e-9) / most) if len(way) else STEP
    stretch = np.floor(way / step).astype(int)
    stretches = (np.flatnonzero(stretch == each) for each in np.unique(stretch))
    return np.array([rows[np.argmax(sharpness[rows])] for rows in stretches], int)


def _measure(source: Path) -> tuple[np.ndarray, np.ndarray]:
    """(n,) sharpness and (n,) flow of every frame of a video."""
    sharpness, flow = [], []
    before = None
    with _frames(source, "looking at the video") as frames:
        for _, frame in frames:
            size = (SMALL, max(1, round(frame.shape[0] * SMALL / frame.shape[1])))
            small = cv2.cvtColor(cv2.resize(frame, size, interpolation=cv2.INTER_AREA), cv2.COLOR_BGR2GRAY)
            sharpness.append(cv2.Laplacian(small, cv2.CV_32F).var())
            flow.append(0.0 if before is None else median_flow(before, small))
            before = small
    if not sharpness:
        raise PoseNetError(f"{source} must be a video, no frame of it can be read")
    return np.array(sharpness), np.array(flow)


def median_flow(before: np.ndarray, after: np.ndarray) -> float:
    """Median motion of corners between two grey pictures (h, w), in picture widths; STEP where they are lost."""
    corners = cv2.goodFeaturesToTrack(before, 200, 0.01, 7)
    if corners is None:
        return 0.0
    moved, found, _ = cv2.calcOpticalFlowPyrLK(before, after, corners, np.empty_like(corners))
    found = found.ravel() == 1
    if found.sum() < 10:
        return STEP
    return float(np.median(np.linalg.norm((moved - corners).reshape(-1, 2)[found], axis=1)) / before.shape[1])


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
