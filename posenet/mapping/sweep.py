"""The order in which the images of a scene are mapped, and how long their keypoints are needed."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from posenet.geometry.poses import Poses
from posenet.mapping.neighbors import spatial_order

# Images of a block. Their neighbors' keypoints are needed too: 500 to 1000 images in all, each
# with 340 kB.
BLOCK_IMAGES = 200


class _Groups:
    """Indices grouped by a number 0, 1, ..., in ascending order within a group."""

    def __init__(self, numbers: np.ndarray, num_groups: int) -> None:
        self._order = np.argsort(numbers, kind="stable")
        self._bounds = np.searchsorted(numbers[self._order], np.arange(num_groups + 1))

    def __getitem__(self, group: int) -> np.ndarray:
        return self._order[self._bounds[group] : self._bounds[group + 1]]


@dataclass(frozen=True, eq=False)
class Sweep:
    """Blocks of images near each other, which are mapped one after the other.

    Attributes:
        pairs: images that are matched, shape (k, 2).
        block_of: number of the block of each image, shape (n,); `num_blocks` of those in none.
        num_blocks: number of blocks.
    """

    pairs: np.ndarray
    block_of: np.ndarray
    num_blocks: int

    @cached_property
    def matched_in(self) -> np.ndarray:
        """The first block that requires each pair, shape (k,)."""
        first: np.ndarray = self.block_of[self.pairs].min(axis=1)
        return first

    @cached_property
    def _rows(self) -> _Groups:
        return _Groups(self.block_of, self.num_blocks)

    @cached_property
    def _pairs_by_block(self) -> tuple[_Groups, _Groups]:
        first, second = self.block_of[self.pairs].T
        return _Groups(first, self.num_blocks), _Groups(second, self.num_blocks)

    @cached_property
    def _last_uses(self) -> tuple[_Groups, _Groups]:
        """The images, and the blocks whose matches, are needed in a block for the last time."""
        of_rows = np.where(self.block_of < self.num_blocks, self.block_of, -1)
        last = of_rows[self.pairs].max(axis=1)
        np.maximum.at(of_rows, self.pairs.ravel(), np.repeat(last, 2))
        of_matches = np.arange(self.num_blocks)
        np.maximum.at(of_matches, self.matched_in, last)
        return _Groups(of_rows, self.num_blocks), _Groups(of_matches, self.num_blocks)

    @cached_property
    def max_stored_images(self) -> int:
        """The largest number of images whose keypoints are stored at the same time."""
        first = self.block_of.copy()
        np.minimum.at(first, self.pairs.ravel(), np.repeat(self.matched_in, 2))
        stored = 0
        largest = 0
        detected = _Groups(first, self.num_blocks)
        for block in range(self.num_blocks):
            stored += len(detected[block])
            largest = max(largest, stored)
            stored -= len(self.rows_released_by(block))
        return largest

    def rows_of(self, block: int) -> np.ndarray:
        """Return the indices of the images of a block, shape (m,).

        Args:
            block: number of the block.
        """
        return self._rows[block]

    def pairs_of(self, block: int) -> np.ndarray:
        """Return the indices of the pairs with an image in a block, shape (m,).

        Args:
            block: number of the block.
        """
        first, second = self._pairs_by_block
        return np.union1d(first[block], second[block])

    def rows_released_by(self, block: int) -> np.ndarray:
        """Return the images whose keypoints no block after this one requires, shape (m,).

        Args:
            block: number of the block.
        """
        return self._last_uses[0][block]

    def matches_released_by(self, block: int) -> np.ndarray:
        """Return the blocks whose matches no block after this one requires, shape (m,).

        Args:
            block: number of the block.
        """
        return self._last_uses[1][block]


def plan_sweep(poses: Poses, pairs: np.ndarray, num_mapped: int = 0) -> Sweep:
    """Divide images into blocks of images near each other.

    Args:
        poses: n poses.
        pairs: indices of images that are matched, shape (k, 2); at most one of them is mapped.
        num_mapped: number of the first images, which are mapped already.

    Returns:
        The blocks.
    """
    total = len(poses) - num_mapped
    num_blocks = -(-total // BLOCK_IMAGES)
    block_of = np.full(len(poses), num_blocks)
    if total:
        order = num_mapped + spatial_order(poses[num_mapped:])
        block_of[order] = np.arange(total) // BLOCK_IMAGES
    return Sweep(pairs, block_of, num_blocks)
