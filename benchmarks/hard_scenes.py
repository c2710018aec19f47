"""Refinement with few training images, degraded test images, and places that exist twice.

    python benchmarks/hard_scenes.py SCENE FOLDER [--keep-every 5] [--minutes 1] [--twice]

Writes the scene with every n-th training image to FOLDER, trains on it and refines degraded test
images. Scenes and runs that exist in FOLDER are used again. A refined pose is good within 5 % of
the scene's median depth and 2 degrees, and wrong if it is more than 25 % or 10 degrees off.

With --twice every training image appears again, far away, as if the place existed twice. A right
program refuses nearly all test images, since nothing tells the copies apart. Errors are then those
to the nearer copy.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

import posenet
from degradations import DEGRADATIONS, Degradation, degrade_images, measure
from posenet.datasets.convert import convert
from posenet.datasets.registry import open_scene
from posenet.datasets.scene import Scene
from posenet.geometry.metrics import position_errors, rotation_errors_deg
from posenet.geometry.poses import Poses, concatenate
from posenet.localization.localizer import Localizer
from posenet.run import MODEL, Run

KINDS = (
    "unchanged",
    "shrunk to 320 pixels",
    "dark",
    "a third covered",
    "motion blur",
    "dark, covered and motion blur",
)
# Errors of good and of wrong poses: fraction of the scene's median depth, degrees.
GOOD = (0.05, 2.0)
WRONG = (0.25, 10.0)
# Distance between the copies of a place, in multiples of the diagonal of the camera positions.
COPY_DISTANCE = 20


def thinned(scene: Scene, keep_every: int) -> Scene:
    """Return a scene with every n-th training image and all test images."""
    kept = scene.splits == "test"
    kept[np.flatnonzero(scene.splits == "train")[::keep_every]] = True
    return replace(scene.subset(kept), points=None)


def copy_translation(scene: Scene) -> np.ndarray:
    """Return where the copy of a scene lies, shape (3,)."""
    diagonal = np.linalg.norm(np.ptp(scene.poses.positions, axis=0))
    return np.array([COPY_DISTANCE * diagonal, 0, 0])


def write_twice(scene: Scene, folder: Path) -> None:
    """Write a scene and a translated copy of its training images."""
    copy = scene.translated(copy_translation(scene)).split("train")
    with tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
        root = Path(temporary)
        convert(scene, root / "here", "transforms")
        convert(copy, root / "there", "transforms")
        here = [f"here/{name}" for name in scene.names]
        there = [f"there/{name}" for name in copy.names]
        both = replace(
            scene,
            root=root,
            names=tuple(here + there),
            poses=concatenate([scene.poses, copy.poses]),
            cameras=scene.cameras + copy.cameras,
            splits=np.concatenate([scene.splits, copy.splits]),
            sequences=np.concatenate([scene.sequences, copy.sequences]),
            numbers=None,
            times=None,
        )
        convert(both, folder, "transforms")


def trained_run(scene: Scene, folder: Path, minutes: float, *, twice: bool) -> Run:
    """Write a scene and train on it, unless that was done before."""
    root = folder / "scene"
    folder.mkdir(parents=True, exist_ok=True)
    if not root.is_dir():
        if twice:
            write_twice(scene, root)
        else:
            convert(scene, root, "transforms")
    run = folder / f"{minutes:g}_minutes"
    if (run / MODEL).is_file():
        return posenet.load(run)
    return posenet.train(root, run, minutes=minutes, evaluate=False, overwrite=True)


def errors_to_nearest(
    poses: Poses, truth: Poses, translations: Sequence[np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """Return errors in scene units and degrees, to the nearest of several copies of the truth."""
    copies = [Poses(truth.positions + shift, truth.rotations) for shift in translations]
    position = np.min([position_errors(poses, copy) for copy in copies], axis=0)
    return position, rotation_errors_deg(poses, truth)


def table_row(
    localizer: Localizer, test: Scene, degrade: Degradation, translations: Sequence[np.ndarray]
) -> str:
    """Degrade the test images and return the cells of their row."""
    with tempfile.TemporaryDirectory() as folder:
        images = degrade_images(test, degrade, Path(folder))
        measured = measure(localizer, images.paths, images.cameras)
    estimates = measured.estimates
    assert estimates.refinement
    refined = estimates.refinement.refined
    position, rotation = errors_to_nearest(estimates.poses, images.truth, translations)
    relative = position / localizer.refiner.depth
    good = refined & (relative <= GOOD[0]) & (rotation <= GOOD[1])
    wrong = refined & ((relative > WRONG[0]) | (rotation > WRONG[1]))
    claims = int(refined.sum())
    share = f" ({wrong.sum() / claims:.1%})" if claims else ""
    medians = "-"
    if claims:
        medians = f"{np.median(position[refined]):.3f} / {np.median(rotation[refined]):.2f}"
    cells = [
        f"{len(refined)}",
        f"{refined.mean():.0%}",
        f"{good.mean():.0%}",
        f"{(refined & ~wrong).sum()}",
        f"{wrong.sum()}{share}",
        medians,
        f"{measured.cpu_seconds:.2f} s",
    ]
    if len(translations) == 1:
        del cells[3]
    return " | ".join(cells)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("scene", type=Path)
    parser.add_argument("folder", type=Path, help="for the variants of the scene and their runs")
    parser.add_argument("--keep-every", type=int, default=5, help="keep every n-th training image")
    parser.add_argument("--minutes", type=float, default=1, help="training time")
    parser.add_argument("--every", type=int, default=1, help="use only every n-th test image")
    parser.add_argument("--twice", action="store_true", help="copy every training image far away")
    options = parser.parse_args()
    scene = thinned(open_scene(options.scene), options.keep_every)
    folder = options.folder / f"every_{options.keep_every}{'_twice' if options.twice else ''}"
    run = trained_run(scene, folder, options.minutes, twice=options.twice)
    translations = [np.zeros(3)] + [copy_translation(scene)] * options.twice
    opened = run.open_scene()
    localizer = Localizer(run, refine=True, training=opened.split("train"))
    test = opened.split("test")
    test = test.subset(np.arange(0, len(test), options.every))
    # Building both now keeps them out of the measured time.
    print(f"{opened}, median depth {localizer.refiner.depth:.2f}, {localizer.uncertainty}")
    titles = ["test images", "number", "refined", "good", "wrong", "median error", "CPU per image"]
    if options.twice:
        titles.insert(4, "at one of the copies")
    print(f"| {' | '.join(titles)} |\n{'|---' * len(titles)}|")
    for name in KINDS:
        cells = table_row(localizer, test, DEGRADATIONS[name], translations)
        print(f"| {name} | {cells} |", flush=True)


if __name__ == "__main__":
    main()
