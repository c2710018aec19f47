"""The 3-D page of an evaluation, view.html."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from posenet.errors import count
from posenet.evaluation.baselines import BASELINE_NAMES, NETWORK_ALONE
from posenet.evaluation.evaluate import Evaluation, PoseErrors
from posenet.evaluation.report import VIEW
from posenet.viewer.build import build_surroundings, make_query_set, no_cameras
from posenet.viewer.page import write_page
from posenet.viewer.view import MethodResult, View

# Lengths below this many meters are shown in centimeters.
SMALL = 0.1


def write_view(folder: Path, evaluation: Evaluation) -> Path:
    """Write view.html.

    Args:
        folder: the folder to write to.
        evaluation: the evaluation.

    Returns:
        The file.

    Raises:
        PoseNetError: the file cannot be written.
    """
    return write_page(folder / VIEW, make_view(evaluation))


def make_view(evaluation: Evaluation) -> View:
    """Return the page of an evaluation: the map, both paths, errors and images.

    Args:
        evaluation: the evaluation.

    Returns:
        The content of the page.
    """
    scene = evaluation.scene
    refinement = evaluation.refinement
    training = refinement.training if refinement is not None else evaluation.training
    matches = _match_rows(evaluation, training.names if training else ())
    queries, notes = make_query_set(scene)
    place = build_surroundings(
        training or scene,
        landmarks=evaluation.landmarks,
        matched=np.unique(matches).tolist(),
    )
    return View(
        kind="evaluation",
        title=scene.name,
        subtitle=_describe(evaluation, len(training) if training else 0),
        unit=scene.unit,
        axes=place.axes,
        center=place.center,
        training=place.training if training else no_cameras(),
        queries=queries,
        methods=_methods(evaluation),
        baselines={
            title: _median(evaluation.baselines[name], scene.unit)
            for name, title in BASELINE_NAMES.items()
            if name in evaluation.baselines and name != NETWORK_ALONE
        },
        matches=matches,
        points=place.points,
        notes=[*place.notes, *notes],
    )


def _describe(evaluation: Evaluation, num_training: int) -> str:
    images = count(len(evaluation.scene), f"{evaluation.split} image")
    return f"{images}, {count(num_training, 'training image')}. Median errors:"


def _methods(evaluation: Evaluation) -> list[MethodResult]:
    """Return the estimates, and those of the network alone if poses were refined."""
    unit = evaluation.scene.unit
    refinement = evaluation.refinement
    methods = [
        MethodResult(
            name=evaluation.title,
            summary=_median(evaluation.errors, unit),
            poses=evaluation.estimate,
            valid=evaluation.valid,
            position_errors=evaluation.errors.position,
            rotation_errors_deg=evaluation.errors.rotation_deg,
            num_inliers=None if refinement is None else refinement.num_inliers,
            position_std=None if refinement is None else refinement.position_std,
        )
    ]
    if evaluation.regressed is not None:
        network = evaluation.baselines[NETWORK_ALONE]
        methods.append(
            MethodResult(
                name=BASELINE_NAMES[NETWORK_ALONE],
                summary=_median(network, unit),
                poses=evaluation.regressed,
                valid=np.isfinite(network.position),
                position_errors=network.position,
                rotation_errors_deg=network.rotation_deg,
            )
        )
    return methods


def _median(errors: PoseErrors, unit: str) -> str:
    position = np.median(errors.position)
    length = f"{position:.3g} {unit}"
    if unit == "m" and position < SMALL:
        length = f"{100 * position:.3g} cm"
    return f"{length}, {np.median(errors.rotation_deg):.3g}°"


def _match_rows(evaluation: Evaluation, names: tuple[str, ...]) -> np.ndarray:
    """Return the index of the best match of each image among the training images, -1 without."""
    if evaluation.matches is None:
        return np.full(len(evaluation.scene), -1)
    row_of = {name: row for row, name in enumerate(names)}
    return np.array([row_of.get(name, -1) for name in evaluation.matches], int)
