"""How answers stand disturbed images, and how often images of other places are claimed to be recognized.

    python benchmarks/refinement.py RUN --others FOLDER...

Test images as they are, blurred, dark, cut to their middle, turned by 90 degrees: median errors of the network alone
and refined, the share refined, and the time a image takes. Images of the other folders should never be refined.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
from scipy.spatial.transform import Rotation

from posenet.geometry.camera import Camera
from posenet.geometry.metrics import position_errors, rotation_errors_deg
from posenet.geometry.poses import Poses
from posenet.io.image_cache import load_images
from posenet.io.images import read_image
from posenet.localization.localizer import LocalizationOptions, Localizer, PoseEstimates
from posenet.localization.predict import camera_for, image_files
from posenet.run import open_run


def blurred(image: np.ndarray, camera: Camera):
    """By a Gaussian of half a hundredth of the width (3 pixels of 640)."""
    return cv2.GaussianBlur(image, (0, 0), image.shape[1] / 200), camera, Rotation.identity()


def dark(image: np.ndarray, camera: Camera):
    """A fifth of the light, with a sensor's noise of 3 gray levels."""
    noise = np.random.default_rng(0).normal(0, 3, image.shape)
    return np.clip(image * 0.2 + noise, 0, 255).astype(np.uint8), camera, Rotation.identity()


def cut(image: np.ndarray, camera: Camera):
    """The middle half of the width and of the height."""
    height, width = image.shape[:2]
    left, top = width // 4, height // 4
    camera = replace(
        camera, width=width // 2, height=height // 2, cx=camera.cx - left, cy=camera.cy - top
    )
    return image[top : top + height // 2, left : left + width // 2], camera, Rotation.identity()


def turned(image: np.ndarray, camera: Camera):
    """By 90 degrees, counter-clockwise."""
    return (
        np.ascontiguousarray(np.rot90(image)),
        camera.rotate90(),
        Rotation.from_euler("z", 90, degrees=True),
    )


def upright(image: np.ndarray, camera: Camera):
    """A tall image of an upright place: the middle, three quarters as wide as it is high."""
    height, width = image.shape[:2]
    kept = min(width, height * 3 // 4)
    left = (width - kept) // 2
    return (
        image[:, left : left + kept],
        replace(camera, width=kept, cx=camera.cx - left),
        Rotation.identity(),
    )


DISTURBANCES = {"as they are": lambda p, c: (p, c, Rotation.identity()), "blurred": blurred, "dark": dark,
                "cut to the middle": cut, "turned by 90 degrees": turned, "tall": upright}  # fmt: skip


def answered(answerer: Localizer, paths: list[Path], cameras) -> tuple[PoseEstimates, float]:
    """Refined answers and the seconds that each image took, reading included."""
    start = time.monotonic()
    images = load_images(paths, answerer.run.crop.resized, "images")
    paths, cameras = ([each[row] for row in images.rows] for each in (paths, cameras))
    answers = answerer.answer(
        images, paths, cameras, np.zeros(len(paths)), LocalizationOptions(refine=True)
    )
    return answers, (time.monotonic() - start) / len(paths)


def disturbed(answerer: Localizer, test, how, folder: Path) -> str:
    """A row of the table."""
    paths, cameras, turns = [], [], []
    for row, (path, camera) in enumerate(zip(test.paths, test.cameras, strict=True)):
        image, camera, turn = how(read_image(path), camera)
        paths.append(folder / f"{row:05d}.png")
        cv2.imwrite(str(paths[-1]), image[..., ::-1])
        cameras.append(camera)
        turns.append(turn)
    answers, seconds = answered(answerer, paths, cameras)
    assert answers.refinement
    truth = Poses(test.poses.positions, test.poses.rotations * Rotation.concatenate(turns))
    cells = [
        f"{np.median(position_errors(each, truth)):.3f} / {np.median(rotation_errors_deg(each, truth)):.2f}"
        for each in (answers.regressed, answers.poses)
    ]
    return " | ".join([*cells, f"{answers.refinement.refined.mean():.0%}", f"{seconds:.2f} s"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("--others", nargs="+", type=Path, default=[])
    parser.add_argument(
        "--kinds", nargs="+", choices=DISTURBANCES, default=list(DISTURBANCES), metavar="KIND"
    )
    parser.add_argument("--every", type=int, default=1, help="take only every n-th test image")
    options = parser.parse_args()
    run = open_run(options.run)
    scene = run.open_scene()
    answerer = Localizer(run, scene.split("train"))
    test = scene.split("test")
    test = test.subset(np.arange(0, len(test), options.every))
    print(
        f"map: {answerer.refiner.landmarks.megabytes:.0f} MB, {answerer.trust}"
    )  # also makes both ready
    print(
        "| test images | network | refined | share refined | time a image |\n|---|---|---|---|---|"
    )
    for name in options.kinds:
        with tempfile.TemporaryDirectory() as folder:
            print(
                f"| {name} | {disturbed(answerer, test, DISTURBANCES[name], Path(folder))} |",
                flush=True,
            )
    for place in options.others:
        paths = image_files([place])
        answers, _ = answered(answerer, paths, [camera_for(run, path) for path in paths])
        assert answers.refinement
        print(
            f"{place.name}: {int(answers.refinement.refined.sum())} of {len(paths)} images claimed"
        )


if __name__ == "__main__":
    main()
