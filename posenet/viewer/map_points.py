"""Which 3-D points a page shows, and their colors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from posenet.datasets.scene import Scene
from posenet.geometry.camera_models import project
from posenet.mapping.landmarks import Landmarks
from posenet.viewer.points import MAX_POINTS, PointCloud, choose_rows, is_central
from posenet.viewer.thumbnails import SampledImage

UNKNOWN_COLOR = 128


@dataclass(frozen=True, eq=False)
class ShownPoints:
    """Points that are shown, and where the chosen images show them.

    Attributes:
        positions: points in the world frame, shape (m, 3).
        places: for each chosen image, relative positions of its points in the image, (k, 2).
        rows: for each chosen image, indices (k,) of its points.
        total: number of points that there are.
    """

    positions: np.ndarray
    places: list[np.ndarray]
    rows: list[np.ndarray]
    total: int


def landmark_points(
    training: Scene, landmarks: Landmarks, chosen: Sequence[int]
) -> ShownPoints | None:
    """Choose points of a landmark map that some images observe.

    Args:
        training: n training images.
        landmarks: their map.
        chosen: indices of the images.

    Returns:
        The points with the places of their keypoints; None if the map is of other images or empty.
    """
    if len(landmarks.pixels) != len(training):
        return None
    starts = landmarks.starts
    counts = np.array([starts[row + 1] - starts[row] for row in chosen])
    if not counts.sum():
        return None
    share = min(1.0, MAX_POINTS / counts.sum())
    places = []
    rows = []
    positions = []
    total = 0
    for row, number in zip(chosen, counts, strict=True):
        picked = starts[row] + choose_rows(int(number), int(number * share))
        positions.append(landmarks.origin + landmarks.points[picked])
        places.append(_places_of_rays(training, row, landmarks.rays[picked]))
        rows.append(np.arange(total, total + len(picked)))
        total += len(picked)
    return ShownPoints(np.concatenate(positions), places, rows, len(landmarks.points))


def _places_of_rays(training: Scene, row: int, rays: np.ndarray) -> np.ndarray:
    """Return the relative positions of rays (k, 2) in an image."""
    camera = training.cameras[row]
    pixels = None
    if camera is not None:
        pixels = project(camera, np.column_stack([rays, np.ones(len(rays))]))
    if camera is None or pixels is None:
        return np.zeros((len(rays), 2))
    return pixels / [camera.width, camera.height]


def scene_points(training: Scene, chosen: Sequence[int]) -> ShownPoints | None:
    """Choose points of the scene's files, with their places in the images that observe them.

    Args:
        training: n training images.
        chosen: indices of the images.

    Returns:
        The points; None if the files contain none.
    """
    if training.points is None or not len(training.points.positions):
        return None
    kept = choose_rows(len(training.points.positions), MAX_POINTS)
    new_row = np.full(len(training.points.positions), -1)
    new_row[kept] = np.arange(len(kept))
    observations = training.points.observations
    places = []
    rows = []
    for row in chosen:
        seen = new_row[observations[observations[:, 0] == row, 1]]
        seen = seen[seen >= 0]
        points = training.points.positions[kept[seen]] - training.poses.positions[row]
        local = training.poses.rotations[row].inv().apply(points) if len(points) else points
        in_front = local[:, 2] > 0
        rows.append(seen[in_front])
        rays = local[in_front, :2] / local[in_front, 2:]
        places.append(_places_of_rays(training, row, rays))
    return ShownPoints(training.points.positions[kept], places, rows, len(new_row))


def color_points(
    shown: ShownPoints, samples: Sequence[SampledImage], file_colors: np.ndarray | None
) -> PointCloud:
    """Give points their colors, and leave out those that are far from the others.

    Args:
        shown: the points.
        samples: the chosen images.
        file_colors: RGB of all points of the scene's files, shape (total, 3), if they are known.
            Default: the colors of the images, gray where no image was read.

    Returns:
        The colored points.
    """
    colors = np.full((len(shown.positions), 3), UNKNOWN_COLOR, np.uint8)
    for rows, sample in zip(shown.rows, samples, strict=True):
        colors[rows] = sample.colors
    if file_colors is not None:
        colors = file_colors[choose_rows(shown.total, MAX_POINTS)]
    central = is_central(shown.positions)
    return PointCloud(shown.positions[central], colors[central])
