"""Similarity transforms between world frames, the up direction, and the spread of positions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

from posenet.errors import PoseNetError
from posenet.geometry.poses import Poses

LINE = 0.1  # positions of a smaller lateral_spread lie nearly on a line (King's College 0.098, Street 0.049)


def estimate_up(rotations: Rotation) -> np.ndarray:
    """(3,) unit vector, upwards in the world of n cameras as most are held, from their rotations to the world.

    The direction most at right angles to all cameras' right axes, where those spread over a plane; otherwise the mean
    of the cameras' up axes. Cameras that all look one way, turned about it in all directions, look down. Doubtful where
    cameras are rolled, and where they look down with one heading.
    """
    right, held = rotations.apply([1.0, 0, 0]), rotations.apply([0, -1.0, 0]).mean(axis=0)
    ahead = rotations.apply([0, 0, 1.0]).mean(axis=0)
    if np.linalg.norm(ahead) > 0.9 and np.linalg.norm(held) < 0.2:
        return -ahead / np.linalg.norm(ahead)
    spreads, axes = principal_axes(right)
    level = spreads[1] > 0.3 * spreads[0] and spreads[2] < 0.35 * spreads[1]
    up = axes[2] if level else held / max(float(np.linalg.norm(held)), 1e-12)
    return up if up @ held >= 0 else -up


def principal_axes(vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(3,) spreads of vectors (n, 3) about 0 along their principal axes, largest first, and the axes (3, 3) in rows."""
    squares, axes = np.linalg.eigh(vectors.T @ vectors)
    return np.sqrt(np.maximum(squares[::-1], 0)), axes.T[::-1]


def lateral_spread(positions: np.ndarray) -> float:
    """How far positions (n >= 2, 3) spread across their main axis against along it; 1 where they are all one."""
    along, across = np.linalg.svd(positions - positions.mean(axis=0), compute_uv=False)[:2]
    return float(across / along) if along > 0 else 1.0


@dataclass(frozen=True, eq=False)
class Sim3:
    """x -> scale * rotation(x) + translation, from one world frame to another."""

    scale: float
    rotation: Rotation
    translation: np.ndarray

    def apply(self, poses: Poses) -> Poses:
        """The same cameras, expressed in the other world frame."""
        positions = self.scale * self.rotation.apply(poses.positions) + self.translation
        return Poses(positions, self.rotation * poses.rotations)


def align_similarity(source: Poses, target: Poses, with_scale: bool = True) -> Sim3:
    """The similarity that takes the source positions nearest to the target's, least squares.

    Umeyama (1991). Raises PoseNetError for fewer than three cameras, or for cameras on one line,
    about which the rotation would be free.
    """
    if len(source) != len(target) or len(source) < 3:
        raise PoseNetError(
            f"alignment needs two equally long lists of at least 3 poses, received {len(source)} and {len(target)}"
        )
    source_mean, target_mean = source.positions.mean(axis=0), target.positions.mean(axis=0)
    centerd, aimed = source.positions - source_mean, target.positions - target_mean
    for spread in (
        np.linalg.svd(centerd, compute_uv=False),
        np.linalg.svd(aimed, compute_uv=False),
    ):
        if spread[1] <= 1e-9 * max(spread[0], 1e-300):
            raise PoseNetError("alignment needs cameras that do not all stand on one line")
    rotation, _ = Rotation.align_vectors(aimed, centerd)
    scale = (
        float((aimed * rotation.apply(centerd)).sum() / (centerd**2).sum()) if with_scale else 1.0
    )
    return Sim3(scale, rotation, target_mean - scale * rotation.apply(source_mean))
