"""Random augmentation that is true to the geometry: the camera moves, and its pose with it.

Images are never flipped: a mirrored place is another place.
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

# The gray value that contrast pivots about.
MIDDLE_GRAY = 128


class AugmentedView(NamedTuple):
    """What a rotated and translated camera sees.

    Attributes:
        image: the crop, shape (h, w, 3), uint8.
        rotation: old_camera_from_new_camera, to multiply the pose with from the right.
        translation: center of the new camera in the axes of the old one, scene units, shape (3,).
        points: what the center of each cell shows, in the axes of the new camera, shape
            (rows, columns, 3); NaN if unknown.
    """

    image: np.ndarray
    rotation: Rotation
    translation: np.ndarray
    points: np.ndarray


@dataclass(frozen=True)
class Augmentation:
    """How strong augmentation is.

    Attributes:
        rotation_deg: largest rotations about the camera's x (pitch), y (yaw) and z (roll) axes,
            degrees. Pitch and yaw require intrinsics; without them the image only rolls, which is
            exact for any focal length.
        translation: largest distance that the camera moves, as a fraction of the median depth of
            the image, if depth is known.
        shift: largest shift of the crop as a fraction of the margin around it, 0 to 1, if the
            intrinsics are unknown.
        contrast: half-width of the random contrast factor.
        brightness: half-width of the random offset, of 255.
        color: half-width of the random factor of each color channel.
        max_translation: largest distance that the camera moves, scene units.
    """

    rotation_deg: tuple[float, float, float] = (8.0, 12.0, 15.0)
    translation: float = 0.08
    shift: float = 1.0
    contrast: float = 0.3
    brightness: float = 30.0
    color: float = 0.15
    max_translation: float = math.inf


NO_AUGMENTATION = Augmentation(
    rotation_deg=(0, 0, 0), translation=0, shift=0, contrast=0, brightness=0, color=0
)


class Augmenter:
    """Makes random views of resized images."""

    def __init__(self, crop: Crop, settings: Augmentation) -> None:
        self.crop = crop
        self.settings = settings
        self.warper = Warper(crop)

    def view(
        self,
        image: np.ndarray,
        camera: Camera | None,
        rng: np.random.Generator,
        inverse_depth: np.ndarray | None = None,
    ) -> AugmentedView:
        """Return a random view of an image.

        Args:
            image: resized image, shape (h, w, 3), uint8.
            camera: its camera, None if unknown.
            rng: source of randomness.
            inverse_depth: its inverse depths on a grid, shape (rows, columns); None if unknown.

        Returns:
            The view.
        """
        pitch, yaw, roll = np.radians(self.settings.rotation_deg) * rng.uniform(-1, 1, 3)
        top, left = self.crop.corner
        shift = self.settings.shift * rng.uniform(-1, 1, 2) * (left, top)
        if camera is None:
            pitch = yaw = 0.0
        else:
            shift = np.zeros(2)
        rotation = Rotation.from_rotvec([pitch, yaw, roll])
        translation = np.zeros(3)
        points = np.full((*self.crop.grid, 3), np.nan)
        if camera is None or inverse_depth is None:
            view = self.warper.render_rotated(image, camera, rotation, shift=shift)
        else:
            translation = self._random_translation(rng, inverse_depth)
            view, points = self.warper.render_translated(
                image, camera, rotation, translation, inverse_depth
            )
        return AugmentedView(self._jitter_colors(view, rng), rotation, translation, points)

    def _random_translation(
        self, rng: np.random.Generator, inverse_depth: np.ndarray
    ) -> np.ndarray:
        """Return a random point of a ball."""
        direction = rng.normal(size=3)
        radius = self.settings.translation / np.median(inverse_depth)
        radius = min(radius, self.settings.max_translation)
        return radius * rng.uniform() ** (1 / 3) * direction / np.linalg.norm(direction)

    def _jitter_colors(self, view: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Apply a random gain and offset to each color channel, as one table look-up."""
        settings = self.settings
        contrast = 1 + settings.contrast * rng.uniform(-1, 1)
        offset = settings.brightness * rng.uniform(-1, 1)
        gains = contrast * (1 + settings.color * rng.uniform(-1, 1, 3))
        levels = np.arange(256.0)[:, None]
        table = (levels - MIDDLE_GRAY) * gains + MIDDLE_GRAY * gains / contrast + offset
        table = np.round(np.clip(table, 0, 255)).astype(np.uint8)
        return cv2.LUT(view, table[None])
