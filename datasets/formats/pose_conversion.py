"""Convert poses as files contain them to raw labels.

Raw labels are camera centers, and quaternions wxyz of the rotation from camera to world axes.
Invalid poses become NaN, and label validation reports them.
"""

from __future__ import annotations

import numpy as np
from scipy.spatial.transform import Rotation

from posenet.geometry.poses import rotations_from_quaternions

# Camera axes x right, y up, z back become x right, y down, z forward.
OPENCV_FROM_OPENGL = np.diag([1.0, -1.0, -1.0])
# Signs that invert a quaternion wxyz. Invalid quaternions stay invalid, for label validation.
CONJUGATE = np.array([1.0, -1.0, -1.0, -1.0])
# Largest error of an element of R R^T, which rounding in files causes, and of the last row.
ROTATION_TOLERANCE = 1e-2
LAST_ROW_TOLERANCE = 1e-6
# Matrix elements are clipped to this number, whose products are finite.
MAX_ELEMENT = 1e9


def from_matrices(matrices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Convert camera-to-world matrices.

    Args:
        matrices: world_from_camera, shape (n, 4, 4).

    Returns:
        Positions, shape (n, 3), and quaternions wxyz, shape (n, 4). NaN if a matrix is not finite,
        its rotation is not orthonormal within 1e-2, or its last row is not 0 0 0 1.
    """
    rigid = is_rigid(matrices)
    rotations = Rotation.from_matrix(np.where(rigid[:, None, None], matrices[:, :3, :3], np.eye(3)))
    quaternions = rotations.as_quat(canonical=True, scalar_first=True).reshape(-1, 4)
    positions = np.where(rigid[:, None], matrices[:, :3, 3], np.nan)
    return positions, np.where(rigid[:, None], quaternions, np.nan)


def is_rigid(matrices: np.ndarray) -> np.ndarray:
    """Return a mask of the matrices that are a rotation and a translation.

    Args:
        matrices: shape (n, 4, 4).

    Returns:
        True for finite matrices with a rotation within 1e-2 and the last row 0 0 0 1, shape (n,).
    """
    finite = np.isfinite(matrices).all(axis=(1, 2))
    safe = np.clip(matrices, -MAX_ELEMENT, MAX_ELEMENT)
    safe = np.where(finite[:, None, None], safe, 0)
    rotation = safe[:, :3, :3]
    error = np.abs(rotation @ rotation.transpose(0, 2, 1) - np.eye(3))
    orthonormal = error.max(axis=(1, 2), initial=0) < ROTATION_TOLERANCE
    last_row = np.abs(safe[:, 3] - [0, 0, 0, 1]).max(axis=1, initial=0) < LAST_ROW_TOLERANCE
    not_mirrored = np.linalg.det(np.where(orthonormal[:, None, None], rotation, 0)) > 0
    rigid: np.ndarray = finite & orthonormal & last_row & not_mirrored
    return rigid


def from_camera_from_world(
    quaternions: np.ndarray, translations: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Convert world-to-camera rotations and translations.

    Args:
        quaternions: camera_from_world, wxyz, of any length, shape (n, 4).
        translations: camera_from_world, shape (n, 3).

    Returns:
        Positions -R^T t, shape (n, 3), and quaternions wxyz, shape (n, 4). Invalid quaternions stay
        invalid, for label validation.
    """
    rotations, _ = rotations_from_quaternions(quaternions)
    positions = -rotations.inv().apply(translations).reshape(-1, 3)
    return positions, quaternions * CONJUGATE
