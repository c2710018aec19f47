"""What `posenet scene info` tells of a scene."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import asdict, dataclass

import numpy as np
from scipy.spatial import cKDTree

from posenet.datasets.scene import Scene
from posenet.datasets.validation import LabelIssue
from posenet.geometry.alignment import LINE, estimate_up, lateral_spread
from posenet.geometry.camera import Camera
from posenet.geometry.camera_models import FISHEYES, PANORAMA
from posenet.mapping.calibration import Corrections, told
from posenet.mapping.convention_check import ConventionCheck


@dataclass(frozen=True)
class SceneReport:
    """Facts about a scene; lengths in its unit, angles in degrees. As in to_dict, which is what --json prints."""

    name: str
    folder: str
    format: str
    unit: str
    images: dict[str, int]
    sequences: dict[str, list[str]]
    split: str
    extent: list[float]
    path_length: float
    up: list[float]
    intrinsics: dict[str, int]
    view_deg: list[float] | None
    lenses: dict[str, int]
    image_sizes: dict[str, int]
    points: int
    faults: list[str]
    nearest_training: dict[str, float] | None
    warnings: list[str]
    convention: ConventionCheck

    def to_dict(self) -> dict:
        """As for JSON."""
        return asdict(self)


def _view_deg(camera: Camera) -> float:
    """How wide a camera sees, in degrees; of lenses that draw angles, as they draw them in the middle."""
    half = camera.width / 2 / camera.fx
    return 2 * math.degrees(half if camera.lens in (*FISHEYES, PANORAMA) else math.atan(half))


def scene_facts(
    scene: Scene,
    faults: list[LabelIssue],
    format_name: str,
    split: str,
    convention: ConventionCheck,
    corrections: Corrections | None = None,
) -> SceneReport:
    """Gather the facts. split: the rule that made the scene's splits. corrections: of its intrinsics, as measured."""
    chosen = {name: scene.splits == name for name in ("train", "test")}
    cameras = [camera for camera in scene.cameras if camera is not None]
    views = [_view_deg(camera) for camera in cameras]
    return SceneReport(
        name=scene.name,
        folder=str(scene.root),
        format=format_name,
        unit=scene.unit,
        images={name: int(mask.sum()) for name, mask in chosen.items()},
        sequences={
            name: list(dict.fromkeys(scene.sequences[mask].tolist()))
            for name, mask in chosen.items()
        },
        split=split,
        extent=np.ptp(scene.poses.positions, axis=0).tolist(),
        path_length=path_length(scene),
        up=estimate_up(scene.poses.rotations).tolist(),
        intrinsics=dict(
            Counter(camera.source for camera in cameras)
            | Counter({"unknown": len(scene) - len(cameras)})
        ),
        view_deg=[min(views), max(views)] if views else None,
        lenses=dict(Counter(camera.lens for camera in cameras)),
        image_sizes=dict(Counter(f"{camera.width} x {camera.height}" for camera in cameras)),
        points=0 if scene.points is None else len(scene.points.positions),
        faults=[str(fault) for fault in faults],
        nearest_training=nearest_training(scene),
        warnings=[*told(scene, corrections or {}), *_warnings(scene)],
        convention=convention,
    )


def facts_text(facts: SceneReport) -> str:
    """The facts for people."""
    unit, images = facts.unit, facts.images
    lines = [f"{facts.name}: {sum(images.values())} images ({facts.format}), in {unit}"]
    for name in ("train", "test"):
        listed = facts.sequences[name]
        shown = ", ".join(listed[:6]) + (", ..." if len(listed) > 6 else "")
        lines.append(f"  {name:<13}{images[name]} images in {len(listed)} sequences ({shown})")
    lines.append(f"  {'split':<13}{facts.split}")
    sides = " x ".join(map(_length, facts.extent))
    lines.append(f"  {'extent':<13}{sides} {unit}, path {_length(facts.path_length)} {unit}")
    lines.append(f"  {'up':<13}({', '.join(f'{value:.2f}' for value in facts.up)})")
    lines.append(f"  {'images':<13}{_counts(facts.image_sizes)}")
    view = f", {_range(facts.view_deg)} deg wide" if facts.view_deg else ""
    lines.append(f"  {'intrinsics':<13}{_counts(facts.intrinsics)}{view}; {_counts(facts.lenses)}")
    if facts.points:
        lines.append(f"  {'3-D points':<13}{facts.points}")
    if facts.nearest_training:
        near = facts.nearest_training
        lines.append(
            f"  {'test cameras':<13}nearest training camera {near['median']:.3g} {unit} away (median; "
            f"95 % {near['p95']:.3g}, most {near['max']:.3g}), turned by {near['median_deg']:.3g} deg"
        )
    verdicts = {
        "right": "read rightly",
        "wrong": "READ THE WRONG WAY ROUND",
        "cannot tell": "cannot tell",
    }
    lines.append(
        f"  {'rotations':<13}{verdicts[facts.convention.verdict]}: {facts.convention.reason}"
    )
    lines += [f"  {'fault':<13}{fault}" for fault in facts.faults]
    return "\n".join(lines + [f"  {'warning':<13}{warning}" for warning in facts.warnings])


def _length(value: float) -> str:
    return f"{value:.0f}" if value >= 1000 else f"{value:.3g}"


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{number} {name}" for name, number in counts.items() if number) or "none"


def _range(values: list[float]) -> str:
    low, high = (f"{value:.0f}" for value in values)
    return low if low == high else f"{low} to {high}"


def path_length(scene: Scene) -> float:
    """Length of all sequences' paths, image to image, in the scene's unit."""
    steps = np.linalg.norm(np.diff(scene.poses.positions, axis=0), axis=1)
    return float(steps[scene.sequences[1:] == scene.sequences[:-1]].sum())


def nearest_training(scene: Scene) -> dict[str, float] | None:
    """How far the test cameras are from their nearest training camera: median, 95 % and most in the scene's unit, and
    the median angle to it in degrees. None without a split."""
    train, test = (scene.poses[scene.splits == name] for name in ("train", "test"))
    if not len(train) or not len(test):
        return None
    distance, row = cKDTree(train.positions).query(test.positions)
    angle = np.degrees((train.rotations[row].inv() * test.rotations).magnitude())
    values = {
        "median": np.median(distance),
        "p95": np.percentile(distance, 95),
        "max": distance.max(),
    }
    return {
        name: float(value) for name, value in (values | {"median_deg": np.median(angle)}).items()
    }


def _warnings(scene: Scene) -> list[str]:
    warnings = []
    positions = scene.poses.positions[scene.splits == "train"]
    if len(positions) >= 3:
        width = lateral_spread(positions)
        if width < LINE:
            warnings.append(
                f"training positions lie nearly on a line (spread {width:.0%} across against along): "
                "a pose regressor cannot leave it (Sattler et al. 2019)"
            )
    if scene.unit == "scene units":
        warnings.append("the scale is unknown: errors are in scene units, not meters")
    return warnings
