"""What a rotated or translated camera sees: homographies and depth-based warps.

A camera that rotates about its center sees the same image through the homography K R K^-1, whatever
the scene (Hartley and Zisserman, section 8.4). What it sees after a translation depends on depth.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
from scipy.spatial.transform import Rotation

from posenet.geometry.camera import Camera
from posenet.geometry.cropping import Crop, grid_shape

# Rounds of the fixed-point iteration that intersects a ray with the depth of another image.
FIXED_POINT_ROUNDS = 4
# Smallest z of a unit-length ray that is intersected with a depth, and smallest distance.
MIN_RAY_Z = 0.1
MIN_DISTANCE = 1e-6


class TranslatedView(NamedTuple):
    """What a translated camera sees.

    Attributes:
        image: the crop, shape (h, w, 3), uint8.
        points: what the center of each cell shows, in the axes of the new camera, shape
            (rows, columns, 3); NaN if unknown.
    """

    image: np.ndarray
    points: np.ndarray


class _Interpolation(NamedTuple):
    """Linear interpolation along one side of a grid.

    Attributes:
        before: the node before a place.
        weight: the weight of the next node.
    """

    before: np.ndarray
    weight: np.ndarray


def rotation_homography(resized: np.ndarray, crop: np.ndarray, rotation: Rotation) -> np.ndarray:
    """Return the homography from the crop of a rotated camera to the resized image.

    Args:
        resized: intrinsics of the resized image, shape (3, 3), pixel centers at + 0.5.
        crop: intrinsics of the crop, shape (3, 3), pixel centers at + 0.5.
        rotation: old_camera_from_new_camera.

    Returns:
        The homography, shape (3, 3), pixel centers at integers (OpenCV).
    """
    half = np.array([[1, 0, 0.5], [0, 1, 0.5], [0, 0, 1.0]])
    homography: np.ndarray = (
        np.linalg.inv(half) @ resized @ rotation.as_matrix() @ np.linalg.inv(crop) @ half
    )
    return homography


def reproject_with_depth(
    rays: np.ndarray,
    translation: np.ndarray,
    camera: Camera,
    inverse_depth: np.ndarray,
    size: tuple[int, int],
) -> tuple[np.ndarray, np.ndarray]:
    """Intersect rays from a translated camera center with the depth of an image.

    Args:
        rays: directions in the axes of the image's camera, shape (n, 3).
        translation: where the rays start, in the same axes, shape (3,).
        camera: the camera of the image.
        inverse_depth: inverse depths of the image on a grid, shape (rows, columns).
        size: (height, width) of the image.

    Returns:
        Pixels of the image that show the intersections, shape (n, 2), and the distances along the
        rays, shape (n, 1), in lengths of the rays.
    """
    scale = (np.array(inverse_depth.shape[::-1]) - 1) / (size[1], size[0])
    points = rays
    distances = np.ones((len(rays), 1))
    for _ in range(FIXED_POINT_ROUNDS):
        nodes = (_to_pixels(points, camera) * scale).astype(np.float32)
        inverse = cv2.remap(
            inverse_depth,
            nodes[:, :1],
            nodes[:, 1:],
            cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REPLICATE,
        )
        depth = 1 / inverse - translation[2]
        distances = np.maximum(depth / np.maximum(rays[:, 2:], MIN_RAY_Z), MIN_DISTANCE)
        points = translation + distances * rays
    return _to_pixels(points, camera), distances


class Warper:
    """Renders crops of resized images as rotated or translated cameras see them."""

    def __init__(self, crop: Crop) -> None:
        self.crop = crop
        self.nodes = grid_shape(crop.size)
        self.pixel_rows = _grid_weights(self.nodes[0], crop.size[0])
        self.pixel_columns = _grid_weights(self.nodes[1], crop.size[1])
        self.cell_rows = _grid_weights(self.nodes[0], crop.grid[0])
        self.cell_columns = _grid_weights(self.nodes[1], crop.grid[1])

    def render_rotated(
        self,
        image: np.ndarray,
        camera: Camera | None,
        rotation: Rotation,
        *,
        shift: tuple[float, float] | np.ndarray = (0.0, 0.0),
        target_camera: Camera | None = None,
    ) -> np.ndarray:
        """Render what a rotated camera sees.

        Args:
            image: resized image, shape (h, w, 3), uint8.
            camera: its camera. If it is unknown, only rotations about the viewing axis are exact.
            rotation: old_camera_from_new_camera.
            shift: shift (x, y) of the crop in pixels.
            target_camera: resized camera that sees the view, if it is not the image's own.

        Returns:
            The crop, shape (h, w, 3), uint8.
        """
        height, width = self.crop.resized
        side = float(max(height, width))
        resized = (camera or Camera(width, height, side, side, width / 2, height / 2)).matrix
        target = target_camera.matrix if target_camera else resized
        top, left = self.crop.corner
        crop = target - [[0, 0, left + shift[0]], [0, 0, top + shift[1]], [0, 0, 0]]
        rows, columns = self.crop.size
        view: np.ndarray = cv2.warpPerspective(
            image,
            rotation_homography(resized, crop, rotation),
            (columns, rows),
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REFLECT_101,
        )
        return view

    def render_translated(
        self,
        image: np.ndarray,
        camera: Camera,
        rotation: Rotation,
        translation: np.ndarray,
        inverse_depth: np.ndarray,
    ) -> TranslatedView:
        """Render what a rotated and translated camera sees.

        What the image does not show is mirrored.

        Args:
            image: resized image, shape (h, w, 3), uint8.
            camera: its camera.
            rotation: old_camera_from_new_camera.
            translation: center of the new camera in the axes of the old one, shape (3,).
            inverse_depth: inverse depths of the resized image on a grid, shape (rows, columns).

        Returns:
            The crop and the points that its cells show.
        """
        rays = self._rays(camera)
        pixels, distances = reproject_with_depth(
            rotation.apply(rays.reshape(-1, 3)),
            translation,
            camera,
            inverse_depth,
            self.crop.resized,
        )
        pixels = pixels.reshape(*self.nodes, 2)
        distances = distances.reshape(*self.nodes, 1)
        maps = _interpolate_grid(
            (pixels - 0.5).astype(np.float32), self.pixel_rows, self.pixel_columns
        )
        view = cv2.remap(
            image,
            maps[..., 0],
            maps[..., 1],
            cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REFLECT_101,
        )
        points = _interpolate_grid(distances * rays, self.cell_rows, self.cell_columns)
        places = _interpolate_grid(pixels, self.cell_rows, self.cell_columns)
        inside = (places > 0) & (places < self.crop.resized[::-1])
        return TranslatedView(view, np.where(inside.all(axis=-1, keepdims=True), points, np.nan))

    def _rays(self, camera: Camera) -> np.ndarray:
        """Return the rays of the grid's nodes on the plane z = 1, shape (rows, columns, 3)."""
        height, width = self.crop.size
        top, left = self.crop.corner
        x = np.linspace(0, width, self.nodes[1])
        y = np.linspace(0, height, self.nodes[0])
        nodes = np.stack(np.meshgrid(x, y), -1)
        rays = (nodes + (left - camera.cx, top - camera.cy)) / (camera.fx, camera.fy)
        return np.concatenate([rays, np.ones((*self.nodes, 1))], -1)


def _to_pixels(points: np.ndarray, camera: Camera) -> np.ndarray:
    """Project points (n, 3) in camera axes without distortion."""
    normalized = points[:, :2] / np.maximum(points[:, 2:], 1e-6)
    pixels: np.ndarray = normalized * (camera.fx, camera.fy) + (camera.cx, camera.cy)
    return pixels


def _grid_weights(nodes: int, parts: int) -> _Interpolation:
    """Return the interpolation at the centers of equal parts of a side.

    The first and the last node are at the ends of the side.
    """
    place = (np.arange(parts) + 0.5) / parts * (nodes - 1)
    return _Interpolation(place.astype(int), (place % 1).astype(np.float32))


def _interpolate_grid(
    values: np.ndarray, rows: _Interpolation, columns: _Interpolation
) -> np.ndarray:
    """Interpolate values (rows, columns, d) at the nodes of a grid."""
    step_down = values[rows.before + 1] - values[rows.before]
    between = values[rows.before] + rows.weight[:, None, None] * step_down
    step_right = between[:, columns.before + 1] - between[:, columns.before]
    interpolated: np.ndarray = between[:, columns.before] + columns.weight[:, None] * step_right
    return interpolated
