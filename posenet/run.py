"""The run folder: config.json and model.keras, written by training and reopened by everything else."""

from __future__ import annotations

import json
import logging
import os
import shutil
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

from posenet.config import Head, TrainConfig
from posenet.datasets.registry import open_scene
from posenet.datasets.scene import Scene
from posenet.datasets.splits import TEST_LIST
from posenet.errors import PoseNetError, first_line
from posenet.geometry.camera import Camera
from posenet.geometry.cropping import Crop
from posenet.io.files import atomic_path, write_text
from posenet.mapping.calibration import Corrections, IntrinsicsCorrection, corrected

log = logging.getLogger("posenet")

CONFIG, MODEL, HISTORY, STATE = "config.json", "model.keras", "history.csv", "backup/state.npz"


@dataclass(frozen=True)
class Run:
    """A run folder and what its config.json says.

    crop: how images become the network's input. origin: where the network's zero lies in the scene; it is the
    scene's own, unless that is too far away for float32. center, scale: of the training positions, from the origin, in
    the scene's unit. held_out: names of the training images that chose the model. trained_on: names of all training
    images, these among them. split: the rule that set test images aside. head: "pose" or "scene-coordinates", how the network
    answers (see models/build.py). camera: that of nearly all training images, if there is one and it is known;
    one_camera: whether all see its view angle. corrections: of the scene's intrinsics (see calibration.py).
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

    def open_scene(self, path: Path | None = None, strict: bool = False) -> Scene:
        """The run's scene, or the same one at another path, with the run's split and corrected intrinsics."""
        split = _split_at(path, self.split, self.scene) if path else self.split
        return corrected(
            open_scene(path or self.scene, strict=strict, split=split), self.corrections
        )

    def training_scene(self, strict: bool = False) -> Scene:
        """The training images of the run's scene: those it was begun with, whatever the split gives today.

        Raises PoseNetError where none of them is there any more.
        """
        scene = self.open_scene(strict=strict)
        if not self.training_images:
            return scene.split("train")
        rows = np.flatnonzero(np.isin(scene.names, self.training_images))
        if len(rows) == 0:
            raise PoseNetError(
                f"{scene.root} must hold the images that {self.folder} was trained on, none is there"
            )
        if lost := len(self.training_images) - len(rows):
            log.warning(
                "%s: %d of the %d training images are not there any more",
                scene.root,
                lost,
                lost + len(rows),
            )
        return scene.subset(rows)

    def known_training_images(self, scene: Scene) -> Scene | None:
        """The images of an open scene that the run was trained on; its training split where the run knows none of
        them; None where there is none."""
        chosen = np.isin(scene.names, self.training_images)
        if not chosen.any():
            chosen = scene.splits == "train"
        return scene.subset(chosen) if chosen.any() else None

    def exclude_training_images(self, test: Scene) -> Scene:
        """Those test images that the network was not trained on; a warning for the others, of a scene that changed.

        Raises PoseNetError when none is left.
        """
        fresh = ~np.isin(test.names, self.training_images)
        if not fresh.any():
            raise PoseNetError(
                f"the test split of {test.root} must hold images that {self.folder} was not trained on"
            )
        if not fresh.all():
            log.warning(
                "%s: %d test images were trained on, they are left out", test.root, (~fresh).sum()
            )
        return test.subset(fresh)

    def save(self) -> None:
        """Write config.json."""
        values = {
            "format": 1,
            "scene": str(self.scene),
            "unit": self.unit,
            "precision": self.precision,
        }
        with suppress(ValueError):  # on another drive
            values["scene_from_run"] = os.path.relpath(self.scene.resolve(), self.folder.resolve())
        values |= {
            "split": self.split,
            "stored": list(self.crop.resized),
            "cut": list(self.crop.size),
        }
        values |= {
            "origin": list(self.origin),
            "centre": list(self.position_mean),
            "scale": self.position_scale,
            "head": self.head,
        }
        values["one_camera"] = self.single_camera
        values["corrections"] = {source: list(each) for source, each in self.corrections.items()}
        values["camera"] = asdict(self.camera) if self.camera else None
        values |= {
            "settings": json.loads(self.config.to_json()),
            "held_out": list(self.validation_images),
        }
        values["trained_on"] = list(self.training_images)
        split, homes = Path(self.split), (self.scene.resolve(), self.folder.resolve())
        if split.is_file() and not any(map(split.is_relative_to, homes)):
            with atomic_path(
                self.folder / TEST_LIST
            ) as temporary:  # it would stay behind when scene and run move
                shutil.copyfile(split, temporary)
        write_text(self.folder / CONFIG, json.dumps(values, indent=2) + "\n")

    def save_model(self, network) -> None:
        """Write model.keras, whole or not at all."""
        with atomic_path(self.folder / MODEL) as temporary:
            network.save(temporary)

    def load_model(self):
        """The trained network: raw RGB float (b, h, w, 3) -> {"position" (b, 3), "quaternion" (b, 4)}, of the
        head "scene-coordinates" also "residual_rms" (b,).

        Raises PoseNetError when model.keras is missing or cannot be read. Marshalled code in it is never run.
        """
        path = self.folder / MODEL
        if not path.is_file():
            raise PoseNetError(
                f"{path} is missing: the run has not trained long enough to keep a model"
            )
        import keras

        import posenet.models.build  # noqa: F401  the layers must be registered before loading

        try:
            return keras.saving.load_model(path, compile=False, safe_mode=True)
        except Exception as error:
            raise PoseNetError(
                f"{path} must be a model written by posenet, it cannot be read ({first_line(error)})"
            ) from None


def open_run(folder: Path) -> Run:
    """Read RUN/config.json. Raises PoseNetError when it is missing, corrupted or of another format."""
    path = folder / CONFIG
    if not folder.is_dir():
        raise PoseNetError(f"{folder}: no such run folder")
    if not path.is_file():
        raise PoseNetError(f"{folder} must be a run folder, it holds no {CONFIG}")
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        if values["format"] != 1:
            raise ValueError(f"format {values['format']}, this version reads format 1")
        crop = Crop(tuple(values["stored"]), tuple(values["cut"]))
        config = TrainConfig.from_dict(values["settings"])
        scene, split = _scene_of(folder, values)
        return Run(
            folder=folder,
            config=config,
            scene=scene,
            unit=str(values["unit"]),
            crop=crop,
            position_mean=tuple(float(value) for value in values["centre"][:3]),
            position_scale=float(values["scale"]),
            validation_images=tuple(values["held_out"]),
            precision=values["precision"],
            split=split,
            head=values.get("head", "pose"),
            single_camera=bool(values.get("one_camera", False)),
            training_images=tuple(values.get("trained_on", ())),
            origin=tuple(float(value) for value in values.get("origin", (0, 0, 0))[:3]),
            corrections={
                source: IntrinsicsCorrection(*map(float, each))
                for source, each in values.get("corrections", {}).items()
            },
            camera=Camera(**values["camera"]) if values.get("camera") else None,
        )
    except (ValueError, KeyError, TypeError, AttributeError, PoseNetError) as error:
        raise PoseNetError(
            f"{path} must be the configuration that training wrote, it cannot be read ({error})"
        ) from None


def _scene_of(folder: Path, values: dict) -> tuple[Path, str]:
    """The scene's folder and the split: as training wrote them, or as they lie from the run, where both have moved."""
    scene, split = Path(values["scene"]), str(values.get("split", "auto"))
    if (folder / TEST_LIST).is_file() and not os.path.isfile(split):
        split = str((folder / TEST_LIST).resolve())
    if os.path.isdir(scene) or "scene_from_run" not in values:  # is_dir wants rights
        return scene, split
    moved = (folder.resolve() / values["scene_from_run"]).resolve()
    return (moved, _split_at(moved, split, scene)) if os.path.isdir(moved) else (scene, split)


def _split_at(path: Path, split: str, own: Path) -> str:
    """The split of a scene that is now at `path` and was at `own`: a list in its folder has moved with it."""
    own = own.resolve()
    return (
        str(path.absolute() / Path(split).relative_to(own))
        if Path(split).is_relative_to(own)
        else split
    )
