"""VisualSFM: a folder with one `.nvm` file and its images (see nvm.py for the file).

World-to-camera quaternions, camera centers, OpenCV-like axes, images as stored; the unit is
arbitrary. The radial coefficient r removes the distortion. It is therefore -k of COLMAP's
SIMPLE_RADIAL to first order, as in COLMAP's own NVM export.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from posenet.datasets.formats.image_files import (
    apply_exif_orientation,
    sequence_from_name,
)
from posenet.datasets.formats.image_names import natural_key
from posenet.datasets.formats.image_search import find_images
from posenet.datasets.formats.nvm import read_nvm
from posenet.datasets.formats.nvm_cameras import cameras_from_nvm
from posenet.datasets.formats.pose_conversion import CONJUGATE
from posenet.datasets.scene import ScenePoints
from posenet.datasets.validation import RawScene
from posenet.errors import PoseNetError
from posenet.io.folders import list_folder

NAME = "VisualSFM"
LOOKS_FOR = "one .nvm file"


def recognizes(folder: Path) -> bool:
    """Return whether a folder contains an .nvm file.

    Args:
        folder: any folder.

    Returns:
        True if it does.
    """
    return bool(_find_files(folder))


def read(folder: Path) -> RawScene:
    """Read the model, rows in the natural order of names.

    Args:
        folder: the scene folder.

    Returns:
        The labels.

    Raises:
        PoseNetError: the folder contains several .nvm files, or a line is malformed.
    """
    files = _find_files(folder)
    if len(files) != 1:
        received = ", ".join(path.name for path in files)
        raise PoseNetError(f"{folder} must contain one .nvm file, received {received}")
    model = read_nvm(files[0])
    order = sorted(range(len(model.names)), key=lambda row: natural_key(model.names[row]))
    sources = [model.sources[row] for row in order]
    notes: list[str] = []
    names = find_images(folder, [model.names[row] for row in order], sources, notes)
    # The cameras are made for the upright images. Only the poses are those of the stored pixels.
    quaternions, _ = apply_exif_orientation(
        model.camera_from_world_wxyz[order] * CONJUGATE,
        [None] * len(names),
        [folder / name for name in names],
    )
    cameras, issues = cameras_from_nvm(model, order, folder, names)
    new_row = np.argsort(order)
    observations = np.stack([new_row[model.observations[:, 0]], model.observations[:, 1]], axis=1)
    return RawScene(
        name=folder.resolve().name,
        root=folder,
        names=names,
        positions=model.centers[order],
        quaternions_wxyz=quaternions,
        splits=None,
        sequences=[sequence_from_name(name) for name in names],
        sources=sources,
        cameras=cameras,
        unit="scene units",
        points=ScenePoints(model.points, observations, model.colors),
        quaternion_convention="camera_from_world",
        issues=issues,
        notes=notes,
    )


def _find_files(folder: Path) -> list[Path]:
    """Return the .nvm files in a folder."""
    return [path for path in list_folder(folder) if path.suffix == ".nvm"]
