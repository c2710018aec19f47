"""Perspective-n-point: the pose of a camera from matches of keypoints and 3-D points."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import poselib
from numpy.typing import ArrayLike
from scipy.optimize import least_squares
from scipy.spatial.transform import Rotation

from posenet.mapping.keypoints import Keypoints

# Reprojection error, in pixels, up to which RANSAC counts a match as an inlier.
RANSAC_PIXELS = 8.0
RANSAC_CONFIDENCE = 0.9999
MIN_ITERATIONS = 100
# Enough to draw three of 8 % inliers once with the above confidence (benchmarks/pnp.py).
RANSAC_ITERATIONS = 20000
# Fewest keypoints that must agree with a pose.
MIN_INLIERS = 12
# Residual in pixels from which Cauchy's loss grows slowly.
CAUCHY_PIXELS = 1.5
LEAST_SQUARES = {"loss_type": "CAUCHY", "loss_scale": CAUCHY_PIXELS, "max_iterations": 30}
# Most evaluations of the residuals when a focal length is fitted with the pose.
FOCAL_EVALUATIONS = 50
# An unknown focal length is searched between half and twice the assumed one.
FOCAL_FACTORS = np.exp(np.linspace(np.log(0.5), np.log(2.0), 11))
# Largest standard deviation of the logarithm of an estimated focal length: 5 %.
MAX_FOCAL_STD = 0.05
# Reprojection error, in pixels, of the matches that a focal length is fitted to.
FOCAL_FIT_PIXELS = 12.0


class CameraPose(NamedTuple):
    """A pose, world_from_camera.

    Attributes:
        position: camera center in the world frame, shape (3,).
        rotation: camera axes to world axes.
    """

    position: np.ndarray
    rotation: Rotation


class RansacPose(NamedTuple):
    """A pose found by RANSAC.

    Attributes:
        pose: the pose.
        num_inliers: number of keypoints that agree.
    """

    pose: CameraPose
    num_inliers: int


class Matches(NamedTuple):
    """n matches of keypoints and 3-D points.

    Attributes:
        rows: indices of the keypoints, shape (n,).
        points: the 3-D points in the world frame, shape (n, 3).
        images: indices of the training images that observe the points, shape (n,).
    """

    rows: np.ndarray
    points: np.ndarray
    images: np.ndarray

    def select(self, chosen: np.ndarray) -> Matches:
        """Return some of the matches.

        Args:
            chosen: a boolean mask (n,) or indices.

        Returns:
            Those matches.
        """
        return Matches(self.rows[chosen], self.points[chosen], self.images[chosen])


def ransac_pnp(
    keypoints: Keypoints, matches: Matches, *, iterations: int = RANSAC_ITERATIONS
) -> RansacPose | None:
    """Return the pose that most matches agree with (LO-RANSAC with P3P, then least squares).

    Args:
        keypoints: keypoints of the query image.
        matches: their matches.
        iterations: largest number of RANSAC iterations.

    Returns:
        The pose, or None if fewer than `MIN_INLIERS` keypoints agree.
    """
    if len(np.unique(matches.rows)) < MIN_INLIERS:
        return None
    center = matches.points.mean(axis=0)
    solved, report = poselib.estimate_absolute_pose(
        keypoints.rays[matches.rows] / keypoints.pixel,
        matches.points - center,
        _poselib_camera(keypoints),
        {
            "max_reproj_error": RANSAC_PIXELS,
            "max_iterations": iterations,
            "min_iterations": MIN_ITERATIONS,
            "success_prob": RANSAC_CONFIDENCE,
        },
        LEAST_SQUARES,
    )
    num_inliers = len(np.unique(matches.rows[np.array(report["inliers"], bool)]))
    if num_inliers < MIN_INLIERS:
        return None
    return RansacPose(_from_poselib(solved, center), num_inliers)


def refine_pose(keypoints: Keypoints, matches: Matches, pose: CameraPose) -> CameraPose:
    """Minimize the reprojection errors; large ones are down-weighted (Cauchy's loss).

    Args:
        keypoints: keypoints of the query image.
        matches: their matches.
        pose: the initial pose.

    Returns:
        The refined pose.
    """
    center = matches.points.mean(axis=0)
    initial = poselib.CameraPose()
    initial.R = pose.rotation.inv().as_matrix()
    initial.t = pose.rotation.inv().apply(center - pose.position)
    refined, _ = poselib.refine_absolute_pose(
        keypoints.rays[matches.rows] / keypoints.pixel,
        matches.points - center,
        initial,
        _poselib_camera(keypoints),
        LEAST_SQUARES,
    )
    return _from_poselib(refined, center)


def _poselib_camera(keypoints: Keypoints) -> dict[str, Any]:
    """Return a camera without distortion, whose principal point is pixel (0, 0)."""
    focal = 1 / keypoints.pixel
    return {"model": "SIMPLE_PINHOLE", "width": 1, "height": 1, "params": [focal, 0.0, 0.0]}


def _from_poselib(pose: Any, center: np.ndarray) -> CameraPose:
    """Return a pose from camera_from_world, in a world whose origin is `center`."""
    rotation = Rotation.from_matrix(np.array(pose.R)).inv()
    return CameraPose(center - rotation.apply(np.array(pose.t)), rotation)


def reprojection_residuals(
    change: ArrayLike, keypoints: Keypoints, matches: Matches, pose: CameraPose
) -> np.ndarray:
    """Return reprojection errors in x and y after a change of the pose.

    Args:
        change: shape (6,): translation of the position (world axes, scene units), then a rotation
            vector in camera axes, radians. A seventh number is the logarithm of a factor of the
            focal length.
        keypoints: keypoints of the query image.
        matches: n matches.
        pose: the pose before the change.

    Returns:
        Errors in pixels, x and y alternating, shape (2n,).
    """
    change = np.asarray(change)
    rotation = pose.rotation * Rotation.from_rotvec(change[3:6])
    local = rotation.inv().apply(matches.points - pose.position - change[:3])
    projected = local[:, :2] / np.maximum(local[:, 2:], 1e-6) * np.exp(np.sum(change[6:]))
    residuals: np.ndarray = (projected - keypoints.rays[matches.rows]) / keypoints.pixel
    return residuals.ravel()


def reprojection_errors(keypoints: Keypoints, matches: Matches, pose: CameraPose) -> np.ndarray:
    """Return the reprojection error of every match.

    Args:
        keypoints: keypoints of the query image.
        matches: n matches.
        pose: the pose.

    Returns:
        Distances in pixels, shape (n,).
    """
    residuals = reprojection_residuals(np.zeros(6), keypoints, matches, pose)
    errors: np.ndarray = np.linalg.norm(residuals.reshape(-1, 2), axis=1)
    return errors


def estimate_focal_factor(keypoints: Keypoints, matches: Matches) -> float | None:
    """Return the factor by which the assumed focal length must be multiplied.

    The factor with the most inliers is searched and then fitted together with the pose.

    Args:
        keypoints: keypoints of the query image, with the assumed focal length.
        matches: their matches.

    Returns:
        The factor. None if too few matches agree, or if they determine it to no better than 5 %,
        as for a wall seen from the front.
    """
    best = _search_focal_factor(keypoints, matches)
    if best is None:
        return None
    factor, pose = best
    zoomed = keypoints.zoomed(factor)
    near = reprojection_errors(zoomed, matches, pose) < FOCAL_FIT_PIXELS
    if near.sum() < MIN_INLIERS:
        return None
    solution = least_squares(
        reprojection_residuals,
        np.zeros(7),
        loss="cauchy",
        f_scale=CAUCHY_PIXELS,
        max_nfev=FOCAL_EVALUATIONS,
        x_scale="jac",
        args=(zoomed, matches.select(near), pose),
    )
    information = solution.jac.T @ solution.jac
    std = float(np.sqrt(max(np.linalg.pinv(information)[6, 6], 0.0)))
    determined = np.linalg.matrix_rank(information) == 7 and std < MAX_FOCAL_STD
    return factor * float(np.exp(solution.x[6])) if determined else None


def _search_focal_factor(keypoints: Keypoints, matches: Matches) -> tuple[float, CameraPose] | None:
    """Return the factor of `FOCAL_FACTORS` with the most inliers, and its pose."""
    best: tuple[float, CameraPose] | None = None
    most = -1
    for factor in FOCAL_FACTORS:
        zoomed = keypoints.zoomed(factor)
        found = ransac_pnp(zoomed, matches, iterations=RANSAC_ITERATIONS // 4)
        if found is None:
            continue
        errors = reprojection_errors(zoomed, matches, found.pose)
        inliers = int((errors < RANSAC_PIXELS / 2).sum())
        if inliers > most:
            most = inliers
            best = float(factor), found.pose
    return best
