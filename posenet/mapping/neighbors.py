"""Which images are matched with each other, and in which order?"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from scipy.spatial import cKDTree

from posenet.geometry.poses import Poses

# Largest angle between the viewing directions of neighbors, degrees.
MAX_VIEW_ANGLE_DEG = 35.0
# Nearest images that are asked for at first. About one in ten looks in a similar direction where
# cameras look all around.
FIRST_CANDIDATES = 64
# Candidates of all images that are compared at once, which take 200 MB.
BLOCK_CANDIDATES = 2**20


def pairs_from_poses(poses: Poses, ranks: Iterable[int]) -> np.ndarray:
    """Return pairs of images to match, from their poses.

    Args:
        poses: n poses.
        ranks: for each image, those of these ranks by distance, among the images whose viewing
            direction differs by less than 35 degrees. Of images at the same distance, the one of
            smaller index is nearer.

    Returns:
        Pairs of indices, the smaller one first, sorted, shape (k, 2).
    """
    ordered = np.array(sorted(set(ranks)), int)
    total = len(poses)
    if total < 2 or not len(ordered):
        return np.zeros((0, 2), int)
    forward = poses.rotations.apply([0.0, 0, 1])
    tree = cKDTree(poses.positions)
    pairs = []
    rows = np.arange(total)
    candidates = min(total, max(FIRST_CANDIDATES, 2 * int(ordered[-1])))
    while len(rows):
        block = max(1, BLOCK_CANDIDATES // candidates)
        lacking = []
        for start in range(0, len(rows), block):
            part = rows[start : start + block]
            found, is_complete = _ranked(tree, forward, part, ordered, candidates)
            pairs.append(_pairs(part[is_complete], found[is_complete]))
            lacking.append(part[~is_complete])
        rows = np.concatenate(lacking)
        candidates = min(total, 4 * candidates)
    joined = np.concatenate(pairs)
    codes = np.unique(joined[:, 0] * total + joined[:, 1])
    return np.stack([codes // total, codes % total], axis=1)


def spatial_order(poses: Poses) -> np.ndarray:
    """Order images so that those near each other have near places.

    Args:
        poses: n poses.

    Returns:
        The indices of the images, along the leaves of a k-d tree, shape (n,).
    """
    return np.asarray(cKDTree(poses.positions, leafsize=1).indices, int)


def _ranked(
    tree: cKDTree, forward: np.ndarray, rows: np.ndarray, ranks: np.ndarray, candidates: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the neighbors of some ranks, -1 for none, and the images whose candidates suffice."""
    positions = np.asarray(tree.data)
    _, nearest = tree.query(positions[rows], candidates, workers=-1)
    nearest = np.asarray(nearest, int).reshape(len(rows), candidates)
    distances = np.linalg.norm(positions[nearest] - positions[rows][:, None], axis=2)
    # Images at the same distance are in no particular order.
    tied = np.flatnonzero((np.diff(distances, axis=1) <= 0).any(axis=1))
    order = np.lexsort((nearest[tied], distances[tied]), axis=1)
    nearest[tied] = np.take_along_axis(nearest[tied], order, axis=1)
    distances[tied] = np.take_along_axis(distances[tied], order, axis=1)
    cosines = np.einsum("ijk,ik->ij", forward[nearest], forward[rows])
    is_similar = (cosines > np.cos(np.radians(MAX_VIEW_ANGLE_DEG))) & (nearest != rows[:, None])
    count = np.cumsum(is_similar, axis=1)
    found = np.full((len(rows), len(ranks)), -1)
    is_complete = np.ones(len(rows), bool)
    for column, rank in enumerate(ranks):
        place = (count <= rank).sum(axis=1)
        has = np.flatnonzero(place < candidates)
        found[has, column] = nearest[has, place[has]]
        # An image that is not a candidate may be as far as the farthest candidate, but not nearer.
        is_complete[:] = False
        is_complete[has] = distances[has, place[has]] < distances[has, -1]
    return found, is_complete | (candidates == len(positions))


def _pairs(rows: np.ndarray, found: np.ndarray) -> np.ndarray:
    """Return pairs (k, 2) of images (n,) with their neighbors (n, r), the smaller index first."""
    first = np.repeat(rows, found.shape[1])
    second = found.ravel()
    pairs = np.stack([np.minimum(first, second), np.maximum(first, second)], axis=1)
    return pairs[second >= 0]
