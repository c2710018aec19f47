"""The arrays of a landmark map in 70 bytes per point, decoded when they are read.

A ray has 16 bits per coordinate relative to the largest of its image. A point is stored as its
distance along its ray, whose logarithm has 16 bits between the smallest and the largest of its
image: steps of some hundredths of a percent. A value of a SIFT descriptor is stored as 4 bits of
its square root, which is what RootSIFT compares.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

from posenet.mapping.keypoints import DESCRIPTOR_SIZE

LARGEST_RAY = 2**15 - 1
LARGEST_DISTANCE = 2**16 - 1
LARGEST_ROOT = 2**4 - 1
# The 4 bits of each value of a descriptor, and the values of each pair of 4 bits, the lower first.
_ROOTS = np.round(np.sqrt(np.arange(256) / 255) * LARGEST_ROOT).astype(np.uint8)
_SQUARES = np.round(255 * (np.arange(16) / LARGEST_ROOT) ** 2).astype(np.uint8)
_SQUARE_PAIRS = np.stack([np.tile(_SQUARES, 16), np.repeat(_SQUARES, 16)], axis=1)
# Smallest largest ray, so that an image without rays has a scale.
MIN_RAY = 1e-9


class PackedArray(ABC):
    """An array of m rows that is decoded when rows are read."""

    def __init__(self, stored: np.ndarray) -> None:
        self.stored = stored

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.stored)

    @property
    def nbytes(self) -> int:
        """Size on disk in bytes."""
        return self.stored.nbytes

    def __getitem__(self, key: slice | np.ndarray) -> np.ndarray:
        """Return some rows, by slice or indices."""
        if isinstance(key, slice):
            return self._decode(self.stored[key], np.arange(*key.indices(len(self))))
        return self._decode(self.stored[key], np.asarray(key))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        """Return all rows."""
        return np.asarray(self[:], dtype)

    @abstractmethod
    def _decode(self, stored: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Return the values of stored rows, given their indices."""


class PackedDescriptors(PackedArray):
    """SIFT descriptors, stored in shape (m, 64), uint8; read in shape (k, 128), uint8."""

    def _decode(self, stored: np.ndarray, rows: np.ndarray) -> np.ndarray:
        return _SQUARE_PAIRS[stored].reshape(*stored.shape[:-1], DESCRIPTOR_SIZE)


class PackedRays(PackedArray):
    """Rays on the plane z = 1, stored in shape (m, 2), int16; read in shape (k, 2), float32."""

    def __init__(self, stored: np.ndarray, starts: np.ndarray, scales: np.ndarray) -> None:
        super().__init__(stored)
        self.starts = starts
        self.scales = scales

    def _decode(self, stored: np.ndarray, rows: np.ndarray) -> np.ndarray:
        scales = self.scales[image_of(rows, self.starts)]
        return (stored * (scales / LARGEST_RAY)[..., None]).astype(np.float32)


class PackedPoints(PackedArray):
    """Points relative to the map's origin, stored as distances (m,), uint16; read as (k, 3)."""

    def __init__(self, stored: np.ndarray, rays: PackedRays, cameras: Cameras) -> None:
        super().__init__(stored)
        self.rays = rays
        self.cameras = cameras

    def _decode(self, stored: np.ndarray, rows: np.ndarray) -> np.ndarray:
        images = image_of(rows, self.rays.starts)
        lower, upper = np.moveaxis(self.cameras.log_distances[images], -1, 0)
        distances = np.exp(lower + stored / LARGEST_DISTANCE * (upper - lower))
        rays = self.rays[rows]
        local = np.concatenate([rays, np.ones((*rays.shape[:-1], 1))], axis=-1)
        local *= (distances / np.linalg.norm(local, axis=-1))[..., None]
        quaternions = self.cameras.quaternions[images].reshape(-1, 4)
        turned = Rotation.from_quat(quaternions, scalar_first=True).apply(local.reshape(-1, 3))
        moved: np.ndarray = self.cameras.positions[images] + turned.reshape(local.shape)
        return moved


@dataclass(frozen=True, eq=False)
class Cameras:
    """What the points of n images are decoded with.

    Attributes:
        positions: camera centers relative to the map's origin, shape (n, 3).
        quaternions: rotations from camera to world axes, wxyz, shape (n, 4).
        log_distances: logarithms of the smallest and the largest distance, shape (n, 2).
    """

    positions: np.ndarray
    quaternions: np.ndarray
    log_distances: np.ndarray


def image_of(rows: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """Return the image that each row belongs to.

    Args:
        rows: indices of rows, any shape.
        starts: where the rows of each image start, ascending, shape (n + 1,).

    Returns:
        Indices of images, in the shape of the rows.
    """
    return np.asarray(np.searchsorted(starts, rows, side="right") - 1)


def encode_descriptors(descriptors: np.ndarray) -> np.ndarray:
    """Encode SIFT descriptors.

    Args:
        descriptors: shape (m, 128), uint8.

    Returns:
        4 bits of each square root, shape (m, 64), uint8.
    """
    roots = _ROOTS[descriptors]
    encoded: np.ndarray = roots[:, ::2] | roots[:, 1::2] << 4
    return encoded


def encode_rays(rays: np.ndarray) -> tuple[np.ndarray, float]:
    """Encode the rays of one image.

    Args:
        rays: shape (m, 2).

    Returns:
        The rays, shape (m, 2), int16, and the largest coordinate.
    """
    scale = float(np.abs(rays).max(initial=MIN_RAY))
    return np.round(rays / scale * LARGEST_RAY).astype(np.int16), scale


def encode_distances(distances: np.ndarray) -> tuple[np.ndarray, tuple[float, float]]:
    """Encode the distances of one image's points.

    Args:
        distances: positive, scene units, shape (m,).

    Returns:
        The distances, shape (m,), uint16, and the logarithms of the smallest and the largest.
    """
    if not len(distances):
        return np.zeros(0, np.uint16), (0.0, 0.0)
    logarithms = np.log(distances)
    lower, upper = float(logarithms.min()), float(logarithms.max())
    fractions = (logarithms - lower) / max(upper - lower, 1e-12)
    return np.round(fractions * LARGEST_DISTANCE).astype(np.uint16), (lower, upper)
