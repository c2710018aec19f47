"""Accuracy on degraded images, and how many images of other places are refined by mistake.

    python benchmarks/refinement.py RUN --others FOLDER...

Test images unchanged, blurred, dark, center-cropped, rotated by 90 degrees and in portrait format:
median errors of pose regression alone and refined, the fraction refined, and the time per image.
None of the images of the other folders should be refined.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from scipy.spatial.transform import Rotation

from posenet.datasets.scene import Scene
from posenet.geometry.camera import Camera
from posenet.geometry.metrics import position_errors, rotation_errors_deg
from posenet.geometry.poses import Poses
from posenet.io.image_cache import load_images
from posenet.io.images import read_image
from posenet.localization.estimates import PoseEstimates
from posenet.localization.localizer import Localizer
from posenet.localization.query_images import image_files, query_camera
from posenet.run import open_run


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
    """

    estimates: PoseEstimates
    seconds: float


def unchanged(image: np.ndarray, camera: Camera) -> Degraded:
    """Return the image itself."""
    return Degraded(image, camera, Rotation.identity())


def blurred(image: np.ndarray, camera: Camera) -> Degraded:
    """Blur by a Gaussian of 0.5 % of the width (3 of 640 pixels)."""
    return Degraded(
        cv2.GaussianBlur(image, (0, 0), image.shape[1] / 200), camera, Rotation.identity()
    )


def dark(image: np.ndarray, camera: Camera) -> Degraded:
    """Darken to a fifth and add sensor noise of 3 gray levels."""
    noise = np.random.default_rng(0).normal(0, 3, image.shape)
    darkened = np.clip(image * 0.2 + noise, 0, 255).astype(np.uint8)
    return Degraded(darkened, camera, Rotation.identity())


def center_cropped(image: np.ndarray, camera: Camera) -> Degraded:
    """Crop to half the width and height."""
    height, width = image.shape[:2]
    left = width // 4
    top = height // 4
    cropped = replace(
        camera, width=width // 2, height=height // 2, cx=camera.cx - left, cy=camera.cy - top
    )
    pixels = image[top : top + height // 2, left : left + width // 2]
    return Degraded(pixels, cropped, Rotation.identity())


def rotated(image: np.ndarray, camera: Camera) -> Degraded:
    """Rotate by 90 degrees counter-clockwise."""
    pixels = np.ascontiguousarray(np.rot90(image))
    return Degraded(pixels, camera.rotate90(), Rotation.from_euler("z", 90, degrees=True))


def portrait(image: np.ndarray, camera: Camera) -> Degraded:
    """Crop to a portrait format of 3 : 4."""
    height, width = image.shape[:2]
    kept = min(width, height * 3 // 4)
    left = (width - kept) // 2
    cropped = replace(camera, width=kept, cx=camera.cx - left)
    return Degraded(image[:, left : left + kept], cropped, Rotation.identity())


DEGRADATIONS: dict[str, Callable[[np.ndarray, Camera], Degraded]] = {
    "unchanged": unchanged,
    "blurred": blurred,
    "dark": dark,
    "center-cropped": center_cropped,
    "rotated by 90 degrees": rotated,
    "portrait": portrait,
}


def measure(
    localizer: Localizer, paths: Sequence[Path], cameras: Sequence[Camera | None]
) -> Measured:
    """Estimate the poses of images and measure the time."""
    start = time.monotonic()
    images = load_images(paths, localizer.run.crop.resized, "images")
    read_paths = [paths[row] for row in images.scene_rows]
    read_cameras = [cameras[row] for row in images.scene_rows]
    estimates = localizer.estimate(images, read_paths, read_cameras, np.zeros(len(read_paths)))
    return Measured(estimates, (time.monotonic() - start) / len(read_paths))


def table_row(
    localizer: Localizer,
    test: Scene,
    degrade: Callable[[np.ndarray, Camera], Degraded],
    folder: Path,
) -> str:
    """Degrade the test images and return the cells of their errors."""
    paths: list[Path] = []
    cameras: list[Camera] = []
    rotations: list[Rotation] = []
    for row, (path, camera) in enumerate(zip(test.paths, test.cameras, strict=True)):
        assert camera is not None, "the scene must have intrinsics"
        degraded = degrade(read_image(path), camera)
        paths.append(folder / f"{row:05d}.png")
        cv2.imwrite(str(paths[-1]), degraded.image[..., ::-1])
        cameras.append(degraded.camera)
        rotations.append(degraded.rotation)
    estimates, seconds = measure(localizer, paths, cameras)
    assert estimates.refinement
    truth = Poses(test.poses.positions, test.poses.rotations * Rotation.concatenate(rotations))
    cells = []
    for poses in (estimates.regressed, estimates.poses):
        position = np.median(position_errors(poses, truth))
        rotation = np.median(rotation_errors_deg(poses, truth))
        cells.append(f"{position:.3f} / {rotation:.2f}")
    refined = f"{estimates.refinement.refined.mean():.0%}"
    return " | ".join([*cells, refined, f"{seconds:.2f} s"])


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("--others", nargs="+", type=Path, default=[])
    parser.add_argument(
        "--kinds", nargs="+", choices=DEGRADATIONS, default=list(DEGRADATIONS), metavar="KIND"
    )
    parser.add_argument("--every", type=int, default=1, help="use only every n-th test image")
    options = parser.parse_args()
    run = open_run(options.run)
    scene = run.open_scene()
    localizer = Localizer(run, refine=True, training=scene.split("train"))
    test = scene.split("test")
    test = test.subset(np.arange(0, len(test), options.every))
    # Building both now keeps them out of the measured time.
    print(f"landmarks: {localizer.refiner.landmarks.megabytes:.0f} MB, {localizer.uncertainty}")
    print("| test images | pose regression | refined | fraction refined | time per image |")
    print("|---|---|---|---|---|")
    for name in options.kinds:
        with tempfile.TemporaryDirectory() as folder:
            cells = table_row(localizer, test, DEGRADATIONS[name], Path(folder))
            print(f"| {name} | {cells} |", flush=True)
    for place in options.others:
        paths = image_files([place])
        estimates, _ = measure(localizer, paths, [query_camera(run, path) for path in paths])
        assert estimates.refinement
        refined = int(estimates.refinement.refined.sum())
        print(f"{place.name}: {refined} of {len(paths)} images refined")


if __name__ == "__main__":
    main()
