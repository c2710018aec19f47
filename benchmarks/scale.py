"""Memory, time and disk of a run by its number of images, on simulated cities.

    python benchmarks/scale.py FOLDER [--images 1000 10000 100000] [--size 160x120]

Makes a city for each number (kept in FOLDER for the next call, as the runs are), then runs each
step in a process of its own and prints its peak RSS, wall and CPU minutes, and what it wrote:

- train: one epoch of training, all preparation included; with --minutes a training of that time
- map: the landmark map
- gallery: the descriptors of the training images
- query: single photographs by a localizer that is open, and errors of test images of all courtyards
- alone: test images of three courtyards by this run, and by a run of each courtyard alone

10^5 images of 160 x 120 pixels take 5 GB of disk.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from city_parts import courtyard_names, courtyard_scene

if TYPE_CHECKING:
    from posenet.datasets.scene import Scene
    from posenet.localization.localizer import Localizer

# Environment variable that hands --minutes to the process of a step.
MINUTES = "POSENET_SCALE_MINUTES"
# Images of the query step: single ones that are timed, and those that errors are computed of.
TIMED_QUERIES = 40
TEST_IMAGES = 300
# Courtyards of the step alone.
COMPARED_COURTYARDS = 3
KILOBYTES_PER_GIGABYTE = 1e6
SECONDS_PER_MINUTE = 60.0


def train_network(scene: Path, folder: Path) -> dict[str, Any]:
    """Train for one epoch, or for the minutes in the environment."""
    from posenet.config import TrainConfig
    from posenet.training.train import train

    minutes = os.environ.get(MINUTES)
    epochs = None if minutes else 1
    config = TrainConfig(
        scene, folder, epochs=epochs, minutes=float(minutes) if minutes else None, short_side=128
    )
    run = train(config)
    found = {"images": len(run.training_images), "areas": len(run.areas)}
    if run.plan and run.plan.images_per_second:
        found["images_per_second"] = round(run.plan.images_per_second)
    return found


def make_map(scene: Path, folder: Path) -> dict[str, Any]:
    """Make the landmark map again."""
    from posenet.mapping.landmarks import landmarks_folder, load_or_build_landmarks
    from posenet.run import open_run

    run = open_run(folder)
    shutil.rmtree(landmarks_folder(folder), ignore_errors=True)
    landmarks = load_or_build_landmarks(folder, run.training_scene())
    images = len(run.training_images)
    size = folder_size(landmarks_folder(folder))
    return {
        "kB_per_image": round(size / 1e3 / images, 1),
        "landmarks_per_image": round(float(landmarks.starts[-1]) / images, 1),
        "GB": round(size / 1e9, 3),
    }


def make_gallery(scene: Path, folder: Path) -> dict[str, Any]:
    """Make the gallery again, and the retrieval by keypoints."""
    from posenet.localization.localizer import Localizer
    from posenet.run import open_run

    for path in folder.glob("gallery*"):
        path.unlink()
    localizer = Localizer(open_run(folder), refine=True)
    _ = localizer.gallery
    _ = localizer.refiner
    return {"GB": round((folder / "gallery.npz").stat().st_size / 1e9, 3)}


def ask_queries(scene: Path, folder: Path) -> dict[str, Any]:
    """Localize test images of all courtyards."""
    from posenet.geometry.metrics import position_errors, rotation_errors_deg
    from posenet.localization.localizer import Localizer
    from posenet.run import open_run

    started = time.perf_counter()
    run = open_run(folder)
    test = run.open_scene().split("test")
    opened = time.perf_counter()
    test = test.subset(np.unique(np.linspace(0, len(test) - 1, TEST_IMAGES).round().astype(int)))
    Localizer(run, refine=True).localize(test.paths[0])
    calibrated = time.perf_counter()
    localizer = Localizer(run, refine=True)
    localizer.localize(test.paths[0])
    answered = time.perf_counter()
    seconds = []
    for path in test.paths[1 : 1 + TIMED_QUERIES]:
        begun = time.perf_counter()
        localizer.localize(path)
        seconds.append(time.perf_counter() - begun)
    rows, found = localizer.localize_files(test.paths, cameras=test.cameras)
    truth = test.poses[rows]
    assert found.refinement is not None
    refined = found.refinement.refined
    errors = position_errors(found.poses, truth)
    regressed = position_errors(found.regressed, truth)
    return {
        "open_scene_s": round(opened - started, 1),
        "calibrate_s": round(calibrated - opened, 1),
        "first_query_s": round(answered - calibrated, 1),
        "query_ms": round(1e3 * float(np.median(seconds)), 1),
        "refined": round(float(refined.mean()), 4),
        "median_m": round(float(np.median(errors[refined])), 5),
        "median_deg": round(float(np.median(rotation_errors_deg(found.poses, truth)[refined])), 4),
        "within_0.25_m": round(float(np.mean(errors < 0.25)), 4),
        "network_m": round(float(np.median(regressed)), 3),
        "right_area": round(float(np.mean(regressed < 20.0)), 4),
    }


def compare_alone(scene: Path, folder: Path) -> dict[str, Any]:
    """Localize the test images of some courtyards with this run, and with a run of each alone."""
    from posenet.config import TrainConfig
    from posenet.localization.localizer import Localizer
    from posenet.run import open_run
    from posenet.training.train import train

    whole = Localizer(open_run(folder), refine=True)
    names = courtyard_names(scene)
    rows = np.unique(np.linspace(0, len(names) - 1, COMPARED_COURTYARDS).round().astype(int))
    together, alone = [], []
    for name in (names[row] for row in rows):
        own = courtyard_scene(scene, name, folder.with_name(f"{folder.name}-alone"))
        run_folder = own.with_name(f"run-{name}")
        config = TrainConfig(own, run_folder, epochs=1, short_side=128, overwrite=True)
        single = Localizer(train(config), refine=True)
        test = single.run.open_scene().split("test")
        together.append(refined_errors(whole, test))
        alone.append(refined_errors(single, test))
    return {
        "images": sum(map(len, alone)),
        "refined": round(float(np.mean(np.isfinite(np.concatenate(together)))), 4),
        "refined_alone": round(float(np.mean(np.isfinite(np.concatenate(alone)))), 4),
        "median_m": round(float(np.nanmedian(np.concatenate(together))), 5),
        "median_m_alone": round(float(np.nanmedian(np.concatenate(alone))), 5),
    }


def refined_errors(localizer: Localizer, test: Scene) -> np.ndarray:
    """Return the position errors of refined images; NaN for the others."""
    from posenet.geometry.metrics import position_errors

    rows, found = localizer.localize_files(test.paths, cameras=test.cameras)
    errors = position_errors(found.poses, test.poses[rows])
    assert found.refinement is not None
    return np.where(found.refinement.refined, errors, np.nan)


STEPS = {
    "train": train_network,
    "map": make_map,
    "gallery": make_gallery,
    "query": ask_queries,
    "alone": compare_alone,
}


def folder_size(folder: Path) -> int:
    """Return the bytes of the files in a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def measure(step: str, scene: Path, folder: Path) -> dict[str, Any]:
    """Run a step in a process of its own.

    Args:
        step: one of `STEPS`.
        scene: the city.
        folder: the run folder.

    Returns:
        Peak memory, time, and what the step measured.
    """
    command = [sys.executable, __file__, str(folder), "--step", step, "--scene", str(scene)]
    started = time.monotonic()
    environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"}
    output = subprocess.run(
        command, check=True, stdout=subprocess.PIPE, text=True, env=environment
    ).stdout
    minutes = (time.monotonic() - started) / SECONDS_PER_MINUTE
    return {"minutes": round(minutes, 2)} | json.loads(output.splitlines()[-1])


def main() -> None:
    """Measure all numbers of images and print a table of each step."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path, help="folder for cities and runs")
    parser.add_argument("--images", type=int, nargs="+", default=[1000, 10_000, 100_000])
    parser.add_argument("--size", default="160x120")
    parser.add_argument("--steps", nargs="+", choices=STEPS, default=list(STEPS))
    parser.add_argument("--minutes", type=float, help="train for this time, not for an epoch")
    parser.add_argument("--step", choices=STEPS, help=argparse.SUPPRESS)
    parser.add_argument("--scene", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.step:
        found = STEPS[options.step](options.scene, options.folder)
        usage = resource.getrusage(resource.RUSAGE_SELF)
        found["peak_GB"] = round(usage.ru_maxrss / KILOBYTES_PER_GIGABYTE, 2)
        found["cpu_minutes"] = round((usage.ru_utime + usage.ru_stime) / SECONDS_PER_MINUTE, 2)
        print(json.dumps(found))
        return
    if options.minutes:
        os.environ[MINUTES] = str(options.minutes)
    for images in options.images:
        scene = options.folder / f"city{images}"
        run = options.folder / f"run{images}"
        city = ["scene", "city", "--output", str(scene), "--images", str(images)]
        subprocess.run([sys.executable, "-m", "posenet", *city, "--size", options.size], check=True)
        for step in options.steps:
            if step == "train":
                shutil.rmtree(run, ignore_errors=True)
            found = measure(step, scene, run)
            print(f"{images:7d} {step:8s}", *(f"{k} {v}" for k, v in found.items()), flush=True)


if __name__ == "__main__":
    main()
