"""Test-time augmentation: localize several rotated views of an image and average their poses.

Each view is what the camera would see if it were rotated a little about its center. The rotation is
undone in its pose. Positions are averaged; rotations by Markley's mean. The spread of the rotations
measures the uncertainty.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from scipy.spatial.transform import Rotation

from posenet.errors import PoseNetError
from posenet.geometry.camera import Camera
from posenet.geometry.cropping import Crop
from posenet.geometry.poses import is_valid_quaternion, rotations_from_quaternions
from posenet.geometry.warping import Warper
from posenet.io.image_cache import release
from posenet.models.inference import BATCH, Network, predict_in_batches

# Pitch, yaw and roll of the views in degrees. The first view is the image itself.
VIEW_ROTATIONS_DEG = np.array(
    [
        (0, 0, 0),
        (0, 5, 0),
        (0, -5, 0),
        (5, 0, 0),
        (-5, 0, 0),
        (0, 0, 7),
        (0, 0, -7),
        (3, 7, 0),
        (-3, -7, 0),
        (3, -7, 4),
        (-3, 7, -4),
    ],
    float,
)
# Rolls that are used instead if the focal length is unknown.
VIEW_ROLLS_DEG = np.array(
    [(0, 0, roll) for roll in (0, 5, -5, 3, -3, 7, -7, 9, -9, 11, -11)], float
)
MAX_VIEWS = len(VIEW_ROTATIONS_DEG)


class Images(Protocol):
    """Resized images, (n, h, w, 3) uint8, that are read by index."""

    def __len__(self) -> int:
        """Return the number of images."""

    def __getitem__(self, index: Any) -> np.ndarray:
        """Return some of the images."""


class _RotatedViews:
    """Several views of some images: one view of each image, then the next view of each."""

    def __init__(
        self,
        images: Images,
        rows: np.ndarray,
        cameras: Sequence[Camera | None],
        target_cameras: Sequence[Camera | None],
        warper: Warper,
        rotations: Rotation,
    ) -> None:
        self.images = images
        self.rows = rows
        self.cameras = cameras
        self.target_cameras = target_cameras
        self.warper = warper
        self.rotations = rotations

    def __len__(self) -> int:
        return len(self.rotations)

    def __getitem__(self, views: np.ndarray) -> np.ndarray:
        return np.stack([self._view(view) for view in views])

    def release(self) -> None:
        release(self.images)

    def _view(self, view: int) -> np.ndarray:
        row = self.rows[view % len(self.rows)]
        return self.warper.render_rotated(
            self.images[row],
            self.cameras[row],
            self.rotations[view],
            target_camera=self.target_cameras[row],
        )


def predict_with_tta(
    network: Network,
    images: Images,
    cameras: Sequence[Camera | None],
    crop: Crop,
    *,
    tta_views: int,
    reference_camera: Camera | None = None,
) -> dict[str, np.ndarray]:
    """Predict one pose for each image from several views of it.

    Args:
        network: the network.
        images: n resized images.
        cameras: n cameras of the image files. Without one, or with a strongly distorted one, the
            views only roll.
        crop: how images were resized and are cropped.
        tta_views: number of views per image, 1 to 11.
        reference_camera: the camera of all training images, if there is one. Images of other
            cameras are warped to its intrinsics.

    Returns:
        The network's outputs as `predict_in_batches` returns them, with the mean "position" and
        "quaternion", and "spread_deg" (n,): the mean angle between the views' rotations and their
        mean, infinite unless all views have a valid rotation. Other outputs are those of the images
        themselves.

    Raises:
        PoseNetError: `tta_views` is out of range.
    """
    if not 1 <= tta_views <= MAX_VIEWS:
        raise PoseNetError(f"--tta-views must be from 1 to {MAX_VIEWS}, received {tta_views}")
    known = [crop.resized_camera(c) if c and c.is_perspective else None for c in cameras]
    targets = [_target_camera(camera, reference_camera, crop) for camera in cameras]
    rolls_only = np.array([camera is None for camera in known])
    warper = Warper(crop)
    whole = Crop(crop.size, crop.size)  # the views are cropped already
    batch_size = min(BATCH, len(images) * tta_views)
    parts = []
    for start in range(0, len(images), BATCH):
        rows = np.arange(start, min(start + BATCH, len(images)))
        degrees = np.where(
            rolls_only[rows, None],
            VIEW_ROLLS_DEG[:tta_views, None],
            VIEW_ROTATIONS_DEG[:tta_views, None],
        )
        rotations = Rotation.from_euler("xyz", degrees.reshape(-1, 3), degrees=True)
        views = _RotatedViews(images, rows, known, targets, warper, rotations)
        outputs = predict_in_batches(network, views, whole, batch_size=batch_size)
        outputs["quaternion"] = undo_rotation(outputs["quaternion"], rotations)
        by_view = {
            name: values.reshape(tta_views, len(rows), *values.shape[1:])
            for name, values in outputs.items()
        }
        means = _average(by_view["position"], by_view["quaternion"])
        parts.append({name: values[0] for name, values in by_view.items()} | means)
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def undo_rotation(quaternions: np.ndarray, rotations: Rotation) -> np.ndarray:
    """Return the rotations of the images themselves from those of rotated views.

    Args:
        quaternions: world_from_camera of the views, wxyz, shape (n, 4).
        rotations: camera_from_view, one or n.

    Returns:
        world_from_camera of the images, shape (n, 4). Invalid quaternions stay unchanged.
    """
    safe, valid = rotations_from_quaternions(quaternions)
    undone = (safe * rotations.inv()).as_quat(scalar_first=True)
    return np.where(valid[:, None], undone, quaternions)


def _target_camera(
    camera: Camera | None, reference_camera: Camera | None, crop: Crop
) -> Camera | None:
    """Return the resized reference camera, if images can be warped to it."""
    if camera is None or reference_camera is None:
        return None
    if not (camera.is_perspective and reference_camera.is_perspective):
        return None
    return crop.resized_camera(reference_camera)


def _average(positions: np.ndarray, quaternions: np.ndarray) -> dict[str, np.ndarray]:
    """Return means and spread over views; (v, n, 3) and (v, n, 4)."""
    mean_quaternions = quaternions[0].copy()
    spread = np.full(len(positions[0]), np.inf)
    for row in range(positions.shape[1]):
        views = quaternions[:, row]
        if is_valid_quaternion(views).all():
            rotations = Rotation.from_quat(views, scalar_first=True)
            mean = rotations.mean()
            mean_quaternions[row] = mean.as_quat(scalar_first=True)
            spread[row] = np.degrees((mean.inv() * rotations).magnitude().mean())
    return {
        "position": positions.mean(axis=0),
        "quaternion": mean_quaternions,
        "spread_deg": spread,
    }
