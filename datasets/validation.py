"""Label hygiene at the door: raw labels from an adapter become a Scene, and every fault is reported."""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import numpy as np

from posenet.datasets.scene import Scene, ScenePoints
from posenet.errors import PoseNetError
from posenet.geometry.camera import Camera
from posenet.geometry.poses import Poses
from posenet.io.images import image_fault

log = logging.getLogger("posenet")

HUGE = 1e100  # numbers whose squares are no longer numbers count as not finite
FAR_OUTLIER = 100.0  # times the 90th percentile of the distances from the median camera


@dataclass
class LabelIssue:
    """One kind of fault: how many rows have it, the first place, and what was done."""

    kind: str
    count: int
    first: str
    action: str

    def __str__(self) -> str:
        return f"{self.count} x {self.kind}, {self.action} (first: {self.first})"


@dataclass
class RawScene:
    """What an adapter read, before any check. Rows as in Scene; quaternions may be of any length.

    splits: None where the format knows none. sources: where each row was written ("file:line"), for the messages.
    faults: what the adapter had to leave out. format: the adapter's name.
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
    faults: list[LabelIssue] = field(default_factory=list)
    format: str = ""
    times: list[float] | None = None


@dataclass
class _Rows:
    """The rows still good, and the faults found so far."""

    raw: RawScene
    keep: np.ndarray
    faults: list[LabelIssue] = field(default_factory=list)

    def drop(self, bad: np.ndarray, kind: str, action: str = "dropped") -> None:
        """Report the kept rows under the mask `bad`, and drop them unless the action says otherwise."""
        rows = np.flatnonzero(bad & self.keep)
        if len(rows):
            first = f"{self.raw.sources[rows[0]]} {self.raw.names[rows[0]]}"
            self.faults.append(LabelIssue(kind, len(rows), first, action))
            if action == "dropped":
                self.keep[rows] = False


def validate_scene(
    raw: RawScene, strict: bool = False, need_images: bool = True
) -> tuple[Scene, list[LabelIssue]]:
    """Drop and report the rows that cannot be used, normalize the quaternions, and return the Scene.

    need_images=False leaves the image files unlooked at (scoring a pose file needs none).
    Raises PoseNetError for names that leave the folder, when nothing is left, and with strict=True
    for any fault.
    """
    for name, source in zip(raw.names, raw.sources, strict=True):
        _check_inside(name, source)
    rows = _Rows(raw, np.ones(len(raw.names), bool), list(raw.faults))
    _check_labels(rows)
    _check_duplicates(rows)
    splits = np.array(raw.splits or ["train"] * len(raw.names))
    numbers = _numbers(splits, rows.keep)
    if need_images:
        _check_images(rows)
    _report(rows, strict)
    kept = np.flatnonzero(rows.keep)
    all_rows = Scene(
        name=raw.name,
        root=raw.root,
        names=tuple(raw.names),
        poses=Poses.from_quaternions(
            raw.positions, np.where(rows.keep[:, None], raw.quaternions_wxyz, [1, 0, 0, 0])
        ),
        cameras=tuple(raw.cameras),
        splits=splits,
        sequences=np.array(raw.sequences),
        unit=raw.unit,
        points=raw.points if raw.points is not None and len(raw.points.observations) else None,
        quaternion_convention=raw.quaternion_convention,
        numbers=numbers,
        times=None if raw.times is None else np.array(raw.times, np.float64),
    )
    return all_rows.subset(kept), rows.faults


def _numbers(splits: np.ndarray, good: np.ndarray) -> np.ndarray:
    """(n,) the place of each good row among those of its split."""
    numbers = np.zeros(len(splits), int)
    for split in set(splits):
        of_split = good & (splits == split)
        numbers[of_split] = np.arange(of_split.sum())
    return numbers


def _check_inside(name: str, source: str) -> None:
    path = PurePosixPath(name.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or not path.parts or re.match("[A-Za-z]:", name):
        raise PoseNetError(
            f"{source}: a image's name must stay inside the scene's folder, received {name!r}"
        )


def _check_labels(rows: _Rows) -> None:
    positions, quaternions = rows.raw.positions, rows.raw.quaternions_wxyz
    finite = (np.abs(positions) < HUGE).all(axis=1) & (np.abs(quaternions) < HUGE).all(
        axis=1
    )  # NaN is not, either
    rows.drop(~finite, "pose that is missing or not finite")
    lengths = np.linalg.norm(np.where(finite[:, None], quaternions, 0), axis=1)
    rows.drop(lengths < 1e-6, "quaternion of length zero")
    rows.drop(np.abs(lengths - 1) > 1e-2, "quaternion that is not of unit length", "normalized")
    if rows.keep.any():
        good = np.where(finite[:, None], positions, 0)
        distance = np.linalg.norm(good - np.median(good[rows.keep], axis=0), axis=1)
        limit = FAR_OUTLIER * np.percentile(distance[rows.keep], 90, method="lower")
        rows.drop((distance > limit) & (limit > 0), "camera far outside the scene")


def _check_duplicates(rows: _Rows) -> None:
    seen: set[str] = set()
    again = np.zeros(len(rows.keep), bool)
    for row in np.flatnonzero(rows.keep):
        again[row] = rows.raw.names[row] in seen
        seen.add(rows.raw.names[row])
    rows.drop(again, "image listed more than once")


def _check_images(rows: _Rows) -> None:
    found = [
        image_fault(rows.raw.root / name) if good else None
        for name, good in zip(rows.raw.names, rows.keep, strict=True)
    ]
    for kind in dict.fromkeys(fault for fault in found if fault):
        rows.drop(np.array([fault == kind for fault in found]), kind)


def _report(rows: _Rows, strict: bool) -> None:
    if strict and rows.faults:
        raise PoseNetError(
            f"{rows.raw.root}: {'; '.join(str(fault) for fault in rows.faults)} (refused by --strict)"
        )
    for fault in rows.faults:
        log.warning("%s: %s", rows.raw.name, fault)
    if not rows.keep.any():
        why = "; ".join(str(fault) for fault in rows.faults) or "no image is listed"
        raise PoseNetError(f"{rows.raw.root} must hold at least one usable image: {why}")
