"""VisualSFM: a folder with one `.nvm` file and its images (see nvm.py for the file).

World to camera quaternions, camera centers, OpenCV-like axes, images as they are stored; the unit is free. The radial
coefficient r undoes the distortion, so it is -k of COLMAP's SIMPLE_RADIAL to first order, as COLMAP's own NVM export
writes it.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from posenet.datasets.formats.image_files import apply_exif_orientation, existing_name, sequence_of
from posenet.datasets.formats.nvm import nvm_cameras, read_nvm
from posenet.datasets.formats.parsing import natural_key
from posenet.datasets.scene import ScenePoints
from posenet.datasets.validation import RawScene
from posenet.errors import PoseNetError

NAME = "VisualSFM"
LOOKS_FOR = "one .nvm file"


def recognizes(folder: Path) -> bool:
    """Whether an .nvm file is there."""
    return any(folder.glob("*.nvm"))


def read(folder: Path) -> RawScene:
    """Read the model, rows in the natural order of names. Raises PoseNetError for several files and malformed lines."""
    files = sorted(folder.glob("*.nvm"))
    if len(files) != 1:
        raise PoseNetError(
            f"{folder} must hold one .nvm file, received {', '.join(path.name for path in files)}"
        )
    model = read_nvm(files[0])
    order = sorted(range(len(model.names)), key=lambda row: natural_key(model.names[row]))
    names = [existing_name(folder, model.names[row]) for row in order]
    paths = [folder / name for name in names]
    quaternions = model.camera_from_world_wxyz[order] * [1.0, -1.0, -1.0, -1.0]
    quaternions, _ = apply_exif_orientation(
        quaternions, [None] * len(names), paths
    )  # the cameras are those of images as seen
    cameras, faults = nvm_cameras(model, order, folder, names)
    new_row = np.argsort(order)
    observations = np.stack([new_row[model.observations[:, 0]], model.observations[:, 1]], axis=1)
    return RawScene(
        name=folder.resolve().name, root=folder, names=names, positions=model.centers[order],
        quaternions_wxyz=quaternions,
        splits=None, sequences=[sequence_of(name) for name in names], sources=[model.sources[row] for row in order],
        cameras=cameras, faults=faults,
        unit="scene units", points=ScenePoints(model.points, observations), quaternion_convention="camera_from_world",
    )  # fmt: skip
