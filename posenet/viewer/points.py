"""Colored points of a page: thinned, trimmed and quantized."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from posenet.viewer.encoding import encode_array

# Largest number of points of a page: a browser without a graphics card still turns them.
MAX_POINTS = 80_000
# Points farther from the median than this multiple of the distance of 98 % of them are left out.
TRIM_PERCENTILE = 98
TRIM_FACTOR = 1.3
# Positions are stored as 16-bit steps in their bounding box.
MAX_STEP = 65535


@dataclass(frozen=True, eq=False)
class PointCloud:
    """m points in the world frame.

    Attributes:
        positions: scene units, shape (m, 3).
        colors: RGB, shape (m, 3), uint8.
    """

    positions: np.ndarray
    colors: np.ndarray

    def to_dict(self, center: np.ndarray) -> dict[str, Any]:
        """Return the points as values that JSON can store.

        Args:
            center: the origin of the page in the world frame, shape (3,).

        Returns:
            Positions in 16-bit steps within a box relative to `center`, and colors.
        """
        relative = self.positions - center
        low = relative.min(axis=0)
        high = relative.max(axis=0)
        span = np.where(high > low, high - low, 1.0)
        steps = ((relative - low) / span * MAX_STEP).round()
        return {
            "low": low.tolist(),
            "high": high.tolist(),
            "positions": encode_array(steps, "<u2"),
            "colors": encode_array(self.colors, "u1"),
        }


def choose_rows(total: int, most: int) -> np.ndarray:
    """Choose rows at random, always the same ones.

    Args:
        total: number of rows.
        most: largest number of rows to keep.

    Returns:
        Their indices in ascending order, shape (k,).
    """
    if total <= most:
        return np.arange(total)
    return np.sort(np.random.default_rng(0).choice(total, most, replace=False))


def is_central(positions: np.ndarray) -> np.ndarray:
    """Find the points that are not far from the others.

    Args:
        positions: shape (m, 3).

    Returns:
        A mask, shape (m,).
    """
    offsets = np.abs(positions - np.median(positions, axis=0))
    reach = np.percentile(offsets, TRIM_PERCENTILE, axis=0) * TRIM_FACTOR
    return np.asarray((offsets <= reach).all(axis=1))
