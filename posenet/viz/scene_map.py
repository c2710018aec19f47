"""A map of a scene from above: cameras, viewing directions and 3-D points."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes

from posenet.datasets.scene import Scene
from posenet.errors import count
from posenet.geometry.alignment import ground_axes
from posenet.viz.figure import (
    ESTIMATE,
    GROUND_TRUTH,
    MIN_RASTERIZED,
    TRAINING,
    default_style,
    new_figure,
    save_figure,
    style_axes,
)
from posenet.viz.trajectory import draw_frusta, split_trajectory

# Largest number of 3-D points; the farthest 2 % along each axis are left out.
MAX_POINTS = 20_000
POINTS_PERCENTILE = 98
# Size of a frustum relative to the extent of the scene.
FRUSTUM_SIZE = 0.03


def plot_scene_map(ax: Axes, scene: Scene, *, max_frusta: int = 40) -> Axes:
    """Draw training and test trajectories from above, along the up direction.

    Args:
        ax: the axes.
        scene: the scene.
        max_frusta: largest number of frusta.

    Returns:
        The axes.
    """
    axes = ground_axes(scene.poses)
    center = scene.poses.positions.mean(axis=0)
    flat = (scene.poses.positions - center) @ axes.T
    size = FRUSTUM_SIZE * max(np.ptp(flat, axis=0).max(), 1e-6)
    if scene.points is not None and len(scene.points.positions):
        points = _central_points((scene.points.positions - center) @ axes.T)
        ax.scatter(
            points[:, 0],
            points[:, 1],
            s=2,
            color=TRAINING,
            label="3-D points",
            zorder=1,
            rasterized=len(points) > MIN_RASTERIZED,
        )
    for split, color, label in (("train", GROUND_TRUTH, "training"), ("test", ESTIMATE, "test")):
        rows = np.flatnonzero(scene.splits == split)
        if len(rows) == 0:
            continue
        for piece in split_trajectory(flat[rows], scene.sequences[rows]):
            ax.plot(*piece.T, color=color, lw=0.8, alpha=0.6, zorder=2)
        ax.scatter(
            flat[rows][:, 0],
            flat[rows][:, 1],
            s=10,
            color=color,
            label=f"{label} ({len(rows)})",
            zorder=3,
        )
        shown = rows[np.unique(np.linspace(0, len(rows) - 1, max_frusta // 2).astype(int))]
        directions = scene.poses.rotations[shown].apply([0, 0, 1]) @ axes.T
        draw_frusta(ax, flat[shown], directions, size=size, color=color)
    ax.set(xlabel=f"x ({scene.unit})", ylabel=f"y ({scene.unit})", aspect="equal")
    ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3, frameon=False)
    ax.margins(0.08)
    style_axes(ax)
    return ax


@default_style()
def write_scene_map(path: Path, scene: Scene) -> None:
    """Draw the map of a scene into a PNG, PDF or SVG file.

    Args:
        path: the file to write.
        scene: the scene.

    Raises:
        PoseNetError: the file cannot be written.
    """
    centered = scene.poses.positions - scene.poses.positions.mean(axis=0)
    sides = np.ptp(centered @ ground_axes(scene.poses).T, axis=0)
    aspect = float(np.clip(sides[1] / max(sides[0], 1e-12), 0.25, 0.75))
    figure = new_figure(10, 2.2 + 8.5 * aspect)
    plot_scene_map(figure.add_subplot(), scene)
    figure.suptitle(f"{scene.name}: {count(len(scene), 'image')}, seen from above")
    save_figure(figure, path)


def _central_points(points: np.ndarray) -> np.ndarray:
    """Return the points (n, 2) without the farthest, at most `MAX_POINTS` of them."""
    middle = np.median(points, axis=0)
    distances = np.abs(points - middle)
    reach = np.percentile(distances, POINTS_PERCENTILE, axis=0)
    points = points[(distances <= reach).all(axis=1)]
    # At even steps, since points are stored in the order in which they were found.
    return points[:: max(1, len(points) // MAX_POINTS)]
