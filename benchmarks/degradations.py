"""Degraded test images, and their estimated poses: what the benchmarks of refinement share."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from numpy.random import Generator
from scipy.spatial.transform import Rotation

from posenet.datasets.scene import Scene
from posenet.geometry.camera import Camera
from posenet.geometry.poses import Poses
from posenet.io.image_cache import load_images
from posenet.io.images import read_image
from posenet.localization.estimates import PoseEstimates
from posenet.localization.localizer import Localizer


class Degraded(NamedTuple):
    """A degraded image.

    Attributes:
        image: RGB image.
        camera: its camera.
        rotation: rotation from the new to the old camera axes.
    """

    image: np.ndarray
    camera: Camera
    rotation: Rotation


class Measured(NamedTuple):
    """Estimates, and how long they took.

    Attributes:
        estimates: one per image.
        seconds: seconds per image, reading included.
        cpu_seconds: the same in CPU time of all threads.
    """

    estimates: PoseEstimates
    seconds: float
    cpu_seconds: float


class DegradedImages(NamedTuple):
    """The files of degraded test images.

    Attributes:
        paths: n image files.
        cameras: their cameras.
        truth: their true poses.
    """

    paths: list[Path]
    cameras: list[Camera]
    truth: Poses


def unchanged(image: np.ndarray, camera: Camera, rng: Generator) -> Degraded:
    """Return the image itself."""
    return Degraded(image, camera, Rotation.identity())


def blurred(image: np.ndarray, camera: Camera, rng: Generator) -> Degraded:
    """Blur by a Gaussian of 0.5 % of the width (3 of 640 pixels)."""
    return Degraded(
        cv2.GaussianBlur(image, (0, 0), image.shape[1] / 200), camera, Rotation.identity()
    )


def dark(image: np.ndarray, camera: Camera, rng: Generator) -> Degraded:
    """Darken to a fifth and add sensor noise of 3 gray levels."""
    noise = rng.normal(0, 3, image.shape)
    darkened = np.clip(image * 0.2 + noise, 0, 255).astype(np.uint8)
    return Degraded(darkened, camera, Rotation.identity())


def center_cropped(image: np.ndarray, camera: Camera, rng: Generator) -> Degraded:
    """Crop to half the width and height."""
    height, width = image.shape[:2]
    left = width // 4
    top = height // 4
    cropped = replace(
        camera, width=width // 2, height=height // 2, cx=camera.cx - left, cy=camera.cy - top
    )
    pixels = image[top : top + height // 2, left : left + width // 2]
    return Degraded(pixels, cropped, Rotation.identity())


def rotated(image: np.ndarray, camera: Camera, rng: Generator) -> Degraded:
    """Rotate by 90 degrees counter-clockwise."""
    pixels = np.ascontiguousarray(np.rot90(image))
    return Degraded(pixels, camera.rotate90(), Rotation.from_euler("z", 90, degrees=True))


def portrait(image: np.ndarray, camera: Camera, rng: Generator) -> Degraded:
    """Crop to a portrait format of 3 : 4."""
    height, width = image.shape[:2]
    kept = min(width, height * 3 // 4)
    left = (width - kept) // 2
    cropped = replace(camera, width=kept, cx=camera.cx - left)
    return Degraded(image[:, left : left + kept], cropped, Rotation.identity())


def shrunk(image: np.ndarray, camera: Camera, rng: Generator) -> Degraded:
    """Shrink to 320 pixels."""
    scale = min(1.0, 320 / max(image.shape[:2]))
    pixels = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    resized = camera.resized(pixels.shape[1], pixels.shape[0])
    return Degraded(pixels, resized, Rotation.identity())


def covered(image: np.ndarray, camera: Camera, rng: Generator) -> Degraded:
    """Cover a third by a plain rectangle of random shape, place and color."""
    height, width = image.shape[:2]
    share = rng.uniform(1 / 3, 1)
    columns = round(share * width)
    rows = round(height / (3 * share))
    left = rng.integers(0, width - columns + 1)
    top = rng.integers(0, height - rows + 1)
    pixels = image.copy()
    pixels[top : top + rows, left : left + columns] = rng.integers(0, 256, 3)
    return Degraded(pixels, camera, Rotation.identity())


def motion_blurred(image: np.ndarray, camera: Camera, rng: Generator) -> Degraded:
    """Blur along a line of 15 of 640 pixels in a random direction."""
    half = max(1, round(15 / 640 * max(image.shape[:2]) / 2))
    steps = np.linspace(-half, half, 8 * half + 1)
    angle = rng.uniform(0, np.pi)
    line = np.zeros((2 * half + 1, 2 * half + 1))
    rows = half + np.rint(steps * np.sin(angle)).astype(int)
    columns = half + np.rint(steps * np.cos(angle)).astype(int)
    np.add.at(line, (rows, columns), 1 / len(steps))
    return Degraded(cv2.filter2D(image, -1, line), camera, Rotation.identity())


def all_at_night(image: np.ndarray, camera: Camera, rng: Generator) -> Degraded:
    """Cover a third, blur by motion and darken."""
    for degrade in (covered, motion_blurred, dark):
        image = degrade(image, camera, rng).image
    return Degraded(image, camera, Rotation.identity())


# The third argument is the source of random places, directions and noise.
Degradation = Callable[[np.ndarray, Camera, Generator], Degraded]
DEGRADATIONS: dict[str, Degradation] = {
    "unchanged": unchanged,
    "blurred": blurred,
    "dark": dark,
    "center-cropped": center_cropped,
    "rotated by 90 degrees": rotated,
    "portrait": portrait,
    "shrunk to 320 pixels": shrunk,
    "a third covered": covered,
    "motion blur": motion_blurred,
    "dark, covered and motion blur": all_at_night,
}


def degrade_images(test: Scene, degrade: Degradation, folder: Path) -> DegradedImages:
    """Write degraded test images to a folder."""
    paths: list[Path] = []
    cameras: list[Camera] = []
    rotations: list[Rotation] = []
    for row, (path, camera) in enumerate(zip(test.paths, test.cameras, strict=True)):
        assert camera is not None, "the scene must have intrinsics"
        degraded = degrade(read_image(path), camera, np.random.default_rng(row))
        paths.append(folder / f"{row:05d}.png")
        cv2.imwrite(str(paths[-1]), degraded.image[..., ::-1])
        cameras.append(degraded.camera)
        rotations.append(degraded.rotation)
    truth = Poses(test.poses.positions, test.poses.rotations * Rotation.concatenate(rotations))
    return DegradedImages(paths, cameras, truth)


def measure(
    localizer: Localizer, paths: Sequence[Path], cameras: Sequence[Camera | None]
) -> Measured:
    """Estimate the poses of images and measure the time."""
    start = time.monotonic()
    cpu_start = time.process_time()
    images = load_images(paths, localizer.run.crop.resized, "images")
    read_paths = [paths[row] for row in images.scene_rows]
    read_cameras = [cameras[row] for row in images.scene_rows]
    estimates = localizer.estimate(images, read_paths, read_cameras, np.zeros(len(read_paths)))
    seconds = (time.monotonic() - start) / len(read_paths)
    cpu_seconds = (time.process_time() - cpu_start) / len(read_paths)
    return Measured(estimates, seconds, cpu_seconds)
