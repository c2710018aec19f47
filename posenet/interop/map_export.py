"""What is exported of a place: colored points and cameras."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from posenet.geometry.camera import Camera
from posenet.geometry.poses import Poses

# Length of a frustum relative to the extent of all cameras, and the smallest one.
FRUSTUM_SIZE = 0.015
MIN_FRUSTUM = 1e-3
# Half width and height at depth 1 of a camera with unknown intrinsics.
UNKNOWN_HALF = (0.6, 0.45)
# A frustum has its center, then the upper left, upper right, lower right and lower left corner.
CORNERS = 5
EDGES = np.array([[0, 1], [0, 2], [0, 3], [0, 4], [1, 2], [2, 3], [3, 4], [4, 1]])
TRIANGLES = np.array([[0, 2, 1], [0, 3, 2], [0, 4, 3], [0, 1, 4], [1, 2, 3], [1, 3, 4]])


@dataclass(frozen=True, eq=False)
class CameraGroup:
    """Cameras of one color.

    Attributes:
        name: what they are, such as "training images".
        poses: n poses, world_from_camera.
        cameras: n cameras, None where the intrinsics are unknown.
        color: RGB, 0 to 255.
    """

    name: str
    poses: Poses
    cameras: Sequence[Camera | None]
    color: tuple[int, int, int]


@dataclass(frozen=True, eq=False)
class MapExport:
    """Points and cameras in the world frame.

    Attributes:
        name: name of the scene.
        unit: unit of all positions.
        axes: two horizontal axes and the up direction in rows, right-handed, shape (3, 3).
        center: a point in the middle of the cameras, shape (3,).
        positions: points, shape (m, 3).
        colors: their RGB, shape (m, 3), uint8.
        groups: the cameras.
    """

    name: str
    unit: str
    axes: np.ndarray
    center: np.ndarray
    positions: np.ndarray
    colors: np.ndarray
    groups: Sequence[CameraGroup] = field(default_factory=tuple)

    @property
    def num_cameras(self) -> int:
        """Number of cameras in all groups."""
        return sum(len(group.poses) for group in self.groups)

    @property
    def frustum_size(self) -> float:
        """Length of a frustum in scene units."""
        positions = [group.poses.positions for group in self.groups if len(group.poses)]
        if not positions:
            return MIN_FRUSTUM
        return max(
            FRUSTUM_SIZE * float(np.ptp(np.concatenate(positions), axis=0).max()), MIN_FRUSTUM
        )


def frustum_corners(group: CameraGroup, size: float) -> np.ndarray:
    """Return the corners of the frusta of cameras. Lens distortion is ignored.

    Args:
        group: n cameras.
        size: distance of the image plane from the center, scene units.

    Returns:
        The center, then the upper left, upper right, lower right and lower left corner, in the
        world frame, shape (n, 5, 3).
    """
    local = np.array([_local_corners(camera) for camera in group.cameras]).reshape(-1, CORNERS, 3)
    turned = np.einsum("nij,nkj->nki", group.poses.rotations.as_matrix(), local * size)
    return turned + group.poses.positions[:, None]


def _local_corners(camera: Camera | None) -> np.ndarray:
    """Return the center and the corners of the image plane at depth 1, shape (5, 3)."""
    left, right = -UNKNOWN_HALF[0], UNKNOWN_HALF[0]
    top, bottom = -UNKNOWN_HALF[1], UNKNOWN_HALF[1]
    if camera is not None:
        left, right = -camera.cx / camera.fx, (camera.width - camera.cx) / camera.fx
        top, bottom = -camera.cy / camera.fy, (camera.height - camera.cy) / camera.fy
    corners = [(left, top), (right, top), (right, bottom), (left, bottom)]
    return np.array([(0.0, 0.0, 0.0), *((x, y, 1.0) for x, y in corners)])
