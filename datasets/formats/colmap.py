"""COLMAP: a folder with a model (cameras, images, points3D; .bin or .txt) and its images.

An image's pose is cam_from_world (world to camera: Hamilton quaternion, w first, and translation), OpenCV axes;
the camera's center is -R^T t. The unit is free, as structure from motion leaves it. Pixel centers are at + 0.5, as
here. Source: colmap.github.io/format.html.
"""

from __future__ import annotations

import json
import logging
from pathlib import Path

import numpy as np

from posenet.datasets.formats.colmap_model import model_suffix, read_model, write_model
from posenet.datasets.formats.image_files import (
    apply_exif_orientation,
    existing_name,
    fitted_cameras,
    is_there,
    sequence_of,
)
from posenet.datasets.formats.parsing import natural_key
from posenet.datasets.formats.pose_conversion import from_camera_from_world
from posenet.datasets.scene import Scene, ScenePoints
from posenet.datasets.splits import write_test_list
from posenet.datasets.validation import RawScene
from posenet.io.files import write_text

log = logging.getLogger("posenet")

NAME = "COLMAP"
LOOKS_FOR = "cameras and images (.bin or .txt) there or in sparse/0, sparse, colmap/sparse/0, model"
UNIT = "scene.json"  # {"unit": "m"}: what a model does not say
MODELS = ("sparse", "colmap/sparse", "model", ".")
NUMBERED = MODELS[:2]  # there also in folders 0, 1, ...


def recognizes(folder: Path) -> bool:
    """Whether a model is there."""
    return bool(_models(folder))


def read(folder: Path) -> RawScene:
    """Read the model; the images lie in images/ or in the folder itself. Rows are in the natural order of names.

    Raises PoseNetError for what is malformed.
    """
    place, *others = _models(folder) or [folder]
    if others:
        left = ", ".join(path.name for path in others)
        log.warning("%s: the largest model is read, %s; left out: %s", folder, place.name, left)
    model = read_model(place)
    order = sorted(range(len(model.names)), key=lambda row: natural_key(model.names[row]))
    names = _names_below(folder, [model.names[row] for row in order])
    positions, quaternions = from_camera_from_world(
        model.quaternions_wxyz[order], model.translations[order]
    )
    cameras = [model.cameras[row] for row in order]
    said = _said(folder)
    if not said.get("upright"):
        quaternions, cameras = apply_exif_orientation(
            quaternions, cameras, [folder / name for name in names]
        )
    cameras, faults = fitted_cameras(cameras, folder, names)
    new_row = np.argsort(order)
    observations = np.stack([new_row[model.observations[:, 0]], model.observations[:, 1]], axis=1)
    return RawScene(
        name=folder.resolve().name, root=folder, names=names, positions=positions, quaternions_wxyz=quaternions,
        splits=None, sequences=[sequence_of(model.names[row]) for row in order],
        sources=[model.sources[row] for row in order], cameras=cameras,
        unit=str(said.get("unit") or "scene units"),
        points=ScenePoints(model.points, observations), faults=faults, quaternion_convention="camera_from_world",
    )  # fmt: skip


def _names_below(folder: Path, names: list[str]) -> list[str]:
    """The images' names below the folder: in images/, unless some lie in the folder itself and none there."""
    inside, beside = (
        [existing_name(folder, place + name) for name in names] for place in ("images/", "")
    )
    if not (folder / "images").is_dir():
        return beside
    some_inside, some_beside = (
        any(is_there(folder / name) for name in each) for each in (inside, beside)
    )
    return beside if some_beside and not some_inside else inside


def _models(folder: Path) -> list[Path]:
    """The folders of the models, that with the largest file of images first: mapping may leave several, in numbered
    folders, each in a world of its own."""
    for place in MODELS:
        there = folder / place
        numbered = (
            [path for path in there.glob("[0-9]*") if path.name.isdigit()]
            if place in NUMBERED
            else []
        )
        found = [path for path in sorted(numbered) if model_suffix(path)] or [there] * bool(
            model_suffix(there)
        )
        if found:
            return sorted(
                found, key=lambda path: -(path / f"images{model_suffix(path)}").stat().st_size
            )
    return []


def _said(folder: Path) -> dict:
    """What capture, convert or the user wrote down beside the model: the unit, and that the images are upright."""
    for name, always in (("capture.json", {"upright": True}), (UNIT, {})):
        try:
            return always | json.loads((folder / name).read_text(encoding="utf-8"))
        except (OSError, ValueError, TypeError):
            continue
    return {}


def write(scene: Scene, folder: Path, lost: list[str]) -> list[str]:
    """Write the model as text into sparse/0, and test.txt; the images belong into images/."""
    names = [name.removeprefix("images/") for name in scene.names]
    write_model(folder / "sparse" / "0", scene, names, lost)
    write_test_list(folder, scene, names)
    write_text(folder / UNIT, json.dumps({"unit": scene.unit, "upright": True}) + "\n")
    return [f"images/{name}" for name in names]
