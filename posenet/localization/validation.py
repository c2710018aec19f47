"""Predictions for the validation images of a run, which calibrate how its poses are used."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from posenet.datasets.scene import Scene
from posenet.geometry.camera import Camera
from posenet.geometry.poses import Poses
from posenet.io.image_cache import ImageArray, load_images
from posenet.localization.estimates import valid_poses
from posenet.localization.retrieval import Gallery, normalize_descriptors
from posenet.run import Run
from posenet.run_config import MAX_VALIDATION_IMAGES, spread_evenly

log = logging.getLogger("posenet")

# Images of the same sequence within n / 64 images of a validation image are not retrieved, for n
# training images. By default test blocks have n / 12 images, so that theirs are n / 48 images from
# training images on average; those of the shorter validation blocks are only n / 200 from them.
NEAR_FRACTION = 1 / 64

Predict = Callable[[ImageArray, Sequence[Camera | None]], dict[str, np.ndarray]]


@dataclass(frozen=True, eq=False)
class ValidationPredictions:
    """What a network predicts for n validation images, which it was not trained on.

    Of more than 1000 validation images, 1000 are evenly taken.

    Attributes:
        scene: the images with their true poses.
        regressed: the predicted poses.
        retrieved: the poses of the most similar training images, without those shortly before or
            after, as for test images.
        descriptors: global descriptors, shape (n, d).
        excluded: indices, in the gallery, of all images of the same moments.
    """

    scene: Scene
    regressed: Poses
    retrieved: Poses
    descriptors: np.ndarray
    excluded: np.ndarray

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.scene)

    def thinned(self, count: int) -> ValidationPredictions:
        """Return the predictions for some of the images, evenly taken.

        Args:
            count: largest number of images.

        Returns:
            The predictions for these images; as many images are excluded as before.
        """
        rows = spread_evenly(np.arange(len(self)), count)
        return replace(
            self,
            scene=self.scene.subset(rows),
            regressed=self.regressed[rows],
            retrieved=self.retrieved[rows],
            descriptors=self.descriptors[rows],
        )


def predict_validation(
    run: Run, gallery: Gallery, predict: Predict
) -> ValidationPredictions | None:
    """Predict the poses of a run's validation images.

    Args:
        run: the run.
        gallery: its training images.
        predict: returns the outputs of its network for images and their cameras.

    Returns:
        The predictions; None if no validation image has a valid one or the images are not there.
    """
    is_validation = gallery.scene.mask_names(run.validation_images)
    if not is_validation.any() or is_validation.all():
        return None
    rows = spread_evenly(np.flatnonzero(is_validation), MAX_VALIDATION_IMAGES)
    scene = gallery.scene.subset(rows)
    if not scene.has_images:
        log.warning("poses are not calibrated: the validation images in %s not found", scene.root)
        return None
    images = load_images(scene.paths, run.crop.resized, "validation images")
    scene = scene.subset(images.scene_rows)
    outputs = predict(images, scene.cameras)
    moments = gallery.scene.dense_moments
    excluded = np.isin(moments, moments[is_validation])
    if excluded.all():
        return None
    near = excluded | _near_in_time(gallery.scene, rows)
    remote = ~(excluded if near.all() else near)
    descriptors = normalize_descriptors(outputs["pooled"])
    origins = gallery.route(descriptors, run.areas, usable=remote)
    regressed, valid = valid_poses(outputs, origins)
    if not valid.any():
        return None
    descriptors = descriptors[valid]
    return ValidationPredictions(
        scene=scene.subset(valid),
        regressed=regressed[valid],
        retrieved=gallery.nearest_poses(descriptors, usable=remote),
        descriptors=descriptors,
        excluded=np.flatnonzero(excluded),
    )


def _near_in_time(scene: Scene, rows: np.ndarray) -> np.ndarray:
    """Return a mask of the images shortly before or after some images, in the same sequence."""
    margin = round(NEAR_FRACTION * len(scene))
    mask = np.zeros(len(scene), bool)
    for row in rows:
        window = slice(max(0, row - margin), row + margin + 1)
        mask[window] |= scene.sequences[window] == scene.sequences[row]
    return mask
