"""A scene: images, their camera poses, cameras and split. Every reader of a format returns one."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Collection
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from posenet.errors import EmptySplitError, PoseNetError
from posenet.geometry.camera import Camera
from posenet.geometry.poses import Poses
from posenet.io.files import fingerprint_files, fingerprint_stats


def order_by_sequence(sequences: ArrayLike) -> np.ndarray:
    """Order images sequence after sequence; names of a rig's images may alternate between cameras.

    Args:
        sequences: the sequence of each of n images, shape (n,).

    Returns:
        Indices of the images, the sequences in the order of their first images, shape (n,).
    """
    _, first, inverse = np.unique(np.asarray(sequences), return_index=True, return_inverse=True)
    order: np.ndarray = np.argsort(first[inverse.reshape(-1)], kind="stable")
    return order


@dataclass(frozen=True, eq=False)
class ScenePoints:
    """3-D points of a scene and the images that observe them.

    Attributes:
        positions: the points in the world frame, scene units, shape (m, 3).
        observations: rows (image index, point index), shape (k, 2), int.
        colors: RGB of each point, shape (m, 3), uint8; None if the files contain none.
    """

    positions: np.ndarray
    observations: np.ndarray
    colors: np.ndarray | None = None


@dataclass(frozen=True, eq=False)
class Scene:
    """Images with known poses.

    Attributes:
        name: name of the scene.
        root: its folder.
        names: paths of n images below `root`, with forward slashes.
        poses: n poses, world_from_camera.
        cameras: n cameras, None where the intrinsics are unknown.
        splits: "train" or "test" for each image, shape (n,).
        sequences: name of the sequence of each image, shape (n,). Within one, images are ordered by
            time.
        unit: "m", "scene units" if the scale is unknown, or another unit that the files state.
        points: 3-D points, if the files contain some.
        quaternion_convention: the rotation that the scene's own files contain, "world_from_camera"
            or "camera_from_world"; pose files of users are read with it.
        camera_axes: the camera axes of the scene's own files, "OpenCV", "OpenGL" (x right, y up, z
            back) or "Mitsuba" (x left, y up, z forward).
        numbers: index of each image within its split, images whose files are unusable included,
            shape (n,). None: the images are numbered in their order.
        times: when the images were taken, seconds, shape (n,), for formats that record it.
        moments: number of the moment at which each image was taken, in the order of time, shape
            (n,); the cameras of a rig share them. None: every image is a moment of its own.
        split_rule: the value of --split that the scene was opened with.
        file_stats: sizes and modification times of the image files when the scene was saved, shape
            (n, 2), see `posenet.io.files.file_stats`. None: those of the files.
        files: the image files of joined scenes, which have several folders. None: below `root`.
        parts: which of the joined scenes each image is from, shape (n,). None: there is only one.
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
    camera_axes: str = "OpenCV"
    numbers: np.ndarray | None = None
    times: np.ndarray | None = None
    moments: np.ndarray | None = None
    split_rule: str = "auto"
    file_stats: np.ndarray | None = None
    files: tuple[Path, ...] | None = None
    parts: np.ndarray | None = None

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.names)

    def __str__(self) -> str:
        """Return a summary in one line."""
        train = int((self.splits == "train").sum())
        test = len(self) - train
        extent = ""
        if len(self):
            sides = np.ptp(self.poses.positions, axis=0)
            extent = f", {' x '.join(f'{side:.1f}' for side in sides)} {self.unit}"
        return f"Scene({self.name}: {train} train / {test} test images{extent})"

    __repr__ = __str__

    @cached_property
    def paths(self) -> list[Path]:
        """The image files; the same list each time, since making it takes long for many images."""
        return list(self.files) if self.files else [self.root / name for name in self.names]

    @property
    def timestamps(self) -> np.ndarray:
        """Timestamps in TUM pose files, shape (n,): the times, otherwise the numbers."""
        if self.times is not None:
            return self.times
        return np.arange(len(self), dtype=float) if self.numbers is None else self.numbers * 1.0

    @property
    def dense_moments(self) -> np.ndarray:
        """Consecutive numbers of the moments, from 0 in the order of time, shape (n,)."""
        if self.moments is None:
            return np.arange(len(self))
        dense: np.ndarray = np.unique(self.moments, return_inverse=True)[1].reshape(-1)
        return dense

    def mask_names(self, names: Collection[str]) -> np.ndarray:
        """Find images by their names.

        Args:
            names: names of images, which need not be in the scene.

        Returns:
            A mask of the images with these names, shape (n,).
        """
        wanted = set(names)
        return np.fromiter((name in wanted for name in self.names), bool, len(self))

    def digest(self) -> str:
        """Return a fingerprint of the image files, poses and cameras, to validate cached results.

        Returns:
            32 hexadecimal digits.
        """
        if self.file_stats is None:
            return self._compute_digest()
        return self._saved_digest

    @cached_property
    def _saved_digest(self) -> str:
        """The digest of a scene whose files cannot change."""
        return self._compute_digest()

    def _compute_digest(self) -> str:
        # The camera model was called lens before 0.1.0; maps from then stay valid.
        cameras = _describe_cameras(self.cameras).replace(" model=", " lens=")
        digest = hashlib.sha256(cameras.encode())
        digest.update(self.poses.matrices.round(9).tobytes())
        digest.update(self.files_digest().encode())
        return digest.hexdigest()[:32]

    def files_digest(self) -> str:
        """Return a fingerprint of the image files alone.

        Returns:
            32 hexadecimal digits.
        """
        return fingerprint_files(self.paths) if self.file_stats is None else self._saved_files

    @cached_property
    def _saved_files(self) -> str:
        """The fingerprint of the image files when the scene was saved."""
        assert self.file_stats is not None
        names = [path.name for path in self.files] if self.files else self.names
        return fingerprint_stats([name.rpartition("/")[2] for name in names], self.file_stats)

    @property
    def has_images(self) -> bool:
        """Whether the images are there: False for a saved scene without its folder."""
        return self.file_stats is None or os.path.isdir(self.root)

    def require_images(self, purpose: str) -> None:
        """Check that the images are there.

        Args:
            purpose: what needs them, the start of the message.

        Raises:
            PoseNetError: they are not there.
        """
        if not self.has_images:
            raise PoseNetError(f"{purpose} requires the images of the scene, {self.root} not found")

    def subset(self, index: ArrayLike) -> Scene:
        """Return some of the images, with what they observe of the points.

        Args:
            index: a boolean mask (n,), or indices in the wanted order.

        Returns:
            The scene of these images.
        """
        rows = np.arange(len(self))[np.asarray(index)]
        points = self.points
        if points is not None:
            new_row = np.full(len(self), -1)
            new_row[rows] = np.arange(len(rows))
            images = new_row[points.observations[:, 0]]
            chosen = images >= 0
            point_rows = points.observations[chosen, 1]
            observations = np.stack([images[chosen], point_rows], axis=1)
            points = replace(points, observations=observations)
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
            moments=None if self.moments is None else self.moments[rows],
            file_stats=None if self.file_stats is None else self.file_stats[rows],
            files=None if self.files is None else tuple(self.files[row] for row in rows),
            parts=None if self.parts is None else self.parts[rows],
        )

    def translated(self, translation: ArrayLike) -> Scene:
        """Return the scene in a world frame with another origin.

        Args:
            translation: added to all positions and points, shape (3,).

        Returns:
            The translated scene.
        """
        points = self.points
        if points is not None:
            points = replace(points, positions=points.positions + translation)
        poses = Poses(self.poses.positions + translation, self.poses.rotations)
        return replace(self, poses=poses, points=points)

    def split(self, name: str) -> Scene:
        """Return the images of one split.

        Args:
            name: "train" or "test".

        Returns:
            The scene of these images.

        Raises:
            EmptySplitError: there are none.
        """
        mask = self.splits == name
        if not mask.any():
            raise EmptySplitError(
                f"the {name} split of {self.root} must contain at least one usable image, it is "
                "empty"
            )
        return self.subset(mask)


def _describe_cameras(cameras: tuple[Camera | None, ...]) -> str:
    """Return the cameras as `repr` does, which takes a second for 100,000 of them."""
    texts = {id(camera): repr(camera) for camera in {id(each): each for each in cameras}.values()}
    comma = "," if len(cameras) == 1 else ""
    return f"({', '.join([texts[id(camera)] for camera in cameras])}{comma})"
