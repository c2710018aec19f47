"""A scene: images, their camera poses, cameras and split. What every adapter in datasets/ makes."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from posenet.errors import EmptySplitError
from posenet.geometry.camera import Camera
from posenet.geometry.poses import Poses
from posenet.io.files import fingerprint_files


@dataclass(frozen=True, eq=False)
class ScenePoints:
    """3-D points of a scene and the images that see them.

    positions: (m, 3) world frame, scene unit. observations: (k, 2) int rows (image, point).
    """

    positions: np.ndarray
    observations: np.ndarray


@dataclass(frozen=True, eq=False)
class Scene:
    """Images with known poses.

    names: n image paths below root, with forward slashes.
    poses: n world_from_camera poses. cameras: n cameras, None where the intrinsics are unknown.
    splits: (n,) "train" or "test". sequences: (n,) the name of each image's sequence; inside a
    sequence the images are in the order of time. unit: "m", "scene units" where the scale is unknown, or
    what poses.csv says.
    quaternion_convention: which rotation the scene's own files write, for reading a user's pose files. numbers: (n,)
    the images' places in their split, from 0, where those whose files cannot be used count too; None: as they stand.
    times: (n,) when they were taken, in seconds, for formats that tell.
    """

    name: str
    root: Path
    names: tuple[str, ...]
    poses: Poses
    cameras: tuple[Camera | None, ...]
    splits: np.ndarray
    sequences: np.ndarray
    unit: str = "m"
    points: ScenePoints | None = None
    quaternion_convention: str = "world_from_camera"
    numbers: np.ndarray | None = None
    times: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.names)

    @property
    def paths(self) -> list[Path]:
        """The image files."""
        return [self.root / name for name in self.names]

    @property
    def stamps(self) -> np.ndarray:
        """(n,) what pose files of the TUM form name the images by: their times, else their numbers."""
        if self.times is not None:
            return self.times
        return (
            np.arange(len(self), dtype=float)
            if self.numbers is None
            else self.numbers.astype(float)
        )

    def digest(self) -> str:
        """Of the images' names, sizes and times, their poses and cameras: is what was made of them still of them?"""
        digest = hashlib.sha256(repr(self.cameras).encode())
        digest.update(self.poses.matrices.round(9).tobytes())
        digest.update(fingerprint_files(self.paths).encode())
        return digest.hexdigest()[:32]

    def subset(self, index) -> Scene:
        """The images at a boolean mask or index array, in its order, with what they observe of the points."""
        rows = np.arange(len(self))[index]
        points = self.points
        if points is not None:
            new_row = np.full(len(self), -1)
            new_row[rows] = np.arange(len(rows))
            seen = new_row[points.observations[:, 0]]
            kept = points.observations[seen >= 0]
            points = replace(points, observations=np.stack([seen[seen >= 0], kept[:, 1]], axis=1))
        return replace(
            self,
            names=tuple(self.names[row] for row in rows),
            poses=self.poses[rows],
            cameras=tuple(self.cameras[row] for row in rows),
            splits=self.splits[rows],
            sequences=self.sequences[rows],
            points=points,
            numbers=None if self.numbers is None else self.numbers[rows],
            times=None if self.times is None else self.times[rows],
        )

    def moved(self, by) -> Scene:
        """The scene in a world whose zero lies elsewhere: `by` (3,) is added to all positions and points."""
        points = self.points
        if points is not None:
            points = replace(points, positions=points.positions + by)
        return replace(
            self, poses=Poses(self.poses.positions + by, self.poses.rotations), points=points
        )

    def split(self, name: str) -> Scene:
        """The images of one split. Raises EmptySplitError when it is empty."""
        mask = self.splits == name
        if not mask.any():
            raise EmptySplitError(
                f"the {name} split of {self.root} must hold at least one usable image, it is empty"
            )
        return self.subset(mask)
