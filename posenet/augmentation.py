"""Augmentation that is true to the geometry: the camera turns about its own centre, and its pose with it.

A camera that turns about its centre sees the same picture through the homography K R K^-1, whatever the scene
(Hartley & Zisserman, section 8.4). Never a flip: a mirrored place is another place.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from scipy.spatial.transform import Rotation

from posenet.framing import Framing
from posenet.scene import Camera


@dataclass(frozen=True)
class Augmentation:
    """How far augmentation goes.

    turn_deg: largest turns about the camera's x (pitch), y (yaw) and z (roll) axes, degrees. Pitch and yaw
    need intrinsics; without them the picture only rolls, which is exact for any focal length.
    shift: largest shift of the cut as a share of the room around it (0 to 1); used where the intrinsics are unknown.
    contrast, brightness (of 255), colour: half-widths of the random factors and offset.
    """

    turn_deg: tuple[float, float, float] = (8.0, 12.0, 15.0)
    shift: float = 1.0
    contrast: float = 0.3
    brightness: float = 30.0
    colour: float = 0.15


NO_AUGMENTATION = Augmentation((0, 0, 0), 0, 0, 0, 0)


def turning_homography(stored: np.ndarray, cut: np.ndarray, turn: Rotation) -> np.ndarray:
    """(3, 3) pixel map from the turned camera's picture to the stored one, pixel centres at integers (OpenCV).

    stored, cut: (3, 3) intrinsics of the stored picture and of the cut, pixel centres at + 0.5.
    turn: old_camera_from_new_camera.
    """
    half = np.array([[1, 0, 0.5], [0, 1, 0.5], [0, 0, 1.0]])
    return np.linalg.inv(half) @ stored @ turn.as_matrix() @ np.linalg.inv(cut) @ half


class Augmenter:
    """Makes augmented cuts of stored pictures, with their rotations."""

    def __init__(self, framing: Framing, settings: Augmentation):
        self.framing, self.settings = framing, settings

    def view(self, picture: np.ndarray, camera: Camera | None, rng: np.random.Generator):
        """One random view of a stored picture (h, w, 3) uint8.

        camera: the stored picture's camera, None where the intrinsics are unknown.
        Returns the cut (h, w, 3) uint8 and old_camera_from_new_camera, to be multiplied to the pose's right.
        """
        pitch, yaw, roll = np.radians(self.settings.turn_deg) * rng.uniform(-1, 1, 3)
        top, left = self.framing.corner
        shift_x, shift_y = self.settings.shift * rng.uniform(-1, 1, 2) * (left, top)
        if camera is None:
            pitch = yaw = 0.0
            size = float(max(self.framing.stored))
            camera = Camera(
                *self.framing.stored[::-1], size, size, self.framing.stored[1] / 2, self.framing.stored[0] / 2
            )
        else:
            shift_x = shift_y = 0.0
        turn = Rotation.from_rotvec([pitch, yaw, roll])
        stored = camera.matrix
        cut = stored - [[0, 0, left + shift_x], [0, 0, top + shift_y], [0, 0, 0]]
        view = self._warp(picture, turning_homography(stored, cut, turn))
        return self._recolour(view, rng), turn

    def _warp(self, picture, homography):
        height, width = self.framing.cut
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        return cv2.warpPerspective(picture, homography, (width, height), flags=flags, borderMode=cv2.BORDER_REFLECT_101)

    def _recolour(self, view, rng):
        """A random gain and offset for each colour channel, as one table look-up."""
        settings = self.settings
        contrast = 1 + settings.contrast * rng.uniform(-1, 1)
        offset = settings.brightness * rng.uniform(-1, 1)
        gains = contrast * (1 + settings.colour * rng.uniform(-1, 1, 3))
        levels = np.arange(256.0)[:, None]
        table = np.clip((levels - 128) * gains + 128 * gains / contrast + offset, 0, 255)
        return cv2.LUT(view, np.round(table).astype(np.uint8)[None])
