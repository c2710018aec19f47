"""Camera poses: positions and rotations, their errors, mean and alignment.

Every pose is world_from_camera: the position is the camera center in the world frame, the rotation
takes camera axes (OpenCV: x right, y down, z forward) to world axes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation


@dataclass(frozen=True, eq=False)
class Poses:
    """n camera poses, world_from_camera.

    positions: (n, 3) float64 camera centers in the world frame, in the scene's unit.
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


def is_valid_quaternion(quaternions: np.ndarray) -> np.ndarray:
    """(n,) whether quaternions (n, 4) are finite and have a direction."""
    small = np.clip(np.nan_to_num(quaternions), -1e9, 1e9)
    return np.isfinite(quaternions).all(axis=1) & (np.linalg.norm(small, axis=1) > 1e-6)


def rotations_from_quaternions(quaternions: np.ndarray) -> tuple[Rotation, np.ndarray]:
    """n rotations of quaternions (n, 4) wxyz of any length, the identity where they tell none, and the mask (n,)."""
    good = is_valid_quaternion(quaternions)
    usual = np.clip(np.where(good[:, None], quaternions, [1.0, 0, 0, 0]), -1e9, 1e9)
    return Rotation.from_quat(usual, scalar_first=True), good
