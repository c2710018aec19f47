"""Areas of a large place: groups of cameras that lie far from each other.

One network regresses positions in many areas, each relative to its area's own origin, so that its
accuracy depends on the size of an area and not on that of the whole place.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

# Fewest images of an area, and the fraction of all images that areas must include. Other images
# belong to the nearest area.
MIN_IMAGES = 30
MIN_FRACTION = 0.95
# Gaps that are tried: from the mean distance to the center down to this fraction of it.
SMALLEST_GAP = 1 / 64
GAP_STEP = 2**0.5
# Cameras are thinned to cells of this fraction of the gap.
CELL = 0.25


@dataclass(frozen=True, eq=False)
class Areas:
    """k areas of a scene.

    Attributes:
        origins: the origin of the network's positions in each area, world frame, shape (k, 3).
        centers: the mean camera center of each area, world frame, shape (k, 3).
    """

    origins: np.ndarray
    centers: np.ndarray

    def __len__(self) -> int:
        """Return the number of areas."""
        return len(self.origins)

    def nearest(self, positions: np.ndarray) -> np.ndarray:
        """Return the area whose center is nearest to each position.

        Args:
            positions: world frame, shape (n, 3).

        Returns:
            Indices of areas, shape (n,).
        """
        if len(self) == 1:
            return np.zeros(len(positions), int)
        indices: np.ndarray = cKDTree(self.centers).query(positions)[1]
        return indices

    def origins_at(self, positions: np.ndarray) -> np.ndarray:
        """Return the origin of the area that each position belongs to.

        Args:
            positions: world frame, shape (n, 3).

        Returns:
            Origins in the world frame, shape (n, 3).
        """
        origins: np.ndarray = self.origins[self.nearest(positions)]
        return origins


def find_areas(positions: ArrayLike) -> np.ndarray:
    """Find areas: groups of cameras whose distance from each other exceeds their own size.

    The size of a group is the mean distance of its cameras from their center. The rule has no unit,
    and one room or street, however its cameras are spread, is one area.

    Args:
        positions: camera centers, shape (n, 3).

    Returns:
        The centers of the areas, shape (k, 3); a single one if there are no such groups.
    """
    places = np.asarray(positions, float)
    center: np.ndarray = places.mean(axis=0)
    size = _mean_distance(places, center)
    gap = size
    while gap > SMALLEST_GAP * size:
        groups = _groups(places, gap)
        counts = np.bincount(groups)
        large = np.flatnonzero(counts >= MIN_IMAGES)
        if counts[large].sum() < MIN_FRACTION * len(places):
            break  # even smaller gaps only give smaller groups
        centers = np.stack([places[groups == group].mean(axis=0) for group in large])
        sizes = [
            _mean_distance(places[groups == group], own)
            for group, own in zip(large, centers, strict=True)
        ]
        if len(large) > 1 and max(sizes) <= gap:
            return centers
        gap /= GAP_STEP
    return center.reshape(1, 3)


def _groups(positions: np.ndarray, gap: float) -> np.ndarray:
    """Return the group of each position: those nearer than a gap to each other are linked."""
    cells, cell_of = np.unique(
        np.floor((positions - positions.min(axis=0)) / (CELL * gap)), axis=0, return_inverse=True
    )
    pairs = cKDTree(cells * CELL * gap).query_pairs(gap, output_type="ndarray")
    links = coo_matrix((np.ones(len(pairs), bool), tuple(pairs.T)), shape=(len(cells),) * 2)
    groups: np.ndarray = connected_components(links, directed=False)[1][cell_of.reshape(-1)]
    return groups


def _mean_distance(positions: np.ndarray, center: np.ndarray) -> float:
    return float(np.linalg.norm(positions - center, axis=1).mean())
