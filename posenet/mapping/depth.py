"""Coarse depth of images from the 3-D points that they observe, to render translated views.

Each image has a grid of inverse depths, which follows the points and is smooth in between.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from functools import cache
from typing import NamedTuple

import numpy as np

from posenet.datasets.scene import Scene
from posenet.geometry.camera import Camera
from posenet.geometry.camera_models import project
from posenet.geometry.cropping import Crop, grid_shape
from posenet.geometry.poses import Poses
from posenet.mapping.keypoints import KeypointCache
from posenet.mapping.neighbors import pairs_from_poses
from posenet.mapping.triangulation import triangulate_blocks

log = logging.getLogger("posenet")

# Fewest points of an image with depth; images with fewer than enough points also use those of their
# neighbors, with a smaller weight.
MIN_POINTS = 12
ENOUGH_POINTS = 150
NEIGHBOR_RANKS = range(6)
NEIGHBOR_WEIGHT = 1 / 3
# Weights of the second and first differences of the grid, and relative error of an outlier. Chosen
# by how similar warped images are to their neighbors.
BEND_WEIGHT = 0.3
SLOPE_WEIGHT = 0.05
OUTLIER = 0.1
FIT_ROUNDS = 4
# A weak prior towards the median depth, and the smallest inverse depth relative to the median.
PRIOR_WEIGHT = 1e-3
MIN_INVERSE_DEPTH = 0.1
MAX_KEYPOINTS = 1200
# Largest number of images with depth.
MAX_IMAGES = 2000


class WeightedPoints(NamedTuple):
    """3-D points that an image observes.

    Attributes:
        points: world frame, shape (n, 3).
        weights: shape (n,).
    """

    points: np.ndarray
    weights: np.ndarray


def estimate_depths(
    scene: Scene,
    crop: Crop,
    *,
    max_images: int = MAX_IMAGES,
    keypoints: KeypointCache | None = None,
    observed: Sequence[np.ndarray] | None = None,
) -> np.ndarray | None:
    """Estimate the depth of images.

    The points are the scene's own, then those that are given; otherwise they are triangulated from
    images and poses.

    Args:
        scene: n images of known pose.
        crop: how the images are resized.
        max_images: largest number of images; of more, an even choice has depth.
        keypoints: keypoints that were detected before.
        observed: points that each image observes, in the world frame, shapes (k, 3).

    Returns:
        Inverse depths of the resized images on a grid, 1 / scene unit, shape (n, rows, columns),
        float32, NaN for images without depth. The first and last nodes are at the edges of the
        image. None if no image has depth.
    """
    grids = np.full((len(scene), *grid_shape(crop.resized)), np.nan, np.float32)
    even = np.linspace(0, len(scene) - 1, min(len(scene), max_images))
    chosen = np.unique(even.round().astype(int))
    if len(chosen) < len(scene):
        some = estimate_depths(
            scene.subset(chosen),
            crop,
            max_images=max_images,
            keypoints=keypoints,
            observed=None if observed is None else [observed[row] for row in chosen],
        )
        if some is None:
            return None
        grids[chosen] = some
        return grids
    if sum(camera is not None and camera.is_perspective for camera in scene.cameras) < 2:
        return None
    if scene.points is not None:
        observed = _own_points(scene)
    elif observed is None:
        observed = _triangulate(scene, keypoints)
    camera_from_world = scene.poses.inverse()
    for row, points in enumerate(_add_neighbors(observed, scene.poses)):
        camera = scene.cameras[row]
        if camera is not None and camera.is_perspective:
            grid = _fit_image(points, camera_from_world, row, camera, crop)
            if grid is not None:
                grids[row] = grid
    known = np.isfinite(grids[:, 0, 0])
    log.info("depth known for %d of %d images", known.sum(), len(scene))
    return grids if known.any() else None


def fit_grid(
    nodes: np.ndarray, values: np.ndarray, weights: np.ndarray, shape: tuple[int, int]
) -> np.ndarray:
    """Fit a smooth grid to values at scattered places; outliers lose their weight (Cauchy).

    Args:
        nodes: places (x, y) in units of nodes, shape (n, 2).
        values: positive values, shape (n,).
        weights: shape (n,).
        shape: (rows, columns) of the grid.

    Returns:
        The grid, shape (rows, columns).
    """
    basis = _bilinear_weights(nodes, shape)
    median = float(np.median(values))
    target = values / median
    smoothness = _smoothness(*shape)
    prior = PRIOR_WEIGHT * np.eye(len(smoothness))
    current = weights
    for _ in range(FIT_ROUNDS):
        weighted = (basis * current[:, None]).T
        normal = weighted @ basis + smoothness + prior
        fitted = np.linalg.solve(normal, weighted @ target + PRIOR_WEIGHT)
        current = weights / (1 + ((basis @ fitted - target) / OUTLIER) ** 2)
    return (np.maximum(fitted, MIN_INVERSE_DEPTH) * median).reshape(shape)


def _own_points(scene: Scene) -> list[np.ndarray]:
    """Return the scene's own points that each image observes."""
    assert scene.points is not None
    rows, points = scene.points.observations.T
    order = np.argsort(rows, kind="stable")
    ends = np.searchsorted(rows[order], np.arange(1, len(scene)))
    return [scene.points.positions[seen] for seen in np.split(points[order], ends)]


def _triangulate(scene: Scene, keypoints: KeypointCache | None) -> list[np.ndarray]:
    """Return triangulated points that each image observes."""
    observed: dict[int, np.ndarray] = {}
    for block in triangulate_blocks(scene, MAX_KEYPOINTS, cache=keypoints):
        for row, observations in zip(block.rows.tolist(), block.observations, strict=True):
            observed[row] = observations.points
    return [observed[row] for row in range(len(scene))]


def _add_neighbors(observed: Sequence[np.ndarray], poses: Poses) -> Iterator[WeightedPoints]:
    """Yield the points of each image; those of its neighbors too if they are few."""
    pairs = pairs_from_poses(poses, NEIGHBOR_RANKS)
    both = np.concatenate([pairs, pairs[:, ::-1]])
    # Sorted by image; its neighbors in the order of the pairs.
    both = both[np.argsort(both[:, 0], kind="stable")]
    ends = np.searchsorted(both[:, 0], np.arange(1, len(observed)))
    for row, neighbors in enumerate(np.split(both[:, 1], ends)):
        points = observed[row]
        weights = np.ones(len(points))
        if len(points) < ENOUGH_POINTS:
            others = [observed[neighbor] for neighbor in neighbors.tolist()]
            other_weights = [np.full(len(other), NEIGHBOR_WEIGHT) for other in others]
            points = np.concatenate([points, *others])
            weights = np.concatenate([weights, *other_weights])
        yield WeightedPoints(points, weights)


def _fit_image(
    observed: WeightedPoints, camera_from_world: Poses, row: int, camera: Camera, crop: Crop
) -> np.ndarray | None:
    """Fit the grid of one image, None if it observes too few points."""
    rotation = camera_from_world.rotations[row]
    local = rotation.apply(observed.points) + camera_from_world.positions[row]
    ahead = local[:, 2] > 1e-9
    local = local[ahead]
    weights = observed.weights[ahead]
    pixels = project(crop.resized_camera(camera), local)
    if pixels is None:
        return None
    height, width = crop.resized
    inside = ((pixels > 0) & (pixels < (width, height))).all(axis=1)
    if inside.sum() < MIN_POINTS:
        return None
    shape = grid_shape(crop.resized)
    nodes = pixels[inside] / (width, height) * (shape[1] - 1, shape[0] - 1)
    return fit_grid(nodes, 1 / local[inside, 2], weights[inside], shape)


def _bilinear_weights(nodes: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Return the weights of all nodes at places (n, 2), shape (n, rows * columns)."""
    corner = np.clip(nodes.astype(int), 0, (shape[1] - 2, shape[0] - 2))
    offset = nodes - corner
    basis = np.zeros((len(nodes), shape[0] * shape[1]))
    rows = np.arange(len(nodes))
    for down in (0, 1):
        for right in (0, 1):
            weight = np.abs(1 - right - offset[:, 0]) * np.abs(1 - down - offset[:, 1])
            basis[rows, (corner[:, 1] + down) * shape[1] + corner[:, 0] + right] = weight
    return basis


@cache
def _smoothness(rows: int, columns: int) -> np.ndarray:
    """Return the quadratic form of first and second differences along both axes of a grid."""
    along_rows = _penalty(rows)
    along_columns = _penalty(columns)
    return np.kron(along_rows, np.eye(columns)) + np.kron(np.eye(rows), along_columns)


def _penalty(count: int) -> np.ndarray:
    """Return the quadratic form of first and second differences of a list of values."""
    slope = np.diff(np.eye(count), axis=0)
    bend = np.diff(np.eye(count), n=2, axis=0)
    return SLOPE_WEIGHT * slope.T @ slope + BEND_WEIGHT * bend.T @ bend
