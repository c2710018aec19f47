"""Pose errors, mean poses and the mean-pose baseline."""

from __future__ import annotations

import numpy as np
from scipy.spatial.transform import Rotation

from posenet.geometry.poses import Poses, concatenate


def position_errors(estimate: Poses, ground_truth: Poses) -> np.ndarray:
    """Return the distances between estimated and true camera centers.

    Args:
        estimate: n estimated poses.
        ground_truth: n true poses, in the same world frame.

    Returns:
        Errors in scene units, shape (n,).
    """
    errors: np.ndarray = np.linalg.norm(estimate.positions - ground_truth.positions, axis=1)
    return errors


def rotation_errors_deg(estimate: Poses, ground_truth: Poses) -> np.ndarray:
    """Return the angles between estimated and true rotations.

    They equal 2 acos(|q . q'|), computed by atan2, so that they are exact near 0 and 180 degrees.

    Args:
        estimate: n estimated poses.
        ground_truth: n true poses, in the same world frame.

    Returns:
        Errors in degrees, 0 to 180, shape (n,).
    """
    errors: np.ndarray = np.degrees((estimate.rotations.inv() * ground_truth.rotations).magnitude())
    return errors


def mean_pose(poses: Poses) -> Poses:
    """Return the mean position and the mean rotation (Markley et al., 2007).

    Args:
        poses: n poses.

    Returns:
        One pose.

    Raises:
        ValueError: there are no poses.
    """
    if len(poses) == 0:
        raise ValueError("the mean pose requires at least one pose. Received: 0")
    return Poses(
        poses.positions.mean(axis=0, keepdims=True),
        Rotation.concatenate([poses.rotations.mean()]),
    )


def mean_pose_errors(training: Poses, ground_truth: Poses) -> tuple[np.ndarray, np.ndarray]:
    """Return the errors of always predicting the mean training pose.

    Args:
        training: the training poses.
        ground_truth: n true poses.

    Returns:
        Position errors in scene units and rotation errors in degrees, shape (n,) each.
    """
    constant = concatenate([mean_pose(training)] * len(ground_truth))
    return position_errors(constant, ground_truth), rotation_errors_deg(constant, ground_truth)
