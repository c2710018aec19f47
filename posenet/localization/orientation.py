"""Which way is up in images that are held otherwise than the training images?

A tall image beside wide training images may show the place upright, or be a wide one that lies on its side. The
network is asked all three ways, and believed where its views agree clearly best.
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

SURER = 0.5  # a turned image's views must lie so much nearer together: most tall images are no wide ones

Outputs = dict[str, np.ndarray]
Ask = Callable[[ImageArray, Sequence[Camera | None]], Outputs]


def resolve_orientation(
    outputs: Outputs,
    paths: Sequence[Path],
    cameras: Sequence[Camera | None],
    reference_camera: Camera,
    stored,
    ask: Ask,
) -> Outputs:
    """What `ask` says of n images, in place of `outputs`, where they turn out to lie on their side.

    outputs: what it says of them as they are, with "quaternion" (n, 4) world_from_camera and "spread_deg" (n,), how far
    its views lie apart. reference_camera: the camera of all training images. stored: (height, width) of stored images.
    """
    rows = np.array(
        [
            row
            for row, each in enumerate(cameras)
            if each and has_other_orientation(each, reference_camera)
        ],
        int,
    )
    best = {name: values.copy() for name, values in outputs.items()}
    sideways: set[int] = set()
    for count in (1, 3) if len(rows) else ():
        images = load_images(
            [paths[row] for row in rows], stored, "images, turned", quarter_turns=count
        )
        rows = rows[images.rows]
        answers = ask(images, [each.rotate90(count) for row in rows if (each := cameras[row])])
        ours_from_turned = Rotation.from_euler("z", 90 * count, degrees=True)
        answers["quaternion"] = undo_rotation(answers["quaternion"], ours_from_turned)
        better = _doubt(answers) < SURER * _doubt(
            {name: values[rows] for name, values in best.items()}
        )
        for name, values in answers.items():
            best[name][rows[better]] = values[better]
        sideways |= set(rows[better])
    if sideways:
        log.info("%d of %d images seem to lie on their side", len(sideways), len(cameras))
    return best


def _doubt(outputs: Outputs) -> np.ndarray:
    """How far the views lie apart, (n,) degrees; infinite where they tell no rotation."""
    return np.where(is_valid_quaternion(outputs["quaternion"]), outputs["spread_deg"], np.inf)


def has_other_orientation(camera: Camera, reference_camera: Camera) -> bool:
    """Whether one of the two images is tall and the other wide."""
    return (camera.width - camera.height) * (reference_camera.width - reference_camera.height) < 0
