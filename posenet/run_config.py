"""The contents of a run's config.json: the settings of a training and what it decided."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from posenet.config import Head, TrainConfig, TrainingPlan
from posenet.datasets.splits import TEST_LIST
from posenet.geometry.areas import Areas
from posenet.geometry.camera import Camera
from posenet.geometry.cropping import Crop
from posenet.io.addresses import address_of, local_path
from posenet.mapping.calibration import Corrections
from posenet.run_values import (
    parse_camera,
    parse_corrections,
    parse_crop,
    parse_head,
    parse_names,
    parse_number,
    parse_plan,
    parse_point,
)

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
# Most validation images that are predicted, after each epoch and to calibrate: a median of 1000
# errors is exact to 4 %. Scenes of 12,500 images have no more of them by default.
MAX_VALIDATION_IMAGES = 1000


@dataclass(frozen=True)
class AddedScene:
    """A scene that was added to a run: more of the same place, or another area.

    Attributes:
        name: the start of the names of its images in the run.
        scene: its folder.
        split: the rule that set its test images apart.
        corrections: corrections of its intrinsics, by their source.
    """

    name: str
    scene: Path
    split: str = "auto"
    corrections: Corrections = field(default_factory=dict)


@dataclass(frozen=True)
class RunConfig:
    """A run folder and the contents of its config.json.

    Attributes:
        folder: the run folder.
        config: the settings of the training.
        scene: folder of the scene.
        unit: unit of the scene's positions, such as "m" or "scene units".
        crop: how an image is resized and cropped to the network's input.
        position_mean: mean (x, y, z) of the training positions, relative to the origin of their
            area.
        position_scale: mean distance of the training positions from that mean, in `unit`.
        validation_images: names of the training images that select the best model.
        precision: "float32" or "bfloat16".
        split: the rule that set the test images apart.
        head: the network's head, see models/build.py.
        camera: the reference camera, that of nearly all training images; None if there is none or
            its intrinsics are unknown.
        single_camera: whether all training images have the field of view of `camera`.
        origin: the network's origin in the scene's world frame. It is zero unless the scene is too
            far from its own origin for float32.
        area_offsets: the origin of the network's positions in each area of a large place, relative
            to `origin`; empty if the scene is one area.
        added: scenes that were added to the run later.
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
    area_offsets: tuple[tuple[float, ...], ...] = ()
    added: tuple[AddedScene, ...] = ()

    @property
    def areas(self) -> Areas:
        """The areas of the scene: a single one unless the place is large."""
        offsets = np.array(self.area_offsets, float).reshape(-1, 3)
        origins = np.array(self.origin) + (offsets if len(offsets) else np.zeros((1, 3)))
        return Areas(origins, origins + self.position_mean)

    @property
    def last_added_images(self) -> frozenset[str]:
        """Names of the training images that were added last; none if nothing was added."""
        if not self.added:
            return frozenset()
        prefix = f"{self.added[-1].name}/"
        return frozenset(name for name in self.training_images if name.startswith(prefix))


def spread_evenly(rows: np.ndarray, count: int) -> np.ndarray:
    """Return some of the rows, evenly taken.

    Args:
        rows: n indices.
        count: largest number of them.

    Returns:
        All of them if they are not more, otherwise `count` of them.
    """
    if len(rows) <= count:
        return rows
    chosen: np.ndarray = rows[np.linspace(0, len(rows) - 1, count).round().astype(int)]
    return chosen


def format_config(run: RunConfig) -> dict[str, Any]:
    """Return the contents of config.json.

    Args:
        run: the run.

    Returns:
        The values, which JSON can store.
    """
    values: dict[str, Any] = {
        "format": FORMAT,
        "scene": address_of(run.scene) or str(run.scene),
        "unit": run.unit,
        "precision": run.precision,
        "split": run.split,
        "resized_hw": list(run.crop.resized),
        "crop_hw": list(run.crop.size),
        "origin": list(run.origin),
        "area_offsets": [list(offset) for offset in run.area_offsets],
        "position_mean": list(run.position_mean),
        "position_scale": run.position_scale,
        "head": run.head,
        "single_camera": run.single_camera,
        "corrections": {source: list(each) for source, each in run.corrections.items()},
        "added": [_format_added(run.folder, added) for added in run.added],
        "camera": asdict(run.camera) if run.camera else None,
        "settings": json.loads(run.config.to_json()),
        "plan": asdict(run.plan) if run.plan else None,
        "validation_images": list(run.validation_images),
        "training_images": list(run.training_images),
    }
    return values | _relative(run.folder, run.scene)


def _format_added(folder: Path, added: AddedScene) -> dict[str, Any]:
    values = {
        "name": added.name,
        "scene": address_of(added.scene) or str(added.scene),
        "split": added.split,
        "corrections": {source: list(each) for source, each in added.corrections.items()},
    }
    return values | _relative(folder, added.scene)


def _relative(folder: Path, scene: Path) -> dict[str, str]:
    """Return where a scene is relative to the run, which finds it if both have moved."""
    if address_of(scene):
        return {}
    with suppress(ValueError):  # on another drive
        return {"scene_from_run": os.path.relpath(scene.resolve(), folder.resolve())}
    return {}


def parse_config(folder: Path, values: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of a run from the contents of config.json.

    Args:
        folder: the run folder.
        values: the contents, of format 1 or 2.

    Returns:
        The fields of `RunConfig` without `folder`.

    Raises:
        ValueError: the format is of a later version, or a value is invalid. Missing and misshapen
            values raise KeyError, TypeError, AttributeError or PoseNetError.
    """
    if values["format"] not in (1, FORMAT):
        raise ValueError(f"format {values['format']}, this version reads formats 1 and {FORMAT}")
    values = {FORMAT_1_KEYS.get(name, name): value for name, value in values.items()}
    scene, split = _locate_scene(folder, values, folder / TEST_LIST)
    return {
        "config": TrainConfig.from_dict(values["settings"]),
        "scene": scene,
        "split": split,
        "unit": str(values["unit"]),
        "crop": parse_crop(values["resized_hw"], values["crop_hw"]),
        "position_mean": parse_point(values["position_mean"], "position_mean"),
        "position_scale": parse_number(values["position_scale"], "position_scale", positive=True),
        "validation_images": parse_names(values["validation_images"], "validation_images"),
        "training_images": parse_names(values.get("training_images", ()), "training_images"),
        "precision": str(values["precision"]),
        "head": parse_head(values.get("head", "pose")),
        "single_camera": bool(values.get("single_camera", False)),
        "origin": parse_point(values.get("origin", (0, 0, 0)), "origin"),
        "area_offsets": tuple(
            parse_point(offset, "area_offsets") for offset in values.get("area_offsets", ())
        ),
        "corrections": parse_corrections(values.get("corrections", {})),
        "added": tuple(_parse_added(folder, added) for added in values.get("added", ())),
        "camera": parse_camera(values.get("camera")),
        "plan": parse_plan(values.get("plan")),
    }


def _parse_added(folder: Path, values: dict[str, Any]) -> AddedScene:
    scene, split = _locate_scene(folder, values)
    return AddedScene(
        str(values["name"]), scene, split, parse_corrections(values.get("corrections", {}))
    )


def _locate_scene(
    folder: Path, values: dict[str, Any], test_list: Path | None = None
) -> tuple[Path, str]:
    """Return scene folder and split: as saved, or relative to the run if both have moved."""
    scene = local_path(Path(values["scene"]))
    if not scene.is_absolute():  # that of a packed run is only a name
        scene = folder.absolute() / scene.name
    split = str(values.get("split", "auto"))
    is_list = os.path.isabs(split) and os.path.isfile(split)
    if test_list is not None and test_list.is_file() and not is_list:
        split = str(test_list.resolve())
    if os.path.isdir(scene) or "scene_from_run" not in values:  # Path.is_dir raises without rights
        return scene, split
    moved = (folder.resolve() / values["scene_from_run"]).resolve()
    if not os.path.isdir(moved):
        return scene, split
    return moved, relocate_split(moved, split, scene)


def relocate_split(path: Path, split: str, old: Path) -> str:
    """Return the split of a scene that has moved: a list inside it has moved too.

    Args:
        path: where the scene is now.
        split: the split rule, or the path of a list of test images.
        old: where the scene was.

    Returns:
        The split rule or the path of the list.
    """
    old = old.resolve()
    if not Path(split).is_relative_to(old):
        return split
    return str(path.absolute() / Path(split).relative_to(old))
