"""Camera poses: positions and rotations.

Every pose is world_from_camera: the position is the camera center in the world frame, the rotation
takes camera axes (OpenCV: x right, y down, z forward) to world axes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.spatial.transform import Rotation

from posenet.errors import count

# Shortest quaternion that has a direction, and the largest value that is not clipped.
MIN_QUATERNION = 1e-6
MAX_QUATERNION = 1e9


@dataclass(frozen=True, eq=False)
class Poses:
    """n camera poses, world_from_camera.

    Attributes:
        positions: camera centers in the world frame, scene units, shape (n, 3), float64.
        rotations: n rotations, camera axes to world axes.
    """

    positions: np.ndarray
    rotations: Rotation

    def __post_init__(self) -> None:
        """Check the shapes. Raises ValueError."""
        positions = np.asarray(self.positions, np.float64)
        if positions.ndim != 2 or positions.shape[1] != 3:
            raise ValueError(f"positions must have shape (n, 3). Received: {positions.shape}")
        if self.rotations.as_quat().shape != (len(positions), 4):
            raise ValueError(
                f"the number of rotations must be that of the positions ({len(positions)}). "
                f"Received: {self.rotations.as_quat().shape[:-1]}"
            )
        object.__setattr__(self, "positions", positions)

    @classmethod
    def from_quaternions(cls, positions: ArrayLike, quaternions_wxyz: ArrayLike) -> Poses:
        """Return poses from quaternions.

        Args:
            positions: camera centers, shape (n, 3).
            quaternions_wxyz: world_from_camera, Hamilton, of any non-zero length, shape (n, 4).

        Returns:
            n poses.

        Raises:
            ValueError: a quaternion has length zero.
        """
        quaternions = np.asarray(quaternions_wxyz, np.float64).reshape(-1, 4)
        rotations = Rotation.from_quat(quaternions, scalar_first=True)
        return cls(np.asarray(positions), rotations)

    @classmethod
    def from_matrices(cls, world_from_camera: ArrayLike) -> Poses:
        """Return poses from camera-to-world matrices.

        Args:
            world_from_camera: shape (n, 4, 4) or (n, 3, 4).

        Returns:
            n poses.
        """
        matrices = np.asarray(world_from_camera, np.float64)
        return cls(matrices[:, :3, 3], Rotation.from_matrix(matrices[:, :3, :3]))

    @property
    def quaternions_wxyz(self) -> np.ndarray:
        """Unit quaternions, Hamilton wxyz, w >= 0, shape (n, 4)."""
        quaternions: np.ndarray = self.rotations.as_quat(canonical=True, scalar_first=True)
        return quaternions

    @property
    def matrices(self) -> np.ndarray:
        """world_from_camera matrices, shape (n, 4, 4)."""
        matrices = np.tile(np.eye(4), (len(self), 1, 1))
        matrices[:, :3, :3] = self.rotations.as_matrix()
        matrices[:, :3, 3] = self.positions
        return matrices

    def inverse(self) -> Poses:
        """Return the inverse transforms, camera_from_world; the positions become translations.

        Returns:
            n transforms.
        """
        rotations = self.rotations.inv()
        return Poses(-rotations.apply(self.positions), rotations)

    def __len__(self) -> int:
        """Return the number of poses."""
        return len(self.positions)

    def __getitem__(self, index: Any) -> Poses:
        """Return poses by slice, mask or indices; a single index keeps the leading axis."""
        index = np.atleast_1d(index) if not isinstance(index, slice) else index
        return Poses(self.positions[index], self.rotations[index])

    def __repr__(self) -> str:
        """Return the poses in one line."""
        if not len(self):
            return "Poses(0 poses)"
        extent = " x ".join(f"{side:.3g}" for side in np.ptp(self.positions, axis=0))
        return f"Poses({count(len(self), 'pose')}, extent {extent})"


def concatenate(parts: Sequence[Poses]) -> Poses:
    """Concatenate poses.

    Args:
        parts: poses.

    Returns:
        All poses in order.
    """
    return Poses(
        np.concatenate([part.positions for part in parts]),
        Rotation.concatenate([part.rotations for part in parts]),
    )


def is_valid_quaternion(quaternions: np.ndarray) -> np.ndarray:
    """Return a mask of the quaternions that are finite and non-zero.

    Args:
        quaternions: shape (n, 4).

    Returns:
        The mask, shape (n,).
    """
    clipped = np.clip(np.nan_to_num(quaternions), -MAX_QUATERNION, MAX_QUATERNION)
    long_enough = np.linalg.norm(clipped, axis=1) > MIN_QUATERNION
    valid: np.ndarray = np.isfinite(quaternions).all(axis=1) & long_enough
    return valid


def rotations_from_quaternions(quaternions: np.ndarray) -> tuple[Rotation, np.ndarray]:
    """Return rotations of quaternions that may be invalid.

    Args:
        quaternions: wxyz, of any length, shape (n, 4).

    Returns:
        n rotations, the identity for invalid quaternions, and the mask (n,) of the valid ones.
    """
    valid = is_valid_quaternion(quaternions)
    safe = np.where(valid[:, None], quaternions, [1.0, 0, 0, 0])
    safe = np.clip(safe, -MAX_QUATERNION, MAX_QUATERNION)
    return Rotation.from_quat(safe, scalar_first=True), valid
