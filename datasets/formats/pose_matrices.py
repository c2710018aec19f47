"""Convert camera-to-world matrices of files to raw labels.

A matrix whose rotation has a positive scale is unambiguous, and so is one that is homogeneous in
another multiple than 1. Both are normalized. Every other fault has its own name.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.spatial.transform import Rotation

from posenet.datasets.validation import RowIssue

# Largest error of an element of R R^T, which rounding in files causes.
ROTATION_TOLERANCE = 1e-2
# Largest error of an element of the last row, relative to its last element.
LAST_ROW_TOLERANCE = 1e-6
# Smallest last element and smallest scale of a rotation that are not zero.
MIN_LAST_ELEMENT = 1e-9
MIN_SCALE = 1e-6
# Matrix elements are clipped to this number, whose products are finite.
MAX_ELEMENT = 1e9


class MatrixPoses(NamedTuple):
    """The poses of n matrices.

    Attributes:
        positions: camera centers in the world frame, shape (n, 3), NaN if a matrix is unusable.
        quaternions_wxyz: world_from_camera, shape (n, 4), NaN if a matrix is unusable.
        issues: what was normalized, and why matrices are unusable, without those that are not
            finite.
    """

    positions: np.ndarray
    quaternions_wxyz: np.ndarray
    issues: list[RowIssue]


class RigidMatrices(NamedTuple):
    """n matrices of a rotation and a translation.

    Attributes:
        matrices: shape (n, 4, 4), NaN if a matrix is unusable.
        issues: as in `MatrixPoses`.
    """

    matrices: np.ndarray
    issues: list[RowIssue]


def from_matrices(matrices: np.ndarray) -> MatrixPoses:
    """Convert camera-to-world matrices.

    Args:
        matrices: world_from_camera, shape (n, 4, 4).

    Returns:
        Positions, quaternions and issues; see `normalize_matrices`.
    """
    rigid, issues = normalize_matrices(matrices)
    valid = np.isfinite(rigid).all(axis=(1, 2))
    rotations = Rotation.from_matrix(np.where(valid[:, None, None], rigid[:, :3, :3], np.eye(3)))
    quaternions = rotations.as_quat(canonical=True, scalar_first=True).reshape(-1, 4)
    return MatrixPoses(rigid[:, :3, 3], np.where(valid[:, None], quaternions, np.nan), issues)


def normalize_matrices(matrices: np.ndarray) -> RigidMatrices:
    """Divide matrices by their last element, and remove the scale of their rotation.

    A division by the last element divides the position too. The scale of a rotation does not
    concern the position.

    Args:
        matrices: homogeneous matrices, shape (n, 4, 4).

    Returns:
        The matrices, and the issues. A matrix is unusable if it is not finite, its last row is not
        0 0 0 x, or its rotation is singular, mirrored, or not orthogonal within 1e-2.
    """
    usable = np.isfinite(matrices).all(axis=(1, 2))
    safe = np.where(usable[:, None, None], np.clip(matrices, -MAX_ELEMENT, MAX_ELEMENT), np.eye(4))
    last = safe[:, 3, 3]
    off_last_row = np.abs(safe[:, 3, :3]).max(axis=1, initial=0) >= LAST_ROW_TOLERANCE * np.abs(
        last
    )
    bad_last_row = usable & (off_last_row | (np.abs(last) < MIN_LAST_ELEMENT))
    usable &= ~bad_last_row
    divisors = np.where(usable, last, 1.0)
    # Rounding of the last element changes nothing.
    divided = np.abs(divisors - 1) >= LAST_ROW_TOLERANCE
    safe = safe / np.where(divided, divisors, 1.0)[:, None, None]
    scales, faults = _rotation_scales(safe[:, :3, :3], usable)
    for fault in faults:
        usable &= ~fault.rows
    scaled = usable & (scales != 1)
    safe[:, :3, :3] /= np.where(scaled, scales, 1.0)[:, None, None]
    safe[:, 3] = [0, 0, 0, 1]
    issues = [
        RowIssue(bad_last_row, "matrix whose last row is not 0 0 0 x"),
        *faults,
        _normalized(divided & usable, divisors, "matrix whose last element is", "divided by it"),
        _normalized(scaled, scales, "rotation with a scale of", "scale removed"),
    ]
    rigid = np.where(usable[:, None, None], safe, np.nan)
    return RigidMatrices(rigid, [issue for issue in issues if issue.rows.any()])


def _rotation_scales(blocks: np.ndarray, usable: np.ndarray) -> tuple[np.ndarray, list[RowIssue]]:
    """Return the scale of each rotation, 1 within the tolerance, and the blocks without one."""
    determinants = np.linalg.det(blocks)
    scales = np.cbrt(np.abs(determinants))
    singular = usable & (scales < MIN_SCALE)
    is_orthonormal = _is_orthonormal(blocks)
    scales = np.where(singular | is_orthonormal, 1.0, np.maximum(scales, MIN_SCALE))
    is_orthogonal = is_orthonormal | _is_orthonormal(blocks / scales[:, None, None])
    skewed = usable & ~singular & ~is_orthogonal
    mirrored = usable & ~singular & is_orthogonal & (determinants < 0)
    return scales, [
        RowIssue(singular, "singular rotation"),
        RowIssue(skewed, "rotation with shear or unequal scales"),
        RowIssue(mirrored, "mirrored rotation"),
    ]


def _is_orthonormal(blocks: np.ndarray) -> np.ndarray:
    """Return a mask of the blocks (n, 3, 3) whose rows are unit vectors at right angles."""
    errors = np.abs(blocks @ blocks.transpose(0, 2, 1) - np.eye(3))
    mask: np.ndarray = errors.max(axis=(1, 2), initial=0) < ROTATION_TOLERANCE
    return mask


def _normalized(rows: np.ndarray, factors: np.ndarray, kind: str, action: str) -> RowIssue:
    """Return the issue of normalized rows, with the range of their factors."""
    chosen = factors[rows] if rows.any() else np.ones(1)
    low, high = f"{chosen.min():.4g}", f"{chosen.max():.4g}"
    return RowIssue(rows, f"{kind} {low if low == high else f'{low} to {high}'}", action)
