"""Images per second of mapping and of localization with one, two and four workers.

    python benchmarks/scheduler.py RUN --images 200

A scheduler and workers of one thread each are started on this machine. The map of the run's first
training images is built in a temporary folder, and the test images are localized with the run. The
first tasks, for which workers import libraries and load the network, are not measured.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
from distributed import LocalCluster

from posenet.datasets.scene import Scene
from posenet.localization.localizer import LocalizationOptions, Localizer
from posenet.localization.tasks import CHUNK, localize_in_tasks, prepare
from posenet.mapping.cluster import DaskExecutor, connect
from posenet.mapping.landmarks import load_or_build_landmarks
from posenet.run import open_run

OPTIONS = LocalizationOptions(tta_views=None)


def map_images(training: Scene) -> float:
    """Build a map and return the images per second."""
    with tempfile.TemporaryDirectory() as folder:
        started = time.monotonic()
        load_or_build_landmarks(Path(folder), training)
        return len(training) / (time.monotonic() - started)


def localize_images(run_folder: Path, paths: list[Path]) -> float:
    """Localize images and return the images per second."""
    with tempfile.TemporaryDirectory() as folder:
        started = time.monotonic()
        list(
            localize_in_tasks(run_folder, LocalizationOptions(tta_views=None), paths, Path(folder))
        )
        return len(paths) / (time.monotonic() - started)


def measure(
    executor: DaskExecutor, run_folder: Path, training: Scene, paths: list[Path], workers: int
) -> str:
    """Return the cells of a number of workers."""
    few = training.subset(np.arange(min(len(training), 16 * workers)))
    map_images(few)
    mapped = map_images(training)
    executor.batch = 1
    localize_images(run_folder, paths[: 2 * CHUNK * workers])
    return f"{workers} | {mapped:.2f} | {localize_images(run_folder, paths):.2f}"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("--images", type=int, default=200, help="images of the map")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 4])
    options = parser.parse_args()
    run = open_run(options.run)
    prepare(Localizer(run))
    scene = run.open_scene()
    training = scene.split("train")
    training = training.subset(np.arange(min(options.images, len(training))))
    paths = list(scene.split("test").paths)
    print("| workers | mapped images/s | localized images/s |\n|---|---|---|")
    for workers in options.workers:
        with LocalCluster(
            n_workers=workers, threads_per_worker=1, dashboard_address=None, memory_limit=0
        ) as cluster:
            with connect(cluster.scheduler_address) as executor:
                cells = measure(executor, run.folder.absolute(), training, paths, workers)
            print(f"| {cells} |", flush=True)


if __name__ == "__main__":
    main()
