"""The report of `posenet scene info`: what a scene contains and what is wrong with it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy.spatial import cKDTree

from posenet.datasets.moments import describe_shared_moments
from posenet.datasets.scene import Scene, order_by_sequence
from posenet.datasets.validation import LabelIssue
from posenet.errors import count
from posenet.geometry.alignment import COLLINEAR_RATIO, estimate_up, lateral_spread
from posenet.geometry.camera import Camera
from posenet.geometry.camera_models import FISHEYES, PANORAMA
from posenet.mapping.calibration import Corrections, describe_corrections
from posenet.mapping.convention_check import ConventionCheck
from posenet.mapping.label_check import describe_equal_positions

# Number of sequences that are listed by name.
MAX_LISTED = 6
VERDICTS = {
    "consistent": "consistent",
    "inverted": "INVERTED",
    "contradicted": "WRONG",
    "inconclusive": "inconclusive",
}


@dataclass(frozen=True)
class SceneReport:
    """What a scene contains. Lengths are in its unit, angles in degrees.

    Attributes:
        name: name of the scene.
        folder: its folder.
        format: name of its format.
        unit: unit of the positions.
        images: number of images by split.
        sequences: names of the sequences by split.
        moments: number of moments at which the images were taken.
        split: the rule of the split.
        extent: extent of the camera centers along x, y and z.
        path_length: length of all sequences.
        up: estimated up direction, a unit vector in the world frame.
        intrinsics: number of cameras by the source of their focal length.
        view_deg: smallest and largest horizontal field of view; None without intrinsics.
        camera_models: number of cameras by model.
        image_sizes: number of images by size.
        points: number of 3-D points.
        issues: label issues.
        nearest_training: distances of the test cameras from the nearest training camera; None
            without a split.
        warnings: what a user should know before training.
        convention: the check of the rotations.
    """

    name: str
    folder: str
    format: str
    unit: str
    images: dict[str, int]
    sequences: dict[str, list[str]]
    moments: int
    split: str
    extent: list[float]
    path_length: float
    up: list[float]
    intrinsics: dict[str, int]
    view_deg: list[float] | None
    camera_models: dict[str, int]
    image_sizes: dict[str, int]
    points: int
    issues: list[str]
    nearest_training: dict[str, float] | None
    warnings: list[str]
    convention: ConventionCheck

    def to_dict(self) -> dict[str, Any]:
        """Return the report for JSON.

        Returns:
            One key per attribute.
        """
        return asdict(self)


def create_report(
    scene: Scene,
    issues: Sequence[LabelIssue],
    *,
    notes: Sequence[str] = (),
    format_name: str,
    split: str,
    convention: ConventionCheck,
    corrections: Corrections | None = None,
) -> SceneReport:
    """Create the report of a scene.

    Args:
        scene: the scene.
        issues: its label issues.
        notes: what its reader read otherwise than written, or ignored.
        format_name: name of its format.
        split: the rule of its split.
        convention: the check of its rotations.
        corrections: estimated corrections of its intrinsics.

    Returns:
        The report.
    """
    masks = {name: scene.splits == name for name in ("train", "test")}
    cameras = [camera for camera in scene.cameras if camera is not None]
    views = [_view_deg(camera) for camera in cameras]
    sources = Counter(camera.source for camera in cameras)
    return SceneReport(
        name=scene.name,
        folder=str(scene.root),
        format=format_name,
        unit=scene.unit,
        images={name: int(mask.sum()) for name, mask in masks.items()},
        sequences={
            name: list(dict.fromkeys(scene.sequences[mask].tolist()))
            for name, mask in masks.items()
        },
        moments=len(set(scene.dense_moments.tolist())),
        split=split,
        extent=np.ptp(scene.poses.positions, axis=0).tolist(),
        path_length=path_length(scene),
        up=estimate_up(scene.poses.rotations).tolist(),
        intrinsics=dict(sources | Counter({"unknown": len(scene) - len(cameras)})),
        view_deg=[min(views), max(views)] if views else None,
        camera_models=dict(Counter(camera.model for camera in cameras)),
        image_sizes=dict(Counter(f"{camera.width} x {camera.height}" for camera in cameras)),
        points=0 if scene.points is None else len(scene.points.positions),
        issues=[str(issue) for issue in issues],
        nearest_training=nearest_training(scene),
        warnings=[*notes, *describe_corrections(scene, corrections or {}), *_warnings(scene)],
        convention=convention,
    )


def format_report(report: SceneReport) -> str:
    """Format a report as text.

    Args:
        report: the report.

    Returns:
        Several lines.
    """
    total = count(sum(report.images.values()), "image")
    lines = [f"{report.name}: {total} ({report.format}), in {report.unit}"]
    lines += [_line(name, _format_split(report, name)) for name in ("train", "test")]
    if report.moments < sum(report.images.values()):
        lines.append(_line("moments", f"{report.moments}, several cameras took images at once"))
    lines.append(_line("split", report.split))
    sides = " x ".join(map(_format_length, report.extent))
    length = _format_length(report.path_length)
    lines.append(_line("extent", f"{sides} {report.unit}, path {length} {report.unit}"))
    lines.append(_line("up", f"({', '.join(f'{value:.2f}' for value in report.up)})"))
    lines.append(_line("images", _format_counts(report.image_sizes)))
    view = f", {_format_range(report.view_deg)} deg wide" if report.view_deg else ""
    models = _format_counts(report.camera_models)
    lines.append(_line("intrinsics", f"{_format_counts(report.intrinsics)}{view}; {models}"))
    if report.points:
        lines.append(_line("3-D points", str(report.points)))
    if report.nearest_training:
        lines.append(_line("test cameras", _format_nearest(report)))
    verdict = VERDICTS[report.convention.verdict]
    lines.append(_line("rotations", f"{verdict}: {report.convention.reason}"))
    lines += [_line("issue", issue) for issue in report.issues]
    lines += [_line("warning", warning) for warning in report.warnings]
    return "\n".join(lines)


def path_length(scene: Scene) -> float:
    """Return the length of all sequences, from image to image.

    Args:
        scene: the scene.

    Returns:
        The length in scene units.
    """
    order = order_by_sequence(scene.sequences)
    steps = np.linalg.norm(np.diff(scene.poses.positions[order], axis=0), axis=1)
    sequences = scene.sequences[order]
    return float(steps[sequences[1:] == sequences[:-1]].sum())


def nearest_training(scene: Scene) -> dict[str, float] | None:
    """Return how far the test cameras are from their nearest training cameras.

    Args:
        scene: the scene.

    Returns:
        "median", "p95" and "max" of the distances in scene units, and "median_deg", the median
        angle in degrees. None without a split.
    """
    train = scene.poses[scene.splits == "train"]
    test = scene.poses[scene.splits == "test"]
    if not len(train) or not len(test):
        return None
    distances, rows = cKDTree(train.positions).query(test.positions)
    angles = np.degrees((train.rotations[rows].inv() * test.rotations).magnitude())
    return {
        "median": float(np.median(distances)),
        "p95": float(np.percentile(distances, 95)),
        "max": float(distances.max()),
        "median_deg": float(np.median(angles)),
    }


def _view_deg(camera: Camera) -> float:
    """Return the horizontal field of view; of fisheyes and panoramas, as if by angle."""
    half = camera.width / 2 / camera.fx
    is_by_angle = camera.model in (*FISHEYES, PANORAMA)
    return 2 * math.degrees(half if is_by_angle else math.atan(half))


def _warnings(scene: Scene) -> list[str]:
    warnings = describe_shared_moments(scene.splits, scene.moments)
    warnings += describe_equal_positions(scene)
    positions = scene.poses.positions[scene.splits == "train"]
    if len(positions) >= 3:
        ratio = lateral_spread(positions)
        if ratio < COLLINEAR_RATIO:
            warnings.append(
                f"the training positions are nearly collinear (lateral spread {ratio:.0%}): a pose "
                "regressor cannot leave the line (Sattler et al., 2019)"
            )
    if scene.unit == "scene units":
        warnings.append("the scale is unknown: errors are in scene units, not meters")
    return warnings


def _line(label: str, text: str) -> str:
    return f"  {label:<13}{text}"


def _format_split(report: SceneReport, name: str) -> str:
    names = report.sequences[name]
    listed = ", ".join(names[:MAX_LISTED]) + (", ..." if len(names) > MAX_LISTED else "")
    images = count(report.images[name], "image")
    return f"{images} in {count(len(names), 'sequence')} ({listed})"


def _format_nearest(report: SceneReport) -> str:
    near = report.nearest_training
    assert near is not None
    return (
        f"nearest training camera {near['median']:.3g} {report.unit} away (median; "
        f"95 % within {near['p95']:.3g}, max. {near['max']:.3g}), "
        f"rotated by {near['median_deg']:.3g} deg"
    )


def _format_length(value: float) -> str:
    return f"{value:.0f}" if value >= 1000 else f"{value:.3g}"


def _format_counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{number} {name}" for name, number in counts.items() if number) or "none"


def _format_range(values: Sequence[float]) -> str:
    low, high = (f"{value:.0f}" for value in values)
    return low if low == high else f"{low} to {high}"
