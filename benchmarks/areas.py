"""One network with areas, one without, and one network for each area, on a simulated city.

    posenet scene city CITY --images 1200 --courtyards 6 --size 320x240
    python benchmarks/areas.py CITY [--epochs 15]

Each training is a process of its own. Prints the smallest median errors on the validation images
(of one network for each area: the mean of the areas), minutes, and megabytes of the networks.
"""

from __future__ import annotations

import argparse
import csv
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from city_parts import courtyard_names, courtyard_scene

KINDS = ("areas", "one", "separate")
MEGABYTE = 1e6
SECONDS_PER_MINUTE = 60.0


def train_one(scene: Path, folder: Path, epochs: int, *, with_areas: bool) -> None:
    """Train in this process.

    Args:
        scene: the scene.
        folder: the run folder to write.
        epochs: number of epochs.
        with_areas: find the areas of the scene. False: all images are one area.
    """
    from posenet.config import TrainConfig
    from posenet.training import prepare
    from posenet.training.train import train

    if not with_areas:
        prepare.find_areas = lambda positions: np.asarray(positions).mean(axis=0)[None]
    train(TrainConfig(scene, folder, epochs=epochs, short_side=128))


def measure(kind: str, scenes: list[Path], folder: Path, epochs: int) -> str:
    """Train on scenes and return the line of a kind.

    Args:
        kind: one of `KINDS`.
        scenes: the scenes, one network for each.
        folder: folder for runs.
        epochs: number of epochs of each training.

    Returns:
        Mean of the errors, minutes and megabytes.
    """
    errors, megabytes, started = [], 0.0, time.monotonic()
    for number, scene in enumerate(scenes):
        run = folder / f"{kind}-{number}"
        command = [sys.executable, __file__, str(scene), "--epochs", str(epochs)]
        subprocess.run([*command, "--kind", kind, "--output", str(run)], check=True)
        with open(run / "history.csv", newline="") as file:
            rows = [row for row in csv.DictReader(file) if row["val_position_error"]]
        best = min(rows, key=lambda row: float(row["val_position_error"]))
        errors.append(
            [float(best[f"val_{name}"]) for name in ("position_error", "rotation_error_deg")]
        )
        megabytes += (run / "model.keras").stat().st_size / MEGABYTE
    position, rotation = np.mean(errors, axis=0)
    minutes = (time.monotonic() - started) / SECONDS_PER_MINUTE
    return f"{kind}, {position:.3f}, {rotation:.2f}, {minutes:.1f}, {megabytes:.1f}"


def main() -> None:
    """Train all kinds and print a line for each."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("city", type=Path)
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--kind", choices=KINDS, help=argparse.SUPPRESS)
    parser.add_argument("--output", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.kind:
        with_areas = options.kind != "one"
        train_one(options.city, options.output, options.epochs, with_areas=with_areas)
        return
    print("networks, position, rotation_deg, minutes, MB")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for kind in KINDS:
            scenes = [options.city]
            if kind == "separate":
                names = courtyard_names(options.city)
                scenes = [courtyard_scene(options.city, name, folder) for name in names]
            print(measure(kind, scenes, folder, options.epochs), flush=True)


if __name__ == "__main__":
    main()
