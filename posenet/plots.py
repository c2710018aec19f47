"""Pictures of an evaluation. Every function draws on the axes it is given, so that users can compose them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from posenet.errors import PoseNetError
from posenet.images import read_image
from posenet.poses import Poses, principal_axes
from posenet.storage import atomic_path

TRUTH, NETWORK, FAINT, OTHERS = "#1f3a5f", "#d1495b", "#c9ced6", ("#3a8f85", "#8d7b68")
ERROR_COLOURS = "viridis"


def main_plane(positions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The plane that camera positions (n, 3) spread over most, by PCA.

    Returns its origin (3,) and its axes (3, 3) in rows: main axis, second axis, normal; each axis' largest
    component is positive.
    """
    origin = positions.mean(axis=0)
    axes = principal_axes(positions - origin)[1]
    signs = np.sign(axes[np.arange(3), np.abs(axes).argmax(axis=1)])
    return origin, axes * signs[:, None]


def path_pieces(points: np.ndarray, sequences) -> list[np.ndarray]:
    """A path (n, d) cut where the sequence changes or a step is more than five times the median step."""
    if len(points) < 2:
        return [points]
    steps = np.linalg.norm(np.diff(points, axis=0), axis=1)
    cut = steps > 5 * max(np.median(steps), 1e-12)
    if sequences is not None:
        cut |= np.asarray(sequences)[1:] != np.asarray(sequences)[:-1]
    return np.split(points, np.flatnonzero(cut) + 1)


def _colour_limits(errors: np.ndarray) -> tuple[float, float]:
    finite = errors[np.isfinite(errors)]
    return 0.0, max(float(np.percentile(finite, 95)) if len(finite) else 1.0, 1e-9)


def plot_trajectory(ax, truth: Poses, estimate: Poses, training: Poses | None, errors, unit: str, sequences=None):
    """Top view in the scene's main plane: the true path, predictions coloured by their position error, the training
    positions faint, and frusta where the camera looked.

    errors: (n,) position errors, infinite where there is no prediction. unit: the scene's unit.
    """
    known = truth.positions if training is None else np.concatenate([training.positions, truth.positions])
    origin, axes = main_plane(known)

    def flat(positions):
        return (positions - origin) @ axes[:2].T

    true, predicted, found = flat(truth.positions), flat(estimate.positions), np.isfinite(errors)
    low, high = flat(known).min(axis=0), flat(known).max(axis=0)
    margin = 0.12 * max((high - low).max(), 1e-6)
    if training is not None and len(training):
        ax.scatter(*flat(training.positions).T, s=9, color=FAINT, label="training pictures", zorder=1)
    for number, piece in enumerate(path_pieces(true, sequences)):
        ax.plot(*piece.T, color=TRUTH, lw=1.8, label="true path" if number == 0 else None, zorder=3)
    pairs = np.stack([true, predicted], axis=1)[found]
    ax.add_collection(LineCollection(list(pairs), colors="#8a8f98", linewidths=0.6, zorder=2))
    dots = ax.scatter(
        *predicted[found].T, c=errors[found], s=26, cmap=ERROR_COLOURS, zorder=4, edgecolors="white", linewidths=0.5,
        vmin=_colour_limits(errors)[0], vmax=_colour_limits(errors)[1], label="predicted",
    )  # fmt: skip
    shown = np.unique(np.linspace(0, len(truth) - 1, 15).round().astype(int))
    size = 0.035 * max((high - low).max(), 1e-6)
    frusta(ax, true[shown], truth.rotations[shown].apply([0, 0, 1]) @ axes[:2].T, size, TRUTH, "true view")
    shown = shown[found[shown]]
    if len(shown):
        directions = estimate.rotations[shown].apply([0, 0, 1]) @ axes[:2].T
        frusta(ax, predicted[shown], directions, size, NETWORK, "predicted view")
    ax.set_xlim(low[0] - margin, high[0] + margin)
    ax.set_ylim(low[1] - margin, high[1] + margin)
    outside = ((predicted[found] < low - margin) | (predicted[found] > high + margin)).any(axis=1).sum()
    if outside:
        ax.text(0.99, 0.01, f"{outside} predictions outside the view", transform=ax.transAxes, ha="right", fontsize=9)
    ax.set(xlabel=f"main axis ({unit})", ylabel=f"second axis ({unit})", aspect="equal")
    ax.figure.colorbar(dots, ax=ax, label=f"position error ({unit})", extend="max", shrink=0.8, pad=0.02)
    ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=5, frameon=False)
    quiet(ax)
    return ax


def frusta(ax, at: np.ndarray, directions: np.ndarray, size: float, colour: str, label: str | None = None) -> None:
    """Small open triangles that look along directions (n, 2), drawn shorter where the camera looks out of the plane."""
    across = np.stack([-directions[:, 1], directions[:, 0]], axis=1) * 0.5
    left, right = at + size * (directions + across), at + size * (directions - across)
    lines = np.stack([at, left, right, at], axis=1)
    ax.add_collection(LineCollection(list(lines), colors=colour, linewidths=1.0, zorder=5, label=label))


def quiet(ax) -> None:
    ax.grid(color="#e8eaee", lw=0.8)
    ax.set_axisbelow(True)
    for side in ("top", "right"):
        if side in ax.spines:
            ax.spines[side].set_visible(False)


def plot_trajectory_3d(ax, truth: Poses, estimate: Poses, training: Poses | None, errors, unit: str, sequences=None):
    """The same in three dimensions, along the scene's own axes. ax: a 3-D axes."""
    found = np.isfinite(errors)
    if training is not None and len(training):
        ax.scatter(*training.positions.T, s=4, color=FAINT, label="training pictures", depthshade=False)
    for number, piece in enumerate(path_pieces(truth.positions, sequences)):
        ax.plot(*piece.T, color=TRUTH, lw=1.6, label="true path" if number == 0 else None)
    low, high = _colour_limits(errors)
    dots = ax.scatter(
        *estimate.positions[found].T, c=errors[found], cmap=ERROR_COLOURS, s=14, vmin=low, vmax=high, label="predicted"
    )
    drawn = np.concatenate([truth.positions, *([] if training is None else [training.positions])])
    middle, half = (drawn.max(axis=0) + drawn.min(axis=0)) / 2, np.ptp(drawn, axis=0) / 2
    half = np.maximum(half, 0.15 * max(half.max(), 1e-6))  # a flat path keeps a readable third axis
    ax.set(**{f"{axis}lim": (m - h, m + h) for axis, m, h in zip("xyz", middle, 1.05 * half, strict=True)})
    ax.locator_params(axis="z", nbins=3)
    ax.set(xlabel=f"x ({unit})", ylabel=f"y ({unit})", zlabel=f"z ({unit})", aspect="equal")
    ax.figure.colorbar(dots, ax=ax, label=f"position error ({unit})", extend="max", shrink=0.6, pad=0.1)
    ax.legend(loc="upper left", frameon=False)
    return ax


def plot_errors(ax, errors: np.ndarray, unit: str, what: str, baselines: dict[str, np.ndarray], sequences=None):
    """Errors (n,) picture by picture, with their median and the baselines' medians as labelled lines."""
    finite = np.isfinite(errors)
    numbers = np.arange(len(errors))
    ax.plot(numbers[finite], errors[finite], ".-", color=NETWORK, lw=0.8, ms=4)
    lines = {"median": (errors, NETWORK, "-")}
    lines |= {name: (each, OTHERS[k % 2], "--") for k, (name, each) in enumerate(baselines.items())}
    for name, (each, colour, style) in lines.items():
        median = float(np.median(each))
        if np.isfinite(median):
            ax.axhline(median, color=colour, ls=style, lw=1.2, label=f"{name}: {median:.3g} {unit}")
    if sequences is not None:
        for start in np.flatnonzero(np.asarray(sequences)[1:] != np.asarray(sequences)[:-1]):
            ax.axvline(start + 0.5, color="#b9bec7", lw=0.8)
    if finite.any() and errors[finite].max() > 100 * max(np.median(errors[finite]), 1e-12):
        ax.set_yscale("log")
    else:
        ax.set_ylim(bottom=0)
    ax.set(xlabel="picture", ylabel=f"{what} error ({unit})")
    ax.legend(frameon=False, fontsize=9)
    quiet(ax)
    return ax


def plot_cumulative(ax, named: dict[str, np.ndarray], unit: str, what: str):
    """Share of pictures (%) below an error, a curve for each method in named {name: errors (n,)}."""
    colours = (NETWORK, *OTHERS)
    limits = [np.percentile(each[np.isfinite(each)], 95) for each in named.values() if np.isfinite(each).any()]
    for number, (name, each) in enumerate(named.items()):
        ordered = np.sort(each)
        share = 100 * np.arange(1, len(each) + 1) / len(each)
        ax.step(
            np.concatenate([[0], ordered]),
            np.concatenate([[0], share]),
            where="post",
            color=colours[number % 3],
            label=name,
        )
        if np.isfinite(np.median(each)):
            ax.plot(np.median(each), 50, "o", color=colours[number % 3], ms=5)
    ax.set(
        xlim=(0, max([*limits, 1e-9])), ylim=(0, 101), xlabel=f"{what} error ({unit})", ylabel="pictures below it (%)"
    )
    ax.legend(frameon=False, fontsize=9, loc="lower right")
    quiet(ax)
    return ax


def contact_sheet(figure, paths: list[Path], captions: list[str], columns: int = 4) -> None:
    """Pictures with captions in a grid."""
    rows = -(-len(paths) // columns)
    for number, (path, caption) in enumerate(zip(paths, captions, strict=True)):
        ax = figure.add_subplot(rows, columns, number + 1)
        try:
            ax.imshow(read_image(path, at_least=(240, 240)))
        except PoseNetError:
            ax.text(0.5, 0.5, "cannot be read", ha="center", transform=ax.transAxes)
        ax.set_title(caption, fontsize=9)
        ax.axis("off")


def save_figure(figure: Figure, path: Path) -> Path:
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=130, format="png")
    return path


def new_figure(width: float, height: float) -> Figure:
    figure = Figure((width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def write_report_pictures(
    folder: Path, scene_name, unit, truth, estimate, training, sequences, names, paths, errors, errors_deg, baselines
) -> list[Path]:
    """Write trajectory.png, trajectory_3d.png, errors.png and worst.png; each whole or not at all.

    baselines: {name: (errors (n,), errors_deg (n,))}. Other arguments as in the plot functions.
    """
    title = f"{scene_name}: median {np.median(errors):.3g} {unit}, {np.median(errors_deg):.3g} deg"
    written = []
    for name, projection, draw in (("trajectory", None, plot_trajectory), ("trajectory_3d", "3d", plot_trajectory_3d)):
        figure = new_figure(12, 7.6)
        draw(figure.add_subplot(projection=projection), truth, estimate, training, errors, unit, sequences)
        figure.suptitle(title)
        written.append(save_figure(figure, folder / f"{name}.png"))
    figure = new_figure(12, 7.6)
    axes = figure.subplots(2, 2)
    for row, (own, what, its_unit) in enumerate(((errors, "position", unit), (errors_deg, "rotation", "deg"))):
        others = {name: both[row] for name, both in baselines.items()}
        plot_errors(axes[row, 0], own, its_unit, what, others, sequences)
        plot_cumulative(axes[row, 1], {"network": own} | others, its_unit, what)
    figure.suptitle(title)
    written.append(save_figure(figure, folder / "errors.png"))
    worst = [row for row in np.argsort(-np.where(np.isfinite(errors), errors, -1))[:8] if Path(paths[row]).is_file()]
    if worst:
        figure = new_figure(12, 6.4)
        captions = [f"{names[row]}\n{errors[row]:.3g} {unit}, {errors_deg[row]:.3g} deg" for row in worst]
        contact_sheet(figure, [Path(paths[row]) for row in worst], captions)
        figure.suptitle(f"{scene_name}: the pictures with the largest position errors")
        written.append(save_figure(figure, folder / "worst.png"))
    return written
