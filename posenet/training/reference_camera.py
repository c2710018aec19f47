"""The reference camera of a run: the camera of nearly all training images."""

from __future__ import annotations

from collections import Counter

import numpy as np

from posenet.datasets.scene import Scene
from posenet.geometry.camera import Camera

# Relative difference of focal lengths and fields of view that counts as equal.
TOLERANCE = 0.05
# Fraction of the images that must agree.
MIN_FRACTION = 0.9


def find_reference_camera(scene: Scene) -> Camera | None:
    """Return the camera with the median focal length relative to the long side of the image.

    Args:
        scene: the training images.

    Returns:
        The camera; None unless nine tenths of all images have a known focal length within 5 % of
        it. Query images then need intrinsics of their own.
    """
    counts = Counter(camera for camera in scene.cameras if camera and camera.has_known_focal_length)
    if not counts:
        return None
    lengths = np.array([_relative_focal_length(camera) for camera in counts.elements()])
    median = np.median(lengths)
    similar = np.abs(lengths / median - 1) < TOLERANCE
    if similar.sum() < MIN_FRACTION * len(scene):
        return None
    most_common_first = [camera for camera, _ in counts.most_common()]
    return min(most_common_first, key=lambda camera: abs(_relative_focal_length(camera) - median))


def is_single_camera(scene: Scene, reference: Camera | None) -> bool:
    """Return whether all training images have the reference camera's field of view.

    Args:
        scene: the training images.
        reference: the reference camera.

    Returns:
        True if all are within 5 %.
    """
    if reference is None:
        return False
    views = [camera.width / camera.fx if camera else 0.0 for camera in scene.cameras]
    return all(abs(view * reference.fx / reference.width - 1) < TOLERANCE for view in views)


def _relative_focal_length(camera: Camera) -> float:
    return camera.fx / max(camera.width, camera.height)
