"""The run folder: config.json and model.keras, written by training and reopened by all else."""

from __future__ import annotations

import json
import logging
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from posenet.datasets.join import join_scenes
from posenet.datasets.registry import open_scene
from posenet.datasets.saved_scene import load_scene, save_scene, saved_digest, with_saved_stats
from posenet.datasets.scene import Scene
from posenet.datasets.splits import TEST_LIST
from posenet.environment import import_keras
from posenet.errors import PoseNetError, count, first_line
from posenet.io.addresses import address_of, local_path
from posenet.io.files import (
    atomic_path,
    best_effort_write,
    fingerprint_files,
    load_stamped,
    save_stamped,
    write_text,
)
from posenet.io.folder_state import folder_state
from posenet.io.json_files import read_json
from posenet.mapping.calibration import apply_corrections
from posenet.run_config import (
    AddedScene,
    RunConfig,
    format_config,
    parse_config,
    relocate_split,
)
from posenet.run_files import locate_run

if TYPE_CHECKING:
    import keras

log = logging.getLogger("posenet")

CONFIG = "config.json"
MODEL = "model.keras"
HISTORY = "history.csv"
# Names, poses and cameras of the training images.
TRAINING_SCENE = "training_scene.npz"
# What the scene folder contained when they were saved. Such a file per image, and this many more,
# are looked at to find out whether it still does.
SCENE_STATE = "scene_state.json"
SCENE_FILES = 10
MIN_SCENE_FILES = 10_000
# Raised whenever the same files give another scene.
VERSION = 1
CHECKPOINT = "checkpoint/state.npz"
ADDED_CHECKPOINT = "checkpoint/state-{}.npz"
# Where the version before 0.1.0 kept the checkpoint.
OLD_CHECKPOINT = "backup/state.npz"

RunType = TypeVar("RunType", bound="Run")


class Run(RunConfig):
    """A run folder and the contents of its config.json."""

    def __str__(self) -> str:
        """Return the run in one line."""
        images = count(len(self.training_images), "training image")
        return f"Run({self.folder}: {self.scene.name}, {self.config.backbone}, {images})"

    __repr__ = __str__

    @classmethod
    def open(cls: type[RunType], folder: str | Path) -> RunType:
        """Read the config.json of a run, of format 1 or 2.

        Args:
            folder: the run folder, or a packed run: a .zip file or hf://user/name[@revision].

        Returns:
            The run.

        Raises:
            PoseNetError: config.json is missing, corrupted or of a later format, or the packed run
                is refused.
        """
        folder = locate_run(folder)
        path = folder / CONFIG
        if not folder.is_dir():
            raise PoseNetError(f"run folder not found: {folder}")
        if not path.is_file():
            raise PoseNetError(f"{folder} is not a run folder: it must contain {CONFIG}")
        try:
            return cls(folder=folder, **parse_config(folder, read_json(path)))
        except (ValueError, KeyError, TypeError, AttributeError, PoseNetError) as error:
            raise PoseNetError(
                f"{path} must be the configuration written by training, cannot read it ({error})"
            ) from None

    @property
    def checkpoint_path(self) -> Path:
        """The checkpoint for --resume, or the one of a run made before 0.1.0.

        Each scene that is added has a checkpoint of its own.
        """
        if self.added:
            return self.folder / ADDED_CHECKPOINT.format(len(self.added))
        old, new = self.folder / OLD_CHECKPOINT, self.folder / CHECKPOINT
        return old if old.is_file() and not new.is_file() else new

    def open_scene(self, path: str | Path | None = None, *, strict: bool = False) -> Scene:
        """Open the run's scene, images included, with the run's split and corrected intrinsics.

        Scenes that were added to the run are joined to it.

        Args:
            path: where the scene is now, if it is not where it was in training.
            strict: refuse any label issue.

        Returns:
            The scene, training and test images.

        Raises:
            PoseNetError: the scene cannot be opened.
        """
        if path is None and not os.path.isdir(self.scene) and not address_of(self.scene):
            raise PoseNetError(f"scene folder not found: {self.scene}: its images are required")
        split = (
            relocate_split(local_path(Path(path)), self.split, self.scene) if path else self.split
        )
        scene = open_scene(path or self.scene, strict=strict, split=split)
        scene = apply_corrections(scene, self.corrections)
        if not self.added:
            return scene
        return join_scenes(scene, [_open_added(added, strict=strict) for added in self.added])

    def training_scene(self, *, strict: bool = False, need_images: bool = True) -> Scene:
        """Return the training images that the run started with, whatever the split gives today.

        Args:
            strict: refuse any label issue.
            need_images: open the scene folder. False: if it is not there, or not changed since the
                last call, return what the run folder contains of the training images, which is
                everything but the images.

        Returns:
            The part of the scene that the run was trained on.

        Raises:
            PoseNetError: none of the training images is there any more.
        """
        if need_images:
            return self._read_training_scene(strict)
        missing_folder = self._missing_folder
        if missing_folder is not None:
            saved = load_scene(self.folder / TRAINING_SCENE, missing_folder)
            return saved or self._read_training_scene(strict)
        state = self._scene_state()
        saved = self._load_unchanged(state)
        if saved is not None:
            return saved
        training = self._read_training_scene(strict)
        self.save_training_scene(training)
        if state and len(training) == len(self.training_images):
            save_stamped(self.folder / SCENE_STATE, state, {"digest": training.digest()})
        return training

    def _read_training_scene(self, strict: bool) -> Scene:
        scene = self.open_scene(strict=strict)
        if not self.training_images:
            return scene.split("train")
        rows = np.flatnonzero(scene.mask_names(self.training_images))
        total = len(self.training_images)
        if len(rows) == 0:
            raise PoseNetError(
                f"{scene.root} must contain the images that {self.folder} was trained on, "
                f"found 0 of {total}"
            )
        if missing := total - len(rows):
            log.warning("%s: %d of %d training images are missing", scene.root, missing, total)
        return scene.subset(rows)

    @property
    def _missing_folder(self) -> Path | None:
        """The first folder of the run's scenes that is not there, None if all are."""
        folders = (self.scene, *(added.scene for added in self.added))
        return next((folder for folder in folders if not os.path.isdir(folder)), None)

    def _scene_state(self) -> str | None:
        """Return a fingerprint of everything that the training images are read from.

        None for joined scenes, whose image files are not saved, and for folders that contain much
        else.
        """
        if self.added:
            return None
        state = folder_state(self.scene, MIN_SCENE_FILES + SCENE_FILES * len(self.training_images))
        if state is None:
            return None
        own = fingerprint_files([self.folder / CONFIG, Path(self.split)])
        return f"{VERSION} {state} {own}"

    def _load_unchanged(self, state: str | None) -> Scene | None:
        """Return the saved training images if nothing has changed since they were saved."""
        if state is None or (known := load_stamped(self.folder / SCENE_STATE, state)) is None:
            return None
        saved = load_scene(self.folder / TRAINING_SCENE, self.scene)
        return saved if saved is not None and saved.digest() == known.get("digest") else None

    def save_training_scene(self, training: Scene) -> None:
        """Save what the run needs of its training images where its scene is not there.

        A folder that cannot be written is only a warning.

        Args:
            training: the training images.
        """
        path = self.folder / TRAINING_SCENE
        if saved_digest(path) != training.digest():
            with best_effort_write(path) as temporary:
                save_scene(temporary, training)

    def known_training_images(self, scene: Scene) -> Scene | None:
        """Return the images of an open scene that the run was trained on.

        Args:
            scene: the run's scene.

        Returns:
            Those images; the training split if the run knows none of them; None if that is empty.
        """
        chosen = scene.mask_names(self.training_images)
        if not chosen.any():
            chosen = scene.splits == "train"
        if not chosen.any():
            return None
        training = scene.subset(chosen)
        if self._missing_folder is None:
            return training
        saved = load_scene(self.folder / TRAINING_SCENE, self.scene)
        return with_saved_stats(training, saved) if saved else training

    def exclude_training_images(self, test: Scene) -> Scene:
        """Return the test images that the network was not trained on, and warn about the others.

        Images that another camera of a rig took at the moment of an excluded one are excluded too.

        Args:
            test: the test split of a scene that may have changed since training.

        Returns:
            The test images without any training image.

        Raises:
            PoseNetError: no image is left.
        """
        moments = test.dense_moments
        known = test.mask_names(self.training_images)
        fresh = ~np.isin(moments, moments[known])
        if not fresh.any():
            raise PoseNetError(
                f"the test split of {test.root} must contain images that {self.folder} was not "
                f"trained on, all {len(test)} are training images"
            )
        if not fresh.all():
            excluded = count(int((~fresh).sum()), "test image")
            log.warning("%s: excluded %s that the run was trained on", test.root, excluded)
        return test.subset(fresh)

    def save(self) -> None:
        """Write config.json, and the list of test images if it would stay behind in a move."""
        split = Path(self.split)
        homes = (self.scene.resolve(), self.folder.resolve())
        if split.is_file() and not any(map(split.is_relative_to, homes)):
            with atomic_path(self.folder / TEST_LIST) as temporary:
                shutil.copyfile(split, temporary)
        write_text(self.folder / CONFIG, json.dumps(format_config(self), indent=2) + "\n")

    def save_model(self, network: keras.Model) -> None:
        """Write model.keras atomically.

        Args:
            network: the inference network.
        """
        with atomic_path(self.folder / MODEL) as temporary:
            network.save(temporary)

    def restore_weights(self, network: keras.Model) -> None:
        """Give a network that is to be trained further the weights of model.keras.

        Args:
            network: the network of this run's training.

        Raises:
            PoseNetError: model.keras is missing or cannot be read.
        """
        for layer in self.load_model().layers:
            if layer.weights:
                network.get_layer(layer.name).set_weights(layer.get_weights())

    def load_model(self) -> keras.Model:
        """Load model.keras. Marshalled code in it is never executed.

        Returns:
            The network: raw RGB float (b, h, w, 3) -> {"position" (b, 3), "quaternion" (b, 4)}.
            With the scene-coordinate head also "residual_rms" (b,), "doubt" in older files.

        Raises:
            PoseNetError: model.keras is missing or cannot be read.
        """
        path = self.folder / MODEL
        if not path.is_file():
            raise PoseNetError(f"{path} is missing: the run was not trained long enough to save it")
        import_keras()
        import keras

        import posenet.models.build
        import posenet.models.legacy_layers  # noqa: F401  both register layers

        try:
            return keras.saving.load_model(path, compile=False, safe_mode=True)
        except Exception as error:
            raise PoseNetError(
                f"{path} must be a model written by posenet, cannot read it ({first_line(error)})"
            ) from None


def _open_added(added: AddedScene, *, strict: bool) -> tuple[str, Scene]:
    """Open a scene that was added to a run, and return it after its label."""
    if not os.path.isdir(added.scene):
        raise PoseNetError(
            f"scene folder not found: {added.scene}: it was added to the run, its images are "
            "required"
        )
    scene = open_scene(added.scene, strict=strict, split=added.split)
    return added.name, apply_corrections(scene, added.corrections)


def open_run(folder: str | Path) -> Run:
    """Open a run, as `Run.open` does.

    Args:
        folder: the run folder, or a packed run: a .zip file or hf://user/name[@revision].

    Returns:
        The run.
    """
    return Run.open(folder)
