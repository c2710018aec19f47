"""Collect what is exported of a run or a scene: its map, its cameras and its evaluation."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import NamedTuple

import numpy as np

from posenet.datasets.registry import open_scene
from posenet.datasets.scene import Scene
from posenet.errors import PoseNetError
from posenet.evaluation.error_file import EvaluatedImages, read_errors
from posenet.geometry.camera import Camera
from posenet.interop.map_export import CameraGroup, MapExport
from posenet.interop.rrd import Recording
from posenet.mapping.landmarks import landmarks_folder, load_any_landmarks
from posenet.run import CONFIG, Run, open_run
from posenet.run_files import is_packed
from posenet.viewer.build import build_surroundings, make_query_set, no_cameras

log = logging.getLogger("posenet")

# The colors of the figures.
TRAINING_COLOR = (140, 148, 160)
GROUND_TRUTH_COLOR = (31, 58, 95)
ESTIMATE_COLOR = (209, 73, 91)
ERRORS = Path("evaluation") / "errors.csv"


class CollectedMap(NamedTuple):
    """A map with the images of its evaluation.

    Attributes:
        exported: points and cameras.
        scene: the scene; its image files need not exist.
        evaluated: the evaluated images, None without an evaluation.
    """

    exported: MapExport
    scene: Scene
    evaluated: EvaluatedImages | None

    def recording(self) -> Recording | None:
        """Return the evaluated images with thumbnails.

        Returns:
            The images, None without an evaluation.
        """
        evaluated = self.evaluated
        if evaluated is None:
            return None
        row_of = {name: row for row, name in enumerate(self.scene.names)}
        rows = [row_of[name] for name in evaluated.names if name in row_of]
        queries = make_query_set(self.scene.subset(rows))[0] if rows else no_cameras()
        images = dict(zip(queries.names, queries.thumbnails, strict=True))
        return Recording(
            images=[images.get(name, b"") for name in evaluated.names],
            cameras=_cameras_of(evaluated.names, self.scene, None),
            ground_truth=evaluated.ground_truth,
            estimate=evaluated.estimate,
            valid=evaluated.valid,
            position_errors=evaluated.position_errors,
            rotation_errors_deg=evaluated.rotation_errors_deg,
        )


def collect_map(source: Path) -> CollectedMap:
    """Collect the points and cameras of a run or a scene.

    Points are those of the run's landmark map, or else of the scene's files, colored by the
    training images, gray if they are gone.

    Args:
        source: a run folder, a packed run or a scene folder.

    Returns:
        The map; the estimated cameras too if the run was evaluated.

    Raises:
        PoseNetError: the folder is neither.
    """
    if is_packed(source) or (source / CONFIG).is_file():
        return _collect_run(open_run(source))
    scene = _open_scene(source, "auto")
    is_training = scene.splits == "train"
    training = scene.subset(is_training) if is_training.any() else scene
    groups = [CameraGroup("training images", training.poses, training.cameras, TRAINING_COLOR)]
    if is_training.any() and not is_training.all():
        test = scene.subset(~is_training)
        groups.append(CameraGroup("test images", test.poses, test.cameras, GROUND_TRUTH_COLOR))
    return CollectedMap(_export(training, None, groups), scene, None)


def _collect_run(run: Run) -> CollectedMap:
    training: Scene | None
    if os.path.isdir(run.scene):
        scene = _open_scene(run.scene, run.split)
        training = run.known_training_images(scene)
    else:
        scene = training = run.training_scene(need_images=False)
        log.warning("%s is not there, points are gray", run.scene)
    if training is None:
        raise PoseNetError(f"{scene.root} must contain the images that {run.folder} was trained on")
    groups = [CameraGroup("training images", training.poses, training.cameras, TRAINING_COLOR)]
    evaluated = None
    if (run.folder / ERRORS).is_file():
        evaluated = read_errors(run.folder / ERRORS)
        cameras = _cameras_of(evaluated.names, scene, run.camera)
        estimated = [camera for camera, ok in zip(cameras, evaluated.valid, strict=True) if ok]
        truth = evaluated.ground_truth
        estimate = evaluated.estimate[evaluated.valid]
        groups.append(CameraGroup("ground truth", truth, cameras, GROUND_TRUTH_COLOR))
        groups.append(CameraGroup("estimated", estimate, estimated, ESTIMATE_COLOR))
    else:
        log.info("%s has no evaluation: only training images are exported", run.folder)
    return CollectedMap(_export(training, run, groups), scene, evaluated)


def _export(training: Scene, run: Run | None, groups: list[CameraGroup]) -> MapExport:
    landmarks = load_any_landmarks(landmarks_folder(run.folder)) if run else None
    place = build_surroundings(training, landmarks=landmarks)
    if place.points is None:
        log.warning(
            "no 3-D points are exported: %s has no landmark map and %s no points",
            run.folder if run else "a scene",
            training.root,
        )
    nothing = np.zeros((0, 3))
    return MapExport(
        name=training.name,
        unit=training.unit,
        axes=place.axes,
        center=place.center,
        positions=place.points.positions if place.points else nothing,
        colors=place.points.colors if place.points else nothing.astype(np.uint8),
        groups=[group for group in groups if len(group.poses)],
    )


def _open_scene(folder: Path, split: str) -> Scene:
    """Open a scene, without its images if they are gone."""
    try:
        return open_scene(folder, split=split)
    except PoseNetError:
        scene = open_scene(folder, split=split, need_images=False)
        log.warning("%s: images cannot be read, points are gray", folder)
        return scene


def _cameras_of(names: list[str], scene: Scene, default: Camera | None) -> list[Camera | None]:
    """Return the cameras of images of a scene."""
    known = dict(zip(scene.names, scene.cameras, strict=True))
    return [known.get(name) or default for name in names]
