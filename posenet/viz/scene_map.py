"""A map of a scene: where its cameras stand and look, from above."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from posenet.datasets.scene import Scene
from posenet.geometry.alignment import estimate_up, principal_axes
from posenet.viz.figure import FAINT, NETWORK, TRUTH, new_figure, quiet, save_figure
from posenet.viz.trajectory import draw_frusta, path_pieces

MOST_POINTS = 20_000


def ground_axes(scene: Scene) -> np.ndarray:
    """(2, 3) horizontal world directions: the one that positions spread most along, and the one to its left."""
    up = estimate_up(scene.poses.rotations)
    offsets = scene.poses.positions - scene.poses.positions.mean(axis=0)
    flat = offsets - np.outer(offsets @ up, up)
    first = principal_axes(flat)[1][0]
    first = first - (first @ up) * up
    if np.linalg.norm(first) < 1e-6:  # the cameras stand above one another, or in one place
        first = np.cross(up, np.eye(3)[np.abs(up).argmin()])
    first = first / np.linalg.norm(first) * (1 if first[np.abs(first).argmax()] > 0 else -1)
    return np.stack([first, np.cross(up, first)])


def plot_scene_map(ax, scene: Scene, most_frusta: int = 40):
    """Top view along the scene's up direction: training and test paths, where cameras looked, 3-D points faint."""
    axes = ground_axes(scene)
    center = scene.poses.positions.mean(axis=0)
    flat = (scene.poses.positions - center) @ axes.T
    low, high = flat.min(axis=0), flat.max(axis=0)
    size = 0.03 * max((high - low).max(), 1e-6)
    if scene.points is not None and len(scene.points.positions):
        spots = (scene.points.positions - center) @ axes.T
        middle, reach = (
            np.median(spots, axis=0),
            np.percentile(np.abs(spots - np.median(spots, axis=0)), 98, axis=0),
        )
        spots = spots[(np.abs(spots - middle) <= reach).all(axis=1)]
        spots = spots[
            :: max(1, len(spots) // MOST_POINTS)
        ]  # of all: they stand in the order in which they were found
        ax.scatter(*spots.T, s=2, color=FAINT, label="3-D points", zorder=1)
    for split, color, label in (("train", TRUTH, "training"), ("test", NETWORK, "test")):
        rows = np.flatnonzero(scene.splits == split)
        if len(rows) == 0:
            continue
        for piece in path_pieces(flat[rows], scene.sequences[rows]):
            ax.plot(*piece.T, color=color, lw=0.8, alpha=0.6, zorder=2)
        ax.scatter(*flat[rows].T, s=10, color=color, label=f"{label} ({len(rows)})", zorder=3)
        shown = rows[np.unique(np.linspace(0, len(rows) - 1, most_frusta // 2).astype(int))]
        draw_frusta(
            ax, flat[shown], scene.poses.rotations[shown].apply([0, 0, 1]) @ axes.T, size, color
        )
    ax.set(xlabel=f"main axis ({scene.unit})", ylabel=f"second axis ({scene.unit})", aspect="equal")
    ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3, frameon=False)
    ax.margins(0.08)
    quiet(ax)
    return ax


def write_scene_map(path: Path, scene: Scene) -> None:
    """Draw the map into a PNG file, whole or not at all."""
    sides = np.ptp(
        (scene.poses.positions - scene.poses.positions.mean(axis=0)) @ ground_axes(scene).T, axis=0
    )
    figure = new_figure(10, 2.2 + 8.5 * float(np.clip(sides[1] / max(sides[0], 1e-12), 0.25, 0.75)))
    plot_scene_map(figure.add_subplot(), scene)
    figure.suptitle(f"{scene.name}: {len(scene)} images, seen from above")
    save_figure(figure, path)
