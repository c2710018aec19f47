"""Detect images that are rotated by 90 degrees against the training images.

A portrait image among landscape training images may be upright, or a landscape image on its side.
The network localizes it in all three orientations, and the one whose views agree clearly best wins.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from posenet.geometry.camera import Camera
from posenet.geometry.poses import is_valid_quaternion
from posenet.io.image_cache import ImageArray, load_images
from posenet.localization.test_time_augmentation import undo_rotation

log = logging.getLogger("posenet")

# The views of a rotated image must spread at most this fraction of the others': most portrait
# images are upright. Chosen on RedKitchen's test images (docs/lab-notes.md).
MAX_SPREAD_RATIO = 0.5
# Numbers of quarter turns, counter-clockwise, that are tried.
QUARTER_TURNS = (1, 3)

Outputs = dict[str, np.ndarray]
Predict = Callable[[ImageArray, Sequence[Camera | None]], Outputs]


def resolve_orientation(
    outputs: Outputs,
    paths: Sequence[Path],
    cameras: Sequence[Camera | None],
    *,
    reference_camera: Camera,
    size: tuple[int, int],
    predict: Predict,
) -> Outputs:
    """Replace the outputs of images that turn out to be rotated by 90 degrees.

    Args:
        outputs: the network's outputs for n images, among them "quaternion" (n, 4)
            world_from_camera and "spread_deg" (n,), the spread of their views.
        paths: n image files.
        cameras: n cameras, None if unknown.
        reference_camera: the camera of all training images.
        size: (height, width) that images are resized to.
        predict: gives the outputs of images, for their cameras.

    Returns:
        The outputs, each image in its best orientation.
    """
    best = {name: values.copy() for name, values in outputs.items()}
    candidates = [
        row
        for row, camera in enumerate(cameras)
        if camera and has_other_orientation(camera, reference_camera)
    ]
    if not candidates:
        return best
    rotated: set[int] = set()
    for quarter_turns in QUARTER_TURNS:
        images = load_images(
            [paths[row] for row in candidates], size, "rotated images", quarter_turns=quarter_turns
        )
        candidates = [candidates[index] for index in images.scene_rows]
        rotated_cameras = [_rotate90(cameras[row], quarter_turns) for row in candidates]
        attempt = predict(images, rotated_cameras)
        rotation = Rotation.from_euler("z", 90 * quarter_turns, degrees=True)
        attempt["quaternion"] = undo_rotation(attempt["quaternion"], rotation)
        current = {name: values[candidates] for name, values in best.items()}
        better = _spread(attempt) < MAX_SPREAD_RATIO * _spread(current)
        improved = np.array(candidates, int)[better]
        for name, values in attempt.items():
            best[name][improved] = values[better]
        rotated |= set(improved.tolist())
    if rotated:
        log.info("%d of %d images appear to be rotated by 90 degrees", len(rotated), len(cameras))
    return best


def has_other_orientation(camera: Camera, reference_camera: Camera) -> bool:
    """Return whether one of two images is in portrait format and the other in landscape format.

    Args:
        camera: the camera of one image.
        reference_camera: the camera of the other.

    Returns:
        True if the formats differ; False if one is square.
    """
    reference = reference_camera.width - reference_camera.height
    return (camera.width - camera.height) * reference < 0


def _rotate90(camera: Camera | None, quarter_turns: int) -> Camera | None:
    return camera.rotate90(quarter_turns) if camera else None


def _spread(outputs: Outputs) -> np.ndarray:
    """Return the spread of the views in degrees, infinite without a valid rotation."""
    valid = is_valid_quaternion(outputs["quaternion"])
    return np.where(valid, outputs["spread_deg"], np.inf)
