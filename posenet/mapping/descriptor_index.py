"""An index of faiss for the descriptors of more images than are compared one by one.

Inverted lists: descriptors are clustered, and a query is compared with those of the clusters
nearest to it (Jegou et al., "Searching in one billion vectors", ICASSP 2011).
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from posenet.environment import import_extra
from posenet.errors import MissingExtraError
from posenet.io.files import best_effort_write
from posenet.io.stored_arrays import DAMAGED, checksum
from posenet.mapping.global_descriptors import nearest_neighbors, to_float32

log = logging.getLogger("posenet")

# Number of descriptors that are compared one by one: 20 ms for each query with 320 values each.
EXACT_DESCRIPTORS = 100_000
# Clusters are about the root of the number of descriptors. As many of them are searched.
SEARCHED_CLUSTERS = 64
# Descriptors of each cluster that the clustering looks at.
SAMPLES = 40
# Candidates of the index for each neighbor, which are compared exactly.
CANDIDATES = 4
BLOCK = 10_000


class DescriptorIndex:
    """Finds similar descriptors by inverted lists; the candidates are compared exactly."""

    def __init__(self, descriptors: np.ndarray, index: Any) -> None:
        """Take an index of faiss.

        Args:
            descriptors: the descriptors, shape (n, d).
            index: their index.
        """
        self.descriptors = descriptors
        self.index = index

    def nearest(self, queries: np.ndarray, count: int = 1) -> np.ndarray:
        """Return the most similar descriptors of each query, as `nearest_neighbors` does.

        Args:
            queries: descriptors, shape (q, d).
            count: number of neighbors; all if there are fewer.

        Returns:
            Indices of descriptors, most similar first, shape (q, count).
        """
        count = min(count, len(self.descriptors))
        queries = np.ascontiguousarray(queries, np.float32)
        _, found = self.index.search(queries, min(CANDIDATES * count, len(self.descriptors)))
        rows = [
            self._best(query[None], np.unique(candidates[candidates >= 0]), count)
            for query, candidates in zip(queries, found, strict=True)
        ]
        return np.array(rows, int).reshape(len(queries), count)

    def _best(self, query: np.ndarray, candidates: np.ndarray, count: int) -> np.ndarray:
        """Return the best of the candidates (k,), of all descriptors if those are too few."""
        if len(candidates) < count:
            return nearest_neighbors(self.descriptors, query, count)[0]
        return candidates[nearest_neighbors(self.descriptors[candidates], query, count)[0]]


def open_index(path: Path, name: str, descriptors: np.ndarray) -> DescriptorIndex | None:
    """Return the index of stored descriptors, cached beside their file.

    Args:
        path: the .npz file with the descriptors.
        name: their name in it.
        descriptors: the descriptors.

    Returns:
        The index. None if there are so few descriptors that they are compared one by one, or if
        faiss is not installed.
    """
    if len(descriptors) <= EXACT_DESCRIPTORS:
        return None
    try:
        faiss = import_extra("faiss", "large", "searching many images fast")
    except MissingExtraError:
        _warn_slow(len(descriptors))
        return None
    try:
        target = path.with_name(f"{path.stem}-{checksum(path, name):08x}.faiss")
    except DAMAGED:  # the file could not be written, the descriptors are in memory
        return DescriptorIndex(descriptors, _build(faiss, descriptors))
    index = _read(faiss, target, descriptors)
    if index is None:
        log.info("building the index of %d descriptors: %s", len(descriptors), target)
        index = _build(faiss, descriptors)
        for outdated in path.parent.glob(f"{path.stem}-*.faiss"):
            with suppress(OSError):
                outdated.unlink()
        with best_effort_write(target) as temporary:
            faiss.write_index(index, str(temporary))
        index = _read(faiss, target, descriptors) or index
    return DescriptorIndex(descriptors, index)


def _build(faiss: Any, descriptors: np.ndarray) -> Any:
    total, size = descriptors.shape
    clusters = 2 ** round(np.log2(np.sqrt(total)))
    index = faiss.index_factory(size, f"IVF{clusters},SQ8", faiss.METRIC_INNER_PRODUCT)
    rows = np.linspace(0, total - 1, min(total, SAMPLES * clusters)).astype(int)
    index.train(to_float32(descriptors[rows]))
    for block in _blocks(descriptors):
        index.add(block)
    index.nprobe = SEARCHED_CLUSTERS
    return index


def _read(faiss: Any, path: Path, descriptors: np.ndarray) -> Any:
    """Return a saved index, memory-mapped; None if it is missing, damaged or of other images."""
    if not path.is_file():
        return None
    try:
        index = faiss.read_index(str(path), faiss.IO_FLAG_MMAP | faiss.IO_FLAG_READ_ONLY)
    except (RuntimeError, OSError):
        return None
    if (index.ntotal, index.d) != descriptors.shape:
        return None
    index.nprobe = SEARCHED_CLUSTERS
    return index


def _blocks(descriptors: np.ndarray) -> Iterator[np.ndarray]:
    for start in range(0, len(descriptors), BLOCK):
        yield to_float32(descriptors[start : start + BLOCK])


@cache
def _warn_slow(total: int) -> None:
    log.warning(
        "each query image is compared with all %d training images, which is slow: "
        "pip install 'camera-posenet[large]'",
        total,
    )
