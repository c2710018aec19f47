"""Build the training side of a page: cameras, thumbnails, colored points, axes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from posenet.datasets.scene import Scene
from posenet.errors import count
from posenet.geometry.alignment import ground_axes
from posenet.geometry.poses import Poses
from posenet.mapping.landmarks import Landmarks
from posenet.viewer.map_points import color_points, landmark_points, scene_points
from posenet.viewer.points import PointCloud
from posenet.viewer.thumbnails import SampledImage, sample_images, shrink_to_budget
from posenet.viewer.view import CameraSet

# Largest numbers of images that are read for thumbnails and colors.
MAX_TRAINING_IMAGES = 400
MAX_QUERY_IMAGES = 600
# Budgets of the thumbnails' text in bytes, so that a page stays below 6 MB.
TRAINING_BUDGET = 1_300_000
QUERY_BUDGET = 2_400_000


@dataclass
class Surroundings:
    """What a page shows of the place.

    Attributes:
        training: the training images.
        points: colored points, None if there are none.
        axes: two horizontal axes and the up direction in rows, shape (3, 3).
        center: the middle of the training cameras in the world frame, shape (3,).
        notes: what was thinned.
    """

    training: CameraSet
    points: PointCloud | None
    axes: np.ndarray
    center: np.ndarray
    notes: list[str] = field(default_factory=list)


def build_surroundings(
    training: Scene,
    *,
    landmarks: Landmarks | None = None,
    matched: Sequence[int] = (),
) -> Surroundings:
    """Collect training cameras with thumbnails, and points with colors.

    The points are those of the landmark map, or else of the scene's files. Colors come from the
    files, or else from the images.

    Args:
        training: n training images.
        landmarks: the landmark map of these images.
        matched: indices of images whose thumbnails are wanted most.

    Returns:
        Both, and notes about what was left out.
    """
    center = np.median(training.poses.positions, axis=0)
    horizontal = ground_axes(training.poses)
    axes = np.vstack([horizontal, np.cross(horizontal[0], horizontal[1])])
    chosen = _choose_images(len(training), matched)
    file_colors = None
    shown = landmark_points(training, landmarks, chosen) if landmarks else None
    if shown is None:
        shown = scene_points(training, chosen)
        file_colors = training.points.colors if training.points else None
    samples = sample_images(
        [training.paths[row] for row in chosen], shown.places if shown else None
    )
    thumbnails = [b""] * len(training)
    for row, jpeg in zip(chosen, shrink_to_budget(_jpegs(samples), TRAINING_BUDGET), strict=True):
        thumbnails[row] = jpeg
    notes = _thinning_notes(len(training), thumbnails, "training image")
    points = color_points(shown, samples, file_colors) if shown else None
    if shown and points and len(points.positions) < shown.total:
        notes.append(f"{len(points.positions):,} of {shown.total:,} map points are shown")
    return Surroundings(make_camera_set(training, thumbnails), points, axes, center, notes)


def make_camera_set(
    scene: Scene, thumbnails: Sequence[bytes], issues: Sequence[str | None] | None = None
) -> CameraSet:
    """Return the images of a scene as cameras of a page.

    Args:
        scene: n images.
        thumbnails: n JPEG files, empty without a thumbnail.
        issues: what is wrong with each label.

    Returns:
        The cameras.
    """
    return CameraSet(
        scene.names, scene.poses, scene.cameras, list(scene.sequences), thumbnails, issues
    )


def make_query_set(queries: Scene) -> tuple[CameraSet, list[str]]:
    """Return query images with thumbnails.

    Args:
        queries: n images.

    Returns:
        The cameras, and notes about thumbnails that were left out.
    """
    chosen = np.unique(
        np.linspace(0, len(queries) - 1, min(len(queries), MAX_QUERY_IMAGES)).round().astype(int)
    )
    samples = sample_images([queries.paths[row] for row in chosen])
    thumbnails = [b""] * len(queries)
    for row, jpeg in zip(chosen, shrink_to_budget(_jpegs(samples), QUERY_BUDGET), strict=True):
        thumbnails[row] = jpeg
    notes = _thinning_notes(len(queries), thumbnails, "query image")
    return make_camera_set(queries, thumbnails), notes


def no_cameras() -> CameraSet:
    """Return an empty set of cameras.

    Returns:
        A set without cameras.
    """
    empty = Poses.from_quaternions(np.zeros((0, 3)), np.zeros((0, 4)))
    return CameraSet((), empty, (), (), ())


def _choose_images(total: int, matched: Sequence[int]) -> list[int]:
    """Return indices of the images that are read: the matched ones, then evenly spaced ones."""
    spaced = np.linspace(0, total - 1, min(total, MAX_TRAINING_IMAGES)).round().astype(int)
    first = dict.fromkeys([int(row) for row in matched if row >= 0])
    rows = list(dict.fromkeys([*first, *spaced.tolist()]))
    return sorted(rows[:MAX_TRAINING_IMAGES])


def _jpegs(samples: Sequence[SampledImage]) -> list[bytes]:
    return [sample.jpeg for sample in samples]


def _thinning_notes(total: int, thumbnails: Sequence[bytes], name: str) -> list[str]:
    shown = sum(map(bool, thumbnails))
    if shown == total or not shown:
        return []
    return [f"{shown} of {count(total, name)} have a thumbnail"]
