"""The map of a run: what each training image sees of the scene's 3-D points, kept in RUN/map."""

from __future__ import annotations

import json
import logging
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from posenet.datasets.scene import Scene
from posenet.errors import PoseNetError
from posenet.io.files import atomic_directory, write_text
from posenet.io.images import READING
from posenet.mapping.keypoints import Keypoints
from posenet.mapping.triangulation import Observations, triangulate_scene

log = logging.getLogger("posenet")

MAP, UNFINISHED, KEYPOINTS, FEWEST_A_IMAGE = "map", "map.unfinished", 2500, 10
RANKS = (1, 3, 6, 10, 16, 25, 40)  # the neighbors that each image is matched with
ARRAYS = ("starts", "points", "origin", "rays", "descriptors", "pixels")
VERSION = 2  # raised whenever the same images give another map


@dataclass(frozen=True, eq=False)
class Landmarks:
    """m keypoints of n images with the points that they show; memory-mapped.

    starts: (n + 1,) where each image's rows begin. points: (m, 3) float32 world, as seen from origin (3,) float64: a
    world's own zero may lie too far away for float32. rays: (m, 2) float32 on the plane z = 1. descriptors: (m, 128)
    uint8 SIFT. pixels: (n,) widths of a pixel there.
    """

    starts: np.ndarray
    points: np.ndarray
    origin: np.ndarray
    rays: np.ndarray
    descriptors: np.ndarray
    pixels: np.ndarray

    def seen(self, row: int) -> Observations:
        """What one image sees."""
        rows = slice(self.starts[row], self.starts[row + 1])
        keypoints = Keypoints(
            np.array(self.rays[rows], float),
            np.array(self.descriptors[rows]),
            float(self.pixels[row]),
        )
        return Observations(keypoints, self.origin + self.points[rows])

    @property
    def megabytes(self) -> float:
        """Size on the disk, in millions of bytes."""
        return sum(each.nbytes for each in (self.points, self.rays, self.descriptors)) / 1e6


def load_or_build_landmarks(folder: Path, training: Scene) -> Landmarks:
    """The landmarks of a run's training images, from folder/map if they are still of these images, else made now.

    Raises PoseNetError when the intrinsics are not known, or hardly any point can be triangulated.
    """
    target, stamp = folder / MAP, _stamp(training)
    kept = _opened(target, stamp)
    if kept is not None:
        return kept
    if not any(camera and camera.has_known_focal_length for camera in training.cameras):
        raise PoseNetError(
            f"--refine needs the intrinsics of the training images, {training.root} does not tell them"
        )
    log.info("making the map of %d training images", len(training))
    try:
        _make(folder, training, stamp)
    except PoseNetError:
        if _opened(target, stamp) is None:  # else another process was faster
            raise
    made = _opened(target, stamp)
    if made is None:
        raise PoseNetError(
            f"{target} must be made by one process at a time, another one is making it: try again"
        )
    log.info("written: %s, %d points, %.0f MB", target, len(made.points), made.megabytes)
    return made


def _make(folder: Path, training: Scene, stamp: str) -> None:
    seen = triangulate_scene(training, KEYPOINTS, RANKS, _begun(folder / UNFINISHED, stamp))
    shared = sum(len(each.points) for each in seen)
    if shared < FEWEST_A_IMAGE * len(seen):
        raise PoseNetError(
            f"--refine needs at least {FEWEST_A_IMAGE} points a image that other images see too, the {len(seen)} "
            f"training images of {training.root} share {shared}"
        )
    shutil.rmtree(folder / MAP, ignore_errors=True)
    with atomic_directory(folder / MAP) as unfinished:
        _write(unfinished, seen, training.poses.positions.mean(axis=0), stamp)
    shutil.rmtree(folder / UNFINISHED, ignore_errors=True)


def _begun(folder: Path, stamp: str) -> Path:
    """The folder of what an earlier, stopped making of the same map has done; empty where there was none."""
    try:
        if (folder / "stamp").read_text() == stamp:
            return folder
    except (OSError, ValueError):
        pass
    shutil.rmtree(folder, ignore_errors=True)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise PoseNetError(
            f"--refine needs to write {folder}, which cannot be made: {error.strerror}"
        ) from None
    write_text(folder / "stamp", stamp)
    return folder


def _write(folder: Path, seen: list[Observations], origin: np.ndarray, stamp: str) -> None:
    arrays = {
        "origin": origin,
        "points": np.concatenate([each.points - origin for each in seen]).astype(np.float32),
        "rays": np.concatenate([each.keypoints.rays for each in seen]).astype(np.float32),
        "descriptors": np.concatenate([each.keypoints.descriptors for each in seen]),
        "starts": np.concatenate([[0], np.cumsum([len(each.points) for each in seen])]),
        "pixels": np.array([each.keypoints.pixel for each in seen]),
    }
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array)
    (folder / "map.json").write_text(json.dumps({"stamp": stamp}) + "\n")


def _opened(folder: Path, stamp: str) -> Landmarks | None:
    """The map in a folder; None where there is none, or one of other images, or a damaged one."""
    try:
        if json.loads((folder / "map.json").read_text())["stamp"] != stamp:
            return None
        parts = {
            name: np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False)
            for name in ARRAYS
        }
        rows = len(parts["points"])
        whole = all(len(parts[name]) == rows for name in ("rays", "descriptors"))
        whole = (
            whole
            and len(parts["starts"]) == len(parts["pixels"]) + 1
            and parts["starts"][-1] == rows
        )
    except (OSError, ValueError, KeyError, TypeError, IndexError, EOFError):
        return None
    return Landmarks(**parts) if whole else None


def _stamp(training: Scene) -> str:
    """What a map is of, and how it is made."""
    return f"{training.digest()} {VERSION} {READING} {KEYPOINTS} {RANKS}"
