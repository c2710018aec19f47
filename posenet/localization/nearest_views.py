"""Which training images were taken from about the same place in about the same direction?"""

from __future__ import annotations

import numpy as np
from scipy.spatial import cKDTree

from posenet.geometry.poses import Poses

# Added to the radius of a search, since angles from cosines are that wrong.
ROUNDING = 1e-6


class ViewIndex:
    """Ranks training images by how similar their view is to that of a pose.

    The measure is the angle between the viewing directions plus the distance in multiples of the
    scene's depth. It is never less than the Euclidean distance of the positions over the depth and
    the unit viewing directions in six dimensions. So the best images by that distance, which a tree
    finds, limit how far away those best by the measure can be.
    """

    def __init__(self, poses: Poses, depth: float, usable: np.ndarray | None = None) -> None:
        """Make the tree.

        Args:
            poses: poses of n training images.
            depth: median depth of the scene.
            usable: mask of the images to choose from, shape (n,). Default: all.
        """
        self.rows = np.arange(len(poses)) if usable is None else np.flatnonzero(usable)
        self.depth = depth
        self.positions = poses.positions[self.rows]
        self.forward = poses.rotations[self.rows].apply([0.0, 0, 1])
        self.center = self.positions.mean(axis=0)
        self.tree = cKDTree(self._points(self.positions, self.forward))

    def nearest(self, position: np.ndarray, forward: np.ndarray, count: int) -> np.ndarray:
        """Return the training images with the most similar views.

        Args:
            position: camera center in the world frame, shape (3,).
            forward: unit viewing direction in the world frame, shape (3,).
            count: number of images; all if there are fewer.

        Returns:
            Indices of training images, most similar first, shape (count,).
        """
        count = min(count, len(self.rows))
        point = self._points(position, forward)
        _, found = self.tree.query(point, np.arange(1, count + 1))
        limit = self._differences(found, position, forward).max(initial=0.0)
        near = np.sort(self.tree.query_ball_point(point, limit + ROUNDING))
        order = np.argsort(self._differences(near, position, forward), kind="stable")
        nearest: np.ndarray = self.rows[near[order[:count]]]
        return nearest

    def _points(self, positions: np.ndarray, forward: np.ndarray) -> np.ndarray:
        return np.concatenate([(positions - self.center) / self.depth, forward], axis=-1)

    def _differences(
        self, rows: np.ndarray, position: np.ndarray, forward: np.ndarray
    ) -> np.ndarray:
        """Return the measure for some images, shape (k,)."""
        cosines = np.einsum("nd,d->n", self.forward[rows], forward)
        distances = np.linalg.norm(self.positions[rows] - position, axis=1)
        differences: np.ndarray = distances / self.depth + np.arccos(np.clip(cosines, -1, 1))
        return differences
