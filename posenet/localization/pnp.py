"""Perspective-n-point: the pose of a camera from matches of keypoints and 3-D points."""

from __future__ import annotations

from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import least_squares
from scipy.spatial.transform import Rotation

from posenet.mapping.keypoints import Keypoints

# Reprojection error, in pixels, up to which RANSAC counts a match as an inlier.
RANSAC_PIXELS = 8.0
RANSAC_ROUNDS = 2000
RANSAC_CONFIDENCE = 0.9999
# Fewest keypoints that must agree with a pose.
MIN_INLIERS = 12
# Residual in pixels from which Cauchy's loss grows slowly.
CAUCHY_PIXELS = 1.5
# Most evaluations of the residuals when a pose is fitted, and together with a focal length.
POSE_EVALUATIONS = 30
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
    keypoints: Keypoints, matches: Matches, *, rounds: int = RANSAC_ROUNDS
) -> CameraPose | None:
    """Return the pose that most matches agree with (RANSAC with SQPnP, then least squares).

    Args:
        keypoints: keypoints of the query image.
        matches: their matches.
        rounds: number of RANSAC iterations.

    Returns:
        The pose, or None if fewer than `MIN_INLIERS` keypoints agree.
    """
    if len(np.unique(matches.rows)) < MIN_INLIERS:
        return None
    cv2.setRNGSeed(0)
    # OpenCV computes in float32, and the world's origin may be too far away for that.
    center = matches.points.mean(axis=0)
    try:
        success, rotation_vector, translation, inliers = cv2.solvePnPRansac(
            matches.points - center,
            keypoints.rays[matches.rows],
            np.eye(3),
            None,
            iterationsCount=rounds,
            confidence=RANSAC_CONFIDENCE,
            reprojectionError=RANSAC_PIXELS * keypoints.pixel,
            flags=cv2.SOLVEPNP_SQPNP,
        )
    except cv2.error:
        return None
    if not success or inliers is None:
        return None
    agreeing = matches.select(inliers[:, 0])
    if len(np.unique(agreeing.rows)) < MIN_INLIERS:
        return None
    world_from_camera = Rotation.from_rotvec(rotation_vector[:, 0]).inv()
    position = center - world_from_camera.apply(translation[:, 0])
    return refine_pose(keypoints, agreeing, CameraPose(position, world_from_camera))


def refine_pose(keypoints: Keypoints, matches: Matches, pose: CameraPose) -> CameraPose:
    """Minimize the reprojection errors; large ones are down-weighted (Cauchy's loss).

    Args:
        keypoints: keypoints of the query image.
        matches: their matches.
        pose: the initial pose.

    Returns:
        The refined pose.
    """
    solution = _fit_change(6, keypoints, matches, pose, max_evaluations=POSE_EVALUATIONS)
    rotation = pose.rotation * Rotation.from_rotvec(solution.x[3:])
    return CameraPose(pose.position + solution.x[:3], rotation)


def _fit_change(
    unknowns: int, keypoints: Keypoints, matches: Matches, pose: CameraPose, *, max_evaluations: int
) -> Any:
    """Return scipy's solution for the change of `reprojection_residuals`, robust to outliers."""
    return least_squares(
        reprojection_residuals,
        np.zeros(unknowns),
        loss="cauchy",
        f_scale=CAUCHY_PIXELS,
        max_nfev=max_evaluations,
        x_scale="jac",
        args=(keypoints, matches, pose),
    )


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
    solution = _fit_change(7, zoomed, matches.select(near), pose, max_evaluations=FOCAL_EVALUATIONS)
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
        pose = ransac_pnp(zoomed, matches, rounds=RANSAC_ROUNDS // 4)
        if pose is None:
            continue
        errors = reprojection_errors(zoomed, matches, pose)
        inliers = int((errors < RANSAC_PIXELS / 2).sum())
        if inliers > most:
            most = inliers
            best = float(factor), pose
    return best
