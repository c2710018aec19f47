"""The images that an evaluation leaves."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from posenet.evaluation.baselines import BASELINE_NAMES
from posenet.evaluation.evaluate import Evaluation
from posenet.viz.errors import plot_coverage, plot_cumulative, plot_errors
from posenet.viz.figure import new_figure, plot_image, save_figure
from posenet.viz.matches import matches_figure
from posenet.viz.trajectory import plot_trajectory, plot_trajectory_3d

WORST = 8


def write_report_images(folder: Path, evaluation: Evaluation) -> list[Path]:
    """Write trajectory.png, trajectory_3d.png, errors.png, worst.png, where the method tells its doubt uncertainty.png,
    and matches.png of refined poses; each whole or not at all."""
    figures = {
        "trajectory": _path(evaluation),
        "trajectory_3d": _path_3d(evaluation),
        "errors": _errors(evaluation),
    }
    if evaluation.doubt is not None and np.isfinite(evaluation.errors).all():
        figures["uncertainty"] = _uncertainty(evaluation, evaluation.doubt)
    largest = np.argsort(-np.where(np.isfinite(evaluation.errors), evaluation.errors, -1))[:WORST]
    worst = [row for row in largest if evaluation.scene.paths[row].is_file()]
    if worst:
        figures["worst"] = _worst(evaluation, worst)
    if evaluation.refinement is not None and (
        matches := matches_figure(evaluation.scene, evaluation.refinement)
    ):
        figures["matches"] = matches
    return [save_figure(figure, folder / f"{name}.png") for name, figure in figures.items()]


def _title(evaluation: Evaluation) -> str:
    meters, degrees = (np.median(each) for each in evaluation.both)
    return (
        f"{evaluation.scene.name}: median {meters:.3g} {evaluation.scene.unit}, {degrees:.3g} deg"
    )


def _kinds(evaluation: Evaluation):
    """Errors, what they are of, and their unit, for position and rotation."""
    return zip(
        evaluation.both, ("position", "rotation"), (evaluation.scene.unit, "deg"), strict=True
    )


def _path(evaluation: Evaluation):
    figure = new_figure(12, 7.6)
    plot_trajectory(figure.add_subplot(), **_paths(evaluation), regressed=evaluation.regressed)
    figure.suptitle(_title(evaluation))
    return figure


def _path_3d(evaluation: Evaluation):
    figure = new_figure(12, 7.6)
    plot_trajectory_3d(figure.add_subplot(projection="3d"), **_paths(evaluation))
    figure.suptitle(_title(evaluation))
    return figure


def _paths(evaluation: Evaluation) -> dict:
    """What both drawings of the path show: their arguments."""
    scene = evaluation.scene
    training = evaluation.training if evaluation.training is not None else scene.poses[:0]
    return {
        "truth": scene.poses, "estimate": evaluation.estimate, "training": training, "errors": evaluation.errors,
        "unit": scene.unit, "sequences": scene.sequences,
    }  # fmt: skip


def _errors(evaluation: Evaluation):
    figure = new_figure(12, 7.6)
    axes = figure.subplots(2, 2)
    for row, (own, what, unit) in enumerate(_kinds(evaluation)):
        others = {BASELINE_NAMES[name]: both[row] for name, both in evaluation.baselines.items()}
        plot_errors(axes[row, 0], own, unit, what, others, evaluation.scene.sequences)
        plot_cumulative(axes[row, 1], {evaluation.method: own} | others, unit, what)
    figure.suptitle(_title(evaluation))
    return figure


def _uncertainty(evaluation: Evaluation, doubt: np.ndarray):
    figure = new_figure(12, 5)
    for ax, (own, what, unit) in zip(figure.subplots(1, 2), _kinds(evaluation), strict=True):
        plot_coverage(ax, own, doubt, unit, what)
    figure.suptitle(f"{evaluation.scene.name}: does it know when it is wrong?")
    return figure


def _worst(evaluation: Evaluation, rows: list[int]):
    scene, (errors, errors_deg) = evaluation.scene, evaluation.both
    figure = new_figure(12, 6.4)
    captions = [
        f"{scene.names[row]}\n{errors[row]:.3g} {scene.unit}, {errors_deg[row]:.3g} deg"
        for row in rows
    ]
    contact_sheet(figure, [scene.paths[row] for row in rows], captions)
    figure.suptitle(f"{scene.name}: the images with the largest position errors")
    return figure


def contact_sheet(figure, paths: list[Path], captions: list[str], columns: int = 4) -> None:
    """Images with captions in a grid."""
    rows = -(-len(paths) // columns)
    for number, (path, caption) in enumerate(zip(paths, captions, strict=True)):
        ax = figure.add_subplot(rows, columns, number + 1)
        plot_image(ax, path, caption, at_least=(240, 240))
