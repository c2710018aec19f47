"""Which training images see the same part of the scene?"""

from __future__ import annotations

import numpy as np

from posenet.geometry.poses import Poses
from posenet.mapping.landmarks import Landmarks

# Points per image that are projected into other images.
SAMPLED_POINTS = 60
# A point is not recognized from so many times the distance, nor from that fraction of it.
MAX_DISTANCE_RATIO = 4.0
# SIFT hardly matches images whose viewing directions differ by more: 60 degrees.
MAX_VIEW_ANGLE_DEG = 60.0


class Covisibility:
    """Covisibility of the training images, from their poses and what they observe."""

    def __init__(self, poses: Poses, landmarks: Landmarks) -> None:
        """Sample the points of each image and find the edges of its view.

        Args:
            poses: poses of n training images.
            landmarks: what they observe.
        """
        total = len(poses)
        self.positions = poses.positions
        self.camera_from_world = poses.rotations.inv().as_matrix()
        self.points = np.full((total, SAMPLED_POINTS, 3), np.nan)
        # Distances of the points from their own camera.
        self.distances = np.full((total, SAMPLED_POINTS), np.nan)
        # Edges of the view on the plane z = 1, as lower and upper (x, y).
        self.edges = np.full((total, 2, 2), np.nan)
        for row in range(total):
            start, end = landmarks.starts[row : row + 2]
            if end == start:
                continue
            chosen = np.linspace(start, end - 1, SAMPLED_POINTS).astype(int)
            self.points[row] = landmarks.origin + landmarks.points[chosen]
            offsets = self.points[row] - self.positions[row]
            self.distances[row] = np.linalg.norm(offsets, axis=1)
            rays = landmarks.rays[start:end]
            self.edges[row] = rays.min(axis=0), rays.max(axis=0)

    def overlaps(self, row: int, others: np.ndarray) -> np.ndarray:
        """Return how much of an image other images see, or it sees of them.

        Args:
            row: index of the image.
            others: indices of k other images.

        Returns:
            The larger of both fractions of points, 0 if the viewing directions differ by more than
            60 degrees, shape (k,).
        """
        count = len(others)
        repeated = np.full(count, row)
        seen_by_others = self._visible_fractions(repeated, others)
        seen_by_it = self._visible_fractions(others, repeated)
        forward = self.camera_from_world[:, 2]
        cosines = forward[others] @ forward[row]
        near = cosines > np.cos(np.radians(MAX_VIEW_ANGLE_DEG))
        return np.where(near, np.maximum(seen_by_others, seen_by_it), 0.0)

    def _visible_fractions(self, observers: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Return which fraction of the points of k images lies in the views of k others."""
        offsets = self.points[observers] - self.positions[rows][:, None]
        local = np.einsum("kij,kpj->kpi", self.camera_from_world[rows], offsets)
        distances = np.linalg.norm(local, axis=2)
        with np.errstate(invalid="ignore", divide="ignore"):
            projected = local[..., :2] / local[..., 2:]
            inside = (projected >= self.edges[rows][:, None, 0]).all(axis=2)
            inside &= (projected <= self.edges[rows][:, None, 1]).all(axis=2)
            inside &= local[..., 2] > 0
            ratios = distances / self.distances[observers]
            inside &= (ratios < MAX_DISTANCE_RATIO) & (ratios > 1 / MAX_DISTANCE_RATIO)
        fractions: np.ndarray = inside.mean(axis=1)
        return fractions
