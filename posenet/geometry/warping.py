"""What a rotated or translated camera sees: homographies and depth-based warps."""

from __future__ import annotations

import cv2
import numpy as np
from scipy.spatial.transform import Rotation

from posenet.geometry.camera import Camera
from posenet.geometry.cropping import Crop, grid_shape

FIXED_POINT_ROUNDS = 4


def turning_homography(stored: np.ndarray, cut: np.ndarray, turn: Rotation) -> np.ndarray:
    """(3, 3) pixel map from the turned camera's image to the stored one, pixel centers at integers (OpenCV).

    stored, cut: (3, 3) intrinsics of the stored image and of the cut, pixel centers at + 0.5.
    turn: old_camera_from_new_camera.
    """
    half = np.array([[1, 0, 0.5], [0, 1, 0.5], [0, 0, 1.0]])
    return np.linalg.inv(half) @ stored @ turn.as_matrix() @ np.linalg.inv(cut) @ half


def reproject_with_depth(
    rays: np.ndarray, move: np.ndarray, camera: Camera, depth: np.ndarray, size
):
    """What rays (n, 3), in the camera's axes, meet when they start at move (3,).

    depth: (rows, columns) inverse depths of the camera's image of size (height, width). Gives the pixels (n, 2) that
    show it there, and how far along the rays it lies (n, 1), in lengths of the rays.
    """
    scale = (np.array(depth.shape[::-1]) - 1) / (size[1], size[0])
    points, along = rays, np.ones((len(rays), 1))
    for _ in range(FIXED_POINT_ROUNDS):
        nodes = (_pixels(points, camera) * scale).astype(np.float32)
        inverse = cv2.remap(
            depth, nodes[:, :1], nodes[:, 1:], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )
        along = np.maximum((1 / inverse - move[2]) / np.maximum(rays[:, 2:], 0.1), 1e-6)
        points = move + along * rays
    return _pixels(points, camera), along


def _pixels(points: np.ndarray, camera: Camera) -> np.ndarray:
    return points[:, :2] / np.maximum(points[:, 2:], 1e-6) * (camera.fx, camera.fy) + (
        camera.cx,
        camera.cy,
    )


def _grid_weights(nodes: int, places: int) -> tuple[np.ndarray, np.ndarray]:
    """For the middle of each of several equal parts of a side, the node before it and the share of the way to the next.

    The first and last nodes lie on the side's ends.
    """
    place = (np.arange(places) + 0.5) / places * (nodes - 1)
    return place.astype(int), (place % 1).astype(np.float32)


def _interpolate_grid(values: np.ndarray, between) -> np.ndarray:
    """Values (rows, columns, d) at the nodes of a grid, interpolated between them."""
    (above, down), (left, right) = between
    rows = values[above] + down[:, None, None] * (values[above + 1] - values[above])
    return rows[:, left] + right[:, None] * (rows[:, left + 1] - rows[:, left])


class Warper:
    """Cuts of stored images as a rotated or translated camera sees them."""

    def __init__(self, crop: Crop):
        self.crop = crop
        self.nodes = grid_shape(crop.size)
        self.between_pixels, self.between_cells = (
            [_grid_weights(count, side) for count, side in zip(self.nodes, sides, strict=True)]
            for sides in (crop.size, crop.grid)
        )

    def turned(
        self,
        image: np.ndarray,
        camera: Camera | None,
        turn: Rotation,
        shift=(0.0, 0.0),
        seen_by: Camera | None = None,
    ) -> np.ndarray:
        """The cut (h, w, 3) uint8 of a stored image that a camera turned by `turn` would see, moved by shift (x, y).

        camera: as for `view`; where it is unknown, only rolls are exact. seen_by: the stored camera that turned, where
        it is not the image's own.
        """
        height, width = self.crop.resized
        size = float(max(height, width))
        stored = (camera or Camera(width, height, size, size, width / 2, height / 2)).matrix
        top, left = self.crop.corner
        cut = (seen_by.matrix if seen_by else stored) - [
            [0, 0, left + shift[0]],
            [0, 0, top + shift[1]],
            [0, 0, 0],
        ]
        return self._warp(image, turning_homography(stored, cut, turn))

    def moved(self, image, camera: Camera, turn: Rotation, move: np.ndarray, depth: np.ndarray):
        """The cut that the camera would see if it turned by `turn` and stood at `move` (3,), in its old axes.

        depth: (rows, columns) inverse depths of the stored image. What the old camera did not see is made up. Also
        gives the points that its cells show, as in `AugmentedView`.
        """
        height, width = self.crop.size
        top, left = self.crop.corner
        nodes = np.stack(
            np.meshgrid(
                np.linspace(0, width, self.nodes[1]), np.linspace(0, height, self.nodes[0])
            ),
            -1,
        )
        straight = (nodes + (left - camera.cx, top - camera.cy)) / (camera.fx, camera.fy)
        straight = np.concatenate([straight, np.ones((*self.nodes, 1))], -1)
        pixels, along = reproject_with_depth(
            turn.apply(straight.reshape(-1, 3)), move, camera, depth, self.crop.resized
        )
        pixels, along = pixels.reshape(*self.nodes, 2), along.reshape(*self.nodes, 1)
        maps = _interpolate_grid((pixels - 0.5).astype(np.float32), self.between_pixels)
        view = cv2.remap(
            image, maps[..., 0], maps[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101
        )
        points, place = (
            _interpolate_grid(each, self.between_cells) for each in (along * straight, pixels)
        )
        inside = ((place > 0) & (place < self.crop.resized[::-1])).all(axis=-1, keepdims=True)
        return view, np.where(inside, points, np.nan)

    def _warp(self, image, homography):
        height, width = self.crop.size
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        return cv2.warpPerspective(
            image, homography, (width, height), flags=flags, borderMode=cv2.BORDER_REFLECT_101
        )
