"""Camera poses: positions and rotations, their errors, mean and alignment.

Every pose is world_from_camera: the position is the camera centre in the world frame, the rotation
takes camera axes (OpenCV: x right, y down, z forward) to world axes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

from posenet.errors import PoseNetError

LINE = 0.1  # positions of a smaller width_to_length lie nearly on a line (King's College 0.098, Street 0.049)


@dataclass(frozen=True, eq=False)
class Poses:
    """n camera poses, world_from_camera.

    positions: (n, 3) float64 camera centres in the world frame, in the scene's unit.
    rotations: n scipy rotations, camera axes to world axes.
    """

    positions: np.ndarray
    rotations: Rotation

    def __post_init__(self):
        positions = np.asarray(self.positions, np.float64)
        if positions.ndim != 2 or positions.shape[1] != 3:
            raise ValueError(f"positions must have shape (n, 3). Received: {positions.shape}")
        if self.rotations.as_quat().shape != (len(positions), 4):
            raise ValueError(
                f"as many rotations as positions ({len(positions)}) are needed. "
                f"Received: {self.rotations.as_quat().shape[:-1]}"
            )
        object.__setattr__(self, "positions", positions)

    @classmethod
    def from_quaternions(cls, positions, quaternions_wxyz) -> Poses:
        """From positions (n, 3) and quaternions (n, 4), Hamilton wxyz of any non-zero length.

        Raises ValueError for a quaternion of length zero.
        """
        quaternions = np.asarray(quaternions_wxyz, np.float64).reshape(-1, 4)
        return cls(positions, Rotation.from_quat(quaternions, scalar_first=True))

    @classmethod
    def from_matrices(cls, world_from_camera) -> Poses:
        """From (n, 4, 4) or (n, 3, 4) camera-to-world matrices."""
        matrices = np.asarray(world_from_camera, np.float64)
        return cls(matrices[:, :3, 3], Rotation.from_matrix(matrices[:, :3, :3]))

    @property
    def quaternions_wxyz(self) -> np.ndarray:
        """(n, 4) unit quaternions, Hamilton wxyz, w >= 0."""
        return self.rotations.as_quat(canonical=True, scalar_first=True)

    @property
    def matrices(self) -> np.ndarray:
        """(n, 4, 4) world_from_camera matrices."""
        matrices = np.tile(np.eye(4), (len(self), 1, 1))
        matrices[:, :3, :3] = self.rotations.as_matrix()
        matrices[:, :3, 3] = self.positions
        return matrices

    def inverse(self) -> Poses:
        """The same transforms the other way round: camera_from_world (positions become translations)."""
        rotations = self.rotations.inv()
        return Poses(-rotations.apply(self.positions), rotations)

    def __len__(self) -> int:
        return len(self.positions)

    def __getitem__(self, index) -> Poses:
        """Rows by slice, mask or index array; a single index keeps the leading axis."""
        index = np.atleast_1d(index) if not isinstance(index, slice) else index
        return Poses(self.positions[index], self.rotations[index])


def concatenate(parts: list[Poses]) -> Poses:
    """All poses of the parts, in order."""
    return Poses(
        np.concatenate([part.positions for part in parts]),
        Rotation.concatenate([part.rotations for part in parts]),
    )


def position_errors(estimate: Poses, truth: Poses) -> np.ndarray:
    """(n,) distances between camera centres, in the scene's unit."""
    return np.linalg.norm(estimate.positions - truth.positions, axis=1)


def rotation_errors_deg(estimate: Poses, truth: Poses) -> np.ndarray:
    """(n,) angles in degrees, 0 to 180, of the rotations between estimate and truth.

    Equal to 2 acos(|q . q'|), but by atan2, so exact near 0 and near 180 degrees.
    """
    return np.degrees((estimate.rotations.inv() * truth.rotations).magnitude())


def mean_pose(poses: Poses) -> Poses:
    """One pose: mean position, and the quaternion mean of Markley et al. (2007)."""
    if len(poses) == 0:
        raise ValueError("the mean of no poses does not exist")
    return Poses(
        poses.positions.mean(axis=0, keepdims=True),
        Rotation.concatenate([poses.rotations.mean()]),
    )


def up_direction(rotations: Rotation) -> np.ndarray:
    """(3,) unit vector, upwards in the world of n cameras as most are held, from their rotations to the world.

    The direction most at right angles to all cameras' right axes, where those spread over a plane; otherwise the mean
    of the cameras' up axes. Cameras that all look one way, turned about it in all directions, look down. Doubtful where
    cameras are rolled, and where they look down with one heading.
    """
    right, held = rotations.apply([1.0, 0, 0]), rotations.apply([0, -1.0, 0]).mean(axis=0)
    ahead = rotations.apply([0, 0, 1.0]).mean(axis=0)
    if np.linalg.norm(ahead) > 0.9 and np.linalg.norm(held) < 0.2:
        return -ahead / np.linalg.norm(ahead)
    spreads, axes = principal_axes(right)
    level = spreads[1] > 0.3 * spreads[0] and spreads[2] < 0.35 * spreads[1]
    up = axes[2] if level else held / max(float(np.linalg.norm(held)), 1e-12)
    return up if up @ held >= 0 else -up


def tells_rotation(quaternions: np.ndarray) -> np.ndarray:
    """(n,) whether quaternions (n, 4) are finite and have a direction."""
    small = np.clip(np.nan_to_num(quaternions), -1e9, 1e9)
    return np.isfinite(quaternions).all(axis=1) & (np.linalg.norm(small, axis=1) > 1e-6)


def usable_rotations(quaternions: np.ndarray) -> tuple[Rotation, np.ndarray]:
    """n rotations of quaternions (n, 4) wxyz of any length, the identity where they tell none, and the mask (n,)."""
    good = tells_rotation(quaternions)
    usual = np.clip(np.where(good[:, None], quaternions, [1.0, 0, 0, 0]), -1e9, 1e9)
    return Rotation.from_quat(usual, scalar_first=True), good


def principal_axes(vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(3,) spreads of vectors (n, 3) about 0 along their principal axes, largest first, and the axes (3, 3) in rows."""
    squares, axes = np.linalg.eigh(vectors.T @ vectors)
    return np.sqrt(np.maximum(squares[::-1], 0)), axes.T[::-1]


def width_to_length(positions: np.ndarray) -> float:
    """How far positions (n >= 2, 3) spread across their main axis against along it; 1 where they are all one."""
    along, across = np.linalg.svd(positions - positions.mean(axis=0), compute_uv=False)[:2]
    return float(across / along) if along > 0 else 1.0


@dataclass(frozen=True, eq=False)
class Similarity:
    """x -> scale * rotation(x) + translation, from one world frame to another."""

    scale: float
    rotation: Rotation
    translation: np.ndarray

    def apply(self, poses: Poses) -> Poses:
        """The same cameras, expressed in the other world frame."""
        positions = self.scale * self.rotation.apply(poses.positions) + self.translation
        return Poses(positions, self.rotation * poses.rotations)


def align_similarity(source: Poses, target: Poses, with_scale: bool = True) -> Similarity:
    """The similarity that takes the source positions nearest to the target's, least squares.

    Umeyama (1991). Raises PoseNetError for fewer than three cameras, or for cameras on one line,
    about which the rotation would be free.
    """
    if len(source) != len(target) or len(source) < 3:
        raise PoseNetError(
            f"alignment needs two equally long lists of at least 3 poses, received {len(source)} and {len(target)}"
        )
    source_mean, target_mean = source.positions.mean(axis=0), target.positions.mean(axis=0)
    centred, aimed = source.positions - source_mean, target.positions - target_mean
    for spread in (np.linalg.svd(centred, compute_uv=False), np.linalg.svd(aimed, compute_uv=False)):
        if spread[1] <= 1e-9 * max(spread[0], 1e-300):
            raise PoseNetError("alignment needs cameras that do not all stand on one line")
    rotation, _ = Rotation.align_vectors(aimed, centred)
    scale = float((aimed * rotation.apply(centred)).sum() / (centred**2).sum()) if with_scale else 1.0
    return Similarity(scale, rotation, target_mean - scale * rotation.apply(source_mean))
