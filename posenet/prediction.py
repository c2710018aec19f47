"""Poses of new pictures from a trained run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from posenet.cache import load_pictures
from posenet.errors import PoseNetError
from posenet.evaluation import usable_poses
from posenet.images import IMAGE_SUFFIXES
from posenet.pipeline import predict_in_batches
from posenet.poses import Poses
from posenet.run import Run


def picture_files(given: Sequence[Path]) -> list[Path]:
    """The picture files given, and those in the folders given, in order of name. Raises PoseNetError for none."""
    if not given:
        raise PoseNetError("at least one picture, or a folder of pictures, is needed")
    files: list[Path] = []
    for path in given:
        if not path.exists():
            raise PoseNetError(f"{path}: no such picture or folder")
        inside = (
            sorted(file for file in path.rglob("*") if file.suffix.lower() in IMAGE_SUFFIXES)
            if path.is_dir()
            else [path]
        )
        if not inside:
            raise PoseNetError(f"{path} must hold pictures ({', '.join(IMAGE_SUFFIXES)}), it holds none")
        files += inside
    return files


def predict_poses(run: Run, paths: list[Path]) -> tuple[Poses, np.ndarray]:
    """World_from_camera poses of the pictures, and a mask (n,) of those that decoded and have one."""
    network = run.load_model()
    pictures = load_pictures(paths, run.framing.stored, "pictures")
    estimate, good = usable_poses(predict_in_batches(network, pictures, run.framing))
    found = np.zeros(len(paths), bool)
    found[pictures.rows] = good
    positions, quaternions = np.zeros((len(paths), 3)), np.tile([1.0, 0, 0, 0], (len(paths), 1))
    positions[pictures.rows], quaternions[pictures.rows] = estimate.positions, estimate.quaternions_wxyz
    return Poses.from_quaternions(positions, quaternions), found
