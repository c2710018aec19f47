"""The 3-D page of a scene: its cameras, its points, and label issues in red."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from posenet.datasets.scene import Scene
from posenet.datasets.validation import LabelIssue, RawScene
from posenet.errors import count
from posenet.geometry.poses import Poses, concatenate
from posenet.viewer.build import build_surroundings, make_query_set, no_cameras
from posenet.viewer.view import CameraSet, View


def make_scene_view(scene: Scene, raw: RawScene, issues: Sequence[LabelIssue]) -> View:
    """Return the page of a scene.

    Args:
        scene: the scene.
        raw: its labels before validation.
        issues: what validation found.

    Returns:
        The content: training images, test images, points, and the cameras with issues in red.
    """
    is_training = scene.splits == "train"
    training = scene.subset(is_training) if is_training.any() else scene
    place = build_surroundings(training)
    queries = no_cameras()
    notes: list[str] = []
    if is_training.any() and not is_training.all():
        queries, notes = make_query_set(scene.subset(~is_training))
    notes = [*(f"label issue: {issue}" for issue in issues), *place.notes, *notes]
    images = count(len(training), "training image" if is_training.any() else "image")
    tests = f", {count(len(queries.names), 'test image')}" if len(queries.names) else ""
    return View(
        kind="scene",
        title=scene.name,
        subtitle=f"{images}{tests}, unit: {scene.unit}",
        unit=scene.unit,
        axes=place.axes,
        center=place.center,
        training=_with_issues(place.training, raw, issues),
        queries=queries,
        points=place.points,
        notes=notes,
    )


def _with_issues(cameras: CameraSet, raw: RawScene, issues: Sequence[LabelIssue]) -> CameraSet:
    """Return the cameras with the dropped ones that have a position, and their issues."""
    kinds = {row: issue.kind for issue in issues for row in issue.rows}
    dropped = {row: kind for row, kind in kinds.items() if np.isfinite(raw.positions[row]).all()}
    kept = set(cameras.names)
    texts: list[str | None] = [None] * len(cameras.names)
    rows = []
    for row, kind in dropped.items():
        if raw.names[row] in kept:
            texts[list(cameras.names).index(raw.names[row])] = kind
        else:
            rows.append(row)
    quaternions = raw.quaternions_wxyz[rows].reshape(-1, 4)
    lengths = np.linalg.norm(np.nan_to_num(quaternions), axis=1)
    usable = np.isfinite(quaternions).all(axis=1) & (lengths > 0)
    quaternions = np.where(usable[:, None], quaternions, [1.0, 0, 0, 0])
    red = Poses.from_quaternions(raw.positions[rows].reshape(-1, 3), quaternions)
    return CameraSet(
        names=[*cameras.names, *(raw.names[row] for row in rows)],
        poses=concatenate([cameras.poses, red]) if rows else cameras.poses,
        cameras=[*cameras.cameras, *(raw.cameras[row] for row in rows)],
        sequences=[*cameras.sequences, *(raw.sequences[row] for row in rows)],
        thumbnails=[*cameras.thumbnails, *[b""] * len(rows)],
        issues=[*texts, *(dropped[row] for row in rows)],
    )
