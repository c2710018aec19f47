"""Time from an image file to a refined pose, its parts, and images per second of the tracker.

    python benchmarks/one_image.py RUN [--images 30] [--split test] [--views 3]

Single images are taken evenly from the split, the tracker follows as many consecutive ones from
its start. The model and the map are loaded before.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from posenet.datasets.scene import Scene
from posenet.geometry.metrics import position_errors, rotation_errors_deg
from posenet.geometry.poses import Poses
from posenet.localization import absolute_pose, localizer, refinement
from posenet.localization.estimates import PoseEstimate
from posenet.localization.localizer import Localizer
from posenet.localization.tracking import PoseTracker
from posenet.mapping.vlad import VladIndex
from posenet.run import open_run

# The parts of the program that are timed: where the function is called by a name, and the name.
PARTS: dict[str, tuple[Any, str]] = {
    "read and resize": (localizer, "load_images"),
    "network": (Localizer, "_predict_oriented"),
    "keypoints": (refinement, "detect_or_empty"),
    "retrieval by keypoints": (VladIndex, "rank"),
    "matching": (absolute_pose, "group_images"),
    "RANSAC": (absolute_pose, "solve_groups"),
    "guided matching and fit": (absolute_pose, "_fit_hypothesis"),
}
# Images that are localized before the measurement: the first ones compile the network.
WARM_UP = 3


class Stopwatch:
    """Adds up the wall time of functions."""

    def __init__(self) -> None:
        self.seconds = dict.fromkeys(PARTS, 0.0)
        for part, (owner, name) in PARTS.items():
            setattr(owner, name, self._timed(part, getattr(owner, name)))

    def _timed(self, part: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*arguments: Any, **options: Any) -> Any:
            start = time.perf_counter()
            try:
                return function(*arguments, **options)
            finally:
                self.seconds[part] += time.perf_counter() - start

        return timed


def measure(work: Callable[[Path], PoseEstimate], images: Scene, name: str) -> float:
    """Localize images one by one; print the time and errors, return the seconds per image."""
    wall, cpu = time.perf_counter(), time.process_time()
    estimates = [work(path) for path in images.paths]
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    poses = Poses.from_quaternions(
        np.array([each.position for each in estimates]),
        np.array([each.quaternion_wxyz for each in estimates]),
    )
    position = np.median(position_errors(poses, images.poses))
    rotation = np.median(rotation_errors_deg(poses, images.poses))
    refined = np.mean([each.refined for each in estimates])
    total = len(images)
    print(
        f"{name}: {wall / total:.3f} s per image ({cpu / total:.3f} s CPU, {total / wall:.1f} "
        f"images/s), {refined:.0%} refined, median error "
        f"{position:.4f} scene units, {rotation:.2f} deg"
    )
    return wall / total


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("--images", type=int, default=30)
    parser.add_argument("--split", choices=("train", "test"), default="test")
    parser.add_argument("--views", type=int, help="test-time augmentation views (default: 3)")
    options = parser.parse_args()
    run = open_run(options.run)
    images = run.open_scene().split(options.split)
    total = min(options.images, len(images))
    spread = images.subset(np.linspace(0, len(images) - 1, total).astype(int))
    single = Localizer(run, refine=True, tta_views=options.views)
    _ = single.refiner, single.uncertainty  # loaded or built now
    for path in spread.paths[:WARM_UP]:
        single.localize(path)
    stopwatch = Stopwatch()
    seconds = measure(single.localize, spread, "single images")
    for part, spent in stopwatch.seconds.items():
        print(f"  {part}: {spent / total:.3f} s")
    print(f"  rest: {seconds - sum(stopwatch.seconds.values()) / total:.3f} s")
    consecutive = images.subset(np.arange(total))
    measure(single.localize, consecutive, "consecutive images, each by itself")
    measure(PoseTracker(single).track, consecutive, "consecutive images, tracked")


if __name__ == "__main__":
    main()
