"""The figures of an evaluation."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from posenet.evaluation.baselines import BASELINE_NAMES, NETWORK_ALONE
from posenet.evaluation.evaluate import Evaluation, PoseErrors
from posenet.viz.errors import ErrorCurve, plot_cumulative, plot_errors, plot_sparsification
from posenet.viz.figure import (
    BROWN,
    NETWORK,
    TEAL,
    default_style,
    new_figure,
    plot_image,
    save_figure,
)
from posenet.viz.matches import QueryMatches, TrainingView, matches_figure
from posenet.viz.trajectory import plot_trajectory, plot_trajectory_3d

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# The same color for a baseline in all figures.
BASELINE_COLORS = {NETWORK_ALONE: NETWORK, "retrieval": TEAL, "mean_pose": BROWN}
NUM_WORST = 8
# Number of refined images whose matches are drawn: most, median and fewest inliers.
NUM_MATCHED = 3
SHEET_COLUMNS = 4
# Size in pixels (height, width) that is enough for an image on a contact sheet.
SHEET_IMAGE = (240, 240)


class _Quantity(NamedTuple):
    """Position or rotation: the method's errors, the unit, and the baselines' errors."""

    name: str
    unit: str
    errors: np.ndarray
    baselines: dict[str, np.ndarray]


@default_style()
def write_figures(
    folder: Path, evaluation: Evaluation, formats: Sequence[str] = ("png",)
) -> list[Path]:
    """Write the figures of an evaluation.

    Args:
        folder: the folder to write to.
        evaluation: the evaluation.
        formats: one or more of "png", "pdf" and "svg".

    Returns:
        The files: trajectory, trajectory_3d and errors; sparsification if there is an uncertainty;
        worst_images if there are image files; matches if poses were refined.
    """
    figures = {
        "trajectory": _trajectory(evaluation),
        "trajectory_3d": _trajectory_3d(evaluation),
        "errors": _errors(evaluation),
    }
    if evaluation.uncertainty is not None and np.isfinite(evaluation.errors.position).all():
        figures["sparsification"] = _sparsification(evaluation, evaluation.uncertainty)
    worst = _worst_rows(evaluation)
    if worst:
        figures["worst_images"] = _worst_images(evaluation, worst)
    if evaluation.refinement is not None and evaluation.refinement.refined.any():
        figures["matches"] = _matches(evaluation)
    return [
        save_figure(figure, folder / f"{name}.{suffix}")
        for name, figure in figures.items()
        for suffix in dict.fromkeys(formats)
    ]


def draw_contact_sheet(
    figure: Figure, paths: Sequence[Path], captions: Sequence[str], *, columns: int = SHEET_COLUMNS
) -> None:
    """Draw images with captions in a grid.

    Args:
        figure: the figure.
        paths: the image files.
        captions: their captions.
        columns: number of columns.
    """
    rows = -(-len(paths) // columns)
    for number, (path, caption) in enumerate(zip(paths, captions, strict=True)):
        ax = figure.add_subplot(rows, columns, number + 1)
        plot_image(ax, path, caption, at_least=SHEET_IMAGE)


def _title(evaluation: Evaluation) -> str:
    """Return the scene with the median errors, of the network too if poses were refined."""
    unit = evaluation.scene.unit
    text = f"{evaluation.scene.name}: median {_median(evaluation.errors, unit)}"
    network = evaluation.baselines.get(NETWORK_ALONE)
    if network is not None:
        text += f" {evaluation.title}, {_median(network, unit)} network"
    return text


def _median(errors: PoseErrors, unit: str) -> str:
    return f"{np.median(errors.position):.3g} {unit} {np.median(errors.rotation_deg):.3g} deg"


def _label(evaluation: Evaluation) -> str:
    """Return the name of the estimates in a legend."""
    return "estimate" if evaluation.refinement is None else evaluation.title


def _network_positions(evaluation: Evaluation) -> np.ndarray | None:
    """Return the network's positions beside refined ones, NaN where it has none, shape (n, 3)."""
    if evaluation.regressed is None:
        return None
    valid = np.isfinite(evaluation.baselines[NETWORK_ALONE].position)
    return np.where(valid[:, None], evaluation.regressed.positions, np.nan)


def _quantities(evaluation: Evaluation) -> list[_Quantity]:
    names = [name for name in BASELINE_NAMES if name in evaluation.baselines]
    positions = {name: evaluation.baselines[name].position for name in names}
    rotations = {name: evaluation.baselines[name].rotation_deg for name in names}
    return [
        _Quantity("position", evaluation.scene.unit, evaluation.errors.position, positions),
        _Quantity("rotation", "deg", evaluation.errors.rotation_deg, rotations),
    ]


def _trajectory(evaluation: Evaluation) -> Figure:
    figure = new_figure(12, 7.6)
    scene = evaluation.scene
    plot_trajectory(
        figure.add_subplot(),
        scene.poses,
        evaluation.estimate,
        errors=evaluation.errors.position,
        unit=scene.unit,
        training=evaluation.training.poses if evaluation.training else None,
        sequences=scene.sequences,
        label=_label(evaluation),
        network=_network_positions(evaluation),
    )
    figure.suptitle(_title(evaluation))
    return figure


def _trajectory_3d(evaluation: Evaluation) -> Figure:
    figure = new_figure(12, 7.6)
    scene = evaluation.scene
    plot_trajectory_3d(
        figure.add_subplot(projection="3d"),
        scene.poses,
        evaluation.estimate,
        errors=evaluation.errors.position,
        unit=scene.unit,
        training=evaluation.training.poses if evaluation.training else None,
        sequences=scene.sequences,
        label=_label(evaluation),
        network=_network_positions(evaluation),
    )
    figure.suptitle(_title(evaluation))
    return figure


def _errors(evaluation: Evaluation) -> Figure:
    figure = new_figure(12, 7.6)
    axes = figure.subplots(2, 2)
    for row, quantity in enumerate(_quantities(evaluation)):
        own = ErrorCurve(evaluation.title, quantity.errors)
        baselines = {
            name: ErrorCurve(BASELINE_NAMES[name], errors, BASELINE_COLORS[name])
            for name, errors in quantity.baselines.items()
        }
        curves = [own, *baselines.values()]
        plot_errors(
            axes[row, 0],
            own,
            curves[1:],
            network=baselines.get(NETWORK_ALONE),
            unit=quantity.unit,
            quantity=quantity.name,
            sequences=evaluation.scene.sequences,
        )
        plot_cumulative(axes[row, 1], curves, unit=quantity.unit, quantity=quantity.name)
    figure.suptitle(_title(evaluation))
    return figure


def _sparsification(evaluation: Evaluation, uncertainty: np.ndarray) -> Figure:
    figure = new_figure(12, 5)
    for ax, quantity in zip(figure.subplots(1, 2), _quantities(evaluation), strict=True):
        plot_sparsification(
            ax, quantity.errors, uncertainty, unit=quantity.unit, quantity=quantity.name
        )
    figure.suptitle(f"{evaluation.scene.name}: error of the most certain images (sparsification)")
    return figure


def _worst_rows(evaluation: Evaluation) -> list[int]:
    """Return the images with the largest finite position errors whose files exist."""
    errors = evaluation.errors.position
    largest = np.argsort(-np.where(np.isfinite(errors), errors, -1))[:NUM_WORST]
    return [int(row) for row in largest if evaluation.scene.paths[row].is_file()]


def _worst_images(evaluation: Evaluation, rows: list[int]) -> Figure:
    scene = evaluation.scene
    figure = new_figure(12, 6.4)
    captions = []
    for row in rows:
        position = f"{evaluation.errors.position[row]:.3g} {scene.unit}"
        rotation = f"{evaluation.errors.rotation_deg[row]:.3g} deg"
        captions.append(f"{scene.names[row]}\n{position}, {rotation}")
    draw_contact_sheet(figure, [scene.paths[row] for row in rows], captions)
    figure.suptitle(f"{scene.name}: the images with the largest position errors")
    return figure


def _matches(evaluation: Evaluation) -> Figure:
    refinement = evaluation.refinement
    assert refinement is not None
    scene = evaluation.scene
    number = int(refinement.refined.sum())
    order = np.argsort(-refinement.num_inliers, kind="stable")[:number]
    chosen = order[np.unique(np.linspace(0, number - 1, NUM_MATCHED).round().astype(int))]
    rows = []
    for row in chosen:
        pose = refinement.absolute_poses[row]
        assert pose is not None
        std = f"position std {refinement.position_std[row]:.2g} {scene.unit}"
        query = QueryMatches(
            path=scene.paths[row],
            camera=scene.cameras[row],
            rays=pose.rays * pose.focal_factor,
            points=pose.points,
            title=f"{scene.names[row]}: {pose.num_inliers} inliers,\n{std}",
        )
        neighbor = int(refinement.neighbors[row])
        training = refinement.training
        view = TrainingView(
            path=training.paths[neighbor],
            camera=training.cameras[neighbor],
            position=training.poses.positions[neighbor],
            rotation=training.poses.rotations[neighbor],
            title=f"training image\n{training.names[neighbor]}",
        )
        rows.append((query, view))
    return matches_figure(rows, f"{scene.name}: matches of refined poses")
