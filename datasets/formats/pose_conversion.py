"""Convert poses that files contain as rotation and translation to raw labels.

Raw labels are camera centers, and quaternions wxyz of the rotation from camera to world axes.
Invalid poses become NaN, and label validation reports them.
"""

from __future__ import annotations

import numpy as np

from posenet.geometry.poses import rotations_from_quaternions

# Camera axes x right, y up, z back become x right, y down, z forward.
OPENCV_FROM_OPENGL = np.diag([1.0, -1.0, -1.0])
# Signs that invert a quaternion wxyz. Invalid quaternions stay invalid, for label validation.
CONJUGATE = np.array([1.0, -1.0, -1.0, -1.0])


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
