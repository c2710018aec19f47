"""Perspective-n-point: the pose of a camera from points whose place in the world and in the image is known."""

from __future__ import annotations

import cv2
import numpy as np
from scipy.optimize import least_squares
from scipy.spatial.transform import Rotation

from posenet.mapping.keypoints import Keypoints

RANSAC_PIXELS, RANSAC_ROUNDS = 8.0, 2000
MIN_INLIERS = 12
# where the focal length is sought too: from half to twice the one assumed, and how sure it must become
FOCALS, VAGUE = np.exp(np.linspace(np.log(0.5), np.log(2.0), 11)), 0.05
NEAR_PIXELS = 12.0

Pose = tuple[np.ndarray, Rotation]  # camera center (3,) in the world, camera axes to world axes


def ransac(
    keypoints: Keypoints, rows: np.ndarray, points: np.ndarray, rounds: int = RANSAC_ROUNDS
) -> Pose | None:
    """The pose that most pairs of a keypoint rows (n,) and a point (n, 3) agree with; None where hardly any do."""
    if len(np.unique(rows)) < MIN_INLIERS:
        return None
    cv2.setRNGSeed(0)
    middle = points.mean(
        axis=0
    )  # OpenCV works in float32, and the world's own zero may lie too far away for that
    try:
        good, turn, shift, inliers = cv2.solvePnPRansac(
            points - middle, keypoints.rays[rows], np.eye(3), None, iterationsCount=rounds, confidence=0.9999,
            reprojectionError=RANSAC_PIXELS * keypoints.pixel, flags=cv2.SOLVEPNP_SQPNP,
        )  # fmt: skip
    except cv2.error:
        return None
    if not good or inliers is None or len(np.unique(rows[inliers[:, 0]])) < MIN_INLIERS:
        return None
    world_from_camera = Rotation.from_rotvec(turn[:, 0]).inv()
    start = middle - world_from_camera.apply(shift[:, 0]), world_from_camera
    return refined(keypoints, rows[inliers[:, 0]], points[inliers[:, 0]], *start)


def refined(keypoints: Keypoints, rows, points, position, rotation: Rotation) -> Pose:
    """The pose with the least reprojection errors, doubting large ones (Cauchy's loss)."""
    found = least_squares(
        residuals, np.zeros(6), loss="cauchy", f_scale=1.5, max_nfev=30, x_scale="jac",
        args=(keypoints, rows, points, position, rotation),
    )  # fmt: skip
    return position + found.x[:3], rotation * Rotation.from_rotvec(found.x[3:])


def residuals(
    change, keypoints: Keypoints, rows, points, position, rotation: Rotation
) -> np.ndarray:
    """(2n,) reprojection errors in pixels after a change (6,) of the position and a turn of the camera; a seventh
    number is the logarithm of a change of the focal length."""
    turned = rotation * Rotation.from_rotvec(change[3:6])
    local = turned.inv().apply(points - position - change[:3])
    projected = local[:, :2] / np.maximum(local[:, 2:], 1e-6) * np.exp(np.sum(change[6:]))
    return ((projected - keypoints.rays[rows]) / keypoints.pixel).ravel()


def distances(keypoints: Keypoints, rows, points, position, rotation: Rotation) -> np.ndarray:
    """(n,) reprojection errors in pixels."""
    off = residuals(np.zeros(6), keypoints, rows, points, position, rotation)
    return np.linalg.norm(off.reshape(-1, 2), axis=1)


def focal_factor(keypoints: Keypoints, rows: np.ndarray, points: np.ndarray) -> float | None:
    """What the assumed focal length must be multiplied by, found together with the pose.

    A search: the factor under which most pairs agree with a pose, then least squares. None where hardly any agree, or
    where pairs do not tell it to within 5 %, as for a wall seen from the front.
    """
    found: list[tuple[int, float, Pose]] = []
    for factor in FOCALS:
        zoomed = keypoints.zoomed(factor)
        pose = ransac(zoomed, rows, points, RANSAC_ROUNDS // 4)
        if pose is not None:
            agreeing = int((distances(zoomed, rows, points, *pose) < RANSAC_PIXELS / 2).sum())
            found.append((agreeing, float(factor), pose))
    if not found:
        return None
    _, factor, pose = max(found, key=lambda each: each[0])
    near = distances(keypoints.zoomed(factor), rows, points, *pose) < NEAR_PIXELS
    if near.sum() < MIN_INLIERS:
        return None
    fitted = least_squares(
        residuals, np.zeros(7), loss="cauchy", f_scale=1.5, max_nfev=50, x_scale="jac",
        args=(keypoints.zoomed(factor), rows[near], points[near], *pose),
    )  # fmt: skip
    information = fitted.jac.T @ fitted.jac
    vague = float(np.sqrt(max(np.linalg.pinv(information)[6, 6], 0.0)))
    certain = np.linalg.matrix_rank(information) == 7 and vague < VAGUE
    return factor * float(np.exp(fitted.x[6])) if certain else None
