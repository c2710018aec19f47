"""How a image becomes the network's input: the stored size, the cut from its middle, the camera of both."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from posenet.geometry.camera import Camera

CELL = 16
SHORT_NODES = 13  # of a coarse grid, along the image's short side


@dataclass(frozen=True)
class Crop:
    """stored: (height, width) of the cached images. cut: (height, width) that the network sees."""

    resized: tuple[int, int]
    size: tuple[int, int]

    @property
    def corner(self) -> tuple[int, int]:
        """(top, left) of the middle cut in a stored image."""
        return (self.resized[0] - self.size[0]) // 2, (self.resized[1] - self.size[1]) // 2

    @property
    def grid(self) -> tuple[int, int]:
        """(rows, columns) of cells of 16 x 16 pixels that cover the cut: those of a feature map of stride 16."""
        return -(-self.size[0] // CELL), -(-self.size[1] // CELL)

    def middle(self, images: np.ndarray) -> np.ndarray:
        """The middle cut of stored images (..., h, w, 3)."""
        top, left = self.corner
        return images[..., top : top + self.size[0], left : left + self.size[1], :]

    def resized_camera(self, camera: Camera) -> Camera:
        """A image's camera after `resize_to_cover` to the stored size."""
        height, width = self.resized
        size, (left, top) = cover_transform(camera.width, camera.height, width, height)
        scaled = camera.resized(*size)
        return replace(scaled, width=width, height=height, cx=scaled.cx - left, cy=scaled.cy - top)


def full_image_crop(sizes: list[tuple[int, int]], short_side: int) -> Crop:
    """The crop that shows the network the whole image, its short side scaled to short_side.

    sizes: (width, height) of the scene's images; the middle (median) aspect ratio decides, between 2:1 and 1:2,
    and the long side is rounded to a multiple of 16.
    """
    ratio = float(np.clip(np.median([width / height for width, height in sizes]), 0.5, 2.0))
    long_side = 16 * round(short_side * max(ratio, 1 / ratio) / 16)
    size = (short_side, long_side) if ratio >= 1 else (long_side, short_side)
    return Crop(size, size)


def square_crop(sizes: list[tuple[int, int]], short_side: int = 256, cut: int = 224) -> Crop:
    """PoseNet's crop: the short side scaled to 256, the network sees a square of 224."""
    ratio = float(np.clip(np.median([width / height for width, height in sizes]), 0.5, 2.0))
    long_side = math.ceil(short_side * max(ratio, 1 / ratio))
    return Crop((short_side, long_side) if ratio >= 1 else (long_side, short_side), (cut, cut))


def grid_shape(size: tuple[int, int]) -> tuple[int, int]:
    """(rows, columns) of the nodes of a coarse grid over a image of size (height, width)."""
    rows, columns = (1 + round((SHORT_NODES - 1) * side / min(size)) for side in size)
    return rows, columns


def cover_transform(
    width: int, height: int, new_width: int, new_height: int
) -> tuple[tuple[int, int], tuple[int, int]]:
    """The (width, height) that `resize_to_cover` scales to and the (left, top) of its cut, to move intrinsics along."""
    scale = max(new_width / width, new_height / height)
    scaled = max(new_width, round(width * scale)), max(new_height, round(height * scale))
    return scaled, ((scaled[0] - new_width) // 2, (scaled[1] - new_height) // 2)
