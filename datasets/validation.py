"""Validate the labels that a reader returns and turn them into a `Scene`; report every issue."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np

from posenet.datasets.rig_names import RigImage
from posenet.datasets.scene import Scene, ScenePoints
from posenet.errors import PoseNetError
from posenet.geometry.camera import Camera
from posenet.geometry.poses import Poses
from posenet.io.image_headers import find_image_issue

log = logging.getLogger("posenet")

# Larger numbers count as not finite, since their squares are not.
MAX_NUMBER = 1e100
# A camera is an outlier if it is this many times farther from the median camera than 90 % are.
OUTLIER_DISTANCE = 100.0
# Lengths of quaternions that count as zero, and that need no mention when normalized.
ZERO_LENGTH = 1e-6
LENGTH_TOLERANCE = 1e-2


@dataclass
class LabelIssue:
    """One kind of issue with the labels of a scene.

    Attributes:
        kind: what is wrong.
        count: number of rows.
        first: the first row, as file, line and image.
        action: what was done, such as "dropped".
        rows: indices of the rows, if the issue is one of rows of the labels.
    """

    kind: str
    count: int
    first: str
    action: str
    rows: tuple[int, ...] = ()

    def __str__(self) -> str:
        """Return the issue in one line."""
        return f"{self.count} x {self.kind}, {self.action} (first: {self.first})"


class RowIssue(NamedTuple):
    """One kind of issue with some rows, as a reader finds it.

    Attributes:
        rows: mask of the rows, shape (n,).
        kind: what is wrong.
        action: what to do with them: "dropped", or what the reader did.
    """

    rows: np.ndarray
    kind: str
    action: str = "dropped"


@dataclass
class RawScene:
    """What a reader returns, before validation. Rows are as in `Scene`.

    Attributes:
        name: name of the scene.
        root: its folder.
        names: paths of n images below `root`.
        positions: camera centers in the world frame, shape (n, 3).
        quaternions_wxyz: world_from_camera, of any length, shape (n, 4).
        splits: "train" or "test" for each image, None if the format has no split.
        sequences: the sequence of each image.
        sources: where each row was read ("file:line"), for messages.
        cameras: n cameras, None if unknown.
        unit: unit of the positions.
        points: 3-D points, if any.
        quaternion_convention: rotation in the files, "world_from_camera" or "camera_from_world".
        camera_axes: camera axes in the files, "OpenCV", "OpenGL" or "Mitsuba".
        rig_images: moment and camera of each image, if the files state them.
        moments: number of the moment at which each image was taken, in the order of time; None if
            every image is a moment of its own.
        issues: what the reader had to skip.
        notes: what the reader read otherwise than written, or ignored; logged once.
        row_issues: what is wrong with the poses of some rows.
        format: name of the format.
        times: times of the images in seconds, None if unknown.
        split_rule: the value of --split.
    """

    name: str
    root: Path
    names: list[str]
    positions: np.ndarray
    quaternions_wxyz: np.ndarray
    splits: list[str] | None
    sequences: list[str]
    sources: list[str]
    cameras: list[Camera | None]
    unit: str = "m"
    points: ScenePoints | None = None
    quaternion_convention: str = "world_from_camera"
    camera_axes: str = "OpenCV"
    rig_images: list[RigImage] | None = None
    moments: list[int] | None = None
    issues: list[LabelIssue] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    row_issues: list[RowIssue] = field(default_factory=list)
    format: str = ""
    times: list[float] | None = None
    split_rule: str = "auto"


@dataclass
class _Rows:
    """The rows that are still good, and the issues found so far."""

    raw: RawScene
    keep: np.ndarray
    issues: list[LabelIssue] = field(default_factory=list)

    def report(self, bad: np.ndarray, kind: str, action: str = "dropped") -> None:
        """Report the kept rows under a mask, and drop them if that is the action."""
        rows = np.flatnonzero(bad & self.keep)
        if len(rows) == 0:
            return
        first = f"{self.raw.sources[rows[0]]} {self.raw.names[rows[0]]}"
        self.issues.append(LabelIssue(kind, len(rows), first, action, tuple(rows.tolist())))
        if action == "dropped":
            self.keep[rows] = False


def validate_scene(
    raw: RawScene, *, strict: bool = False, need_images: bool = True
) -> tuple[Scene, list[LabelIssue]]:
    """Drop and report unusable rows and normalize quaternions.

    Args:
        raw: the labels.
        strict: refuse any issue.
        need_images: check the image files too; scoring a pose file needs none.

    Returns:
        The scene, and the issues.

    Raises:
        PoseNetError: an image is outside the folder, no row is usable, or `strict` and there is an
            issue.
    """
    for note in raw.notes:
        log.warning("%s: %s", raw.name, note)
    for name, source in zip(raw.names, raw.sources, strict=True):
        _check_inside(name, source)
    rows = _Rows(raw, np.ones(len(raw.names), bool), list(raw.issues))
    _check_labels(rows)
    _check_duplicates(rows)
    splits = np.array(raw.splits or ["train"] * len(raw.names))
    numbers = _number_within_split(splits, rows.keep)
    if need_images:
        _check_images(rows)
    _log_issues(rows, strict)
    quaternions = np.where(rows.keep[:, None], raw.quaternions_wxyz, [1, 0, 0, 0])
    has_points = raw.points is not None and len(raw.points.observations) > 0
    scene = Scene(
        name=raw.name,
        root=raw.root,
        names=tuple(raw.names),
        poses=Poses.from_quaternions(raw.positions, quaternions),
        cameras=share_cameras(raw.cameras),
        splits=splits,
        sequences=np.array(raw.sequences),
        unit=raw.unit,
        points=raw.points if has_points else None,
        quaternion_convention=raw.quaternion_convention,
        camera_axes=raw.camera_axes,
        moments=None if raw.moments is None else np.array(raw.moments),
        numbers=numbers,
        times=None if raw.times is None else np.array(raw.times, np.float64),
        split_rule=raw.split_rule,
    )
    return scene.subset(np.flatnonzero(rows.keep)), rows.issues


def share_cameras(cameras: Iterable[Camera | None]) -> tuple[Camera | None, ...]:
    """Replace equal cameras by one of them, which saves memory and time.

    Args:
        cameras: n cameras, None if unknown.

    Returns:
        n cameras.
    """
    shared: dict[Camera | None, Camera | None] = {}
    return tuple(shared.setdefault(camera, camera) for camera in cameras)


def _number_within_split(splits: np.ndarray, good: np.ndarray) -> np.ndarray:
    """Return the index of each good row among those of its split, shape (n,)."""
    numbers = np.zeros(len(splits), int)
    for split in set(splits):
        in_split = good & (splits == split)
        numbers[in_split] = np.arange(in_split.sum())
    return numbers


def _check_inside(name: str, source: str) -> None:
    path = PurePosixPath(name.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or not path.parts or re.match("[A-Za-z]:", name):
        raise PoseNetError(
            f"{source}: the name of an image must stay inside the scene folder, received {name!r}"
        )


def _check_labels(rows: _Rows) -> None:
    for issue in rows.raw.row_issues:
        rows.report(*issue)
    positions = rows.raw.positions
    quaternions = rows.raw.quaternions_wxyz
    # NaN fails these comparisons too.
    finite = (np.abs(positions) < MAX_NUMBER).all(axis=1)
    finite &= (np.abs(quaternions) < MAX_NUMBER).all(axis=1)
    rows.report(~finite, "pose that is missing or not finite")
    lengths = np.linalg.norm(np.where(finite[:, None], quaternions, 0), axis=1)
    rows.report(lengths < ZERO_LENGTH, "quaternion of length zero")
    not_unit = np.abs(lengths - 1) > LENGTH_TOLERANCE
    rows.report(not_unit, "quaternion that is not of unit length", "normalized")
    if rows.keep.any():
        good = np.where(finite[:, None], positions, 0)
        distances = np.linalg.norm(good - np.median(good[rows.keep], axis=0), axis=1)
        limit = OUTLIER_DISTANCE * np.percentile(distances[rows.keep], 90, method="lower")
        rows.report((distances > limit) & (limit > 0), "camera far outside the scene")


def _check_duplicates(rows: _Rows) -> None:
    known: set[str] = set()
    duplicate = np.zeros(len(rows.keep), bool)
    for row in np.flatnonzero(rows.keep):
        duplicate[row] = rows.raw.names[row] in known
        known.add(rows.raw.names[row])
    rows.report(duplicate, "image listed more than once")


def _check_images(rows: _Rows) -> None:
    issues = [
        find_image_issue(rows.raw.root / name) if good else None
        for name, good in zip(rows.raw.names, rows.keep, strict=True)
    ]
    for kind in dict.fromkeys(issue for issue in issues if issue):
        rows.report(np.array([issue == kind for issue in issues]), kind)


def _log_issues(rows: _Rows, strict: bool) -> None:
    """Log the issues. Raises PoseNetError if no row is usable, or if strict and there are any."""
    text = "; ".join(str(issue) for issue in rows.issues)
    if strict and rows.issues:
        raise PoseNetError(f"{rows.raw.root}: {text} (refused by --strict)")
    for issue in rows.issues:
        log.warning("%s: %s", rows.raw.name, issue)
    if not rows.keep.any():
        raise PoseNetError(
            f"{rows.raw.root} must contain at least one usable image: "
            f"{text or 'no image is listed'}"
        )
