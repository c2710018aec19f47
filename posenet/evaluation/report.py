"""What an evaluation leaves: the report for people, summary.json, errors.csv, the trajectories and the drawings."""

from __future__ import annotations

import csv
import io
import json
import math
from pathlib import Path

import numpy as np

from posenet.errors import PoseNetError
from posenet.evaluation.baselines import BASELINE_NAMES
from posenet.evaluation.evaluate import Evaluation
from posenet.evaluation.pose_files import write_tum
from posenet.io.files import write_text

POSE_COLUMNS = ("x", "y", "z", "qw", "qx", "qy", "qz")
DRAWINGS = ("trajectory", "trajectory_3d", "errors", "uncertainty", "worst", "matches")
ERROR_COLUMNS = (
    "name",
    "error",
    "error_deg",
    *POSE_COLUMNS,
    *(f"true_{name}" for name in POSE_COLUMNS),
)


def report(evaluation: Evaluation) -> str:
    """The report for people: a table with the baselines, recall, and who wins."""
    summary, unit = evaluation.summary(), evaluation.scene.unit
    missing = f", {summary['missing']} without a prediction" if summary["missing"] else ""
    lines = [f"{summary['scene']}, {summary['split']} split: {summary['images']} images{missing}"]
    lines += _table(evaluation.method, summary, unit)
    if "predicted" in summary:
        lines.append(f"the {summary['images'] - summary['missing']} images with a prediction:")
        lines += _table(evaluation.method, summary["predicted"], unit)[1:]
    if summary["recall"]:
        shares = (
            f"{100 * s:.0f} % within {k.replace('m_', ' m and ').replace('deg', ' deg')}"
            for k, s in summary["recall"].items()
        )
        lines.append(", ".join(shares))
    if "refined" in summary:
        lines.append(_refined(summary["refined"], unit))
    if "surest" in summary:
        kept = (
            f"{share.replace('%', ' %')} {_figure(values['median_m'])} {unit} {_figure(values['median_deg'], 2)} deg"
            for share, values in summary["surest"].items()
        )
        lines.append(f"medians of the images it is surest of: {', '.join(kept)}")
    return "\n".join(
        [
            *lines,
            *(
                _verdict(summary, name, title)
                for name, title in BASELINE_NAMES.items()
                if name in summary["baselines"]
            ),
        ]
    )


def _table(method: str, values: dict, unit: str) -> list[str]:
    """A head, and a line for the method and for each baseline."""
    rows = [(method, values)]
    rows += [
        (BASELINE_NAMES[n], values["baselines"][n])
        for n in BASELINE_NAMES
        if n in values["baselines"]
    ]
    width, column = max(len(name) for name, _ in rows) + 2, 23 + len(unit)
    lines = [
        " " * width + "".join(f"{head:>{column}}" for head in ("median", "mean", "95 % within"))
    ]
    for name, each in rows:
        cells = (
            f"{_figure(each[f'{k}_m'])} {unit} {_figure(each[f'{k}_deg'], 2)} deg"
            for k in ("median", "mean", "p95")
        )
        lines.append(f"{name:<{width}}" + "".join(f"{cell:>{column}}" for cell in cells))
    return lines


def _refined(values: dict, unit: str) -> str:
    """What refinement did: how many images, and their medians."""
    text = f"refined: {100 * values['share']:.0f} % of the images, {values['inliers']:.0f} inliers (median)"
    if "median_m" in values:
        text += f"; these alone {_figure(values['median_m'])} {unit} {_figure(values['median_deg'], 2)} deg"
    return text


def _figure(value: float | None, digits: int = 3) -> str:
    """So many decimals, but two digits of a small one: a scene's unit may be large."""
    if value is None:
        return "inf"
    return f"{value:.2g}" if 0 < value < 10 ** (1 - digits) else f"{value:.{digits}f}"


def _verdict(summary: dict, baseline: str, title: str) -> str:
    """One line: does the method beat the baseline, in which of the two medians; if need be, where it has an answer."""
    own = summary.get("predicted", summary)
    other, where = (
        own["baselines"][baseline],
        ", where it has a prediction" if "predicted" in summary else "",
    )
    won = [
        what
        for what, key in (("position", "median_m"), ("rotation", "median_deg"))
        if _less(own[key], other[key])
    ]
    if len(won) == 2:
        return f"It beats the {title} in position and rotation{where}."
    return (
        f"It beats the {title} in {won[0]} only{where}."
        if won
        else f"It does not beat the {title}{where}."
    )


def _less(a: float | None, b: float | None) -> bool:
    return (math.inf if a is None else a) < (math.inf if b is None else b)


def report_folder(folder: Path) -> Path:
    """The folder, made if it is not there yet. Raises PoseNetError where it cannot be."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise PoseNetError(
            f"{folder} must be a folder to write to, it cannot be made: {error.strerror}"
        ) from None
    return folder


def write_evaluation(evaluation: Evaluation, folder: Path, images: bool = True) -> None:
    """Write summary.json, errors.csv, estimate.tum, groundtruth.tum and, with images=True, the drawings. Those of an
    earlier evaluation that this one does not draw are removed."""
    report_folder(folder)
    write_text(folder / "summary.json", json.dumps(evaluation.summary(), indent=2) + "\n")
    write_text(folder / "errors.csv", _errors_csv(evaluation))
    stamps = evaluation.scene.stamps
    write_tum(folder / "groundtruth.tum", evaluation.scene.poses, stamps)
    write_tum(
        folder / "estimate.tum", evaluation.estimate[evaluation.found], stamps[evaluation.found]
    )
    written = []
    if images:
        from posenet.evaluation.figures import write_report_images

        written = write_report_images(folder, evaluation)
    for path in (folder / f"{name}.png" for name in DRAWINGS):
        if path not in written:
            path.unlink(missing_ok=True)


def _errors_csv(evaluation: Evaluation) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    more = _more_columns(evaluation)
    writer.writerow([*ERROR_COLUMNS[:3], *more, *ERROR_COLUMNS[3:]])
    estimate, truth = evaluation.estimate, evaluation.scene.poses
    table = np.hstack(
        [estimate.positions, estimate.quaternions_wxyz, truth.positions, truth.quaternions_wxyz]
    )
    for row, (name, found) in enumerate(zip(evaluation.scene.names, evaluation.found, strict=True)):
        numbers = [
            evaluation.errors[row],
            evaluation.errors_deg[row],
            *(column[row] for column in more.values()),
        ]
        shown = [
            value if found or column >= 7 else ""
            for column, value in enumerate(table[row].tolist())
        ]
        writer.writerow([name, *(f"{value:.9g}" for value in numbers), *shown])
    return text.getvalue()


def _more_columns(evaluation: Evaluation) -> dict[str, np.ndarray]:
    """What the method tells of its own answers: doubt, or what refinement found."""
    if evaluation.refinement is None:
        return {} if evaluation.doubt is None else {"doubt_deg": evaluation.doubt}
    position, degrees = evaluation.refinement.deviations.T
    return {
        "inliers": evaluation.refinement.inliers,
        "deviation": position,
        "deviation_deg": degrees,
    }
