"""Which training images see the same part of the scene?"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from posenet.geometry.poses import Poses
from posenet.mapping.landmarks import Landmarks

# Points per image that are projected into other images.
SAMPLED_POINTS = 60
# A point is not recognized from so many times the distance, nor from that fraction of it.
MAX_DISTANCE_RATIO = 4.0
# SIFT hardly matches images whose viewing directions differ by more: 60 degrees.
MAX_VIEW_ANGLE_DEG = 60.0
# Images whose views are kept: 5 MB.
CACHED_VIEWS = 2000


class View(NamedTuple):
    """What a training image sees, as 60 of its points.

    Attributes:
        position: camera center in the world frame, shape (3,).
        camera_from_world: rotation matrix, shape (3, 3).
        points: the points in the world frame, shape (60, 3); NaN without any.
        distances: their distances from the camera, shape (60,).
        edges: edges of the view on the plane z = 1, as lower and upper (x, y), shape (2, 2).
    """

    position: np.ndarray
    camera_from_world: np.ndarray
    points: np.ndarray
    distances: np.ndarray
    edges: np.ndarray


class Covisibility:
    """Covisibility of the training images, from their poses and what they observe."""

    def __init__(self, poses: Poses, landmarks: Landmarks) -> None:
        """Take the map; the views of images are sampled when they are needed.

        Args:
            poses: poses of n training images.
            landmarks: what they observe.
        """
        self.poses = poses
        self.landmarks = landmarks
        self._view = lru_cache(maxsize=CACHED_VIEWS)(self._sample)

    def overlaps(self, row: int, others: np.ndarray) -> np.ndarray:
        """Return how much of an image other images see, or it sees of them.

        Args:
            row: index of the image.
            others: indices of k other images.

        Returns:
            The larger of both fractions of points, 0 if the viewing directions differ by more than
            60 degrees, shape (k,).
        """
        own = _stack([self._view(row)])
        seen = _stack([self._view(other) for other in others.tolist()])
        forward = seen.camera_from_world[:, 2]
        near = forward @ own.camera_from_world[0, 2] > np.cos(np.radians(MAX_VIEW_ANGLE_DEG))
        fractions = np.maximum(_visible_fractions(own, seen), _visible_fractions(seen, own))
        return np.where(near, fractions, 0.0)

    def _sample(self, row: int) -> View:
        """Sample the points of an image and find the edges of its view."""
        position = self.poses.positions[row]
        camera_from_world = self.poses.rotations[row].inv().as_matrix()
        start, end = self.landmarks.starts[row : row + 2]
        if end == start:
            points = np.full((SAMPLED_POINTS, 3), np.nan)
            edges = np.full((2, 2), np.nan)
        else:
            chosen = np.linspace(start, end - 1, SAMPLED_POINTS).astype(int)
            points = self.landmarks.origin + self.landmarks.points[chosen]
            rays = self.landmarks.rays[start:end]
            edges = np.stack([rays.min(axis=0), rays.max(axis=0)]).astype(float)
        distances = np.linalg.norm(points - position, axis=1)
        return View(position, camera_from_world, points, distances, edges)


def _stack(views: Sequence[View]) -> View:
    """Return k views as one with arrays of shape (k, ...)."""
    if not views:
        shapes = (3,), (3, 3), (SAMPLED_POINTS, 3), (SAMPLED_POINTS,), (2, 2)
        return View(*(np.zeros((0, *shape)) for shape in shapes))
    return View(*(np.stack(arrays) for arrays in zip(*views, strict=True)))


def _visible_fractions(observers: View, views: View) -> np.ndarray:
    """Return which fraction of the points of k images lies in the views of k others.

    Either may be a single one.
    """
    offsets = observers.points - views.position[:, None]
    local = np.einsum("kij,kpj->kpi", views.camera_from_world, offsets)
    distances = np.linalg.norm(local, axis=2)
    with np.errstate(invalid="ignore", divide="ignore"):
        projected = local[..., :2] / local[..., 2:]
        inside = (projected >= views.edges[:, None, 0]).all(axis=2)
        inside &= (projected <= views.edges[:, None, 1]).all(axis=2)
        inside &= local[..., 2] > 0
        ratios = distances / observers.distances
        inside &= (ratios < MAX_DISTANCE_RATIO) & (ratios > 1 / MAX_DISTANCE_RATIO)
    fractions: np.ndarray = inside.mean(axis=1)
    return fractions
