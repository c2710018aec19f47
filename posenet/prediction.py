"""Poses of new pictures from a trained run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from posenet.cache import Pictures, load_pictures
from posenet.config import VIEWS
from posenet.errors import PoseNetError
from posenet.evaluation import usable_poses
from posenet.images import IMAGE_SUFFIXES, picture_size
from posenet.intrinsics import guessed_camera
from posenet.poses import Poses
from posenet.retrieval import describe_by_network, gallery_of
from posenet.run import Run
from posenet.scene import Camera
from posenet.smoothing import smooth
from posenet.views import predict_views


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


@dataclass(frozen=True, eq=False)
class Prediction:
    """What a run says of n new pictures. poses: world_from_camera, meaningless where found (n,) is False.

    doubt_deg: (n,) how far the views' rotations lie from their mean, degrees; 0 for one view. nearest: (n,) names of
    the training pictures that are most like them, where they were asked for.
    """

    poses: Poses
    found: np.ndarray
    doubt_deg: np.ndarray
    nearest: list[str] | None = None


def predict(run: Run, paths: list[Path], views: int = VIEWS, smoothed: bool = False, nearest=False) -> Prediction:
    """Poses of new pictures.

    views: how many views of each picture the answer is the mean of, 1 to 11. smoothed: the pictures are a video's.
    """
    network = run.load_model()
    pictures = load_pictures(paths, run.framing.stored, "pictures")
    cameras = [camera_for(run, paths[row]) for row in pictures.rows]
    outputs = predict_views(network, pictures, cameras, run.framing, views)
    estimate, good = usable_poses(outputs)
    if smoothed and good.all():
        estimate = smooth(estimate, np.zeros(len(estimate)))
    found, doubt = np.zeros(len(paths), bool), np.zeros(len(paths))
    found[pictures.rows], doubt[pictures.rows] = good, outputs["spread_deg"]
    positions, quaternions = np.zeros((len(paths), 3)), np.tile([1.0, 0, 0, 0], (len(paths), 1))
    positions[pictures.rows], quaternions[pictures.rows] = estimate.positions, estimate.quaternions_wxyz
    names = _nearest_names(run, network, pictures, len(paths)) if nearest else None
    return Prediction(Poses.from_quaternions(positions, quaternions), found, doubt, names)


def _nearest_names(run: Run, network, pictures: Pictures, count: int) -> list[str]:
    gallery = gallery_of(run, network)
    names = [""] * count
    for row, found in zip(
        pictures.rows, gallery.nearest(describe_by_network(network, pictures, run.framing)), strict=True
    ):
        names[row] = gallery.scene.names[found[0]]
    return names


def camera_for(run: Run, path: Path) -> Camera:
    """A new picture's camera: the training pictures', if it has their shape, else what its EXIF says, or a guess."""
    width, height = picture_size(path)
    known = run.camera
    if known and abs(width * known.height - height * known.width) < 0.01 * width * known.height:
        return known.resized(width, height)
    return guessed_camera(path)
