"""Training speed with the real pipeline against the bare model on one fixed batch, in one run.

    python benchmarks/pipeline_speed.py [--backbone efficientnet_lite0] [--short-side 128]

Both alternate, so that a noisy machine slows both. Prints images/s and their ratio. The images have
depth, so that augmentation rotates and translates their cameras.
"""

import argparse
import time
from itertools import repeat
from pathlib import Path

import numpy as np

from posenet.cli.startup import start_keras

start_keras()
import keras  # noqa: E402

from posenet.datasets.scene import Scene  # noqa: E402
from posenet.geometry.camera import Camera  # noqa: E402
from posenet.geometry.cropping import Crop, grid_shape  # noqa: E402
from posenet.geometry.poses import Poses  # noqa: E402
from posenet.io.image_cache import ImageArray  # noqa: E402
from posenet.models.build import build_network, get_backbone  # noqa: E402
from posenet.training.augmentation import Augmentation  # noqa: E402
from posenet.training.batches import TrainingBatches  # noqa: E402
from posenet.training.device import compiles_by_xla, configure_device  # noqa: E402
from posenet.training.losses.learned import LearnedWeightsLoss  # noqa: E402
from posenet.training.prefetch import for_fit  # noqa: E402
from posenet.training.trainer import Trainer  # noqa: E402

# Images of the scene, images per batch, batches per measurement, and measurements of each.
IMAGES = 320
BATCH = 32
STEPS = 10
ROUNDS = 6


def random_scene() -> Scene:
    """Return random poses with a camera; the images are passed as an array."""
    rng = np.random.default_rng(0)
    poses = Poses.from_quaternions(rng.normal(size=(IMAGES, 3)), rng.normal(size=(IMAGES, 4)))
    camera = Camera(640, 480, 585, 585, 320, 240)
    names = tuple(str(number) for number in range(IMAGES))
    labels = np.full(IMAGES, "train")
    return Scene("random", Path(), names, poses, (camera,) * IMAGES, labels, labels)


def main() -> None:
    """Measure and print the rates."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--backbone", default="googlenet")
    parser.add_argument("--short-side", type=int, default=192)
    options = parser.parse_args()
    size = (options.short_side, options.short_side * 4 // 3 // 16 * 16)
    precision = configure_device(
        "auto", benefits_from_bfloat16=get_backbone(options.backbone).benefits_from_bfloat16
    )
    trainer = Trainer(
        build_network(options.backbone, size, head="scene-coordinates"), LearnedWeightsLoss()
    )
    trainer.compile(optimizer=keras.optimizers.Adam(1e-3), jit_compile=compiles_by_xla())
    array = np.random.default_rng(0).integers(0, 255, (IMAGES, *size, 3), np.uint8)
    images = ImageArray(array, np.arange(IMAGES), [])
    crop = Crop(size, size)
    depths = np.full((IMAGES, *grid_shape(crop.resized)), 0.5, np.float32)
    batches = TrainingBatches(
        random_scene(), images, crop, Augmentation(), batch_size=BATCH, seed=0, depths=depths
    )
    fixed = for_fit(repeat(next(batches.epoch(0))))
    trainer.fit(fixed, steps_per_epoch=3, verbose=0)  # compiles
    seconds: dict[str, list[float]] = {"pipeline": [], "bare": []}
    for _ in range(ROUNDS):
        with batches.stream() as stream:
            for name, data in (("bare", fixed), ("pipeline", stream)):
                trainer.fit(data, steps_per_epoch=2, verbose=0)
                start = time.perf_counter()
                trainer.fit(data, steps_per_epoch=STEPS, verbose=0)
                seconds[name].append(time.perf_counter() - start)
    rates = {name: STEPS * BATCH / np.median(values) for name, values in seconds.items()}
    ratio = np.median(np.array(seconds["bare"]) / np.array(seconds["pipeline"]))
    print(f"{options.backbone}, {precision}, {size[1]} x {size[0]}, batch {BATCH}")
    print(f"bare model {rates['bare']:.1f} images/s, pipeline {rates['pipeline']:.1f} images/s")
    print(f"ratio {ratio:.3f}")


if __name__ == "__main__":
    main()
