"""The 3-D points of a scene: their colors, and their measurements in the images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from posenet.datasets.scene import Scene
from posenet.geometry.camera import Camera
from posenet.geometry.camera_models import project

# Red, green and blue of a point whose color is unknown.
UNKNOWN_GRAY = 128


class Measurement(NamedTuple):
    """A keypoint that shows a 3-D point.

    Attributes:
        image: index of the image.
        keypoint: index of the keypoint among those of the image.
        x: horizontal position in pixels.
        y: vertical position in pixels.
    """

    image: int
    keypoint: int
    x: float
    y: float


Track = list[Measurement]


def to_colors(values: Sequence[Sequence[float]]) -> np.ndarray:
    """Return colors as bytes; values outside 0 to 255 are clipped.

    Args:
        values: red, green and blue of m points.

    Returns:
        Colors, shape (m, 3), uint8.
    """
    numbers = np.nan_to_num(np.array(values, np.float64).reshape(-1, 3))
    return np.clip(numbers, 0, 255).round().astype(np.uint8)


def point_colors(scene: Scene) -> np.ndarray:
    """Return the colors of a scene's points, gray if they are unknown.

    Args:
        scene: a scene, with or without points.

    Returns:
        Colors, shape (m, 3), uint8.
    """
    if scene.points is None:
        return np.zeros((0, 3), np.uint8)
    if scene.points.colors is None:
        return np.full((len(scene.points.positions), 3), UNKNOWN_GRAY, np.uint8)
    return scene.points.colors


def project_scene_points(
    scene: Scene, lost: list[str], *, from_center: bool = False
) -> tuple[np.ndarray, list[Track]]:
    """Project the points of a scene into the images that observe them.

    A scene stores no keypoints, so the measurements are exact. An image has none if its camera is
    unknown or its camera model is not supported.

    Args:
        scene: the scene.
        lost: gets a description of the observations without a measurement.
        from_center: count pixels from the image center, and leave out measurements outside the
            image, because readers infer the size of the image from the farthest ones. False: the
            center of the first pixel is at (0.5, 0.5).

    Returns:
        The m points in the world frame, shape (m, 3), and the track of each.
    """
    if scene.points is None:
        return np.zeros((0, 3)), []
    points = scene.points.positions
    observations = scene.points.observations
    tracks: list[Track] = [[] for _ in points]
    order = np.argsort(observations[:, 0], kind="stable")
    starts = np.searchsorted(observations[order, 0], np.arange(len(scene) + 1))
    camera_from_world = scene.poses.inverse()
    for row, camera in enumerate(scene.cameras):
        observed = observations[order[starts[row] : starts[row + 1]], 1]
        if camera is None or len(observed) == 0:
            continue
        rotation = camera_from_world.rotations[row]
        local = rotation.apply(points[observed]) + camera_from_world.positions[row]
        observed, pixels = _project_visible(camera, observed, local, from_center=from_center)
        for keypoint, (point, (x, y)) in enumerate(zip(observed, pixels.tolist(), strict=True)):
            tracks[point].append(Measurement(row, keypoint, x, y))
    written = sum(map(len, tracks))
    if written < len(observations):
        missing = len(observations) - written
        lost.append(f"{missing} of {len(observations)} observations of 3-D points")
    return points, tracks


def _project_visible(
    camera: Camera, observed: np.ndarray, local: np.ndarray, *, from_center: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Return indices (k,) and pixels (k, 2) of the visible ones of n points in camera axes."""
    in_front = local[:, 2] > 0
    observed = observed[in_front]
    pixels = project(camera, local[in_front])
    if pixels is None:
        return observed[:0], np.zeros((0, 2))
    if not from_center:
        return observed, pixels
    half = np.array([camera.width, camera.height]) / 2
    pixels = pixels - half
    inside = (np.abs(pixels) <= half).all(axis=1)
    return observed[inside], pixels[inside]
