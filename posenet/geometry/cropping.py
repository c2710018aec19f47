"""Resize-and-crop: how an image becomes the network's input, and its camera with it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from posenet.geometry.camera import Camera

# Stride in pixels of the feature map whose cells the scene-coordinate head uses.
CELL = 16
# Number of nodes of a depth grid along the short side of an image.
SHORT_SIDE_NODES = 13
# Aspect ratios beyond these, long side to short side, are cropped.
MAX_ASPECT = 2.0


class CoverTransform(NamedTuple):
    """How an image is scaled and cropped to cover a size.

    Attributes:
        size: (width, height) that the image is scaled to.
        corner: (left, top) of the central crop in the scaled image.
    """

    size: tuple[int, int]
    corner: tuple[int, int]


@dataclass(frozen=True)
class Crop:
    """How images are resized and cropped.

    Attributes:
        resized: (height, width) of the resized, cached images.
        size: (height, width) of the central crop that the network receives.
    """

    resized: tuple[int, int]
    size: tuple[int, int]

    @property
    def corner(self) -> tuple[int, int]:
        """(top, left) of the central crop in a resized image."""
        return (self.resized[0] - self.size[0]) // 2, (self.resized[1] - self.size[1]) // 2

    @property
    def grid(self) -> tuple[int, int]:
        """(rows, columns) of the cells of 16 x 16 pixels that cover the crop."""
        return -(-self.size[0] // CELL), -(-self.size[1] // CELL)

    def center(self, images: np.ndarray) -> np.ndarray:
        """Return the central crop of resized images.

        Args:
            images: resized images, shape (..., h, w, 3).

        Returns:
            A view of the crops.
        """
        top, left = self.corner
        return images[..., top : top + self.size[0], left : left + self.size[1], :]

    def resized_camera(self, camera: Camera) -> Camera:
        """Return the camera of an image after `resize_to_cover`.

        Args:
            camera: the camera of the image file.

        Returns:
            The camera of the resized image.
        """
        height, width = self.resized
        size, (left, top) = cover_transform(camera.width, camera.height, width, height)
        scaled = camera.resized(*size)
        return replace(scaled, width=width, height=height, cx=scaled.cx - left, cy=scaled.cy - top)


def full_image_crop(sizes: Sequence[tuple[int, int]], short_side: int) -> Crop:
    """Return the crop that shows the whole image.

    Args:
        sizes: (width, height) of some images of the scene. Their median aspect ratio, at most 2:1,
            determines the long side, a multiple of 16.
        short_side: short side of the resized image in pixels.

    Returns:
        The crop.
    """
    ratio = _median_ratio(sizes)
    long_side = 16 * round(short_side * max(ratio, 1 / ratio) / 16)
    size = (short_side, long_side) if ratio >= 1 else (long_side, short_side)
    return Crop(size, size)


def square_crop(
    sizes: Sequence[tuple[int, int]], short_side: int = 256, crop_side: int = 224
) -> Crop:
    """Return PoseNet's crop: a central square.

    Args:
        sizes: (width, height) of some images of the scene.
        short_side: short side of the resized image in pixels.
        crop_side: side of the square in pixels.

    Returns:
        The crop.
    """
    ratio = _median_ratio(sizes)
    long_side = math.ceil(short_side * max(ratio, 1 / ratio))
    resized = (short_side, long_side) if ratio >= 1 else (long_side, short_side)
    return Crop(resized, (crop_side, crop_side))


def grid_shape(size: tuple[int, int]) -> tuple[int, int]:
    """Return the number of nodes of a depth grid over an image.

    Args:
        size: (height, width) of the image.

    Returns:
        (rows, columns) of nodes.
    """
    short = min(size)
    rows, columns = (1 + round((SHORT_SIDE_NODES - 1) * side / short) for side in size)
    return rows, columns


def cover_transform(width: int, height: int, new_width: int, new_height: int) -> CoverTransform:
    """Return how `resize_to_cover` scales and crops an image, to transform its intrinsics too.

    Args:
        width: width of the image in pixels.
        height: height of the image in pixels.
        new_width: width to cover.
        new_height: height to cover.

    Returns:
        The scaled size and the corner of the crop.
    """
    scale = max(new_width / width, new_height / height)
    scaled = max(new_width, round(width * scale)), max(new_height, round(height * scale))
    corner = (scaled[0] - new_width) // 2, (scaled[1] - new_height) // 2
    return CoverTransform(scaled, corner)


def _median_ratio(sizes: Sequence[tuple[int, int]]) -> float:
    """Return the median ratio of width to height, limited to 2:1 and 1:2."""
    ratios = [width / height for width, height in sizes]
    return float(np.clip(np.median(ratios), 1 / MAX_ASPECT, MAX_ASPECT))
