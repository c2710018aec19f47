"""Add a scene to a finished run: another walk through its place, or another area."""

from __future__ import annotations

import dataclasses
import logging
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
from scipy.spatial import cKDTree

from posenet.config import TrainConfig
from posenet.datasets.join import join_scenes
from posenet.datasets.registry import open_scene, resolve_split
from posenet.datasets.scene import Scene
from posenet.errors import PoseNetError, count
from posenet.geometry.areas import find_areas
from posenet.io.files import atomic_path
from posenet.mapping.calibration import apply_corrections, describe_corrections
from posenet.mapping.frame_check import check_world_frame
from posenet.mapping.keypoints import KeypointCache
from posenet.mapping.label_check import check_labels, describe_wrong_labels
from posenet.mapping.landmarks import can_have_landmarks, landmarks_folder, load_any_landmarks
from posenet.run import CONFIG, HISTORY, MODEL, Run
from posenet.run_config import AddedScene
from posenet.run_files import is_packed
from posenet.training.reference_camera import find_reference_camera, is_single_camera
from posenet.training.validation_split import validation_mask

log = logging.getLogger("posenet")

# Training time in minutes, unless the settings say another.
ADD_MINUTES = 3.0
# Settings that apply to the added scene, or to one call of train.
ACCEPTED = (
    "scene",
    "add",
    "minutes",
    "epochs",
    "learning_rate",
    "split",
    "strict",
    "evaluate",
    "log",
    "backend",
)


def check_add_settings(config: TrainConfig) -> Path:
    """Check the settings of `--add`, and return the run folder.

    Args:
        config: the settings; `scene` is the run folder.

    Returns:
        The run folder.

    Raises:
        PoseNetError: the run is missing, packed or not trained, or a setting cannot be changed.
    """
    folder = config.scene
    if folder is None:
        raise PoseNetError("--add requires the run folder: posenet train RUN --add SCENE")
    if is_packed(folder):
        raise PoseNetError(f"--add requires a run folder, {folder} is a packed run")
    if (folder / CONFIG).is_file() and not (folder / MODEL).is_file():
        raise PoseNetError(f"--add requires a trained run, {folder} does not contain {MODEL}")
    for field in dataclasses.fields(TrainConfig):
        received = getattr(config, field.name)
        if field.name not in ACCEPTED and received != field.default:
            option = field.name.replace("_", "-")
            raise PoseNetError(f"--add keeps the settings of the run: --{option} cannot be changed")
    return folder


def extend_run(run: Run, config: TrainConfig, keypoints: KeypointCache) -> Run:
    """Return a run with one more scene, and save it.

    Names of the new images start with the name of their scene's folder. If their cameras are
    farther from all others than the cameras of an area are from their center, they are areas of
    their own.

    Args:
        run: the run.
        config: the settings; `add` is the scene.
        keypoints: receives the keypoints that are detected.

    Returns:
        The extended run. Its network does not know the new images yet.

    Raises:
        PoseNetError: the scene is part of the run already, cannot be opened, has another unit, or
            its poses are in another world frame.
    """
    assert config.add is not None
    old = run.training_scene(strict=config.strict)
    new, added = _open_new(run, config, keypoints)
    joined = join_scenes(old, [(added.name, new)])
    _check_frame(run, new, config.add)
    mask = validation_mask(new, run.config.validation_split)
    names = joined.names[len(old) :]
    camera = find_reference_camera(joined)
    settings = replace(
        run.config,
        minutes=config.minutes if config.minutes or config.epochs else ADD_MINUTES,
        epochs=config.epochs,
        learning_rate=config.learning_rate,
        log=config.log or run.config.log,
    )
    plan = run.plan and replace(run.plan, seconds=None, build_map=can_have_landmarks(joined))
    extended = replace(
        run,
        config=settings,
        plan=plan,
        added=(*run.added, added),
        training_images=(*old.names, *names),
        validation_images=(*run.validation_images, *np.array(names)[mask].tolist()),
        area_offsets=_extended_areas(run, old.poses.positions, new.poses.positions),
        camera=camera,
        single_camera=is_single_camera(joined, camera),
    )
    _keep_history(run)
    extended.save()
    log.info("added %s to %s: %s", config.add, run.folder, count(len(new), "training image"))
    if len(extended.areas) > len(run.areas):
        log.info("they are %s", count(len(extended.areas) - len(run.areas), "new area"))
    return extended


def _open_new(run: Run, config: TrainConfig, keypoints: KeypointCache) -> tuple[Scene, AddedScene]:
    """Open the training images of the scene to add, with corrected intrinsics."""
    assert config.add is not None
    folder = config.add.absolute()
    known = (run.scene, *(added.scene for added in run.added))
    if any(folder.resolve() == scene.resolve() for scene in known):
        raise PoseNetError(
            f"{config.add} is part of {run.folder} already (use --resume --output {run.folder} to "
            "finish its training)"
        )
    scene = open_scene(folder, strict=config.strict, split=config.split).split("train")
    convention, estimated = check_labels(
        scene, scene, refine_intrinsics=run.config.refine_intrinsics, cache=keypoints
    )
    warnings = describe_wrong_labels(scene, convention)
    for sentence in [*describe_corrections(scene, estimated), *warnings]:
        log.warning("%s: %s", scene.name, sentence)
    corrections = dict(estimated)
    name = _free_name(run, folder.resolve().name)
    added = AddedScene(name, folder, resolve_split(folder, config.split), corrections)
    return apply_corrections(scene, corrections), added


def _free_name(run: Run, name: str) -> str:
    """Return the name for an added scene's images: that of its folder, numbered if it is taken."""
    taken = {image.split("/")[0] for image in run.training_images}
    taken |= {run.scene.name, *(added.name for added in run.added)}
    candidates = [name, *(f"{name}-{number}" for number in range(2, len(taken) + 3))]
    return next(candidate for candidate in candidates if candidate not in taken)


def _check_frame(run: Run, new: Scene, path: Path) -> None:
    """Raise PoseNetError if the images of a scene show that its world frame is another."""
    folder = landmarks_folder(run.folder)
    landmarks = load_any_landmarks(folder)
    if landmarks is None:
        log.warning(
            "%s has no landmark map: the poses of %s must be in its world frame, which is not "
            "checked",
            run.folder,
            path,
        )
        return
    check = check_world_frame(new, landmarks, folder)
    if check.is_wrong:
        raise PoseNetError(
            f"the poses of {path} must be in the world frame of {run.folder}: "
            f"{check.num_recognized} of {count(check.num_images, 'image')} show it, but only "
            f"{check.agreement:.0%} of their matches agree with the poses"
        )
    log.info("%s", check)


def _extended_areas(run: Run, old: np.ndarray, new: np.ndarray) -> tuple[tuple[float, ...], ...]:
    """Return the offsets of the areas, with those of new positions far from all old ones."""
    distances = cKDTree(old).query(new)[0]
    if distances.min() < run.position_scale:
        return run.area_offsets
    mean = np.array(run.origin) + run.position_mean
    offsets = run.area_offsets or ((0.0, 0.0, 0.0),)
    return (*offsets, *(tuple(center - mean) for center in find_areas(new)))


def _keep_history(run: Run) -> None:
    """Copy the history of the training so far, which the next one replaces."""
    history = run.folder / HISTORY
    if history.is_file():
        kept = history.with_name(f"{history.stem}-{len(run.added) + 1}{history.suffix}")
        with atomic_path(kept) as temporary:
            shutil.copyfile(history, temporary)
