"""The reconstruction of a Cambridge Landmarks scene, `reconstruction.nvm`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from posenet.datasets.formats.name_index import NameIndex
from posenet.datasets.formats.nvm import read_nvm
from posenet.datasets.formats.nvm_cameras import cameras_from_nvm
from posenet.datasets.formats.nvm_writer import write_nvm
from posenet.datasets.formats.tracks import point_colors, project_scene_points
from posenet.datasets.scene import Scene, ScenePoints
from posenet.datasets.validation import LabelIssue
from posenet.geometry.camera import Camera

RECONSTRUCTION = "reconstruction.nvm"
# Camera models that an NVM file can store.
NVM_MODELS = ("PINHOLE", "SIMPLE_PINHOLE", "SIMPLE_RADIAL")
# Relative difference of fx and fy that counts as none.
FOCAL_TOLERANCE = 1e-9


class Reconstruction(NamedTuple):
    """What reconstruction.nvm contains for n images.

    Attributes:
        cameras: n cameras, None if unknown.
        points: 3-D points and the images that observe them, None without the file.
        issues: images that the cameras had to be adapted to.
    """

    cameras: list[Camera | None]
    points: ScenePoints | None
    issues: list[LabelIssue]


def read_reconstruction(folder: Path, names: Sequence[str]) -> Reconstruction:
    """Read reconstruction.nvm. Images are matched by their names; suffixes may differ.

    Args:
        folder: the scene folder.
        names: names of n images relative to the folder.

    Returns:
        Cameras, points and issues; unknown cameras if there is no such file.

    Raises:
        PoseNetError: the file is malformed.
    """
    cameras: list[Camera | None] = [None] * len(names)
    path = folder / RECONSTRUCTION
    if not path.is_file():
        return Reconstruction(cameras, None, [])
    model = read_nvm(path)
    index = NameIndex(names)
    model_row = {index.find(name): row for row, name in enumerate(model.names)}
    matched = [row for row, name in enumerate(names) if name in model_row]
    model_rows = [model_row[names[row]] for row in matched]
    matched_cameras, issues = cameras_from_nvm(
        model, model_rows, folder, [names[row] for row in matched]
    )
    for row, camera in zip(matched, matched_cameras, strict=True):
        cameras[row] = camera
    row_of = np.full(len(model.names), -1)
    row_of[model_rows] = matched
    images = row_of[model.observations[:, 0]]
    observations = np.stack([images, model.observations[:, 1]], axis=1)[images >= 0]
    points = ScenePoints(model.points, observations, model.colors)
    return Reconstruction(cameras, points, issues)


def write_reconstruction(
    path: Path, scene: Scene, names: Sequence[str], cameras: Sequence[Camera], lost: list[str]
) -> None:
    """Write reconstruction.nvm with one focal length and one radial coefficient per camera.

    Args:
        path: the file to write.
        scene: the scene.
        names: names of its n images in the file.
        cameras: n cameras.
        lost: gets descriptions of what the file cannot store.
    """
    if any(
        abs(camera.fx / camera.fy - 1) > FOCAL_TOLERANCE
        or (camera.cx, camera.cy) != (camera.width / 2, camera.height / 2)
        for camera in cameras
    ):
        lost.append("principal points, and the difference between fx and fy")
    if any(camera.model not in NVM_MODELS for camera in cameras):
        lost.append("lens distortion, except for a single radial coefficient")
    points, tracks = project_scene_points(scene, lost, from_center=True)
    write_nvm(
        path,
        names,
        scene.poses,
        focals=[np.sqrt(camera.fx * camera.fy) for camera in cameras],
        radials=[
            -camera.distortion[0] if camera.model == "SIMPLE_RADIAL" else 0.0 for camera in cameras
        ],
        points=points,
        colors=point_colors(scene),
        tracks=tracks,
    )
