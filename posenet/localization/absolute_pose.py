"""Where a image was taken, from its keypoints and the scene's triangulated points."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation

from posenet.localization.pnp import (
    MIN_INLIERS,
    distances,
    focal_factor,
    ransac,
    refined,
    residuals,
)
from posenet.mapping.keypoints import Keypoints
from posenet.mapping.matching import match, root_sift
from posenet.mapping.triangulation import Observations

INLIER_PIXELS, GUIDED_PIXELS = 4.0, 12.0
LIKENESS = 0.85  # cosine that descriptors must reach where the pose already says where to look
FEWEST_CELLS = 4
CELLS = 6  # along either side of what all keypoints span, for counting how far the inliers spread


@dataclass(frozen=True, eq=False)
class AbsolutePose:
    """A camera's pose found from points.

    position: (3,) camera center in the world. rotation: camera axes to world axes. inliers: how many of the
    image's keypoints whose match is distinct agree; others, found where the pose looks for them, only make it more
    exact. covariance: (6, 6) of the center (world axes, scene unit) and of a small turn about the
    camera's axes (radians). rows: (k,) all keypoints that agree, rays: (k, 2) where they lie on the plane z = 1,
    points: (k, 3) what they show. focal: what the focal length was multiplied by, 1 where it was known.
    """

    position: np.ndarray
    rotation: Rotation
    inliers: int
    covariance: np.ndarray
    rows: np.ndarray
    rays: np.ndarray
    points: np.ndarray
    focal: float = 1.0

    @property
    def deviations(self) -> tuple[float, float]:
        """Standard deviations of the position (scene's unit) and of the rotation (degrees), over all directions."""
        variances = np.diag(self.covariance)
        return float(np.sqrt(variances[:3].sum())), float(np.degrees(np.sqrt(variances[3:].sum())))


def locate(
    keypoints: Keypoints, seen: list[Observations], has_known_focal_length: bool = True
) -> AbsolutePose | None:
    """The pose of a image's camera, by what some of the scene's images see; None where too little agrees.

    has_known_focal_length: False where the focal length must be found too; None, then, also where it stays vague.
    """
    ours = root_sift(keypoints.descriptors)
    theirs = [root_sift(each.keypoints.descriptors) for each in seen]
    pairs = [match(ours, each) for each in theirs]
    rows = np.concatenate([np.zeros(0, int), *(pair[0] for pair in pairs)])
    points = np.concatenate(
        [np.zeros((0, 3)), *(each.points[pair[1]] for each, pair in zip(seen, pairs, strict=True))]
    )
    factor = 1.0 if has_known_focal_length else focal_factor(keypoints, rows, points)
    if factor is None:
        return None
    keypoints = keypoints.zoomed(factor)
    start = ransac(keypoints, rows, points)
    if start is None:
        return None
    distinct = rows, points
    known, descriptors = np.concatenate([each.points for each in seen]), np.concatenate(theirs)
    images = np.repeat(np.arange(len(seen)), [len(each.points) for each in seen])
    for _ in range(2):
        rows, columns = _guided_matching(keypoints, ours, known, descriptors, *start)
        points = known[columns]
        if len(rows) < MIN_INLIERS:
            return None
        start = refined(keypoints, rows, points, *start)
    found = _verify_pose(keypoints, rows, points, images[columns], *start, has_known_focal_length)
    if found is None:
        return None
    agreeing = len(np.unique(distinct[0][distances(keypoints, *distinct, *start) < INLIER_PIXELS]))
    return replace(found, inliers=agreeing, focal=factor) if agreeing >= MIN_INLIERS else None


def _guided_matching(keypoints: Keypoints, ours, points, theirs, position, rotation: Rotation):
    """Rows of keypoints, and of points that the pose projects near them and that look alike; one point a keypoint."""
    local = rotation.inv().apply(points - position)
    ahead = np.flatnonzero(local[:, 2] > 1e-6)
    projected = local[ahead, :2] / local[ahead, 2:]
    near = cKDTree(keypoints.rays).query_ball_point(projected, GUIDED_PIXELS * keypoints.pixel)
    counts = np.array([len(each) for each in near], int)
    columns = np.repeat(ahead, counts)
    rows = np.concatenate([np.zeros(0, int), *(np.array(each, int) for each in near if each)])
    likeness = np.einsum("nd,nd->n", ours[rows], theirs[columns])
    rows, columns, likeness = (each[likeness > LIKENESS] for each in (rows, columns, likeness))
    order = np.argsort(-likeness, kind="stable")
    _, first = np.unique(rows[order], return_index=True)
    chosen = order[first]
    return rows[chosen], columns[chosen]


def _verify_pose(
    keypoints: Keypoints,
    rows,
    points,
    images,
    position,
    rotation: Rotation,
    has_known_focal_length: bool,
) -> AbsolutePose | None:
    """The pose with what speaks for it; None where that is too little. images: (n,) where each point was seen.

    A focal length that was found with the pose makes it less sure.
    """

    def off(change):
        return residuals(change, keypoints, rows, points, position, rotation)

    errors = off(np.zeros(6)).reshape(-1, 2)
    good = np.linalg.norm(errors, axis=1) < INLIER_PIXELS
    span = np.maximum(np.ptp(keypoints.rays, axis=0), keypoints.pixel)
    spread = len(np.unique(np.floor(keypoints.rays[rows[good]] / span * CELLS), axis=0))
    if good.sum() < MIN_INLIERS or spread < FEWEST_CELLS:
        return None
    step, unknowns = 1e-6, 6 if has_known_focal_length else 7
    jacobian = np.stack(
        [(off(step * each) - off(-step * each)) / (2 * step) for each in np.eye(unknowns)], axis=1
    )
    jacobian = jacobian.reshape(-1, 2, unknowns)[good].reshape(-1, unknowns)
    covariance = clustered_covariance(jacobian, errors[good].ravel(), np.repeat(images[good], 2))[
        :6, :6
    ]
    agreeing = rows[good]
    return AbsolutePose(
        position,
        rotation,
        len(agreeing),
        covariance,
        agreeing,
        keypoints.rays[agreeing],
        points[good],
    )


def clustered_covariance(
    jacobian: np.ndarray, errors: np.ndarray, groups: np.ndarray
) -> np.ndarray:
    """(k, k) of unknowns fitted by least squares to n values of slopes jacobian (n, k), that are left with errors (n,).

    Values of one group err together, as points of one training image do with its pose. To the covariance of
    independent values comes the cluster-robust one (Liang & Zeger 1986): how far the groups pull the unknowns apart.
    """
    inverse = np.linalg.pinv(jacobian.T @ jacobian)
    names, groups = np.unique(groups, return_inverse=True)
    pulls = np.stack([np.bincount(groups, pull) for pull in (jacobian * errors[:, None]).T])
    together = pulls @ pulls.T * len(names) / max(len(names) - 1, 1)
    return float((errors**2).mean()) * inverse + inverse @ together @ inverse
