"""Poses of new images from a trained run."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from posenet.datasets.formats.image_files import photographs_in
from posenet.datasets.intrinsics import guess_camera
from posenet.errors import PoseNetError
from posenet.geometry.camera import Camera
from posenet.geometry.camera_models import CAMERA_MODELS
from posenet.geometry.poses import Poses
from posenet.io.image_cache import load_images
from posenet.io.images import IMAGE_SUFFIXES, image_size
from posenet.localization.localizer import LocalizationOptions, Localizer, PoseEstimates
from posenet.localization.smoothing import contiguous_segments
from posenet.run import Run

log = logging.getLogger("posenet")

ZOOMED = (
    1.25  # EXIF's focal lengths are seldom so far off; phones' lenses are twice as long, or half
)


def image_files(given: Sequence[Path]) -> list[Path]:
    """The image files given, and those in the folders given, in the order of the numbers in their names.

    Raises PoseNetError for none.
    """
    if not given:
        raise PoseNetError("at least one image, or a folder of images, is needed")
    files: list[Path] = []
    for path in given:
        if not path.exists():
            raise PoseNetError(f"{path}: no such image or folder")
        inside = photographs_in(path, below=True) if path.is_dir() else [path]
        if not inside:
            raise PoseNetError(
                f"{path} must hold images ({', '.join(IMAGE_SUFFIXES)}), it holds none"
            )
        files += inside
    return files


@dataclass(frozen=True, eq=False)
class Prediction:
    """What a run says of n new images.

    answers: for those that decoded, whose rows are rows (k,). nearest: (k,) names of the training images that are
    most like them, where they were asked for.
    """

    answers: PoseEstimates
    rows: np.ndarray
    nearest: list[str] | None = None


def predict(
    run: Run, paths: list[Path], options: LocalizationOptions | None = None, nearest: bool = False
) -> Prediction:
    """Poses of new images; where options.smooth says so, those of each folder are a video's, in their order."""
    answerer = Localizer(run)
    images = load_images(paths, run.crop.resized, "images")
    decoded = [paths[row] for row in images.rows]
    cameras = [camera_for(run, path) for path in decoded]
    folders = np.array([str(path.parent) for path in paths], object)
    sequences = contiguous_segments(folders, images.rows)
    answers = answerer.answer(images, decoded, cameras, sequences, options or LocalizationOptions())
    if not nearest:
        return Prediction(answers, images.rows)
    likest = answerer.gallery.nearest(answers.descriptors)[:, 0]
    return Prediction(answers, images.rows, [answerer.gallery.scene.names[row] for row in likest])


def draw(run: Run, poses: Poses, path: Path) -> Path:
    """Write a PNG of predicted poses in their order, over the training positions where the scene is still there.

    Raises PoseNetError where there is nothing to draw, or the file cannot be written.
    """
    from posenet.viz.figure import new_figure, save_figure
    from posenet.viz.trajectory import plot_path

    if not len(poses):
        raise PoseNetError("--plot needs at least one image with a pose, received none")
    try:
        training = run.open_scene().split("train").poses
    except PoseNetError as error:
        log.warning("training images are not drawn: %s", error)
        training = None
    figure = new_figure(12, 7.6)
    plot_path(figure.add_subplot(), poses, training, run.unit)
    figure.suptitle(f"{run.scene.name}: {len(poses)} images")
    return save_figure(figure, path)


def camera_for(run: Run, path: Path) -> Camera:
    """A new image's camera: the training images', if it has their shape, or would have if the camera were held
    upright or on its side, and if its EXIF does not tell another zoom; else what its EXIF says, or a guess.

    Where training found that EXIF's focal lengths are off, those of new images are corrected likewise.
    """
    width, height = image_size(path)
    known, camera = run.camera, None
    if known and _alike(width, height, known.width, known.height):
        camera = known.resized(width, height)
    elif known and _alike(width, height, known.height, known.width):
        camera = _held_otherwise(known).resized(width, height)
    told = guess_camera(path)
    if told.source in run.corrections and told.has_known_focal_length:
        told = run.corrections[told.source].of(told)
    if camera is None or (
        told.has_known_focal_length and max(told.fx / camera.fx, camera.fx / told.fx) > ZOOMED
    ):
        return told
    return camera


def _held_otherwise(camera: Camera) -> Camera:
    """The camera held upright instead of on its side, or the other way round: what depends on which way is left out."""
    turned = camera.rotate90()
    names = CAMERA_MODELS[camera.lens].extra
    lens = [
        0.0 if name in ("p1", "p2") else value
        for name, value in zip(names, camera.distortion, strict=True)
    ]
    return replace(turned, cx=turned.width / 2, cy=turned.height / 2, distortion=tuple(lens))


def _alike(width: int, height: int, known_width: int, known_height: int) -> bool:
    """Whether two images have the same shape."""
    return abs(width * known_height - height * known_width) < 0.01 * width * known_height
