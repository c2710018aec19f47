"""The pose of a query image from its keypoints and the landmarks of similar training images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation

from posenet.localization.covisibility import Covisibility
from posenet.localization.hypotheses import (
    Hypothesis,
    are_near,
    group_images,
    solve_groups,
    strongest_rival,
)
from posenet.localization.pnp import (
    MIN_INLIERS,
    CameraPose,
    Matches,
    estimate_focal_factor,
    refine_pose,
    reprojection_errors,
    reprojection_residuals,
)
from posenet.localization.query_matches import JoinedLandmarks, QueryMatcher
from posenet.mapping.keypoints import Keypoints

# Reprojection error, in pixels, of an inlier.
INLIER_PIXELS = 4.0
# Distance, in pixels, from a projected landmark within which its keypoint is searched.
GUIDED_PIXELS = 12.0
GUIDED_ROUNDS = 2
# Pairs of descriptors that are compared at once: 4 MB, which stay in the processor's cache.
COMPARED_AT_ONCE = 4096
# Cosine that descriptors must reach in guided matching, where the pose already predicts the place.
MIN_SIMILARITY = 0.85
# The span of all keypoints is divided into 6 x 6 cells; inliers must be in at least 4 of them.
CELLS_PER_SIDE = 6
MIN_CELLS = 4
# Step of the numeric derivatives of the residuals, in scene units and radians.
DERIVATIVE_STEP = 1e-6


@dataclass(frozen=True, eq=False)
class AbsolutePose:
    """A camera pose estimated from matches, world_from_camera.

    Attributes:
        position: camera center in the world frame, shape (3,).
        rotation: camera axes to world axes.
        num_inliers: number of keypoints with a distinctive match that agree. Keypoints found by
            guided matching refine the pose but do not count.
        covariance: shape (6, 6), of the center (world axes, scene units) and of a small rotation
            about the camera axes (radians).
        rows: indices of all keypoints that agree, shape (k,).
        rays: where these keypoints lie on the plane z = 1 of the camera, shape (k, 2).
        points: their 3-D points in the world frame, shape (k, 3).
        num_cells: number of cells with such a keypoint, of 6 x 6 that all keypoints span.
        degrees_per_pixel: standard deviation of the rotation, degrees, if the reprojection errors
            were one pixel and their mean did not cancel out, as errors of neighboring landmarks do
            not. It is large for small, flat or distant support.
        focal_factor: factor that was applied to the focal length; 1 if it was known.
        rival: another pose that contradicts this one and that fewer keypoints agree with; None
            without any.
    """

    position: np.ndarray
    rotation: Rotation
    num_inliers: int
    covariance: np.ndarray
    rows: np.ndarray
    rays: np.ndarray
    points: np.ndarray
    num_cells: int
    degrees_per_pixel: float
    focal_factor: float = 1.0
    rival: AbsolutePose | None = None

    @property
    def pose(self) -> CameraPose:
        """The pose without its evidence."""
        return CameraPose(self.position, self.rotation)

    @property
    def standard_deviations(self) -> tuple[float, float]:
        """Standard deviation of the position (scene units) and of the rotation (degrees)."""
        variances = np.diag(self.covariance)
        position_std = float(np.sqrt(variances[:3].sum()))
        rotation_std_deg = float(np.degrees(np.sqrt(variances[3:].sum())))
        return position_std, rotation_std_deg


def estimate_absolute_pose(
    matcher: QueryMatcher,
    images: Sequence[int],
    covisibility: Covisibility,
    *,
    depth: float,
    has_known_focal_length: bool = True,
) -> AbsolutePose | None:
    """Estimate the pose of a query image.

    The training images are grouped by what they see, and RANSAC gives a pose for each group. Then
    landmarks are matched again near their projections, and the pose is fitted to these matches.

    Args:
        matcher: matches of the query image.
        images: indices of the training images to match.
        covisibility: which training images see the same.
        depth: median depth of the scene.
        has_known_focal_length: False to estimate the focal length with the pose.

    Returns:
        The pose of the group with the most inliers, with its strongest rival. None if too few
        matches agree, or if an unknown focal length stays undetermined.
    """
    groups = group_images(matcher, images, covisibility)
    if not groups:
        return None
    factor = 1.0
    if not has_known_focal_length:
        matches = matcher.joined_matches(groups[0])
        estimated = estimate_focal_factor(matcher.keypoints, matches)
        if estimated is None:
            return None
        factor = estimated
        matcher = matcher.zoomed(factor)

    def fit(hypothesis: Hypothesis) -> AbsolutePose | None:
        fitted = _fit_hypothesis(matcher, hypothesis, has_known_focal_length)
        return fitted and replace(fitted, focal_factor=factor)

    hypotheses = solve_groups(matcher, groups)
    for row, hypothesis in enumerate(hypotheses):
        best = fit(hypothesis)
        if best is not None:
            other = strongest_rival(hypotheses[row:], depth)
            rival = other and fit(other)
            # Two hypotheses may become the same pose.
            if rival and are_near(best.pose, rival.pose, depth):
                rival = None
            return replace(best, rival=rival)
    return None


def fit_again(
    matcher: QueryMatcher,
    pose: AbsolutePose,
    images: Sequence[int],
    *,
    has_known_focal_length: bool = True,
) -> AbsolutePose:
    """Fit a pose to the matches with other training images, which see more of what the query shows.

    Args:
        matcher: matches of the query image.
        pose: the estimated pose.
        images: indices of the training images to match.
        has_known_focal_length: whether the focal length was known.

    Returns:
        The new pose with the rival of the old one; the old one if fewer keypoints agree with the
        new one.
    """
    if pose.focal_factor != 1.0:
        matcher = matcher.zoomed(pose.focal_factor)
    matcher.prepare(images)
    hypothesis = Hypothesis(pose.pose, tuple(images), pose.num_inliers)
    fitted = _fit_hypothesis(matcher, hypothesis, has_known_focal_length)
    if fitted is None or fitted.num_inliers < pose.num_inliers:
        return pose
    return replace(fitted, focal_factor=pose.focal_factor, rival=pose.rival)


def _fit_hypothesis(
    matcher: QueryMatcher, hypothesis: Hypothesis, has_known_focal_length: bool
) -> AbsolutePose | None:
    """Fit a hypothesis to guided matches; None if inliers are too few or too concentrated."""
    keypoints = matcher.keypoints
    landmarks = matcher.joined_landmarks(hypothesis.images)
    pose = hypothesis.pose
    for _ in range(GUIDED_ROUNDS):
        matches = _guided_matching(keypoints, matcher.descriptors, landmarks, pose)
        if len(matches.rows) < MIN_INLIERS:
            return None
        pose = refine_pose(keypoints, matches, pose)
    verified = _verify_pose(keypoints, matches, pose, has_known_focal_length)
    if verified is None:
        return None
    distinctive = matcher.joined_matches(hypothesis.images)
    agreeing = reprojection_errors(keypoints, distinctive, pose) < INLIER_PIXELS
    num_inliers = len(np.unique(distinctive.rows[agreeing]))
    if num_inliers < MIN_INLIERS:
        return None
    return replace(verified, num_inliers=num_inliers)


def _guided_matching(
    keypoints: Keypoints, descriptors: np.ndarray, landmarks: JoinedLandmarks, pose: CameraPose
) -> Matches:
    """Match landmarks with similar keypoints near their projections, one landmark per keypoint."""
    local = pose.rotation.inv().apply(landmarks.points - pose.position)
    ahead = np.flatnonzero(local[:, 2] > 1e-6)
    projected = local[ahead, :2] / local[ahead, 2:]
    near = cKDTree(keypoints.rays).sparse_distance_matrix(
        cKDTree(projected), GUIDED_PIXELS * keypoints.pixel, output_type="ndarray"
    )
    rows = near["i"]
    columns = ahead[near["j"]]
    similarity = np.zeros(len(rows), np.float32)
    for start in range(0, len(rows), COMPARED_AT_ONCE):
        part = slice(start, start + COMPARED_AT_ONCE)
        ours, theirs = descriptors[rows[part]], landmarks.descriptors[columns[part]]
        similarity[part] = np.einsum("nd,nd->n", ours, theirs)
    similar = similarity > MIN_SIMILARITY
    rows = rows[similar]
    columns = columns[similar]
    order = np.argsort(-similarity[similar], kind="stable")
    _, first = np.unique(rows[order], return_index=True)
    best = order[first]
    columns = columns[best]
    return Matches(rows[best], landmarks.points[columns], landmarks.images[columns])


def _verify_pose(
    keypoints: Keypoints, matches: Matches, pose: CameraPose, has_known_focal_length: bool
) -> AbsolutePose | None:
    """Return the pose with its covariance, or None if inliers are too few or too concentrated.

    A focal length that was estimated with the pose makes it less certain.
    """
    unknowns = 6 if has_known_focal_length else 7
    errors = reprojection_residuals(np.zeros(6), keypoints, matches, pose).reshape(-1, 2)
    good = np.linalg.norm(errors, axis=1) < INLIER_PIXELS
    inliers = matches.rows[good]
    span = np.maximum(np.ptp(keypoints.rays, axis=0), keypoints.pixel)
    cells = np.unique(np.floor(keypoints.rays[inliers] / span * CELLS_PER_SIDE), axis=0)
    if len(inliers) < MIN_INLIERS or len(cells) < MIN_CELLS:
        return None
    derivatives = []
    for direction in np.eye(unknowns):
        step = DERIVATIVE_STEP * direction
        ahead = reprojection_residuals(step, keypoints, matches, pose)
        behind = reprojection_residuals(-step, keypoints, matches, pose)
        derivatives.append((ahead - behind) / (2 * DERIVATIVE_STEP))
    jacobian = np.stack(derivatives, axis=1).reshape(-1, 2, unknowns)[good]
    covariance = clustered_covariance(
        jacobian.reshape(-1, unknowns), errors[good].ravel(), np.repeat(matches.images[good], 2)
    )
    return AbsolutePose(
        position=pose.position,
        rotation=pose.rotation,
        num_inliers=len(inliers),
        covariance=covariance[:6, :6],
        rows=inliers,
        rays=keypoints.rays[inliers],
        points=matches.points[good],
        num_cells=len(cells),
        degrees_per_pixel=_degrees_per_pixel(jacobian),
    )


def _degrees_per_pixel(jacobian: np.ndarray) -> float:
    """Return `AbsolutePose.degrees_per_pixel` from the derivatives (n, 2, k) of n keypoints."""
    information = np.einsum("nai,naj->ij", jacobian, jacobian) / len(jacobian)
    variances = np.diag(np.linalg.pinv(information))[3:6]
    return float(np.degrees(np.sqrt(max(variances.sum(), 0.0))))


def clustered_covariance(
    jacobian: np.ndarray, errors: np.ndarray, groups: np.ndarray
) -> np.ndarray:
    """Return the covariance of unknowns that were fitted by least squares to grouped values.

    Values of one group err together, as points of one training image do with its pose. The
    cluster-robust covariance (Liang and Zeger, 1986), which measures how far the groups pull the
    unknowns apart, is added to the covariance of independent values.

    Args:
        jacobian: derivatives of the n values by the k unknowns, shape (n, k).
        errors: the residuals, shape (n,).
        groups: the group of each value, shape (n,).

    Returns:
        The covariance, shape (k, k).
    """
    inverse = np.linalg.pinv(jacobian.T @ jacobian)
    names, groups = np.unique(groups, return_inverse=True)
    pulls = np.stack([np.bincount(groups, pull) for pull in (jacobian * errors[:, None]).T])
    together = pulls @ pulls.T * len(names) / max(len(names) - 1, 1)
    covariance: np.ndarray = float((errors**2).mean()) * inverse + inverse @ together @ inverse
    return covariance
