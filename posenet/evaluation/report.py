"""The report of an evaluation, and the files that it writes."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from posenet.config import FIGURE_FORMATS
from posenet.errors import PoseNetError, count
from posenet.evaluation.baselines import BASELINE_NAMES
from posenet.evaluation.error_file import POSE_COLUMNS
from posenet.evaluation.error_table import format_pair, format_table
from posenet.evaluation.evaluate import Evaluation
from posenet.evaluation.pose_files import write_tum
from posenet.io.files import staged_files, write_text

FIGURES = ("trajectory", "trajectory_3d", "errors", "sparsification", "worst_images", "matches")
# The 3-D page.
VIEW = "view.html"
# Figures of versions before 0.1.0, which are removed when an evaluation is replaced.
OLD_FIGURES = ("uncertainty", "worst")


def format_report(evaluation: Evaluation) -> str:
    """Format the report: a table with the baselines, refinement, recall, coverage and a verdict.

    Args:
        evaluation: the evaluation.

    Returns:
        Several lines.
    """
    summary = evaluation.summary()
    unit = evaluation.scene.unit
    missing = summary["num_missing"]
    images = count(summary["images"], "image")
    suffix = f", {missing} without an estimate" if missing else ""
    lines = [f"{summary['scene']}, {summary['split']} split: {images}{suffix}"]
    lines += format_table(evaluation.title, summary, unit)
    if "predicted_only" in summary:
        localized = count(summary["images"] - missing, "image")
        lines.append(f"only the {localized} with an estimate:")
        lines += format_table(evaluation.title, summary["predicted_only"], unit)[1:]
    if "refined" in summary:
        lines.append(_format_refined(summary["refined"], summary["images"], unit))
    lines += [
        f"{name}: {format_pair(values, 'median', unit)} (median of {values['images']})"
        for name, values in summary.get("scenes", {}).items()
    ]
    if summary["recall"]:
        lines.append(_format_recall(summary["recall"]))
    if "at_coverage" in summary:
        lines.append(_format_coverage(summary["at_coverage"], unit))
    lines += [
        _format_verdict(summary, name, title)
        for name, title in BASELINE_NAMES.items()
        if name in summary["baselines"]
    ]
    return "\n".join(lines)


def make_report_folder(folder: Path) -> Path:
    """Make the folder of a report.

    Args:
        folder: the folder; it may exist.

    Returns:
        The folder.

    Raises:
        PoseNetError: it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise PoseNetError(f"output folder cannot be made: {folder}: {error.strerror}") from None
    return folder


def write_evaluation(
    evaluation: Evaluation,
    folder: Path,
    *,
    plot: bool = True,
    formats: Sequence[str] = ("png",),
) -> None:
    """Write summary.json, errors.csv, estimate.tum, groundtruth.tum and figures.

    Figures of an earlier evaluation that this one does not draw are removed.

    Args:
        evaluation: the evaluation.
        folder: the folder to write to.
        plot: draw the figures.
        formats: formats of the figures: one or more of "png", "pdf" and "svg".

    Raises:
        PoseNetError: the folder cannot be written.
    """
    make_report_folder(folder)
    figures = [f"{name}.{kind}" for name in (*FIGURES, *OLD_FIGURES) for kind in FIGURE_FORMATS]
    with staged_files(folder) as staged:
        _write_files(evaluation, staged, formats if plot else ())
        written = {path.name for path in staged.iterdir()}
        for name in {VIEW, *figures} - written:
            (folder / name).unlink(missing_ok=True)


def _write_files(evaluation: Evaluation, folder: Path, formats: Sequence[str]) -> None:
    """Write the files of an evaluation into an empty folder; no figures without formats."""
    write_text(folder / "summary.json", json.dumps(evaluation.summary(), indent=2) + "\n")
    write_text(folder / "errors.csv", _format_errors(evaluation))
    timestamps = evaluation.scene.timestamps
    valid = evaluation.valid
    write_tum(folder / "groundtruth.tum", evaluation.scene.poses, timestamps)
    write_tum(folder / "estimate.tum", evaluation.estimate[valid], timestamps[valid])
    if formats:
        from posenet.evaluation.figures import write_figures
        from posenet.evaluation.view import write_view

        write_figures(folder, evaluation, formats)
        write_view(folder, evaluation)


def _format_recall(recall: dict[str, float]) -> str:
    parts = []
    for key, fraction in recall.items():
        thresholds = key.replace("m_", " m and ").replace("deg", " deg")
        parts.append(f"{100 * fraction:.0f} % within {thresholds}")
    return f"recall: {', '.join(parts)}"


def _format_refined(values: dict[str, Any], total: int, unit: str) -> str:
    """Return the share of refined images, and their errors if there are others."""
    number = round(values["fraction"] * total)
    text = f"refined: {number} of {count(total, 'image')} ({100 * values['fraction']:.0f} %)"
    if not number:
        return text
    text += f", {values['median_inliers']:.0f} inliers (median)"
    if number < total:
        text += f"; the median of these: {format_pair(values, 'median', unit)}"
    return text


def _format_coverage(at_coverage: dict[str, Any], unit: str) -> str:
    parts = [
        f"{percent.replace('%', ' %')}: {format_pair(values, 'median', unit)}"
        for percent, values in at_coverage.items()
    ]
    return f"median of the most certain {', '.join(parts)}"


def _format_verdict(summary: dict[str, Any], baseline: str, title: str) -> str:
    """Return one line: is the median better than the baseline's, of images with an estimate?"""
    own = summary.get("predicted_only", summary)
    other = own["baselines"][baseline]
    suffix = " (images with an estimate)" if "predicted_only" in summary else ""
    better = [
        quantity
        for quantity, key in (
            ("position", "median_position_error"),
            ("rotation", "median_rotation_error_deg"),
        )
        if _is_less(own[key], other[key])
    ]
    if not better:
        return f"not better than {title}{suffix}"
    only = " only" if len(better) == 1 else ""
    return f"better than {title} in {' and '.join(better)}{only}{suffix}"


def _is_less(first: float | None, second: float | None) -> bool:
    return (math.inf if first is None else first) < (math.inf if second is None else second)


def _format_errors(evaluation: Evaluation) -> str:
    """Return the content of errors.csv; poses of images without an estimate are empty."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    uncertainty = _uncertainty_columns(evaluation)
    truth_columns = [f"gt_{name}" for name in POSE_COLUMNS]
    header = ["name", "position_error", "rotation_error_deg", *uncertainty]
    writer.writerow([*header, *POSE_COLUMNS, *truth_columns])
    estimate = evaluation.estimate
    truth = evaluation.scene.poses
    estimated = np.hstack([estimate.positions, estimate.quaternions_wxyz]).tolist()
    true = np.hstack([truth.positions, truth.quaternions_wxyz]).tolist()
    for row, name in enumerate(evaluation.scene.names):
        numbers = [evaluation.errors.position[row], evaluation.errors.rotation_deg[row]]
        numbers += [column[row] for column in uncertainty.values()]
        pose = estimated[row] if evaluation.valid[row] else [""] * len(POSE_COLUMNS)
        writer.writerow([name, *(f"{number:.9g}" for number in numbers), *pose, *true[row]])
    return text.getvalue()


def _uncertainty_columns(evaluation: Evaluation) -> dict[str, np.ndarray]:
    """Return the columns of errors.csv that describe the uncertainty."""
    refinement = evaluation.refinement
    if refinement is not None:
        return {
            "num_inliers": refinement.num_inliers,
            "position_std": refinement.position_std,
            "rotation_std_deg": refinement.rotation_std_deg,
        }
    if evaluation.uncertainty is not None:
        return {"rotation_spread_deg": evaluation.uncertainty}
    return {}
