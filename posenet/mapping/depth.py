"""Coarse depth of every image, from the 3-D points that it sees: enough to tell what moving the camera would change.

A grid of inverse depths, smooth where no point lies, bent where points say so.
"""

from __future__ import annotations

import logging
from functools import cache

import numpy as np

from posenet.datasets.scene import Scene
from posenet.geometry.camera import Camera
from posenet.geometry.camera_models import projected
from posenet.geometry.cropping import Crop, grid_shape
from posenet.geometry.poses import Poses
from posenet.mapping.triangulation import pairs_from_poses, triangulate_scene

log = logging.getLogger("posenet")

FEWEST_POINTS, ENOUGH_POINTS = 12, 150
BENDING, SLOPE, OUTLIER = 0.3, 0.05, 0.1  # chosen by how well a warped image equals its neighbor
KEYPOINTS = 1200
FEWEST_IMAGES, MOST_IMAGES, IMAGES_A_MINUTE = 100, 2000, 150

WeightedPoints = tuple[np.ndarray, np.ndarray]  # points (n, 3) in the world, and their weights (n,)


def most_images(minutes: float) -> int:
    """How many images have depth: so many that it takes a fifth of a training of so many minutes, on two cores."""
    return int(min(MOST_IMAGES, max(FEWEST_IMAGES, IMAGES_A_MINUTE * minutes)))


def scene_depths(scene: Scene, crop: Crop, most: int = MOST_IMAGES) -> np.ndarray | None:
    """(n, rows, columns) float32 inverse depths, 1 / scene unit, of the stored images; NaN for those without.

    The grid's first and last nodes lie on the stored image's edges. Points are the scene's own where it has some
    (structure from motion), else triangulated from the images and their poses. Of more than `most` images an even
    choice has depth. None where too little is known.
    """
    chosen = np.unique(np.linspace(0, len(scene) - 1, min(len(scene), most)).round().astype(int))
    if len(chosen) < len(scene):
        some = scene_depths(scene.subset(chosen), crop, most)
        grids = np.full((len(scene), *grid_shape(crop.resized)), np.nan, np.float32)
        if some is not None:
            grids[chosen] = some
        return None if some is None else grids
    if sum(camera is not None and camera.is_perspective for camera in scene.cameras) < 2:
        return None
    sights = _own_points(scene) if scene.points is not None else _triangulated_points(scene)
    grids = np.full((len(scene), *grid_shape(crop.resized)), np.nan, np.float32)
    camera_from_world = scene.poses.inverse()
    for row, sight in enumerate(_with_neighbors(sights, scene.poses)):
        camera = scene.cameras[row]
        if camera is not None and camera.is_perspective:
            grid = _grid(sight, camera_from_world, row, camera, crop)
            if grid is not None:
                grids[row] = grid
    known = np.isfinite(grids[:, 0, 0])
    log.info("depth known of %d of %d images", known.sum(), len(scene))
    return grids if known.any() else None


def _own_points(scene: Scene) -> list[WeightedPoints]:
    """The scene's own points that each image sees."""
    assert scene.points is not None
    rows, points = scene.points.observations.T
    each = [scene.points.positions[points[rows == row]] for row in range(len(scene))]
    return [(seen, np.ones(len(seen))) for seen in each]


def _triangulated_points(scene: Scene) -> list[WeightedPoints]:
    """The triangulated points that each image sees."""
    return [
        (seen.points, np.ones(len(seen.points))) for seen in triangulate_scene(scene, KEYPOINTS)
    ]


def _with_neighbors(sights: list[WeightedPoints], poses: Poses) -> list[WeightedPoints]:
    """Images that see few points also have those of their neighbors, at a third of the weight."""
    around: list[list[int]] = [[] for _ in sights]
    for first, second in pairs_from_poses(poses, range(6)):
        around[first].append(second)
        around[second].append(first)
    joined = []
    for row, (points, weights) in enumerate(sights):
        if len(points) < ENOUGH_POINTS:
            others = [sights[other][0] for other in around[row]]
            points = np.concatenate([points, *others])
            weights = np.concatenate([weights, *(np.full(len(other), 1 / 3) for other in others)])
        joined.append((points, weights))
    return joined


def _grid(
    sight: WeightedPoints, camera_from_world: Poses, row: int, camera: Camera, crop: Crop
) -> np.ndarray | None:
    """The grid of one image; None where it sees too few points."""
    points, weights = sight
    local = camera_from_world.rotations[row].apply(points) + camera_from_world.positions[row]
    ahead = local[:, 2] > 1e-9
    local, weights = local[ahead], weights[ahead]
    stored = crop.resized_camera(camera)
    pixels = projected(stored, local)
    if pixels is None:
        return None
    height, width = crop.resized
    inside = ((pixels > 0) & (pixels < (width, height))).all(axis=1)
    if inside.sum() < FEWEST_POINTS:
        return None
    shape = grid_shape(crop.resized)
    nodes = pixels[inside] / (width, height) * (shape[1] - 1, shape[0] - 1)
    return fit_grid(nodes, 1 / local[inside, 2], weights[inside], shape)


def fit_grid(
    nodes: np.ndarray, values: np.ndarray, weights: np.ndarray, shape: tuple[int, int]
) -> np.ndarray:
    """The smooth grid (rows, columns) nearest to values (n,) > 0 seen at (n, 2) x, y in units of nodes.

    Robust: values far off the surface lose their weight (Cauchy's, four rounds).
    """
    basis = _bilinear(nodes, shape)
    middle = float(np.median(values))
    wanted, smooth = values / middle, _smoothness(*shape)
    start, now = 1e-3 * np.eye(len(smooth)), weights
    for _ in range(4):
        normal = (basis * now[:, None]).T @ basis + smooth + start
        fitted = np.linalg.solve(normal, (basis * now[:, None]).T @ wanted + 1e-3)
        now = weights / (1 + ((basis @ fitted - wanted) / OUTLIER) ** 2)
    return (np.maximum(fitted, 0.1) * middle).reshape(shape)


def _bilinear(nodes, shape) -> np.ndarray:
    """(n, rows * columns) weights of the grid's nodes at (n, 2) x, y."""
    corner = np.clip(nodes.astype(int), 0, (shape[1] - 2, shape[0] - 2))
    part = nodes - corner
    basis, rows = np.zeros((len(nodes), shape[0] * shape[1])), np.arange(len(nodes))
    for down in (0, 1):
        for right in (0, 1):
            weight = np.abs(1 - right - part[:, 0]) * np.abs(1 - down - part[:, 1])
            basis[rows, (corner[:, 1] + down) * shape[1] + corner[:, 0] + right] = weight
    return basis


@cache
def _smoothness(rows: int, columns: int) -> np.ndarray:
    """The quadratic form that punishes bends, and a little every slope, along both axes."""
    total = np.zeros((rows * columns, rows * columns))
    for count, place in (
        (rows, lambda d: np.kron(d, np.eye(columns))),
        (columns, lambda d: np.kron(np.eye(rows), d)),
    ):
        slopes = place(np.diff(np.eye(count), axis=0))
        bends = place(np.diff(np.eye(count), n=2, axis=0))
        total += SLOPE * slopes.T @ slopes + BENDING * bends.T @ bends
    return total
