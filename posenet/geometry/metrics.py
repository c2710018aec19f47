"""Pose errors and mean poses."""

from __future__ import annotations

import numpy as np
from scipy.spatial.transform import Rotation

from posenet.geometry.poses import Poses, concatenate


def position_errors(estimate: Poses, truth: Poses) -> np.ndarray:
    """(n,) distances between camera centers, in the scene's unit."""
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


def mean_pose_errors(training: Poses, truth: Poses) -> tuple[np.ndarray, np.ndarray]:
    """Errors (n,) in the scene's unit and in degrees of always answering with the mean training pose."""
    always = concatenate([mean_pose(training)] * len(truth))
    return position_errors(always, truth), rotation_errors_deg(always, truth)
