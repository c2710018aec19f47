"""Flat textured faces, solids made of them, and which points a camera sees among them.

World: meters, z up. Camera axes: OpenCV (x right, y down, z forward). Pixel (0, 0) has its center
at (0.5, 0.5).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import cv2
import numpy as np
from scipy.spatial.transform import Rotation

from posenet.geometry.camera import Camera

# Distance from the plane of the camera, in meters, below which faces are clipped.
NEAR = 0.05
SQUARE = ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0))


@dataclass(eq=False)
class Texture:
    """An image and its reduced versions, halved separately in width and height, computed on demand.

    Attributes:
        pixels: RGB or RGBA image, uint8.
    """

    pixels: np.ndarray
    _levels: dict[tuple[int, int], np.ndarray] = field(default_factory=dict)

    def level(self, across: int, down: int) -> np.ndarray:
        """Return a reduced version, by averaging.

        Args:
            across: number of times that the width is halved.
            down: number of times that the height is halved.

        Returns:
            The image, uint8.
        """
        if (across, down) not in self._levels:
            height, width = self.pixels.shape[:2]
            size = (max(1, width >> across), max(1, height >> down))
            self._levels[across, down] = cv2.resize(self.pixels, size, interpolation=cv2.INTER_AREA)
        return self._levels[across, down]


@dataclass(frozen=True, eq=False)
class Face:
    """A one-sided flat convex polygon. Its point (s, t) is at corner + s * across + t * down.

    Attributes:
        corner: top left corner of the texture, seen from the painted side, meters, shape (3,).
        across: from there to the top right corner, meters, shape (3,).
        down: from there to the bottom left corner, meters, shape (3,).
        texture: the texture.
        outline: the polygon in (s, t), k points in [0, 1].
        tile: largest length in meters that is drawn with one texture level; only whole rectangles
            are divided.
    """

    corner: np.ndarray
    across: np.ndarray
    down: np.ndarray
    texture: Texture
    outline: tuple = SQUARE
    tile: float = 2.5

    @cached_property
    def normal(self) -> np.ndarray:
        """Unit vector towards the painted side, shape (3,)."""
        normal = np.cross(self.down, self.across)
        return normal / np.linalg.norm(normal)

    @cached_property
    def tiles(self) -> list[np.ndarray]:
        """The outlines, shape (k, 2) each, that are drawn one by one."""
        if self.outline is not SQUARE:
            return [np.array(self.outline)]
        counts = [
            max(1, int(np.ceil(np.linalg.norm(side) / self.tile)))
            for side in (self.across, self.down)
        ]
        square = np.array(SQUARE)
        return [
            (square + np.array((i, j))) / counts for j in range(counts[1]) for i in range(counts[0])
        ]

    def points(self, coordinates: np.ndarray) -> np.ndarray:
        """Return points of the face.

        Args:
            coordinates: (s, t), shape (n, 2).

        Returns:
            World points, shape (n, 3).
        """
        return self.corner + coordinates[:, :1] * self.across + coordinates[:, 1:] * self.down


@dataclass(frozen=True, eq=False)
class Solid:
    """Convex parts on top of one another.

    Attributes:
        parts: the faces of each part.
        low: smallest coordinates, shape (3,).
        high: largest coordinates, shape (3,).
    """

    parts: list[list[Face]]
    low: np.ndarray
    high: np.ndarray


def visible(
    points: np.ndarray, camera: Camera, position, rotation: Rotation, faces: list[Face]
) -> np.ndarray:
    """Return which points a camera sees: inside the image, in front of it, hidden by no face.

    Args:
        points: world points, shape (n, 3).
        camera: the camera.
        position: its center, shape (3,).
        rotation: camera axes to world axes.
        faces: all faces.

    Returns:
        A mask, shape (n,).
    """
    local = rotation.inv().apply(points - position)
    depth = np.maximum(local[:, 2], NEAR)
    x, y = camera.fx * local[:, 0] / depth + camera.cx, camera.fy * local[:, 1] / depth + camera.cy
    seen = (local[:, 2] > NEAR) & (x >= 0) & (x < camera.width) & (y >= 0) & (y < camera.height)
    rays = points[seen] - position
    clear = np.ones(len(rays), bool)
    for face in faces:
        # The other faces of a closed solid hide as well.
        if face.normal @ (position - face.corner) <= 0:
            continue
        inverse = np.linalg.inv(np.stack([face.across, face.down, -face.normal], axis=1))
        start, step = inverse @ (position - face.corner), rays @ inverse.T
        with np.errstate(divide="ignore", invalid="ignore"):
            along = -start[2] / step[:, 2]
            hit = start[:2] + along[:, None] * step[:, :2]
            clear &= ~((along > 0) & (along < 1 - 1e-3) & _inside(hit, np.array(face.outline)))
    seen[seen] = clear
    return seen


def _inside(points: np.ndarray, outline: np.ndarray) -> np.ndarray:
    """Return which points (n, 2) are in a convex polygon (k, 2) that turns from s towards t."""
    edges = np.roll(outline, -1, axis=0) - outline
    offsets = points[:, None] - outline
    return (edges[:, 0] * offsets[..., 1] - edges[:, 1] * offsets[..., 0] >= 0).all(axis=1)
