"""The 3-D part of a training's preparation: landmark map and depth."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import numpy as np

from posenet.config import TrainingPlan
from posenet.datasets.scene import Scene
from posenet.errors import PoseNetError
from posenet.io.files import atomic_path
from posenet.io.images import DECODER_VERSION
from posenet.io.stored_arrays import DAMAGED, open_arrays
from posenet.mapping.depth import MAX_IMAGES, estimate_depths
from posenet.mapping.keypoints import KeypointCache
from posenet.mapping.landmarks import Landmarks, load_or_build_landmarks
from posenet.run import Run

log = logging.getLogger("posenet")

DEPTHS = "checkpoint/depths.npz"


def prepare_landmarks(run: Run, scene: Scene, keypoints: KeypointCache | None) -> Landmarks | None:
    """Make the landmark map of a run, if that is planned.

    Args:
        run: the run.
        scene: all training images, in the world frame of the scene.
        keypoints: keypoints that were detected before.

    Returns:
        The map; None if there is none, which is no error: refinement would say why.
    """
    if run.plan is None or not run.plan.build_map:
        return None
    try:
        return load_or_build_landmarks(run.folder, scene, cache=keypoints)
    except PoseNetError as error:
        log.warning("poses will not be refined: %s", error)
        return None


def max_depth_images(plan: TrainingPlan | None) -> int:
    """Return the largest number of images whose depth is triangulated without a landmark map.

    Args:
        plan: the plan of the training.

    Returns:
        The number of images.
    """
    return plan.depth_images if plan else MAX_IMAGES


def load_or_estimate_depths(
    scene: Scene,
    run: Run,
    *,
    keypoints: KeypointCache | None = None,
    observed: Sequence[np.ndarray] | None = None,
) -> np.ndarray | None:
    """Return depth grids, which are kept in the run folder for a resumed training.

    Args:
        scene: n images to train on.
        run: the run.
        keypoints: keypoints that were detected before.
        observed: points that each image observes, shapes (k, 3), if they are known.

    Returns:
        Inverse depths as `estimate_depths` returns them.
    """
    path = run.folder / DEPTHS
    stamp = f"{DECODER_VERSION} {scene.digest()}"
    try:
        with open_arrays(path) as saved:
            if str(saved["stamp"]) == stamp:
                return np.asarray(saved["depths"])
    except DAMAGED:
        pass  # there are none, or they are damaged
    depths = estimate_depths(
        scene,
        run.crop,
        max_images=len(scene) if observed else max_depth_images(run.plan),
        keypoints=keypoints,
        observed=observed,
    )
    if depths is not None:
        path.parent.mkdir(exist_ok=True)
        with atomic_path(path) as temporary, open(temporary, "wb") as file:
            np.savez(file, depths=depths, stamp=stamp)
    return depths
