"""Several views of a image, what the camera would see if it turned a little about its center, and one pose of all.

Each view's pose is turned back; positions are averaged, rotations by Markley's mean. How far the views' answers lie
apart tells how sure the network is.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.spatial.transform import Rotation

from posenet.errors import PoseNetError
from posenet.geometry.camera import Camera
from posenet.geometry.cropping import Crop
from posenet.geometry.poses import is_valid_quaternion, rotations_from_quaternions
from posenet.geometry.warping import Warper
from posenet.io.image_cache import release
from posenet.models.inference import predict_in_batches

# pitch, yaw and roll in degrees; the first view is the image itself
TURNS_DEG = np.array([
    (0, 0, 0), (0, 5, 0), (0, -5, 0), (5, 0, 0), (-5, 0, 0), (0, 0, 7), (0, 0, -7),
    (3, 7, 0), (-3, -7, 0), (3, -7, 4), (-3, 7, -4),
], float)  # fmt: skip
ROLLS_DEG = np.array(
    [0, 5, -5, 3, -3, 7, -7, 9, -9, 11, -11.0]
)  # instead, where the focal length is not known
MOST = len(TURNS_DEG)


class _Turned:
    """Stored images as cameras see them that turned, each by its own turn."""

    def __init__(self, images, cameras: list, seen_by: list, warper: Warper, turns: Rotation):
        self.images, self.cameras, self.seen_by = images, cameras, seen_by
        self.warper, self.turns = warper, turns

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, rows: np.ndarray) -> np.ndarray:
        return np.stack([self._view(row) for row in rows])

    def release(self) -> None:
        release(self.images)

    def _view(self, row: int) -> np.ndarray:
        return self.warper.turned(
            self.images[row], self.cameras[row], self.turns[row], seen_by=self.seen_by[row]
        )  # fmt: skip


def predict_with_tta(
    network,
    images,
    cameras: Sequence[Camera | None],
    crop: Crop,
    count: int,
    reference_camera: Camera | None = None,
) -> dict:
    """One pose of `count` views (1 to 11) of each of n stored images, as `predict_in_batches` gives them.

    cameras: of the images themselves; None or bent lines: they only roll. reference_camera: the camera of all training
    images, if it was one: what other cameras took is shown to the network as that one would see it. Adds "spread_deg"
    (n,), the rotations' mean distance from their mean, infinite where not all views tell one. The network's other
    outputs are those of the images themselves.
    Raises PoseNetError for another count.
    """
    if not 1 <= count <= MOST:
        raise PoseNetError(f"--tta-views must be from 1 to {MOST}, received {count}")
    known = [
        crop.resized_camera(each) if each and each.is_perspective else None for each in cameras
    ]
    warper, cut = Warper(crop), Crop(crop.size, crop.size)
    seen_by = [_seen_by(each, reference_camera, crop) for each in cameras]
    rolls_only = np.array([camera is None for camera in known])
    positions, quaternions = [], []
    others: dict[str, np.ndarray] = {}
    for turn, roll in zip(TURNS_DEG[:count], ROLLS_DEG, strict=False):
        degrees = np.where(rolls_only[:, None], [0, 0, roll], turn)
        turns = Rotation.from_euler("xyz", degrees, degrees=True)
        outputs = predict_in_batches(network, _Turned(images, known, seen_by, warper, turns), cut)
        positions.append(outputs.pop("position"))
        quaternions.append(undo_rotation(outputs.pop("quaternion"), turns))
        others = others or outputs
    return others | _joined(np.stack(positions), np.stack(quaternions))


def _seen_by(camera: Camera | None, reference_camera: Camera | None, crop: Crop) -> Camera | None:
    """The stored training camera, where it can see another one's image."""
    known = [each is not None and each.is_perspective for each in (camera, reference_camera)]
    return crop.resized_camera(reference_camera) if reference_camera and all(known) else None


def undo_rotation(quaternions: np.ndarray, turns: Rotation) -> np.ndarray:
    """(n, 4) world_from_camera of the images themselves; rows without a rotation stay as they are.

    quaternions: (n, 4) what the network says of cameras that turned by `turns`, one or n.
    """
    safe, good = rotations_from_quaternions(quaternions)
    return np.where(good[:, None], (safe * turns.inv()).as_quat(scalar_first=True), quaternions)


def _joined(positions: np.ndarray, quaternions: np.ndarray) -> dict:
    """The views' means, and how far they lie apart; (v, n, 3) and (v, n, 4)."""
    spread = np.full(len(positions[0]), np.inf)
    joined = {
        "position": positions.mean(axis=0),
        "quaternion": quaternions[0].copy(),
        "spread_deg": spread,
    }
    for row in range(positions.shape[1]):
        views = quaternions[:, row]
        if is_valid_quaternion(views).all():
            rotations = Rotation.from_quat(views, scalar_first=True)
            mean = rotations.mean()
            joined["quaternion"][row] = mean.as_quat(scalar_first=True)
            joined["spread_deg"][row] = np.degrees((mean.inv() * rotations).magnitude().mean())
    return joined
