"""The content of summary.json: statistics of errors, recall, baselines, coverage, refinement."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from posenet.evaluation.evaluate import Evaluation, PoseErrors

# Percentages of the most certain images whose errors are listed.
COVERAGES = (75, 50, 25)
# The three thresholds of visuallocalization.net's long-term benchmark, meters and degrees.
RECALL_THRESHOLDS = ((0.25, 2), (0.5, 5), (5, 10))
PERCENTILE = 95


def create_summary(evaluation: Evaluation) -> dict[str, Any]:
    """Summarize an evaluation.

    Args:
        evaluation: the evaluation.

    Returns:
        The content of summary.json; numbers that are not finite are None.
    """
    scene = evaluation.scene
    errors = evaluation.errors
    valid = evaluation.valid
    values: dict[str, Any] = {
        "scene": scene.name,
        "split": evaluation.split,
        "images": len(scene),
        "num_missing": int((~valid).sum()),
        "unit": scene.unit,
        "method": evaluation.method,
    }
    values |= statistics(errors)
    values["recall"] = _recall(errors) if scene.unit == "m" else {}
    values["baselines"] = {name: statistics(e) for name, e in evaluation.baselines.items()}
    if not valid.all() and valid.any():
        values["predicted_only"] = statistics(errors.select(valid))
        values["predicted_only"]["baselines"] = {
            name: statistics(e.select(valid)) for name, e in evaluation.baselines.items()
        }
    if evaluation.uncertainty is not None:
        values["at_coverage"] = _at_coverage(errors, evaluation.uncertainty)
    if evaluation.refinement is not None:
        values["refined"] = _refined(evaluation)
    if scene.parts is not None:
        values["scenes"] = _by_scene(errors, scene.parts)
    return values


def _by_scene(errors: PoseErrors, parts: np.ndarray) -> dict[str, Any]:
    """Return the errors of the images of each of the joined scenes."""
    values = {}
    for part in dict.fromkeys(parts.tolist()):
        rows = np.flatnonzero(parts == part)
        values[part] = {"images": len(rows)} | statistics(errors.select(rows))
    return values


def statistics(errors: PoseErrors) -> dict[str, float | None]:
    """Return median, mean and 95th percentile of position and rotation errors.

    Args:
        errors: the errors.

    Returns:
        Six numbers by name, None if not finite.
    """
    values: dict[str, float | None] = {}
    for suffix, numbers in (
        ("position_error", errors.position),
        ("rotation_error_deg", errors.rotation_deg),
    ):
        values[f"median_{suffix}"] = _finite(np.median(numbers))
        values[f"mean_{suffix}"] = _finite(np.mean(numbers))
        values[f"p95_{suffix}"] = _finite(np.percentile(numbers, PERCENTILE, method="higher"))
    return values


def _finite(value: np.floating) -> float | None:
    return float(value) if math.isfinite(value) else None


def _recall(errors: PoseErrors) -> dict[str, float]:
    """Return the fraction of the images within each threshold."""
    recall = {}
    for meters, degrees in RECALL_THRESHOLDS:
        within = (errors.position <= meters) & (errors.rotation_deg <= degrees)
        recall[f"{meters}m_{degrees}deg"] = float(np.mean(within))
    return recall


def _at_coverage(errors: PoseErrors, uncertainty: np.ndarray) -> dict[str, Any]:
    """Return the errors of the most certain images."""
    by_certainty = np.argsort(uncertainty, kind="stable")
    values = {}
    for percent in COVERAGES:
        kept = by_certainty[: max(1, len(by_certainty) * percent // 100)]
        values[f"{percent}%"] = statistics(errors.select(kept))
    return values


def _refined(evaluation: Evaluation) -> dict[str, Any]:
    """Return the fraction of refined images, their inliers and their errors."""
    assert evaluation.refinement is not None
    refined = evaluation.refinement.refined
    if not refined.any():
        return {"fraction": 0.0, "median_inliers": 0.0}
    inliers = evaluation.refinement.num_inliers[refined]
    values = {"fraction": float(refined.mean()), "median_inliers": float(np.median(inliers))}
    return values | statistics(evaluation.errors.select(refined))
