"""The run folder: config.json and model.keras, written by training and reopened by all else."""

from __future__ import annotations

import json
import logging
import os
import shutil
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from posenet.config import FORMAT_1_HEADS, Head, TrainConfig, TrainingPlan
from posenet.datasets.registry import open_scene
from posenet.datasets.scene import Scene
from posenet.datasets.splits import TEST_LIST
from posenet.environment import import_keras
from posenet.errors import PoseNetError, count, first_line
from posenet.geometry.camera import Camera
from posenet.geometry.cropping import Crop
from posenet.io.files import atomic_path, write_text
from posenet.mapping.calibration import Corrections, IntrinsicsCorrection, apply_corrections

if TYPE_CHECKING:
    import keras

log = logging.getLogger("posenet")

CONFIG = "config.json"
MODEL = "model.keras"
HISTORY = "history.csv"
CHECKPOINT = "checkpoint/state.npz"
# Where the version before 0.1.0 kept the checkpoint.
OLD_CHECKPOINT = "backup/state.npz"

# Version of config.json. Format 1 has other names for the same values.
FORMAT = 2
FORMAT_1_KEYS = {
    "stored": "resized_hw",
    "cut": "crop_hw",
    "centre": "position_mean",
    "scale": "position_scale",
    "held_out": "validation_images",
    "trained_on": "training_images",
    "one_camera": "single_camera",
}

RunType = TypeVar("RunType", bound="Run")


@dataclass(frozen=True)
class Run:
    """A run folder and the contents of its config.json.

    Attributes:
        folder: the run folder.
        config: the settings of the training.
        scene: folder of the scene.
        unit: unit of the scene's positions, such as "m" or "scene units".
        crop: how an image is resized and cropped to the network's input.
        position_mean: mean (x, y, z) of the training positions, relative to `origin`.
        position_scale: mean distance of the training positions from their mean, in `unit`.
        validation_images: names of the training images that select the best model.
        precision: "float32" or "bfloat16".
        split: the rule that set the test images apart.
        head: the network's head, see models/build.py.
        camera: the reference camera, that of nearly all training images; None if there is none or
            its intrinsics are unknown.
        single_camera: whether all training images have the field of view of `camera`.
        origin: the network's origin in the scene's world frame. It is zero unless the scene is too
            far from its own origin for float32.
        training_images: names of all training images, those of the validation included.
        corrections: corrections of the scene's intrinsics, by their source.
        plan: what the training did with its time; None for runs made before 0.1.0.
    """

    folder: Path
    config: TrainConfig
    scene: Path
    unit: str
    crop: Crop
    position_mean: tuple[float, ...]
    position_scale: float
    validation_images: tuple[str, ...] = ()
    precision: str = "float32"
    split: str = "auto"
    head: Head = "pose"
    camera: Camera | None = None
    single_camera: bool = False
    origin: tuple[float, ...] = (0.0, 0.0, 0.0)
    training_images: tuple[str, ...] = ()
    corrections: Corrections = field(default_factory=dict)
    plan: TrainingPlan | None = None

    def __str__(self) -> str:
        """Return the run in one line."""
        images = count(len(self.training_images), "training image")
        return f"Run({self.folder}: {self.scene.name}, {self.config.backbone}, {images})"

    __repr__ = __str__

    @classmethod
    def open(cls: type[RunType], folder: str | Path) -> RunType:
        """Read the config.json of a run folder, of format 1 or 2.

        Args:
            folder: the run folder.

        Returns:
            The run.

        Raises:
            PoseNetError: config.json is missing, corrupted or of a later format.
        """
        folder = Path(folder)
        path = folder / CONFIG
        if not folder.is_dir():
            raise PoseNetError(f"run folder not found: {folder}")
        if not path.is_file():
            raise PoseNetError(f"{folder} is not a run folder: it must contain {CONFIG}")
        try:
            return cls(folder=folder, **_parse_config(folder, json.loads(path.read_text("utf-8"))))
        except (ValueError, KeyError, TypeError, AttributeError, PoseNetError) as error:
            raise PoseNetError(
                f"{path} must be the configuration written by training, cannot read it ({error})"
            ) from None

    @property
    def checkpoint_path(self) -> Path:
        """The checkpoint for --resume, or the one of a run made before 0.1.0."""
        old, new = self.folder / OLD_CHECKPOINT, self.folder / CHECKPOINT
        return old if old.is_file() and not new.is_file() else new

    def open_scene(self, path: str | Path | None = None, *, strict: bool = False) -> Scene:
        """Open the run's scene with the run's split and corrected intrinsics.

        Args:
            path: where the scene is now, if it is not where it was in training.
            strict: refuse any label issue.

        Returns:
            The scene, training and test images.

        Raises:
            PoseNetError: the scene cannot be opened.
        """
        split = _relocate_split(Path(path), self.split, self.scene) if path else self.split
        scene = open_scene(path or self.scene, strict=strict, split=split)
        return apply_corrections(scene, self.corrections)

    def training_scene(self, *, strict: bool = False) -> Scene:
        """Return the training images that the run started with, whatever the split gives today.

        Args:
            strict: refuse any label issue.

        Returns:
            The part of the scene that the run was trained on.

        Raises:
            PoseNetError: none of the training images is there any more.
        """
        scene = self.open_scene(strict=strict)
        if not self.training_images:
            return scene.split("train")
        rows = np.flatnonzero(np.isin(scene.names, self.training_images))
        total = len(self.training_images)
        if len(rows) == 0:
            raise PoseNetError(
                f"{scene.root} must contain the images that {self.folder} was trained on, "
                f"found 0 of {total}"
            )
        if missing := total - len(rows):
            log.warning("%s: %d of %d training images are missing", scene.root, missing, total)
        return scene.subset(rows)

    def known_training_images(self, scene: Scene) -> Scene | None:
        """Return the images of an open scene that the run was trained on.

        Args:
            scene: the run's scene.

        Returns:
            Those images; the training split if the run knows none of them; None if that is empty.
        """
        chosen = np.isin(scene.names, self.training_images)
        if not chosen.any():
            chosen = scene.splits == "train"
        return scene.subset(chosen) if chosen.any() else None

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
        known = np.isin(test.names, self.training_images)
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
        write_text(self.folder / CONFIG, json.dumps(_format_config(self), indent=2) + "\n")

    def save_model(self, network: keras.Model) -> None:
        """Write model.keras atomically.

        Args:
            network: the inference network.
        """
        with atomic_path(self.folder / MODEL) as temporary:
            network.save(temporary)

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


def open_run(folder: str | Path) -> Run:
    """Open a run folder, as `Run.open` does.

    Args:
        folder: the run folder.

    Returns:
        The run.
    """
    return Run.open(folder)


def _format_config(run: Run) -> dict[str, Any]:
    """Return the contents of config.json."""
    values: dict[str, Any] = {
        "format": FORMAT,
        "scene": str(run.scene),
        "unit": run.unit,
        "precision": run.precision,
        "split": run.split,
        "resized_hw": list(run.crop.resized),
        "crop_hw": list(run.crop.size),
        "origin": list(run.origin),
        "position_mean": list(run.position_mean),
        "position_scale": run.position_scale,
        "head": run.head,
        "single_camera": run.single_camera,
        "corrections": {source: list(each) for source, each in run.corrections.items()},
        "camera": asdict(run.camera) if run.camera else None,
        "settings": json.loads(run.config.to_json()),
        "plan": asdict(run.plan) if run.plan else None,
        "validation_images": list(run.validation_images),
        "training_images": list(run.training_images),
    }
    with suppress(ValueError):  # on another drive
        values["scene_from_run"] = os.path.relpath(run.scene.resolve(), run.folder.resolve())
    return values


def _parse_config(folder: Path, values: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of a Run from the contents of config.json. Raises ValueError and others."""
    if values["format"] not in (1, FORMAT):
        raise ValueError(f"format {values['format']}, this version reads formats 1 and {FORMAT}")
    values = {FORMAT_1_KEYS.get(name, name): value for name, value in values.items()}
    head = values.get("head", "pose")
    scene, split = _locate_scene(folder, values)
    corrections = values.get("corrections", {})
    return {
        "config": TrainConfig.from_dict(values["settings"]),
        "scene": scene,
        "split": split,
        "unit": str(values["unit"]),
        "crop": Crop(tuple(values["resized_hw"]), tuple(values["crop_hw"])),
        "position_mean": tuple(float(value) for value in values["position_mean"][:3]),
        "position_scale": float(values["position_scale"]),
        "validation_images": tuple(values["validation_images"]),
        "training_images": tuple(values.get("training_images", ())),
        "precision": values["precision"],
        "head": FORMAT_1_HEADS.get(head, head),
        "single_camera": bool(values.get("single_camera", False)),
        "origin": tuple(float(value) for value in values.get("origin", (0, 0, 0))[:3]),
        "corrections": {
            source: IntrinsicsCorrection(*map(float, numbers))
            for source, numbers in corrections.items()
        },
        "camera": _parse_camera(values.get("camera")),
        "plan": TrainingPlan(**values["plan"]) if values.get("plan") else None,
    }


def _parse_camera(values: dict[str, Any] | None) -> Camera | None:
    """Return a camera; config.json of format 1 calls the camera model "lens"."""
    if not values:
        return None
    return Camera(**{"model" if name == "lens" else name: v for name, v in values.items()})


def _locate_scene(folder: Path, values: dict[str, Any]) -> tuple[Path, str]:
    """Return scene folder and split: as saved, or relative to the run if both have moved."""
    scene = Path(values["scene"])
    split = str(values.get("split", "auto"))
    if (folder / TEST_LIST).is_file() and not os.path.isfile(split):
        split = str((folder / TEST_LIST).resolve())
    if os.path.isdir(scene) or "scene_from_run" not in values:  # Path.is_dir raises without rights
        return scene, split
    moved = (folder.resolve() / values["scene_from_run"]).resolve()
    if not os.path.isdir(moved):
        return scene, split
    return moved, _relocate_split(moved, split, scene)


def _relocate_split(path: Path, split: str, old: Path) -> str:
    """Return the split of a scene moved from `old` to `path`: a list inside it has moved too."""
    old = old.resolve()
    if not Path(split).is_relative_to(old):
        return split
    return str(path.absolute() / Path(split).relative_to(old))
