"""Query images: the files that a user gives, their cameras, and images in memory."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from posenet.datasets.formats.photos import list_photos
from posenet.datasets.intrinsics import assume_camera, guess_camera
from posenet.errors import PoseNetError, first_line
from posenet.geometry.camera import Camera
from posenet.geometry.camera_models import CAMERA_MODELS
from posenet.io.image_headers import IMAGE_SUFFIXES, NUM_USUAL_SUFFIXES, image_size
from posenet.run import Run

# An image file, RGB values (h, w, 3) uint8, or a PIL image.
QueryImage = str | Path | np.ndarray | Image.Image

# Ratio of focal lengths from which an image is taken with another zoom than the reference camera's.
# EXIF is seldom so wrong; a phone's other lenses differ by a factor of two.
OTHER_ZOOM = 1.25
# Relative difference of aspect ratios that is ignored.
ASPECT_TOLERANCE = 0.01


def image_files(paths: Sequence[str | Path]) -> list[Path]:
    """List image files, and those in folders in the order of the numbers in their names.

    Args:
        paths: image files and folders of images.

    Returns:
        The image files.

    Raises:
        PoseNetError: a path does not exist, a folder contains no images, or there are no paths.
    """
    if not paths:
        raise PoseNetError("at least one image, or a folder of images, is required, received none")
    files: list[Path] = []
    for path in map(Path, paths):
        if not path.exists():
            raise PoseNetError(f"image or folder not found: {path}")
        inside = list_photos(path, below=True) if path.is_dir() else [path]
        if not inside:
            suffixes = ", ".join(IMAGE_SUFFIXES[:NUM_USUAL_SUFFIXES])
            raise PoseNetError(f"{path} must contain images ({suffixes} and others), found none")
        files += inside
    return files


@contextmanager
def as_files(images: Sequence[QueryImage]) -> Iterator[list[Path]]:
    """Give every image a file for the duration of a block.

    Images in memory are written to uncompressed temporary files, so that they are treated exactly
    as files are, EXIF data of PIL images included.

    Args:
        images: files, arrays or PIL images.

    Yields:
        One file per image.

    Raises:
        PoseNetError: an array is not RGB uint8, or an object is not an image.
    """
    paths = [Path(image) for image in images if isinstance(image, str | Path)]
    if len(paths) == len(images):  # a read-only system has no folder for temporary files
        yield paths
        return
    with tempfile.TemporaryDirectory(prefix="posenet-") as folder:
        yield [_as_file(image, Path(folder) / f"{row:06d}") for row, image in enumerate(images)]


def query_camera(run: Run, path: Path) -> Camera:
    """Return the camera of a query image.

    It is the run's reference camera if the image has its shape, upright or rotated by 90 degrees,
    unless the EXIF data shows another zoom. Otherwise it follows from EXIF or is assumed. If
    training corrected focal lengths from EXIF, those of query images are corrected likewise.

    Args:
        run: the run.
        path: the image file.

    Returns:
        The camera of the upright image at its full size.

    Raises:
        PoseNetError: the file is not an image.
    """
    camera = _reference_camera(run, *image_size(path))
    guess: Camera = guess_camera(path)
    if guess.source in run.corrections and guess.has_known_focal_length:
        guess = run.corrections[guess.source].apply(guess)
    if camera is None:
        return guess
    zoom = max(guess.fx / camera.fx, camera.fx / guess.fx)
    if guess.has_known_focal_length and zoom > OTHER_ZOOM:
        return guess
    return camera


def array_camera(run: Run, image: np.ndarray) -> Camera:
    """Return the camera of a query image in memory, as `query_camera` does without EXIF data.

    Args:
        run: the run.
        image: RGB values, shape (h, w, 3), uint8.

    Returns:
        The camera of the image.

    Raises:
        PoseNetError: the array is not RGB uint8.
    """
    check_array(image)
    height, width = image.shape[:2]
    camera: Camera = _reference_camera(run, width, height) or assume_camera(width, height)
    return camera


def check_array(image: np.ndarray) -> None:
    """Check that an array is an image.

    Args:
        image: the array.

    Raises:
        PoseNetError: it is not RGB of shape (h, w, 3) and type uint8.
    """
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or image.size == 0:
        raise PoseNetError(
            "an image array must be RGB of shape (h, w, 3) and type uint8, "
            f"received shape {image.shape} and type {image.dtype}"
        )


def _reference_camera(run: Run, width: int, height: int) -> Camera | None:
    """Return the run's reference camera for an image size, None if the aspect ratio differs."""
    reference = run.camera
    if reference and _same_shape(width, height, reference.width, reference.height):
        return reference.resized(width, height)
    if reference and _same_shape(width, height, reference.height, reference.width):
        return _held_upright(reference).resized(width, height)
    return None


def _as_file(image: QueryImage, target: Path) -> Path:
    if isinstance(image, str | Path):
        return Path(image)
    if isinstance(image, Image.Image):
        path = target.with_suffix(".png")
        try:
            image.save(path, exif=image.getexif(), compress_level=0)
        except (OSError, ValueError) as error:
            reason = first_line(error)
            raise PoseNetError(
                f"a PIL image of mode {image.mode} is not usable: {reason}"
            ) from None
        return path
    if isinstance(image, np.ndarray):
        check_array(image)
        path = target.with_suffix(".bmp")
        cv2.imwrite(str(path), cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
        return path
    raise PoseNetError(
        "an image must be a path, an RGB array or a PIL image, "
        f"received an object of type {type(image).__name__}"
    )


def _held_upright(camera: Camera) -> Camera:
    """Return the camera rotated by 90 degrees in an unknown direction: what depends on it is 0."""
    rotated = camera.rotate90()
    names = CAMERA_MODELS[camera.model].extra
    distortion = tuple(
        0.0 if name in ("p1", "p2") else value
        for name, value in zip(names, camera.distortion, strict=True)
    )
    center_x = rotated.width / 2
    center_y = rotated.height / 2
    return replace(rotated, cx=center_x, cy=center_y, distortion=distortion)


def _same_shape(width: int, height: int, known_width: int, known_height: int) -> bool:
    """Return whether two images have the same aspect ratio."""
    difference = abs(width * known_height - height * known_width)
    return difference < ASPECT_TOLERANCE * width * known_height
