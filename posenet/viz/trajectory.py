"""Camera paths, drawn. What draws into one panel draws on the axes it is given, so that users can compose them."""

from __future__ import annotations

import numpy as np
from matplotlib.collections import LineCollection

from posenet.geometry.alignment import estimate_up, principal_axes
from posenet.geometry.poses import Poses, concatenate
from posenet.viz.figure import FAINT, NETWORK, OTHERS, TRUTH, quiet

ERROR_COLORS = "viridis"


def main_plane(poses: Poses) -> tuple[np.ndarray, np.ndarray]:
    """The plane that the positions of cameras spread over most, by PCA.

    Returns its origin (3,) and its axes (3, 3) in rows: main axis, whose largest component is positive, second axis,
    and normal, right-handed; the normal points to where most cameras have up, so that the plane is seen from above.
    """
    origin = poses.positions.mean(axis=0)
    main, _, normal = principal_axes(poses.positions - origin)[1]
    main = main * np.sign(main[np.abs(main).argmax()])
    normal = normal if normal @ estimate_up(poses.rotations) >= 0 else -normal
    return origin, np.stack([main, np.cross(normal, main), normal])


def path_pieces(points: np.ndarray, sequences) -> list[np.ndarray]:
    """A path (n, d) cut where the sequence changes or a step is more than five times the median step."""
    if len(points) < 2:
        return [points]
    steps = np.linalg.norm(np.diff(points, axis=0), axis=1)
    cut = steps > 5 * max(np.median(steps), 1e-12)
    if sequences is not None:
        cut |= np.asarray(sequences)[1:] != np.asarray(sequences)[:-1]
    return np.split(points, np.flatnonzero(cut) + 1)


def _color_limits(errors: np.ndarray) -> tuple[float, float]:
    finite = errors[np.isfinite(errors)]
    return 0.0, max(float(np.percentile(finite, 95)) if len(finite) else 1.0, 1e-9)


def plot_trajectory(
    ax,
    truth: Poses,
    estimate: Poses,
    training: Poses | None,
    errors,
    unit: str,
    sequences=None,
    regressed=None,
):
    """Top view in the scene's main plane: the true path, predictions colored by their position error, the training
    positions faint, and frusta where the camera looked.

    errors: (n,) position errors, infinite where there is no prediction. unit: the scene's unit. regressed: Poses that
    the network alone says, where estimate is refined.
    """
    both = concatenate([training, truth]) if training is not None and len(training) else truth
    known, (origin, axes) = both.positions, main_plane(both)

    def flat(positions):
        return (positions - origin) @ axes[:2].T

    true, predicted, found = flat(truth.positions), flat(estimate.positions), np.isfinite(errors)
    low, high = flat(known).min(axis=0), flat(known).max(axis=0)
    margin = 0.12 * max((high - low).max(), 1e-6)
    if training is not None and len(training):
        ax.scatter(*flat(training.positions).T, s=9, color=FAINT, label="training images", zorder=1)
    for number, piece in enumerate(path_pieces(true, sequences)):
        ax.plot(*piece.T, color=TRUTH, lw=1.8, label="true path" if number == 0 else None, zorder=3)
    pairs = np.stack([true, predicted], axis=1)[found]
    ax.add_collection(LineCollection(list(pairs), colors="#8a8f98", linewidths=0.6, zorder=2))
    dots = ax.scatter(
        *predicted[found].T, c=errors[found], s=26, cmap=ERROR_COLORS, zorder=4, edgecolors="white", linewidths=0.5,
        vmin=_color_limits(errors)[0], vmax=_color_limits(errors)[1], label="predicted",
    )  # fmt: skip
    if regressed is not None:
        ax.scatter(
            *flat(regressed.positions).T,
            s=14,
            marker="x",
            color=OTHERS[1],
            lw=0.8,
            label="network alone",
            zorder=3,
        )
    shown = np.unique(np.linspace(0, len(truth) - 1, 15).round().astype(int))
    size = 0.035 * max((high - low).max(), 1e-6)
    draw_frusta(
        ax,
        true[shown],
        truth.rotations[shown].apply([0, 0, 1]) @ axes[:2].T,
        size,
        TRUTH,
        "true view",
    )
    shown = shown[found[shown]]
    if len(shown):
        directions = estimate.rotations[shown].apply([0, 0, 1]) @ axes[:2].T
        draw_frusta(ax, predicted[shown], directions, size, NETWORK, "predicted view")
    ax.set_xlim(low[0] - margin, high[0] + margin)
    ax.set_ylim(low[1] - margin, high[1] + margin)
    outside = (
        ((predicted[found] < low - margin) | (predicted[found] > high + margin)).any(axis=1).sum()
    )
    if outside:
        ax.text(
            0.99,
            0.01,
            f"{outside} predictions outside the view",
            transform=ax.transAxes,
            ha="right",
            fontsize=9,
        )
    return _finished(ax, dots, unit, f"position error ({unit})", extend="max")


def plot_path(ax, poses: Poses, training: Poses | None, unit: str):
    """Top view in the scene's main plane of a path without known truth: positions colored by their order, frusta where
    the camera looked, the training positions faint. unit: the scene's unit."""
    others = poses.positions[:0] if training is None else training.positions
    known = np.concatenate([others, poses.positions])
    origin, axes = main_plane(poses if training is None else training)
    known, others, at = ((each - origin) @ axes[:2].T for each in (known, others, poses.positions))
    if training is not None:
        ax.scatter(*others.T, s=9, color=FAINT, label="training images", zorder=1)
    ax.plot(*at.T, color=NETWORK, lw=0.8, alpha=0.6, label="predicted path", zorder=2)
    order = np.arange(1, len(at) + 1)
    dots = ax.scatter(
        *at.T, c=order, s=26, cmap=ERROR_COLORS, zorder=4, edgecolors="white", linewidths=0.5
    )
    shown = np.unique(np.linspace(0, len(at) - 1, 25).round().astype(int))
    size = 0.035 * max(float(np.ptp(known, axis=0).max()), 1e-6)
    draw_frusta(
        ax,
        at[shown],
        poses.rotations[shown].apply([0, 0, 1]) @ axes[:2].T,
        size,
        NETWORK,
        "predicted view",
    )
    return _finished(ax, dots, unit, "image, in order")


def _finished(ax, dots, unit: str, colors: str, **bar):
    """A top view with its axes, the bar that says what the dots' colors are, and the legend."""
    ax.set(xlabel=f"main axis ({unit})", ylabel=f"second axis ({unit})", aspect="equal")
    ax.figure.colorbar(dots, ax=ax, label=colors, shrink=0.8, pad=0.02, **bar)
    ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=6, frameon=False)
    quiet(ax)
    return ax


def draw_frusta(
    ax, at: np.ndarray, directions: np.ndarray, size: float, color: str, label: str | None = None
) -> None:
    """Small open triangles that look along directions (n, 2), drawn shorter where the camera looks out of the plane."""
    across = np.stack([-directions[:, 1], directions[:, 0]], axis=1) * 0.5
    left, right = at + size * (directions + across), at + size * (directions - across)
    lines = np.stack([at, left, right, at], axis=1)
    ax.add_collection(
        LineCollection(list(lines), colors=color, linewidths=1.0, zorder=5, label=label)
    )


def plot_trajectory_3d(
    ax, truth: Poses, estimate: Poses, training: Poses | None, errors, unit: str, sequences=None
):
    """The same in three dimensions, along the scene's own axes. ax: a 3-D axes."""
    found = np.isfinite(errors)
    if training is not None and len(training):
        ax.scatter(
            *training.positions.T, s=4, color=FAINT, label="training images", depthshade=False
        )
    for number, piece in enumerate(path_pieces(truth.positions, sequences)):
        ax.plot(*piece.T, color=TRUTH, lw=1.6, label="true path" if number == 0 else None)
    low, high = _color_limits(errors)
    dots = ax.scatter(
        *estimate.positions[found].T, c=errors[found], cmap=ERROR_COLORS, s=14, vmin=low, vmax=high, label="predicted",
        axlim_clip=True,
    )  # fmt: skip
    drawn = np.concatenate([truth.positions, *([] if training is None else [training.positions])])
    middle, half = (drawn.max(axis=0) + drawn.min(axis=0)) / 2, np.ptp(drawn, axis=0) / 2
    half = np.maximum(half, 0.15 * max(half.max(), 1e-6))  # a flat path keeps a readable third axis
    ax.set(
        **{
            f"{axis}lim": (m - h, m + h)
            for axis, m, h in zip("xyz", middle, 1.05 * half, strict=True)
        }
    )
    outside = (np.abs(estimate.positions[found] - middle) > 1.05 * half).any(axis=1).sum()
    if outside:
        ax.text2D(
            0.99,
            0.01,
            f"{outside} predictions outside the view",
            transform=ax.transAxes,
            ha="right",
            fontsize=9,
        )
    ax.locator_params(axis="z", nbins=3)
    ax.set(xlabel=f"x ({unit})", ylabel=f"y ({unit})", zlabel=f"z ({unit})", aspect="equal")
    ax.figure.colorbar(
        dots, ax=ax, label=f"position error ({unit})", extend="max", shrink=0.6, pad=0.1
    )
    ax.legend(loc="upper left", frameon=False)
    return ax
