"""Flat textured faces, solids made of them, and the visibility of points.

World: meters, z up. Camera axes: OpenCV (x right, y down, z forward). Pixel (0, 0) has its center
at (0.5, 0.5).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import cv2
import numpy as np
from scipy.spatial.transform import Rotation

from posenet.geometry.camera import Camera

# Faces are clipped closer than this to the plane of the camera, meters.
NEAR = 0.05
# A face does not hide a point on itself: the last part of a ray, as a fraction, is ignored.
ON_FACE = 1e-3
# Faces have at most this many corners.
MAX_CORNERS = 9
# The outline (s, t) of a whole rectangle.
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
        across: vector from there to the top right corner, meters, shape (3,).
        down: vector from there to the bottom left corner, meters, shape (3,).
        texture: the texture.
        outline: the polygon in (s, t), k points in [0, 1].
        tile: largest length in meters that is drawn with one texture level; only whole rectangles
            are divided.
    """

    corner: np.ndarray
    across: np.ndarray
    down: np.ndarray
    texture: Texture
    outline: tuple[tuple[float, float], ...] = SQUARE
    tile: float = 2.5

    @cached_property
    def normal(self) -> np.ndarray:
        """Unit vector towards the painted side, shape (3,)."""
        normal = np.cross(self.down, self.across)
        unit: np.ndarray = normal / np.linalg.norm(normal)
        return unit

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

    @cached_property
    def padded_tiles(self) -> np.ndarray:
        """The outlines in (s, t, 1), shape (n, MAX_CORNERS, 3), with the last corner repeated."""
        tiles = np.ones((len(self.tiles), MAX_CORNERS, 3))
        for tile, outline in zip(tiles, self.tiles, strict=True):
            tile[: len(outline), :2] = outline
            tile[len(outline) :, :2] = outline[-1]
        return tiles

    @cached_property
    def tile_centers(self) -> np.ndarray:
        """The mean corner of each outline in (s, t, 1), shape (n, 3)."""
        return np.array([(*outline.mean(axis=0), 1.0) for outline in self.tiles])

    def points(self, coordinates: np.ndarray) -> np.ndarray:
        """Return points of the face.

        Args:
            coordinates: (s, t), shape (n, 2).

        Returns:
            World points, shape (n, 3).
        """
        across = coordinates[:, :1] * self.across
        down = coordinates[:, 1:] * self.down
        points: np.ndarray = self.corner + across + down
        return points


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

    @cached_property
    def heights(self) -> list[tuple[float, float]]:
        """Lowest and highest z of each part, meters."""
        heights = [
            np.concatenate([face.points(np.array(face.outline))[:, 2] for face in part])
            for part in self.parts
        ]
        return [(float(each.min()), float(each.max())) for each in heights]


def visible(
    points: np.ndarray,
    camera: Camera,
    position: np.ndarray,
    rotation: Rotation,
    faces: Sequence[Face],
) -> np.ndarray:
    """Return a mask of the points that a camera sees.

    They are in front of the camera, inside its image, and not hidden by a face.

    Args:
        points: world points, meters, shape (n, 3).
        camera: the camera.
        position: camera center in world axes, meters, shape (3,).
        rotation: rotation from camera to world axes.
        faces: all faces of the world.

    Returns:
        The mask, shape (n,).
    """
    local = rotation.inv().apply(points - position)
    depth = np.maximum(local[:, 2], NEAR)
    x = camera.fx * local[:, 0] / depth + camera.cx
    y = camera.fy * local[:, 1] / depth + camera.cy
    seen = (local[:, 2] > NEAR) & (x >= 0) & (x < camera.width) & (y >= 0) & (y < camera.height)
    rays = points[seen] - position
    clear = np.ones(len(rays), bool)
    for face in faces:
        # Skip faces seen from behind: the other faces of a closed solid hide the same points.
        if face.normal @ (position - face.corner) <= 0:
            continue
        inverse = np.linalg.inv(np.stack([face.across, face.down, -face.normal], axis=1))
        start = inverse @ (position - face.corner)
        step = rays @ inverse.T
        with np.errstate(divide="ignore", invalid="ignore"):
            along = -start[2] / step[:, 2]
            hit = start[:2] + along[:, None] * step[:, :2]
            between = (along > 0) & (along < 1 - ON_FACE)
            clear &= ~(between & _inside(hit, np.array(face.outline)))
    seen[seen] = clear
    return seen


def _inside(points: np.ndarray, outline: np.ndarray) -> np.ndarray:
    """Return a mask of the points (n, 2) in a convex polygon (k, 2), ordered from s towards t."""
    edges = np.roll(outline, -1, axis=0) - outline
    offsets = points[:, None] - outline
    cross = edges[:, 0] * offsets[..., 1] - edges[:, 1] * offsets[..., 0]
    inside: np.ndarray = np.all(cross >= 0, axis=1)
    return inside
