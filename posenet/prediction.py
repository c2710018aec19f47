"""Poses of new pictures from a trained run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from posenet.answers import Answerer, Answers, Manner
from posenet.cache import load_pictures
from posenet.errors import PoseNetError
from posenet.images import IMAGE_SUFFIXES, picture_size
from posenet.intrinsics import guessed_camera
from posenet.run import Run
from posenet.scene import Camera


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
    """What a run says of n new pictures.

    answers: for those that decoded, whose rows are rows (k,). nearest: (k,) names of the training pictures that are
    most like them, where they were asked for.
    """

    answers: Answers
    rows: np.ndarray
    nearest: list[str] | None = None


def predict(run: Run, paths: list[Path], manner: Manner | None = None, nearest: bool = False) -> Prediction:
    """Poses of new pictures; the order of the pictures is that of a video, where manner.smooth says so."""
    answerer = Answerer(run)
    pictures = load_pictures(paths, run.framing.stored, "pictures")
    decoded = [paths[row] for row in pictures.rows]
    cameras = [camera_for(run, path) for path in decoded]
    answers = answerer.answer(pictures, decoded, cameras, np.zeros(len(decoded)), manner or Manner())
    if not nearest:
        return Prediction(answers, pictures.rows)
    likest = answerer.gallery.nearest(answers.descriptors)[:, 0]
    return Prediction(answers, pictures.rows, [answerer.gallery.scene.names[row] for row in likest])


def camera_for(run: Run, path: Path) -> Camera:
    """A new picture's camera: the training pictures', if it has their shape, or would have if the camera were held
    upright or on its side; else what its EXIF says, or a guess."""
    width, height = picture_size(path)
    known = run.camera
    if known and _alike(width, height, known.width, known.height):
        return known.resized(width, height)
    if known and _alike(width, height, known.height, known.width):
        focal = (known.fx + known.fy) / 2 * width / known.height
        return Camera(width, height, focal, focal, width / 2, height / 2, source=known.source)
    return guessed_camera(path)


def _alike(width: int, height: int, known_width: int, known_height: int) -> bool:
    """Whether two pictures have the same shape."""
    return abs(width * known_height - height * known_width) < 0.01 * width * known_height
