"""Camera trajectories. Every function draws on the axes it is given."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import Collection, LineCollection

from posenet.datasets.scene import order_by_sequence
from posenet.errors import count
from posenet.geometry.alignment import estimate_up, principal_axes
from posenet.geometry.poses import Poses, concatenate
from posenet.viz.figure import ESTIMATE, GROUND_TRUTH, MIN_RASTERIZED, NETWORK, TRAINING, style_axes

ERROR_COLORMAP = "viridis"
ERROR_LINES = "#8a8f98"
# The network's path beside that of the refined poses.
NETWORK_STYLE: dict[str, Any] = {"color": NETWORK, "lw": 0.7, "marker": "x", "ms": 4, "mew": 0.8}
# The color scale ends at this percentile of the errors.
MAX_COLOR_PERCENTILE = 95
# A trajectory is split where a step is more than this many times the median step.
MAX_STEP_RATIO = 5
# Number of frusta, and their size relative to the extent of the trajectory.
NUM_FRUSTA = 15
NUM_FRUSTA_WITHOUT_TRUTH = 25
FRUSTUM_SIZE = 0.035
# Margin around the trajectory relative to its extent.
MARGIN = 0.12
# Smallest range of an axis relative to the largest one, in 3-D.
MIN_RANGE_3D = 0.15
# Distance of the labels of x and y from the axes in 3-D, points: beside the numbers, not over them.
LABEL_PAD_3D = 14


class Plane(NamedTuple):
    """A plane in the world frame.

    Attributes:
        origin: a point of the plane, shape (3,).
        axes: main axis, second axis and normal in rows, right-handed, shape (3, 3).
    """

    origin: np.ndarray
    axes: np.ndarray

    def project(self, points: np.ndarray) -> np.ndarray:
        """Return coordinates in the plane.

        Args:
            points: points in the world frame, shape (n, 3).

        Returns:
            x and y, shape (n, 2).
        """
        return (points - self.origin) @ self.axes[:2].T


def plane_of_motion(poses: Poses) -> Plane:
    """Return the plane that camera positions spread over most, by principal component analysis.

    Args:
        poses: some poses.

    Returns:
        The plane. The largest component of the main axis is positive; the normal points up for most
        cameras, so that the plane is seen from above.
    """
    origin = poses.positions.mean(axis=0)
    main, _, normal = principal_axes(poses.positions - origin).axes
    main = main * np.sign(main[np.abs(main).argmax()])
    normal = normal if normal @ estimate_up(poses.rotations) >= 0 else -normal
    return Plane(origin, np.stack([main, np.cross(normal, main), normal]))


def split_trajectory(points: np.ndarray, sequences: np.ndarray | None) -> list[np.ndarray]:
    """Split a trajectory where the sequence changes or the camera jumps.

    Args:
        points: positions, shape (n, d).
        sequences: the sequence of each position, shape (n,); None for one sequence.

    Returns:
        The pieces, shape (k, d) each.
    """
    return [points[rows] for rows in _split_rows(points, sequences)]


def _split_rows(points: np.ndarray, sequences: np.ndarray | None) -> list[np.ndarray]:
    """Return the indices of the points of each piece of a trajectory, in order."""
    order = np.arange(len(points)) if sequences is None else order_by_sequence(sequences)
    if len(points) < 2:
        return [order]
    steps = np.linalg.norm(np.diff(points[order], axis=0), axis=1)
    is_cut = steps > MAX_STEP_RATIO * max(np.median(steps), 1e-12)
    if sequences is not None:
        ordered = np.asarray(sequences)[order]
        is_cut |= ordered[1:] != ordered[:-1]
    return np.split(order, np.flatnonzero(is_cut) + 1)


def plot_trajectory(
    ax: Axes,
    ground_truth: Poses,
    estimate: Poses,
    *,
    errors: np.ndarray,
    unit: str,
    training: Poses | None = None,
    sequences: np.ndarray | None = None,
    label: str = "estimate",
    network: np.ndarray | None = None,
) -> Axes:
    """Draw true and estimated trajectories from above, in the plane of motion.

    Args:
        ax: the axes.
        ground_truth: n true poses.
        estimate: n estimated poses.
        errors: position errors, infinite where there is no estimate, shape (n,).
        unit: unit of the positions.
        training: the training poses.
        sequences: the sequence of each image, shape (n,).
        label: name of the estimates in the legend.
        network: positions before refinement, shape (n, 3); NaN where the network has none.

    Returns:
        The axes.
    """
    known = ground_truth
    if training is not None and len(training):
        known = concatenate([training, ground_truth])
    plane = plane_of_motion(known)
    true_points = plane.project(ground_truth.positions)
    points = plane.project(estimate.positions)
    valid = np.isfinite(errors)
    known_points = plane.project(known.positions)
    low = known_points.min(axis=0)
    high = known_points.max(axis=0)
    extent = max((high - low).max(), 1e-6)
    if training is not None and len(training):
        _scatter_training(ax, plane.project(training.positions))
    pieces = _split_rows(true_points, sequences)
    _plot_pieces(ax, true_points, pieces, color=GROUND_TRUTH, lw=1.8, label="ground truth")
    if network is not None:
        _plot_pieces(ax, plane.project(network), pieces, label="network", **NETWORK_STYLE)
    pairs = np.stack([true_points, points], axis=1)[valid]
    ax.add_collection(LineCollection(list(pairs), colors=ERROR_LINES, linewidths=0.6, zorder=2))
    dots = ax.scatter(
        points[valid, 0],
        points[valid, 1],
        c=errors[valid],
        s=26,
        cmap=ERROR_COLORMAP,
        zorder=4,
        edgecolors="white",
        linewidths=0.5,
        vmin=0.0,
        vmax=_max_color(errors),
        label=label,
    )
    rows = _even_rows(len(ground_truth), NUM_FRUSTA)
    _draw_pose_frusta(ax, plane, ground_truth, rows, extent, GROUND_TRUTH, "true view")
    if valid[rows].any():
        chosen = rows[valid[rows]]
        _draw_pose_frusta(ax, plane, estimate, chosen, extent, ESTIMATE, "estimated view")
    low = low - MARGIN * extent
    high = high + MARGIN * extent
    ax.set_xlim(low[0], high[0])
    ax.set_ylim(low[1], high[1])
    outside = ((points[valid] < low) | (points[valid] > high)).any(axis=1).sum()
    if outside:
        text = _outside_text(int(outside))
        ax.text(0.99, 0.01, text, transform=ax.transAxes, ha="right", fontsize=9)
    return _finish_top_view(ax, dots, unit, f"position error ({unit})", extend="max")


def plot_path(ax: Axes, poses: Poses, training: Poses | None, unit: str) -> Axes:
    """Draw estimated poses without ground truth from above, colored by their order.

    Args:
        ax: the axes.
        poses: estimated poses in order.
        training: the training poses.
        unit: unit of the positions.

    Returns:
        The axes.
    """
    plane = plane_of_motion(poses if training is None else training)
    points = plane.project(poses.positions)
    known = points
    if training is not None:
        training_points = plane.project(training.positions)
        known = np.concatenate([training_points, points])
        _scatter_training(ax, training_points)
    ax.plot(*points.T, color=ESTIMATE, lw=0.8, alpha=0.6, label="estimate", zorder=2)
    dots = ax.scatter(
        points[:, 0],
        points[:, 1],
        c=np.arange(1, len(points) + 1),
        s=26,
        cmap=ERROR_COLORMAP,
        zorder=4,
        edgecolors="white",
        linewidths=0.5,
    )
    rows = _even_rows(len(points), NUM_FRUSTA_WITHOUT_TRUTH)
    extent = max(float(np.ptp(known, axis=0).max()), 1e-6)
    _draw_pose_frusta(ax, plane, poses, rows, extent, ESTIMATE, "estimated view")
    return _finish_top_view(ax, dots, unit, "image number")


def plot_trajectory_3d(
    ax: Any,
    ground_truth: Poses,
    estimate: Poses,
    *,
    errors: np.ndarray,
    unit: str,
    training: Poses | None = None,
    sequences: np.ndarray | None = None,
    label: str = "estimate",
    network: np.ndarray | None = None,
) -> Any:
    """Draw true and estimated trajectories in 3-D, along the axes of the world frame.

    Args:
        ax: 3-D axes.
        ground_truth: n true poses.
        estimate: n estimated poses.
        errors: position errors, infinite where there is no estimate, shape (n,).
        unit: unit of the positions.
        training: the training poses.
        sequences: the sequence of each image, shape (n,).
        label: name of the estimates in the legend.
        network: positions before refinement, shape (n, 3); NaN where the network has none.

    Returns:
        The axes.
    """
    valid = np.isfinite(errors)
    known = [ground_truth.positions]
    if training is not None and len(training):
        known.append(training.positions)
        ax.scatter(
            *training.positions.T,
            s=4,
            color=TRAINING,
            label="training images",
            depthshade=False,
            rasterized=len(training) > MIN_RASTERIZED,
        )
    pieces = _split_rows(ground_truth.positions, sequences)
    _plot_pieces(
        ax, ground_truth.positions, pieces, color=GROUND_TRUTH, lw=1.6, label="ground truth"
    )
    if network is not None:
        _plot_pieces(ax, network, pieces, label="network", axlim_clip=True, **NETWORK_STYLE)
    points = estimate.positions[valid]
    dots = ax.scatter(
        *points.T,
        c=errors[valid],
        cmap=ERROR_COLORMAP,
        s=14,
        vmin=0.0,
        vmax=_max_color(errors),
        label=label,
        axlim_clip=True,
    )
    drawn = np.concatenate(known)
    middle = (drawn.max(axis=0) + drawn.min(axis=0)) / 2
    half = np.ptp(drawn, axis=0) / 2
    half = 1.05 * np.maximum(half, MIN_RANGE_3D * max(half.max(), 1e-6))
    for axis, center, reach in zip("xyz", middle, half, strict=True):
        ax.set(**{f"{axis}lim": (center - reach, center + reach)})
    outside = (np.abs(points - middle) > half).any(axis=1).sum()
    if outside:
        text = _outside_text(int(outside))
        ax.text2D(0.99, 0.01, text, transform=ax.transAxes, ha="right", fontsize=9)
    ax.locator_params(axis="z", nbins=3)
    ax.set(xlabel=f"x ({unit})", ylabel=f"y ({unit})", zlabel=f"z ({unit})", aspect="equal")
    for axis in (ax.xaxis, ax.yaxis):
        axis.labelpad = LABEL_PAD_3D
    ax.figure.colorbar(
        dots, ax=ax, label=f"position error ({unit})", extend="max", shrink=0.6, pad=0.1
    )
    ax.legend(loc="upper left", frameon=False)
    return ax


def draw_frusta(
    ax: Axes,
    points: np.ndarray,
    directions: np.ndarray,
    *,
    size: float,
    color: str,
    label: str | None = None,
) -> None:
    """Draw cameras as small open triangles, shorter if they look out of the plane.

    Args:
        ax: the axes.
        points: camera centers, shape (n, 2).
        directions: viewing directions projected into the plane, shape (n, 2).
        size: length of a triangle.
        color: color of the lines.
        label: label in the legend.
    """
    across = np.stack([-directions[:, 1], directions[:, 0]], axis=1) * 0.5
    left = points + size * (directions + across)
    right = points + size * (directions - across)
    lines = np.stack([points, left, right, points], axis=1)
    outlines = LineCollection(list(lines), colors=color, linewidths=1.0, zorder=5, label=label)
    ax.add_collection(outlines)


def _plot_pieces(
    ax: Any, points: np.ndarray, pieces: list[np.ndarray], *, label: str, **style: Any
) -> None:
    """Draw the pieces of a trajectory, with one entry in the legend."""
    for number, rows in enumerate(pieces):
        ax.plot(*points[rows].T, label=label if number == 0 else None, zorder=3, **style)


def _draw_pose_frusta(
    ax: Axes,
    plane: Plane,
    poses: Poses,
    rows: np.ndarray,
    extent: float,
    color: str,
    label: str,
) -> None:
    points = plane.project(poses.positions[rows])
    directions = poses.rotations[rows].apply([0, 0, 1]) @ plane.axes[:2].T
    draw_frusta(ax, points, directions, size=FRUSTUM_SIZE * extent, color=color, label=label)


def _scatter_training(ax: Axes, points: np.ndarray) -> None:
    ax.scatter(
        points[:, 0],
        points[:, 1],
        s=9,
        color=TRAINING,
        label="training images",
        zorder=1,
        rasterized=len(points) > MIN_RASTERIZED,
    )


def _even_rows(total: int, number: int) -> np.ndarray:
    """Return at most `number` indices at even steps."""
    return np.unique(np.linspace(0, total - 1, number).round().astype(int))


def _max_color(errors: np.ndarray) -> float:
    """Return the error at the end of the color scale."""
    finite = errors[np.isfinite(errors)]
    largest = float(np.percentile(finite, MAX_COLOR_PERCENTILE)) if len(finite) else 1.0
    return max(largest, 1e-9)


def _outside_text(outside: int) -> str:
    return f"{count(outside, 'estimate')} outside the view"


def _finish_top_view(
    ax: Axes, dots: Collection, unit: str, color_label: str, **options: Any
) -> Axes:
    """Label the axes and add color bar and legend."""
    ax.set(xlabel=f"x ({unit})", ylabel=f"y ({unit})", aspect="equal")
    ax.figure.colorbar(dots, ax=ax, label=color_label, shrink=0.8, pad=0.02, **options)
    ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=6, frameon=False)
    style_axes(ax)
    return ax
