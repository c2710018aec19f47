"""Global image descriptors without a network: HOG, and nearest neighbors among descriptors."""

from __future__ import annotations

from itertools import pairwise

import cv2
import numpy as np

from posenet.io.image_cache import ImageArray
from posenet.mapping.parallel import in_threads, one_blas_thread

# Size in pixels (height, width) that images are described at, side of a cell, and number of bins.
SIZE = (96, 128)
CELL = 32
ORIENTATIONS = 8
# Added to the sum of gradients of a cell, so that uniform cells count little.
REGULARIZATION = 200.0
# Queries that are compared at once, and values of training descriptors: 1 MB, which stays in the
# processor's cache.
CHUNK = 512
BLOCK_VALUES = 2**18
# Values of training descriptors from which they are compared in several threads: 5 ms.
THREADED_VALUES = 2**23
# All float16 numbers as float32, by their bits.
_HALF_VALUES = np.arange(2**16, dtype=np.uint16).view(np.float16).astype(np.float32)
_INDEX_MASK = 2**32 - 1


def hog_descriptors(images: ImageArray | np.ndarray) -> np.ndarray:
    """Return descriptors for retrieval by cosine similarity, without training or a network.

    Histograms of gradient orientations, as in HOG (Dalal and Triggs, 2005) and GIST.

    Args:
        images: RGB images, shape (n, h, w, 3), uint8.

    Returns:
        Unit descriptors, shape (n, d), float32.
    """
    descriptors = np.array([_hog(images[row]) for row in range(len(images))], np.float32)
    descriptors -= descriptors.mean(axis=1, keepdims=True)
    return descriptors / np.maximum(np.linalg.norm(descriptors, axis=1, keepdims=True), 1e-12)


def nearest_neighbors(
    training: np.ndarray,
    queries: np.ndarray,
    count: int = 1,
    *,
    usable: np.ndarray | None = None,
    threads: int = 1,
) -> np.ndarray:
    """Return the most similar training descriptors of each query, by comparison with all.

    Memory-mapped descriptors are read in blocks.

    Args:
        training: unit descriptors, shape (n, d), float32 or float16.
        queries: unit descriptors, shape (q, d).
        count: number of neighbors; all if there are fewer.
        usable: mask of the training descriptors that are compared, shape (n,). Default: all.
        threads: number of threads, if the training descriptors are many.

    Returns:
        Indices of training descriptors, most similar first, shape (q, count). Among equally
        similar ones the first comes first.
    """
    total = len(training) if usable is None else int(usable.sum())
    count = min(count, total)
    rows = [np.zeros((0, count), int)]
    for start in range(0, len(queries), CHUNK):
        keys = _largest_keys(training, queries[start : start + CHUNK], count, usable, threads)
        rows.append(_INDEX_MASK - (keys & _INDEX_MASK))
    return np.concatenate(rows)


def to_float32(values: np.ndarray) -> np.ndarray:
    """Return values as float32. NumPy takes three times as long for those of type float16.

    Args:
        values: any array of numbers.

    Returns:
        The same values, the array itself if it has the type.
    """
    if values.dtype != np.float16:
        return np.asarray(values, np.float32)
    return np.take(_HALF_VALUES, np.asarray(values).view(np.uint16), mode="wrap")


def _largest_keys(
    training: np.ndarray,
    queries: np.ndarray,
    count: int,
    usable: np.ndarray | None,
    threads: int,
) -> np.ndarray:
    """Return a key for each of the most similar descriptors, largest first, shape (q, count)."""
    if training.size < THREADED_VALUES:
        threads = 1
    parts = np.linspace(0, len(training), threads + 1).astype(int)
    queries = np.asarray(queries, np.float32)

    def search(part: range) -> np.ndarray:
        return _largest_of_part(training, queries, count, usable, part)

    with one_blas_thread():  # the products are small
        found = in_threads(search, [range(*ends) for ends in pairwise(parts)], threads)
    return np.sort(_largest(np.concatenate(found, axis=1), count), axis=1)[:, ::-1]


def _largest_of_part(
    training: np.ndarray,
    queries: np.ndarray,
    count: int,
    usable: np.ndarray | None,
    part: range,
) -> np.ndarray:
    """Return keys of the most similar descriptors of a part, shape (q, at most count)."""
    best = np.zeros((len(queries), 0), np.int64)
    step = max(1, BLOCK_VALUES // max(1, training.shape[1]))
    for start in range(part.start, part.stop, step):
        block = training[start : min(start + step, part.stop)]
        rows = np.arange(start, start + len(block))
        if usable is not None:
            chosen = usable[rows]
            block, rows = block[chosen], rows[chosen]
        keys = _sortable_keys(queries @ to_float32(block).T, rows)
        best = _largest(np.concatenate([best, keys], axis=1), count)
    return best


def _largest(keys: np.ndarray, count: int) -> np.ndarray:
    """Return the largest keys of each row, in any order."""
    if keys.shape[1] <= count:
        return keys
    return np.partition(keys, -count, axis=1)[:, -count:] if count else keys[:, :0]


def _sortable_keys(similarity: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Return integers (q, k) that are ordered by similarity (q, k), then by row (k,), descending.

    The upper half are the bits of the similarity, whose order is that of floats once those of
    negative numbers are flipped. The lower half is the row, counted backwards.
    """
    bits = (similarity + np.float32(0)).view(np.int32).astype(np.int64)  # -0 becomes 0
    bits = np.where(bits < 0, bits ^ 0x7FFFFFFF, bits)
    keys: np.ndarray = (bits << 32) | (_INDEX_MASK - rows)
    return keys


def _hog(image: np.ndarray) -> np.ndarray:
    """Return the orientation histograms of all cells of an image, joined."""
    small = cv2.resize(image, SIZE[::-1], interpolation=cv2.INTER_AREA)
    gray = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY)
    x = cv2.Sobel(gray, cv2.CV_32F, 1, 0)
    y = cv2.Sobel(gray, cv2.CV_32F, 0, 1)
    strength, angle = cv2.cartToPolar(x, y)
    bins = (angle * (ORIENTATIONS / np.pi)).astype(int) % ORIENTATIONS
    rows, columns = np.indices(SIZE) // CELL
    cells = (rows * (SIZE[1] // CELL) + columns) * ORIENTATIONS + bins
    total = SIZE[0] * SIZE[1] // CELL**2 * ORIENTATIONS
    histograms = np.bincount(cells.ravel(), strength.ravel(), minlength=total)
    histograms = histograms.reshape(-1, ORIENTATIONS)
    sums = histograms.sum(axis=1, keepdims=True)
    return np.sqrt(histograms / (sums + REGULARIZATION)).ravel()
