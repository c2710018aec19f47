"""Accuracy on degraded images, and how many images of other places are refined by mistake.

    python benchmarks/refinement.py RUN --others FOLDER...

Test images unchanged, blurred, dark, center-cropped, rotated by 90 degrees and in portrait format:
median errors of pose regression alone and refined, the fraction refined, and the time per image.
None of the images of the other folders should be refined.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np

from degradations import DEGRADATIONS, Degradation, degrade_images, measure
from posenet.datasets.scene import Scene
from posenet.geometry.metrics import position_errors, rotation_errors_deg
from posenet.localization.localizer import Localizer
from posenet.localization.query_images import image_files, query_camera
from posenet.run import open_run

# Degradations that are measured by default.
KINDS = ("unchanged", "blurred", "dark", "center-cropped", "rotated by 90 degrees", "portrait")


def table_row(localizer: Localizer, test: Scene, degrade: Degradation, folder: Path) -> str:
    """Degrade the test images and return the cells of their errors."""
    images = degrade_images(test, degrade, folder)
    measured = measure(localizer, images.paths, images.cameras)
    estimates = measured.estimates
    assert estimates.refinement
    cells = []
    for poses in (estimates.regressed, estimates.poses):
        position = np.median(position_errors(poses, images.truth))
        rotation = np.median(rotation_errors_deg(poses, images.truth))
        cells.append(f"{position:.3f} / {rotation:.2f}")
    refined = f"{estimates.refinement.refined.mean():.0%}"
    return " | ".join([*cells, refined, f"{measured.seconds:.2f} s"])


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("--others", nargs="+", type=Path, default=[])
    parser.add_argument("--kinds", nargs="+", choices=DEGRADATIONS, default=KINDS, metavar="KIND")
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
        cameras = [query_camera(run, path) for path in paths]
        estimates = measure(localizer, paths, cameras).estimates
        assert estimates.refinement
        refined = int(estimates.refinement.refined.sum())
        print(f"{place.name}: {refined} of {len(paths)} images refined")


if __name__ == "__main__":
    main()
