"""COLMAP: a folder with a model (cameras, images, points3D; .bin or .txt) and its images.

The pose of an image is cam_from_world: a Hamilton quaternion, w first, and a translation, OpenCV
axes. The camera center is -R^T t. The unit is arbitrary, as structure from motion leaves it. Pixel
(0, 0) has its center at (0.5, 0.5), as in posenet. Source: colmap.github.io/format.html.
"""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import numpy as np

from posenet.datasets.formats.colmap_model import model_suffix, read_model
from posenet.datasets.formats.colmap_writer import write_model
from posenet.datasets.formats.image_files import (
    apply_exif_orientation,
    file_exists,
    fit_cameras,
    sequence_from_name,
)
from posenet.datasets.formats.image_names import is_absolute, natural_key
from posenet.datasets.formats.image_search import find_images
from posenet.datasets.formats.pose_conversion import from_camera_from_world
from posenet.datasets.scene import Scene, ScenePoints
from posenet.datasets.splits import write_test_list
from posenet.datasets.validation import RawScene
from posenet.io.files import write_text
from posenet.io.json_files import read_json

log = logging.getLogger("posenet")

NAME = "COLMAP"
LOOKS_FOR = "cameras and images (.bin or .txt) there or in sparse/0, sparse, colmap/sparse/0, model"
# JSON file with what a model does not contain: "unit", and "upright", whether its poses are those
# of the upright images.
SCENE_FILE = "scene.json"
CAPTURE_FILE = "capture.json"
# Folders in which a model is searched, and those of them with models in subfolders 0, 1, ...
MODEL_FOLDERS = ("sparse", "colmap/sparse", "model", ".")
NUMBERED_MODEL_FOLDERS = ("sparse", "colmap/sparse")


def recognizes(folder: Path) -> bool:
    """Return whether a folder contains a model.

    Args:
        folder: any folder.

    Returns:
        True if it does.
    """
    return bool(_find_models(folder))


def read(folder: Path) -> RawScene:
    """Read the largest model, rows in the natural order of names.

    The images are in images/ or in the folder itself. Poses are those of the stored pixels, unless
    a file of posenet's own states that the images were upright.

    Args:
        folder: the scene folder.

    Returns:
        The labels.

    Raises:
        PoseNetError: there is no model, or a file is malformed.
    """
    model_folder, *others = _find_models(folder) or [folder]
    if others:
        ignored = ", ".join(path.name for path in others)
        log.warning(
            "%s: reads the largest model, %s; ignores %s", folder, model_folder.name, ignored
        )
    model = read_model(model_folder)
    order = sorted(range(len(model.names)), key=lambda row: natural_key(model.names[row]))
    sources = [model.sources[row] for row in order]
    notes: list[str] = []
    names = _names_below(folder, [model.names[row] for row in order], sources, notes)
    positions, quaternions = from_camera_from_world(
        model.quaternions_wxyz[order], model.translations[order]
    )
    cameras = [model.cameras[row] for row in order]
    properties = _read_properties(folder)
    if not properties.get("upright"):
        paths = [folder / name for name in names]
        quaternions, cameras = apply_exif_orientation(quaternions, cameras, paths)
    fitted, issues = fit_cameras(cameras, folder, names)
    new_row = np.argsort(order)
    observations = np.stack([new_row[model.observations[:, 0]], model.observations[:, 1]], axis=1)
    return RawScene(
        name=folder.resolve().name,
        root=folder,
        names=names,
        positions=positions,
        quaternions_wxyz=quaternions,
        splits=None,
        sequences=[
            sequence_from_name(
                name.removeprefix("images/") if is_absolute(model.names[row]) else model.names[row]
            )
            for name, row in zip(names, order, strict=True)
        ],
        sources=sources,
        cameras=fitted,
        unit=str(properties.get("unit") or "scene units"),
        points=ScenePoints(model.points, observations, model.colors),
        quaternion_convention="camera_from_world",
        rig_images=model.rig_images and [model.rig_images[row] for row in order],
        issues=issues,
        notes=notes,
    )


def write(scene: Scene, folder: Path, lost: list[str]) -> list[str]:
    """Write a text model in sparse/0, test.txt and scene.json.

    Args:
        scene: the scene.
        folder: an existing folder.
        lost: gets descriptions of what the format cannot store.

    Returns:
        Names of the images, in images/.
    """
    names = [name.removeprefix("images/") for name in scene.names]
    write_model(folder / "sparse" / "0", scene, names, lost)
    write_test_list(folder, scene, names)
    properties = {"unit": scene.unit, "upright": True}
    write_text(folder / SCENE_FILE, json.dumps(properties) + "\n")
    return [f"images/{name}" for name in names]


def _names_below(folder: Path, names: list[str], sources: list[str], notes: list[str]) -> list[str]:
    """Return the names in images/, or in the folder itself if only there are some of the files."""
    if not (folder / "images").is_dir():
        return find_images(folder, names, sources, notes)
    in_images = [name if is_absolute(name) else f"images/{name}" for name in names]
    inside = find_images(folder, in_images, sources, notes)
    if any(file_exists(folder / name) for name in inside):
        return inside
    beside = find_images(folder, names, sources, notes)
    return beside if any(file_exists(folder / name) for name in beside) else inside


def _find_models(folder: Path) -> list[Path]:
    """Return the folders of the models, the one with the largest file of images first.

    Mapping may leave several, in numbered folders, each in its own world frame.
    """
    for name in MODEL_FOLDERS:
        parent = folder / name
        found = []
        if name in NUMBERED_MODEL_FOLDERS:
            numbered = [path for path in parent.glob("[0-9]*") if path.name.isdigit()]
            found = [path for path in sorted(numbered) if model_suffix(path)]
        if not found and model_suffix(parent):
            found = [parent]
        if found:
            return sorted(found, key=_images_file_size, reverse=True)
    return []


def _images_file_size(folder: Path) -> int:
    """Return the size of a model's file of images in bytes."""
    return (folder / f"images{model_suffix(folder)}").stat().st_size


def _read_properties(folder: Path) -> dict[str, Any]:
    """Return the unit, and whether the poses are those of the upright images, if files state it."""
    for name, defaults in ((CAPTURE_FILE, {"upright": True}), (SCENE_FILE, {})):
        try:
            properties = read_json(folder / name)
            return {**defaults, **properties}
        except (OSError, ValueError, TypeError):
            continue
    return {}
