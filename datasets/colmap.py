"""COLMAP: a folder with a model (cameras, images, points3D; .bin or .txt) and its pictures.

An image's pose is cam_from_world (world to camera: Hamilton quaternion, w first, and translation), OpenCV axes;
the camera's centre is -R^T t. The unit is free, as structure from motion leaves it. Pixel centres are at + 0.5, as
here. Source: colmap.github.io/format.html.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from posenet.datasets.colmap_files import model_suffix, read_model
from posenet.datasets.colmap_writing import write_model
from posenet.datasets.pictures import existing_name, fitted_cameras, is_there, sequence_of
from posenet.datasets.rigid import from_camera_from_world
from posenet.datasets.splits import write_test_list
from posenet.datasets.text import natural_key
from posenet.hygiene import RawScene
from posenet.images import stored_size_and_turns
from posenet.scene import Camera, Scene, ScenePoints
from posenet.storage import write_text

NAME = "COLMAP"
LOOKS_FOR = "cameras and images (.bin or .txt) there or in sparse/0, sparse, colmap/sparse/0"
UNIT = "scene.json"  # says the unit, which a model does not
OURS = ("capture.json", UNIT)  # with one of these the pictures are upright: they were when capture or convert ran
MODELS = ("sparse/0", "sparse", "colmap/sparse/0", "model", ".")


def recognises(folder: Path) -> bool:
    """Whether a model is there."""
    return _model(folder) is not None


def read(folder: Path) -> RawScene:
    """Read the model; the pictures lie in images/ or in the folder itself. Rows are in the natural order of names.

    Raises PoseNetError for what is malformed.
    """
    model = read_model(_model(folder) or folder)
    order = sorted(range(len(model.names)), key=lambda row: natural_key(model.names[row]))
    names = _names_below(folder, [model.names[row] for row in order])
    positions, quaternions = from_camera_from_world(model.quaternions_wxyz[order], model.translations[order])
    cameras = [model.cameras[row] for row in order]
    if not any((folder / name).is_file() for name in OURS):
        quaternions, cameras = _as_seen(quaternions, cameras, [folder / name for name in names])
    cameras, faults = fitted_cameras(cameras, folder, names)
    new_row = np.argsort(order)
    observations = np.stack([new_row[model.observations[:, 0]], model.observations[:, 1]], axis=1)
    return RawScene(
        name=folder.resolve().name, root=folder, names=names, positions=positions, quaternions_wxyz=quaternions,
        splits=None, sequences=[sequence_of(model.names[row]) for row in order],
        sources=[model.sources[row] for row in order], cameras=cameras, unit=_unit(folder),
        points=ScenePoints(model.points, observations), faults=faults, quaternion_convention="camera_from_world",
    )  # fmt: skip


def _names_below(folder: Path, names: list[str]) -> list[str]:
    """The pictures' names below the folder: in images/, unless some lie in the folder itself and none there."""
    inside, beside = ([existing_name(folder, place + name) for name in names] for place in ("images/", ""))
    if not (folder / "images").is_dir():
        return beside
    some_inside, some_beside = (any(is_there(folder / name) for name in each) for each in (inside, beside))
    return beside if some_beside and not some_inside else inside


def _as_seen(quaternions: np.ndarray, cameras: list[Camera], paths: list[Path]) -> tuple[np.ndarray, list[Camera]]:
    """World_from_camera quaternions (n, 4) wxyz and cameras of pictures as they are seen, turned by their EXIF.

    COLMAP takes pixels as they are stored (github.com/colmap/colmap/issues/1456). A camera that has the shape of the
    picture as it is seen was made of a turned copy, and stays.
    """
    quaternions, cameras = quaternions.copy(), list(cameras)
    for row, path in enumerate(paths):
        (width, height), turns = stored_size_and_turns(path)
        camera, length = cameras[row], np.linalg.norm(quaternions[row])
        stored = abs(camera.width * height / max(camera.height * width, 1) - 1) < 0.02
        if turns and stored and 1e-6 < length < np.inf:
            cameras[row] = camera.quarter_turned(turns)
            stored_pose = Rotation.from_quat(quaternions[row], scalar_first=True)
            turn = Rotation.from_euler("z", 90 * turns, degrees=True)
            quaternions[row] = (stored_pose * turn).as_quat(scalar_first=True)
    return quaternions, cameras


def _model(folder: Path) -> Path | None:
    """The folder of the model."""
    return next((folder / place for place in MODELS if model_suffix(folder / place)), None)


def _unit(folder: Path) -> str:
    """The unit that capture or convert wrote down; structure from motion alone has none."""
    for name in OURS:
        try:
            return str(json.loads((folder / name).read_text(encoding="utf-8"))["unit"])
        except (OSError, ValueError, KeyError, TypeError):
            continue
    return "scene units"


def write(scene: Scene, folder: Path, lost: list[str]) -> list[str]:
    """Write the model as text into sparse/0, and test.txt; the pictures belong into images/."""
    names = [name.removeprefix("images/") for name in scene.names]
    write_model(folder / "sparse" / "0", scene, names, lost)
    write_test_list(folder, scene, names)
    write_text(folder / UNIT, json.dumps({"unit": scene.unit}) + "\n")
    return [f"images/{name}" for name in names]
