"""Similarity transforms between world frames, the up direction, and the spread of positions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.spatial.transform import Rotation

from posenet.errors import PoseNetError
from posenet.geometry.poses import Poses

# Positions with a smaller `lateral_spread` are nearly collinear (King's College 0.098, Street
# 0.049).
COLLINEAR_RATIO = 0.1
# Camera axes span a plane if their second spread is at least 0.3 of the first, and the third less
# than 0.35 of the second.
MIN_PLANE_RATIO = 0.3
MAX_OFF_PLANE_RATIO = 0.35
# Cameras share a viewing direction if their mean forward axis is longer than 0.9; their roll is
# arbitrary if the mean up axis is shorter than 0.2.
SHARED_FORWARD = 0.9
ARBITRARY_ROLL = 0.2


class PrincipalAxes(NamedTuple):
    """The principal axes of vectors about the origin.

    Attributes:
        spreads: root of the sum of squares along each axis, largest first, shape (3,).
        axes: unit axes in rows, shape (3, 3).
    """

    spreads: np.ndarray
    axes: np.ndarray


@dataclass(frozen=True, eq=False)
class Sim3:
    """The similarity transform x -> scale * rotation(x) + translation between world frames.

    Attributes:
        scale: the scale.
        rotation: the rotation.
        translation: the translation, shape (3,).
    """

    scale: float
    rotation: Rotation
    translation: np.ndarray

    def apply(self, poses: Poses) -> Poses:
        """Express cameras in the other world frame.

        Args:
            poses: n poses.

        Returns:
            n poses.
        """
        positions = self.scale * self.rotation.apply(poses.positions) + self.translation
        return Poses(positions, self.rotation * poses.rotations)


def align_similarity(source: Poses, target: Poses, *, with_scale: bool = True) -> Sim3:
    """Return the similarity that aligns positions by least squares (Umeyama, 1991).

    Args:
        source: n poses.
        target: n poses in the other world frame.
        with_scale: False for a rigid transform.

    Returns:
        The transform from the source's to the target's world frame.

    Raises:
        PoseNetError: there are fewer than three poses, or all are on one line, about which the
            rotation is undetermined.
    """
    if len(source) != len(target) or len(source) < 3:
        raise PoseNetError(
            "alignment requires two lists of equal length with at least 3 poses, "
            f"received {len(source)} and {len(target)}"
        )
    source_mean = source.positions.mean(axis=0)
    target_mean = target.positions.mean(axis=0)
    source_centered = source.positions - source_mean
    target_centered = target.positions - target_mean
    for centered in (source_centered, target_centered):
        spread = np.linalg.svd(centered, compute_uv=False)
        if spread[1] <= 1e-9 * max(spread[0], 1e-300):
            raise PoseNetError("alignment requires cameras that are not all on one line")
    rotation, _ = Rotation.align_vectors(target_centered, source_centered)
    scale = 1.0
    if with_scale:
        products = (target_centered * rotation.apply(source_centered)).sum()
        scale = float(products / (source_centered**2).sum())
    return Sim3(scale, rotation, target_mean - scale * rotation.apply(source_mean))


def estimate_up(rotations: Rotation) -> np.ndarray:
    """Estimate the up direction of the world from camera rotations.

    If the camera x axes span a plane, it is the normal of the plane; otherwise the mean of the
    camera up axes. Cameras that share a viewing direction but have arbitrary roll are assumed to
    look straight down. The estimate is unreliable for rolled cameras, and for cameras that look
    down with the same heading.

    Args:
        rotations: n rotations, camera axes to world axes.

    Returns:
        A unit vector in the world frame, shape (3,).
    """
    right = rotations.apply([1.0, 0, 0])
    mean_up: np.ndarray = rotations.apply([0, -1.0, 0]).mean(axis=0)
    forward: np.ndarray = rotations.apply([0, 0, 1.0]).mean(axis=0)
    if np.linalg.norm(forward) > SHARED_FORWARD and np.linalg.norm(mean_up) < ARBITRARY_ROLL:
        return np.asarray(-forward / np.linalg.norm(forward))
    spreads, axes = principal_axes(right)
    spans_plane = spreads[1] > MIN_PLANE_RATIO * spreads[0]
    is_flat = spreads[2] < MAX_OFF_PLANE_RATIO * spreads[1]
    if spans_plane and is_flat:
        up: np.ndarray = axes[2]
    else:
        up = mean_up / max(float(np.linalg.norm(mean_up)), 1e-12)
    return up if up @ mean_up >= 0 else -up


def ground_axes(poses: Poses) -> np.ndarray:
    """Return two horizontal directions of the world frame.

    Args:
        poses: camera poses.

    Returns:
        The direction that positions spread most along, and the one to its left, in rows, shape
        (2, 3).
    """
    up = estimate_up(poses.rotations)
    offsets = poses.positions - poses.positions.mean(axis=0)
    flat = offsets - np.outer(offsets @ up, up)
    first = principal_axes(flat).axes[0]
    first = first - (first @ up) * up
    if np.linalg.norm(first) < 1e-6:  # the cameras are above one another, or in one place
        first = np.cross(up, np.eye(3)[np.abs(up).argmin()])
    sign = 1 if first[np.abs(first).argmax()] > 0 else -1
    first = first / np.linalg.norm(first) * sign
    return np.stack([first, np.cross(up, first)])


def principal_axes(vectors: np.ndarray) -> PrincipalAxes:
    """Return the principal axes of vectors about the origin.

    Args:
        vectors: shape (n, 3).

    Returns:
        Spreads and axes, largest spread first.
    """
    squares, axes = np.linalg.eigh(vectors.T @ vectors)
    return PrincipalAxes(np.sqrt(np.maximum(squares[::-1], 0)), axes.T[::-1])


def lateral_spread(positions: np.ndarray) -> float:
    """Return the spread of positions across their main axis relative to the spread along it.

    Args:
        positions: shape (n, 3), n >= 2.

    Returns:
        The ratio, 0 for collinear positions, 1 if all are the same.
    """
    centered = positions - positions.mean(axis=0)
    along, across = np.linalg.svd(centered, compute_uv=False)[:2]
    return float(across / along) if along > 0 else 1.0
