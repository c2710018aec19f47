"""Peak memory of training on 3000 images of 1920 x 1080 with the disk cache.

    python benchmarks/memory.py [--images 3000] [--backbone googlenet]

Writes the images to a temporary folder, trains for some minutes in a separate process and prints
its peak RSS.
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np


def make_scene(folder: Path, count: int) -> None:
    """Write JPEG files of ten different images, with random poses, in the Cambridge format."""
    rng = np.random.default_rng(0)
    (folder / "seq1").mkdir(parents=True)
    small = rng.integers(0, 255, (10, 27, 48, 3), np.uint8)
    encoded = [
        cv2.imencode(".jpg", cv2.resize(image, (1920, 1080)))[1].tobytes() for image in small
    ]
    lines = ["Visual Landmark Dataset V1", "ImageFile, Camera Position [X Y Z W P Q R]", ""]
    for number in range(count):
        name = f"seq1/frame{number:05d}.jpg"
        (folder / name).write_bytes(encoded[number % 10])
        quaternion = rng.normal(size=4)
        pose = (*rng.normal(size=3), *(quaternion / np.linalg.norm(quaternion)))
        lines.append(f"{name} " + " ".join(f"{value:.6f}" for value in pose))
    (folder / "dataset_train.txt").write_text("\n".join(lines) + "\n")


def main() -> None:
    """Measure and print the peak memory."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=3000)
    parser.add_argument("--backbone", default="auto")
    parser.add_argument("--minutes", type=float, default=3.0)
    options = parser.parse_args()
    count = options.images
    with tempfile.TemporaryDirectory() as temporary:
        scene, output = Path(temporary) / "scene", Path(temporary) / "run"
        make_scene(scene, count)
        start = time.perf_counter()
        command = [
            sys.executable,
            "-m",
            "posenet",
            "train",
            scene,
            "--output",
            output,
            "--minutes",
            options.minutes,
            "--no-evaluate",
            "--backbone",
            options.backbone,
        ]
        subprocess.run(
            [str(part) for part in command],
            check=True,
            env=os.environ | {"POSENET_CACHE": f"{temporary}/cache"},
        )
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20
    print(f"{count} images of 1920 x 1080: peak {peak:.2f} GB, {time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    main()
