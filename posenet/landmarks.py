"""The map of a run: what each training picture sees of the scene's 3-D points, kept in RUN/map."""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from posenet.errors import PoseNetError
from posenet.keypoints import Keypoints
from posenet.scene import Scene
from posenet.storage import files_digest, new_folder, write_text
from posenet.structure import SeenPoints, triangulate_scene

log = logging.getLogger("posenet")

MAP, UNFINISHED, KEYPOINTS = "map", "map.unfinished", 2500
RANKS = (1, 3, 6, 10, 16, 25, 40)  # the neighbours that each picture is matched with


@dataclass(frozen=True, eq=False)
class Landmarks:
    """m keypoints of n pictures with the points that they show; memory-mapped.

    starts: (n + 1,) where each picture's rows begin. points: (m, 3) float32 world. rays: (m, 2) float32 on the plane
    z = 1. descriptors: (m, 128) uint8 SIFT. pixels: (n,) widths of a pixel there.
    """

    starts: np.ndarray
    points: np.ndarray
    rays: np.ndarray
    descriptors: np.ndarray
    pixels: np.ndarray

    def seen(self, row: int) -> SeenPoints:
        """What one picture sees."""
        rows = slice(self.starts[row], self.starts[row + 1])
        keypoints = Keypoints(
            np.array(self.rays[rows], float), np.array(self.descriptors[rows]), float(self.pixels[row])
        )
        return SeenPoints(keypoints, np.array(self.points[rows], float))

    @property
    def megabytes(self) -> float:
        """Size on the disk, in millions of bytes."""
        return sum(each.nbytes for each in (self.points, self.rays, self.descriptors)) / 1e6


def landmarks_of(folder: Path, training: Scene) -> Landmarks:
    """The landmarks of a run's training pictures, from folder/map if they are still of these pictures, else made now.

    Raises PoseNetError when the intrinsics are not known, or hardly any point can be triangulated.
    """
    target, stamp = folder / MAP, _stamp(training)
    kept = _opened(target, stamp)
    if kept is not None:
        return kept
    if not any(camera and camera.focal_known for camera in training.cameras):
        raise PoseNetError(
            f"--refine needs the intrinsics of the training pictures, {training.root} does not tell them"
        )
    log.info("making the map of %d training pictures", len(training))
    seen = triangulate_scene(training, KEYPOINTS, RANKS, _begun(folder / UNFINISHED, stamp))
    if sum(len(each.points) for each in seen) < 10 * len(seen):
        raise PoseNetError(
            f"--refine needs points that several pictures see, those of {training.root} hardly share any"
        )
    shutil.rmtree(target, ignore_errors=True)
    with new_folder(target) as unfinished:
        _write(unfinished, seen, stamp)
    shutil.rmtree(folder / UNFINISHED, ignore_errors=True)
    made = _opened(target, stamp)
    assert made is not None
    log.info("written: %s, %d points, %.0f MB", target, len(made.points), made.megabytes)
    return made


def _begun(folder: Path, stamp: str) -> Path:
    """The folder of what an earlier, stopped making of the same map has done; empty where there was none."""
    try:
        if (folder / "stamp").read_text() == stamp:
            return folder
    except (OSError, ValueError):
        pass
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    write_text(folder / "stamp", stamp)
    return folder


def _write(folder: Path, seen: list[SeenPoints], stamp: str) -> None:
    arrays = {
        "points": np.concatenate([each.points for each in seen]).astype(np.float32),
        "rays": np.concatenate([each.keypoints.rays for each in seen]).astype(np.float32),
        "descriptors": np.concatenate([each.keypoints.descriptors for each in seen]),
        "starts": np.concatenate([[0], np.cumsum([len(each.points) for each in seen])]),
        "pixels": np.array([each.keypoints.pixel for each in seen]),
    }
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array)
    (folder / "map.json").write_text(json.dumps({"format": 1, "stamp": stamp}) + "\n")


def _opened(folder: Path, stamp: str) -> Landmarks | None:
    """The map in a folder; None where there is none, or one of other pictures, or a damaged one."""
    names = ("starts", "points", "rays", "descriptors", "pixels")
    try:
        if json.loads((folder / "map.json").read_text())["stamp"] != stamp:
            return None
        parts = {name: np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False) for name in names}
    except (OSError, ValueError, KeyError, TypeError):
        return None
    rows = len(parts["points"])
    whole = all(len(parts[name]) == rows for name in ("rays", "descriptors"))
    return Landmarks(**parts) if whole and parts["starts"][-1] == rows else None


def _stamp(training: Scene) -> str:
    """A digest of the pictures' names, sizes and times, and of their poses and cameras."""
    digest = hashlib.sha256(repr((KEYPOINTS, RANKS, training.cameras)).encode())
    digest.update(training.poses.matrices.round(9).tobytes())
    digest.update(files_digest(training.paths).encode())
    return digest.hexdigest()[:32]
