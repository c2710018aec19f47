"""From what files write to raw labels: camera center, and quaternion wxyz of the rotation from camera to world.

A pose that is none becomes NaN, and the label hygiene reports it.
"""

from __future__ import annotations

import numpy as np
from scipy.spatial.transform import Rotation

from posenet.geometry.poses import rotations_from_quaternions

OPENCV_FROM_OPENGL = np.diag(
    [1.0, -1.0, -1.0]
)  # camera axes x right, y up, z back become x right, y down, z forward


def from_matrices(matrices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Positions (n, 3) and quaternions (n, 4) of world_from_camera matrices (n, 4, 4).

    NaN where a matrix is not finite, its rotation not orthonormal within 1e-2, or its last row not 0 0 0 1.
    """
    rigid = is_rigid(matrices)
    turns = np.where(rigid[:, None, None], matrices[:, :3, :3], np.eye(3))
    quaternions = (
        Rotation.from_matrix(turns).as_quat(canonical=True, scalar_first=True).reshape(-1, 4)
    )
    positions = np.where(rigid[:, None], matrices[:, :3, 3], np.nan)
    return positions, np.where(rigid[:, None], quaternions, np.nan)


def is_rigid(matrices: np.ndarray) -> np.ndarray:
    """(n,) whether a matrix (n, 4, 4) is finite, a rotation within 1e-2 and a shift."""
    finite = np.isfinite(matrices).all(axis=(1, 2))
    good = np.where(finite[:, None, None], np.clip(matrices, -1e9, 1e9), 0)
    turn = good[:, :3, :3]
    orthonormal = (
        np.abs(turn @ turn.transpose(0, 2, 1) - np.eye(3)).max(axis=(1, 2), initial=0) < 1e-2
    )
    last_row = np.abs(good[:, 3] - [0, 0, 0, 1]).max(axis=1, initial=0) < 1e-6
    upright = np.linalg.det(np.where(orthonormal[:, None, None], turn, 0)) > 0
    return finite & orthonormal & last_row & upright


def from_camera_from_world(
    quaternions: np.ndarray, translations: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Positions -R^T t and conjugated quaternions of camera_from_world ones (n, 4) wxyz and translations (n, 3).

    Broken quaternions stay as they are, for the label hygiene.
    """
    turns, _ = rotations_from_quaternions(quaternions)
    positions = -turns.inv().apply(translations).reshape(-1, 3)
    return positions, quaternions * [1.0, -1.0, -1.0, -1.0]
