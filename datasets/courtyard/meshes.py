"""Flat textured faces and solids made of them, and which points a camera sees among them.

World: meters, z up. Camera axes: OpenCV (x right, y down, z forward). Pixel (0, 0)'s center is at (0.5, 0.5).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import cv2
import numpy as np
from scipy.spatial.transform import Rotation

from posenet.geometry.camera import Camera

NEAR = 0.05  # meters: what is nearer than this to the camera's plane is cut away
SQUARE = ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0))


@dataclass(eq=False)
class Texture:
    """A image and its shrunken versions, halved separately in width and height, made when first asked for."""

    pixels: np.ndarray
    _levels: dict[tuple[int, int], np.ndarray] = field(default_factory=dict)

    def level(self, across: int, down: int) -> np.ndarray:
        """The image divided by 2**across in width and by 2**down in height, averaged."""
        if (across, down) not in self._levels:
            height, width = self.pixels.shape[:2]
            size = (max(1, width >> across), max(1, height >> down))
            self._levels[across, down] = cv2.resize(self.pixels, size, interpolation=cv2.INTER_AREA)
        return self._levels[across, down]


@dataclass(frozen=True, eq=False)
class Face:
    """A one-sided flat convex polygon. Its point (s, t) lies at corner + s * across + t * down.

    corner, across, down: (3,) meters; (s, t) = (0, 0) is the texture's top left corner, (1, 1) its bottom
    right one, as seen from the side that is painted. outline: (k, 2) the polygon in (s, t), inside [0, 1].
    tile: largest length in meters drawn with one texture level; only whole rectangles are divided.
    """

    corner: np.ndarray
    across: np.ndarray
    down: np.ndarray
    texture: Texture
    outline: tuple = SQUARE
    tile: float = 2.5

    @cached_property
    def normal(self) -> np.ndarray:
        """(3,) unit vector towards the side that is painted."""
        normal = np.cross(self.down, self.across)
        return normal / np.linalg.norm(normal)

    @cached_property
    def tiles(self) -> list[np.ndarray]:
        """The outlines (k, 2) to be drawn one by one."""
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
        """World points (n, 3) at the coordinates (n, 2) = (s, t)."""
        return self.corner + coordinates[:, :1] * self.across + coordinates[:, 1:] * self.down


@dataclass(frozen=True, eq=False)
class Solid:
    """Convex parts stacked on one another, each a list of faces, inside the box low..high (3,), (3,)."""

    parts: list[list[Face]]
    low: np.ndarray
    high: np.ndarray


def visible(
    points: np.ndarray, camera: Camera, position, rotation: Rotation, faces: list[Face]
) -> np.ndarray:
    """(n,) mask of the world points (n, 3) in the image, in front of the camera and hidden by no face."""
    local = rotation.inv().apply(points - position)
    depth = np.maximum(local[:, 2], NEAR)
    x, y = camera.fx * local[:, 0] / depth + camera.cx, camera.fy * local[:, 1] / depth + camera.cy
    seen = (local[:, 2] > NEAR) & (x >= 0) & (x < camera.width) & (y >= 0) & (y < camera.height)
    rays = points[seen] - position
    clear = np.ones(len(rays), bool)
    for face in faces:
        if (
            face.normal @ (position - face.corner) <= 0
        ):  # the other faces of a closed solid hide as well
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
    """(n,) mask of the points (n, 2) in a convex polygon (k, 2) that turns from s towards t."""
    edges = np.roll(outline, -1, axis=0) - outline
    offsets = points[:, None] - outline
    return (edges[:, 0] * offsets[..., 1] - edges[:, 1] * offsets[..., 0] >= 0).all(axis=1)
