"""A scene without its images, in one file of arrays: what a run needs where its scene is not."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

from posenet.datasets.scene import Scene
from posenet.geometry.camera import Camera
from posenet.geometry.poses import Poses
from posenet.io.files import atomic_path, file_stats
from posenet.io.json_files import parse_json
from posenet.io.stored_arrays import DAMAGED, open_arrays

# Version of the file.
FORMAT = 1
OPTIONAL_ARRAYS = ("numbers", "times", "moments")
REQUIRED_FINITE = ("positions", "quaternions_xyzw")
# Kinds of values, as in `np.dtype.kind`, and columns of the arrays, which have a row per image.
ARRAYS: dict[str, tuple[str, tuple[int, ...]]] = {
    "names": ("U", ()),
    "positions": ("f", (3,)),
    "quaternions_xyzw": ("f", (4,)),
    "camera_rows": ("iu", ()),
    "splits": ("U", ()),
    "sequences": ("U", ()),
    "file_stats": ("i", (2,)),
    "numbers": ("iuf", ()),
    "times": ("iuf", ()),
    "moments": ("iu", ()),
}
TEXTS = ("name", "unit", "quaternion_convention", "camera_axes", "split_rule")
# Lengths that are tried for each quaternion, see `_exact`. Four in ten give the exact rotation.
LENGTHS = np.linspace(1, 2, 201)


def save_scene(path: Path, scene: Scene) -> None:
    """Write the names, poses, cameras and splits of a scene. 3-D points are left out.

    Args:
        path: the .npz file to write.
        scene: the scene. Its image files must exist, unless it was loaded by `load_scene`.

    Raises:
        PoseNetError: the file cannot be written.
    """
    cameras = list(dict.fromkeys(scene.cameras))
    rows = {camera: row for row, camera in enumerate(cameras)}
    texts = {name: getattr(scene, name) for name in TEXTS}
    values = {"cameras": [camera and asdict(camera) for camera in cameras]}
    stats = file_stats(scene.paths) if scene.file_stats is None else scene.file_stats
    arrays = {
        "names": np.array(scene.names),
        "positions": scene.poses.positions,
        "quaternions_xyzw": _exact(scene.poses.rotations),
        "camera_rows": np.array([rows[camera] for camera in scene.cameras], int),
        "splits": np.array(scene.splits.tolist()),
        "sequences": np.array(scene.sequences.tolist()),
        "file_stats": stats,
    }
    optional = {name: getattr(scene, name) for name in OPTIONAL_ARRAYS}
    arrays |= {name: array for name, array in optional.items() if array is not None}
    with atomic_path(path) as temporary, open(temporary, "wb") as file:
        header = {"format": FORMAT, "digest": scene.digest()}
        np.savez(file, json=json.dumps(header | texts | values), **arrays)


def load_scene(path: Path, root: Path) -> Scene | None:
    """Load a scene that `save_scene` wrote, with `file_stats` in place of its image files.

    Args:
        path: the file.
        root: the folder of the scene, which need not exist.

    Returns:
        The scene. None if the file is missing, damaged or of another version.
    """
    try:
        with open_arrays(path) as saved:
            values = parse_json(str(saved["json"]))
            if values["format"] != FORMAT:
                return None
            cameras = [_parse_camera(camera) for camera in values["cameras"]]
            _check_arrays(saved)
            scene = Scene(
                **{name: str(values[name]) for name in TEXTS},
                **{name: saved[name] for name in OPTIONAL_ARRAYS if name in saved},
                root=root,
                names=tuple(saved["names"].tolist()),
                poses=Poses(saved["positions"], Rotation.from_quat(saved["quaternions_xyzw"])),
                cameras=tuple(cameras[row] for row in saved["camera_rows"]),
                splits=saved["splits"],
                sequences=saved["sequences"],
                file_stats=saved["file_stats"],
            )
            return scene if scene.digest() == values["digest"] else None
    except DAMAGED:
        return None


def saved_digest(path: Path) -> str | None:
    """Return the digest of a saved scene without loading it.

    Args:
        path: the file.

    Returns:
        The digest; None if the file is missing or damaged.
    """
    try:
        with open_arrays(path) as saved:
            return str(parse_json(str(saved["json"]))["digest"])
    except DAMAGED:
        return None


def with_saved_stats(scene: Scene, saved: Scene) -> Scene:
    """Return a scene as the one that was saved, if its images were only copied since.

    Copies have other modification times, which would make all cached results invalid.

    Args:
        scene: a scene with its images.
        saved: a saved scene.

    Returns:
        `scene` with the file stats of `saved` if names, poses, cameras and sizes of the image
        files are the same, otherwise `scene`.
    """
    if scene.names != saved.names or saved.file_stats is None:
        return scene
    if not np.array_equal(file_stats(scene.paths)[:, 0], saved.file_stats[:, 0]):
        return scene
    copied = replace(scene, file_stats=saved.file_stats)
    return copied if copied.digest() == saved.digest() else scene


def _parse_camera(values: dict[str, Any] | None) -> Camera | None:
    return Camera(**values) if values else None


def _check_arrays(saved: Mapping[str, np.ndarray]) -> None:
    """Check kinds and shapes. Raises ValueError."""
    names = saved["names"]
    for name, (kinds, columns) in ARRAYS.items():
        if name not in saved and name in OPTIONAL_ARRAYS:
            continue
        array = saved[name]
        if array.dtype.kind not in kinds or array.shape != (len(names), *columns):
            raise ValueError(f"{name} has type {array.dtype} and shape {array.shape}")
        if name in REQUIRED_FINITE and not np.isfinite(array).all():
            raise ValueError(f"{name} must be finite")
    if (saved["camera_rows"] < 0).any() or not set(saved["splits"].tolist()) <= {"train", "test"}:
        raise ValueError("camera_rows or splits are out of range")


def _exact(rotations: Rotation) -> np.ndarray:
    """Return quaternions (n, 4), xyzw, from which SciPy makes these very rotations.

    SciPy normalizes what it is given, which changes the last bit of a third of unit quaternions.
    For some other length the result is exact; one rotation in a thousand has no such length.
    """
    wanted = rotations.as_quat()
    given = wanted.copy()
    for length in LENGTHS:
        wrong = (Rotation.from_quat(given).as_quat() != wanted).any(axis=1)
        if not wrong.any():
            break
        given[wrong] = length * wanted[wrong]
    return given
