"""Bags of ROS 2 in `predict` and `evaluate`."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from posenet.cli.options import PredictConfig
from posenet.errors import PoseNetError, count

if TYPE_CHECKING:
    from posenet.evaluation.evaluate import Evaluation
    from posenet.geometry.camera import Camera
    from posenet.interop.bag_reader import BagImage
    from posenet.localization.estimates import PoseEstimates
    from posenet.localization.localizer import Localizer
    from posenet.run import Run

log = logging.getLogger("posenet")

# Folder of the bag of an evaluation.
EVALUATION_BAG = "bag"
# Images of a bag that are on the disk at the same time.
BATCH = 200


def predict_bag(config: PredictConfig, run: Run) -> None:
    """Estimate the poses of the images in a bag and print one line for each.

    Args:
        config: the options; the only input is a bag.
        run: the run.

    Raises:
        PoseNetError: the bag or its images cannot be read, or there are other inputs.
    """
    from posenet.cli.predict import plot_estimates, print_estimates
    from posenet.cli.runtime import start_runtime
    from posenet.geometry.poses import concatenate
    from posenet.interop.bag_reader import format_stamp, open_bag

    if len(config.images) != 1:
        raise PoseNetError(f"a bag must be the only input, received {len(config.images)} inputs")
    with open_bag(Path(config.images[0])) as bag:
        topic = bag.image_topic(config.topic)
        camera = bag.camera(topic)
        network = start_runtime(config.runtime, run)
        from posenet.localization.localizer import Localizer

        localizer = Localizer(
            run,
            refine=config.refine,
            smooth=bool(config.smooth),
            tta_views=config.tta_views,
            network=network,
        )
        stamps: list[np.ndarray] = []
        found: list[PoseEstimates] = []
        # A trajectory is smoothed as a whole.
        size = None if config.smooth else BATCH
        for some, estimates in _localize(bag.images(topic), camera, localizer, size):
            retrieved = localizer.retrieve(estimates) if config.show_retrieved else None
            names = list(map(format_stamp, some.tolist()))
            print_estimates(names, estimates, retrieved, header=not found, as_json=config.json)
            stamps.append(some)
            found.append(estimates)
    if not found:
        raise PoseNetError(f"{config.images[0]} must contain images, its topic {topic} is empty")
    log.info("%s: %s of %s", config.images[0], count(sum(map(len, found)), "image"), topic)
    if config.output_bag:
        write_estimates(config.output_bag, np.concatenate(stamps), found)
    if config.plot:
        plot_estimates(run, concatenate([e.poses[e.valid] for e in found]), config.plot)
        log.info("written: %s", config.plot)


def write_estimates(folder: Path, stamps: np.ndarray, found: list[PoseEstimates]) -> None:
    """Write estimates as a bag.

    Args:
        folder: the folder to write.
        stamps: times of the n images in nanoseconds, shape (n,).
        found: the estimates of these images, in one or more parts.

    Raises:
        PoseNetError: the folder cannot be written.
    """
    from posenet.geometry.poses import concatenate
    from posenet.interop.bag_writer import ESTIMATE_TOPIC, BagTrajectory, write_bag

    valid = np.concatenate([part.valid for part in found])
    estimate = BagTrajectory(
        ESTIMATE_TOPIC,
        stamps[valid],
        concatenate([part.poses for part in found])[valid],
        np.concatenate([part.position_std for part in found])[valid],
        np.concatenate([part.rotation_std_deg for part in found])[valid],
    )
    write_bag(folder, [estimate])
    log.info("written: %s", folder)


def write_evaluation_bag(evaluation: Evaluation, folder: Path) -> None:
    """Write the estimated and the true trajectory of an evaluation as a bag.

    Args:
        evaluation: the evaluation.
        folder: the folder to write.

    Raises:
        PoseNetError: the folder cannot be written.
    """
    from posenet.interop.bag_writer import (
        ESTIMATE_TOPIC,
        GROUND_TRUTH_TOPIC,
        BagTrajectory,
        to_nanoseconds,
        write_bag,
    )

    scene = evaluation.scene
    valid = evaluation.valid
    stamps = to_nanoseconds(scene.timestamps)
    refinement = evaluation.refinement
    unknown = np.full(len(valid), np.nan)
    estimate = BagTrajectory(
        ESTIMATE_TOPIC,
        stamps[valid],
        evaluation.estimate[valid],
        (unknown if refinement is None else refinement.position_std)[valid],
        (unknown if refinement is None else refinement.rotation_std_deg)[valid],
    )
    write_bag(folder, [estimate, BagTrajectory(GROUND_TRUTH_TOPIC, stamps, scene.poses)])
    log.info("written: %s", folder)


def _localize(
    images: Iterator[BagImage], camera: Camera | None, localizer: Localizer, size: int | None
) -> Iterator[tuple[np.ndarray, PoseEstimates]]:
    """Yield the times of images that can be read, and their estimates, in batches of a size."""
    from posenet.datasets.formats.image_files import fit_camera

    while True:
        with tempfile.TemporaryDirectory(prefix="posenet-") as folder:
            written = [(image.stamp, image.write(Path(folder))) for image in islice(images, size)]
            if not written:
                return
            stamps, paths = zip(*written, strict=True)
            cameras = [fit_camera(camera, path) if camera else None for path in paths]
            rows, estimates = localizer.localize_files(paths, cameras=cameras)
        yield np.array(stamps, np.int64)[rows], estimates
