"""The matches of refined poses: a query image beside a training image, matching points joined."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import ConnectionPatch
from scipy.spatial.transform import Rotation

from posenet.geometry.camera import Camera
from posenet.geometry.camera_models import project
from posenet.viz.figure import ESTIMATE, new_figure, plot_image

# Largest number of lines between two images.
MAX_LINES = 120


class QueryMatches(NamedTuple):
    """A query image with its matched points.

    Attributes:
        path: the image file.
        camera: its camera, None if unknown.
        rays: matched keypoints on the plane z = 1, shape (k, 2).
        points: their 3-D points in the world frame, shape (k, 3).
        title: title of the image.
    """

    path: Path
    camera: Camera | None
    rays: np.ndarray
    points: np.ndarray
    title: str


class TrainingView(NamedTuple):
    """A training image with its pose.

    Attributes:
        path: the image file.
        camera: its camera, None if unknown.
        position: camera center in the world frame, shape (3,).
        rotation: camera axes to world axes.
        title: title of the image.
    """

    path: Path
    camera: Camera | None
    position: np.ndarray
    rotation: Rotation
    title: str


def matches_figure(rows: list[tuple[QueryMatches, TrainingView]], title: str) -> Figure:
    """Draw pairs of images, one below the other.

    Args:
        rows: query images and training images.
        title: title of the figure.

    Returns:
        The figure.
    """
    camera = rows[0][0].camera
    aspect = camera.width / camera.height if camera else 4 / 3
    width = min(max(9.2 * aspect, 6.5), 11)  # two images and the space between them, inches
    figure = new_figure(width, 4.2 * len(rows))
    axes = figure.subplots(len(rows), 2, squeeze=False)
    for pair, (query, training) in zip(axes, rows, strict=True):
        plot_matches(pair, query, training)
    figure.suptitle(title)
    return figure


def plot_matches(pair: np.ndarray, query: QueryMatches, training: TrainingView) -> None:
    """Draw a query image and a training image, and join matched points with their projections.

    The points are projected with the pose of the training image, whether or not they were matched
    in it.

    Args:
        pair: two axes.
        query: the query image.
        training: the training image.
    """
    plot_image(pair[0], query.path, query.title)
    plot_image(pair[1], training.path, training.title)
    visible, projected = _project_into(training, query.points)
    rays = np.column_stack([query.rays, np.ones(len(query.rays))])
    keypoints = project(query.camera, rays) if query.camera is not None else None
    if keypoints is None or projected is None:
        return
    pair[0].scatter(*keypoints.T, s=2, color=ESTIMATE)
    rows = np.flatnonzero(visible)
    pair[1].scatter(*projected[rows].T, s=2, color=ESTIMATE)
    for row in rows[:: max(1, len(rows) // MAX_LINES)]:
        _join(pair, keypoints[row], projected[row])


def _join(pair: np.ndarray, left: np.ndarray, right: np.ndarray) -> None:
    first: Axes = pair[0]
    second: Axes = pair[1]
    line = ConnectionPatch(
        (right[0], right[1]),
        (left[0], left[1]),
        "data",
        "data",
        axesA=second,
        axesB=first,
        color=ESTIMATE,
        lw=0.4,
        alpha=0.6,
    )
    line.set_in_layout(False)  # otherwise the images shrink to make room for it
    second.add_artist(line)


def _project_into(
    training: TrainingView, points: np.ndarray
) -> tuple[np.ndarray, np.ndarray | None]:
    """Return which points (n, 3) are visible, and their pixels (n, 2); None if unknown."""
    if training.camera is None:
        return np.zeros(len(points), bool), None
    local = training.rotation.inv().apply(points - training.position)
    ahead = local[:, 2] > 1e-6
    pixels = project(training.camera, np.where(ahead[:, None], local, [0, 0, 1.0]))
    if pixels is None:
        return ahead, None
    size = (training.camera.width, training.camera.height)
    return ahead & ((pixels > 0) & (pixels < size)).all(axis=1), pixels
