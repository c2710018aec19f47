"""Augmentation that is true to the geometry: the camera turns about its center and moves a little, its pose with it.

A camera that turns about its center sees the same image through the homography K R K^-1, whatever the scene
(Hartley & Zisserman, section 8.4). What it sees when it moves depends on the scene's depth (see depth.py).
Never a flip: a mirrored place is another place.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
from scipy.spatial.transform import Rotation

from posenet.geometry.camera import Camera
from posenet.geometry.cropping import Crop
from posenet.geometry.warping import Warper


class AugmentedView(NamedTuple):
    """What a camera sees that turned and moved.

    image: (h, w, 3) uint8. turn: old_camera_from_new_camera, to be multiplied to the pose's right. move: (3,) the new
    camera's center in the old camera's axes, in the scene's unit. points: (rows, columns, 3) what lies at the middle
    of each of the cut's cells, in the new camera's axes; NaN where that is not known.
    """

    image: np.ndarray
    turn: Rotation
    move: np.ndarray
    points: np.ndarray


@dataclass(frozen=True)
class Augmentation:
    """How far augmentation goes.

    turn_deg: largest turns about the camera's x (pitch), y (yaw) and z (roll) axes, degrees. Pitch and yaw
    need intrinsics; without them the image only rolls, which is exact for any focal length.
    move: largest distance that the camera moves in any direction, as a share of the image's median depth; only where
    depth is known. farthest: the most that this may be, in the scene's unit.
    shift: largest shift of the cut as a share of the room around it (0 to 1); used where the intrinsics are unknown.
    contrast, brightness (of 255), color: half-widths of the random factors and offset.
    """

    turn_deg: tuple[float, float, float] = (8.0, 12.0, 15.0)
    move: float = 0.08
    shift: float = 1.0
    contrast: float = 0.3
    brightness: float = 30.0
    color: float = 0.15
    farthest: float = math.inf


NO_AUGMENTATION = Augmentation((0, 0, 0), 0, 0, 0, 0, 0)


class Augmenter:
    """Makes augmented cuts of stored images, with their rotations."""

    def __init__(self, crop: Crop, settings: Augmentation):
        self.crop, self.settings = crop, settings
        self.warper = Warper(crop)

    def view(
        self,
        image: np.ndarray,
        camera: Camera | None,
        rng: np.random.Generator,
        depth: np.ndarray | None = None,
    ) -> AugmentedView:
        """One random view of a stored image (h, w, 3) uint8.

        camera: the stored image's camera, None where the intrinsics are unknown. depth: its grid of inverse depths,
        None where unknown.
        """
        pitch, yaw, roll = np.radians(self.settings.turn_deg) * rng.uniform(-1, 1, 3)
        top, left = self.crop.corner
        shift = self.settings.shift * rng.uniform(-1, 1, 2) * (left, top)
        if camera is None:
            pitch = yaw = 0.0
        else:
            shift = np.zeros(2)
        turn, move = Rotation.from_rotvec([pitch, yaw, roll]), np.zeros(3)
        points = np.full((*self.crop.grid, 3), np.nan)
        if camera is None or depth is None:
            view = self.warper.turned(image, camera, turn, shift)
        else:
            direction = rng.normal(size=3)
            farthest = min(self.settings.move / np.median(depth), self.settings.farthest)
            move = farthest * rng.uniform() ** (1 / 3) * direction / np.linalg.norm(direction)
            view, points = self.warper.moved(image, camera, turn, move, depth)
        return AugmentedView(self._recolor(view, rng), turn, move, points)

    def _recolor(self, view, rng):
        """A random gain and offset for each color channel, as one table look-up."""
        settings = self.settings
        contrast = 1 + settings.contrast * rng.uniform(-1, 1)
        offset = settings.brightness * rng.uniform(-1, 1)
        gains = contrast * (1 + settings.color * rng.uniform(-1, 1, 3))
        levels = np.arange(256.0)[:, None]
        table = np.clip((levels - 128) * gains + 128 * gains / contrast + offset, 0, 255)
        return cv2.LUT(view, np.round(table).astype(np.uint8)[None])
