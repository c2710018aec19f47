"""Memory, time and disk of mapping many images.

    python benchmarks/mapping_scale.py SCENE --images 1000 3000

A map of each number of images is built in a process of its own. If the scene has fewer training
images, copies of it are put beside each other, so that all images are detected, matched and
triangulated but none twice for the same place. Memory is the peak of the process, beside that after
the scene is opened; disk is the largest size of unfinished work and map together.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import threading
import time
from functools import cache
from pathlib import Path

import numpy as np

from posenet.datasets.registry import open_scene
from posenet.datasets.scene import Scene
from posenet.geometry.camera import Camera
from posenet.geometry.poses import Poses
from posenet.mapping import landmarks, triangulation
from posenet.mapping.keypoints import Keypoints

# Distance of the copies, in sizes of the scene.
DISTANCE = 3.0
# Seconds between two looks at the disk.
INTERVAL = 2.0


def repeat_scene(scene: Scene, num_images: int) -> Scene:
    """Return the first images of a scene, or of copies beside each other on a square grid."""
    rows = np.arange(num_images) % len(scene)
    copies = np.arange(num_images) // len(scene)
    side = int(np.ceil(np.sqrt(copies[-1] + 1)))
    size = np.ptp(scene.poses.positions, axis=0).max()
    cells = np.stack([copies % side, copies // side, np.zeros_like(copies)], axis=1)
    repeated = scene.subset(rows)
    positions = repeated.poses.positions + DISTANCE * size * cells
    return Scene(
        scene.name,
        scene.root,
        repeated.names,
        Poses(positions, repeated.poses.rotations),
        repeated.cameras,
        repeated.splits,
        np.array([f"{copy}/{name}" for copy, name in zip(copies, repeated.sequences, strict=True)]),
    )


def peak_megabytes() -> float:
    """Return the largest memory of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


def measure(folder: Path, num_images: int, keypoints: int, *, reuse: bool) -> dict[str, float]:
    """Build the map of a scene and return what it took."""
    landmarks.MAX_KEYPOINTS = keypoints
    if reuse:
        detect = triangulation.detect_or_empty

        @cache
        def detect_once(path: Path, camera: Camera | None, max_keypoints: int) -> Keypoints:
            return detect(path, camera, max_keypoints)

        triangulation.detect_or_empty = lambda *arguments, cache: detect_once(*arguments)
    scene = repeat_scene(open_scene(folder).split("train"), num_images)
    opened = peak_megabytes()
    largest = [0]
    finished = threading.Event()

    def watch(run_folder: Path) -> None:
        while not finished.wait(INTERVAL):
            sizes = []
            for file in run_folder.rglob("*"):
                try:
                    sizes.append(file.stat().st_size)
                except OSError:  # deleted meanwhile
                    continue
            largest[0] = max(largest[0], sum(sizes))

    with tempfile.TemporaryDirectory() as run_folder:
        watcher = threading.Thread(target=watch, args=(Path(run_folder),))
        watcher.start()
        started = time.monotonic()
        processor = time.process_time()
        try:
            built = landmarks.load_or_build_landmarks(Path(run_folder), scene)
            seconds = time.monotonic() - started
        finally:
            finished.set()
            watcher.join()
        size = sum(file.stat().st_size for file in (Path(run_folder) / "landmarks").iterdir())
        return {
            "images": num_images,
            "MB opened": opened,
            "MB peak": peak_megabytes(),
            "minutes": seconds / 60,
            "core ms/image": 1e3 * (time.process_time() - processor) / num_images,
            "disk MB": max(largest[0], size) / 1e6,
            "points/image": len(built.points) / num_images,
            "bytes/image": size / num_images,
        }


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("scene", type=Path)
    parser.add_argument("--images", type=int, nargs="+", default=[300, 1000])
    parser.add_argument("--keypoints", type=int, default=landmarks.MAX_KEYPOINTS)
    parser.add_argument(
        "--reuse", action="store_true", help="detect each file once: memory without the time"
    )
    parser.add_argument("--alone", action="store_true", help="measure in this process")
    options = parser.parse_args()
    if options.alone:
        print(
            json.dumps(
                measure(options.scene, options.images[0], options.keypoints, reuse=options.reuse)
            )
        )
        return
    for place, number in enumerate(options.images):
        command = [sys.executable, __file__, str(options.scene), "--alone"]
        command += ["--images", str(number), "--keypoints", str(options.keypoints)]
        command += ["--reuse"] * options.reuse
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        result = json.loads(done.stdout.splitlines()[-1])
        if not place:
            print(f"| {' | '.join(result)} |\n{'|---' * len(result)}|")
        print(f"| {' | '.join(f'{value:.4g}' for value in result.values())} |", flush=True)


if __name__ == "__main__":
    main()
