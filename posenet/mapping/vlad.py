"""VLAD: one global descriptor per image, aggregated from its local descriptors.

Jegou et al., "Aggregating local descriptors into a compact image representation", CVPR 2010, with
residuals normalized for each word (Arandjelovic and Zisserman, "All about VLAD", CVPR 2013). The
vocabulary is that of the scene, so that nothing needs to be trained elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from posenet.io.files import best_effort_write
from posenet.io.stored_arrays import DAMAGED, BlockArray, map_array, open_arrays, save_arrays
from posenet.mapping.descriptor_index import DescriptorIndex, open_index
from posenet.mapping.global_descriptors import nearest_neighbors, to_float32
from posenet.mapping.landmarks import Landmarks
from posenet.mapping.matching import root_sift
from posenet.mapping.parallel import one_blas_thread

VLAD = "vlad.npz"
# Number of words, and of descriptors that they are clustered from.
WORDS = 64
CLUSTERED_DESCRIPTORS = 20000
KMEANS_ITERATIONS = 15
# Number of images up to which descriptors are not compressed: 16 kB each, which are all read
# for each query. Those of more images are compressed to 256 bytes. On the validation images of
# RedKitchen and the courtyard, the first 14 images share as many points with the query either way,
# even with 64 bytes.
FULL_IMAGES = 1000
COMPONENTS = 256
# Images that the principal components are found with, and images that are described at once.
SAMPLED_IMAGES = 2048
BLOCK_IMAGES = 500


@dataclass(frozen=True, eq=False)
class VladIndex:
    """The training images by their VLAD descriptors.

    Attributes:
        words: the vocabulary, shape (k, 128), float32.
        descriptors: descriptors of n images, usually memory-mapped: unit descriptors (n, 128 k),
            float16, or those of many images, compressed to (n, 256), int8.
        projection: takes descriptors to their principal components, shape (256, 128 k), float16;
            None if they are not compressed.
        index: finds similar descriptors without comparing all; None compares all.
    """

    words: np.ndarray
    descriptors: np.ndarray
    projection: np.ndarray | None = None
    index: DescriptorIndex | None = None

    @cached_property
    def _projection(self) -> np.ndarray:
        """The projection as float32, 8 MB."""
        assert self.projection is not None
        return to_float32(self.projection)

    def rank(
        self, local_descriptors: np.ndarray, count: int, *, usable: np.ndarray | None = None
    ) -> np.ndarray:
        """Return the training images most similar to a query image.

        Args:
            local_descriptors: RootSIFT descriptors of the query, shape (m, 128).
            count: number of images; all if there are fewer.
            usable: mask of the training images to choose from, shape (n,). Default: all.

        Returns:
            Indices of training images, most similar first, shape (count,).
        """
        query = aggregate(local_descriptors, self.words)[None]
        if self.projection is not None:
            query = query @ self._projection.T
        if self.index is not None and usable is None:
            return self.index.nearest(query, count)[0]
        return nearest_neighbors(self.descriptors, query, count, usable=usable)[0]


def aggregate(local_descriptors: np.ndarray, words: np.ndarray) -> np.ndarray:
    """Return the VLAD descriptor of an image.

    Args:
        local_descriptors: RootSIFT descriptors, shape (m, 128).
        words: the vocabulary, shape (k, 128).

    Returns:
        The unit descriptor, shape (128 k,), float32; zero without any local descriptor.
    """
    residuals = np.zeros_like(words)
    if len(local_descriptors):
        closeness = 2 * local_descriptors @ words.T - (words**2).sum(axis=1)
        # Which descriptors (columns) belong to each word (rows), so that a product sums them.
        belongs = closeness.argmax(axis=1) == np.arange(len(words))[:, None]
        residuals = belongs.astype(np.float32) @ local_descriptors
        residuals -= belongs.sum(axis=1, keepdims=True, dtype=np.float32) * words
    residuals /= np.maximum(np.linalg.norm(residuals, axis=1, keepdims=True), 1e-9)
    descriptor: np.ndarray = residuals.ravel()
    return descriptor / max(float(np.linalg.norm(descriptor)), 1e-9)


def load_or_build_vlad(landmarks: Landmarks, folder: Path) -> VladIndex:
    """Return the VLAD descriptors of a map, cached beside it.

    Args:
        landmarks: the map.
        folder: its folder.

    Returns:
        The index.
    """
    index = _open(folder / VLAD, len(landmarks.starts) - 1)
    if index is None:
        with one_blas_thread():  # the products are small: two threads take a hundred times as long
            index = _build(landmarks, folder / VLAD)
    return replace(index, index=open_index(folder / VLAD, "descriptors", index.descriptors))


def _open(path: Path, num_images: int) -> VladIndex | None:
    """Return a saved index; None if it is missing, damaged or of another number of images."""
    is_compressed = num_images > FULL_IMAGES
    try:
        with open_arrays(path) as saved:
            words = saved["words"]
            projection = saved["projection"] if is_compressed else None
        descriptors = map_array(path, "descriptors")
    except DAMAGED:
        return None
    length = COMPONENTS if is_compressed else words.size
    if words.shape[1:] != (128,) or descriptors.shape != (num_images, length):
        return None
    if words.dtype != np.float32 or descriptors.dtype != (np.int8 if is_compressed else np.float16):
        return None
    if projection is not None and projection.shape != (COMPONENTS, words.size):
        return None
    return VladIndex(words, descriptors, projection)


def _build(landmarks: Landmarks, path: Path) -> VladIndex:
    """Compute the descriptors block by block, and write them as they come."""
    num_images = len(landmarks.starts) - 1
    words = _cluster(landmarks)
    compress = _fit_compression(landmarks, words) if num_images > FULL_IMAGES else None
    projection = compress.projection if compress else None

    def blocks() -> Iterator[np.ndarray]:
        for start in range(0, num_images, BLOCK_IMAGES):
            rows = range(start, min(start + BLOCK_IMAGES, num_images))
            block = np.stack([_describe(landmarks, row, words) for row in rows])
            yield compress(block) if compress else block.astype(np.float16)

    shape = (num_images, COMPONENTS if compress else words.size)
    dtype = np.int8 if compress else np.float16
    arrays: dict[str, np.ndarray | BlockArray] = {"words": words}
    if projection is not None:
        arrays["projection"] = projection
    arrays["descriptors"] = BlockArray(shape, dtype, blocks())
    with best_effort_write(path) as temporary, open(temporary, "wb") as file:
        save_arrays(file, arrays)
    index = _open(path, num_images)
    if index is not None:
        return index
    # It cannot be written: the descriptors stay in memory.
    return VladIndex(words, np.concatenate(list(blocks())), projection)


class _Compression(NamedTuple):
    """Principal components, rotated so that all have the same variance and fit into 8 bits."""

    projection: np.ndarray
    step: float

    def __call__(self, descriptors: np.ndarray) -> np.ndarray:
        """Return descriptors (n, 128 k) as (n, 256), int8."""
        values = descriptors @ to_float32(self.projection).T / self.step
        return np.clip(np.round(values), -127, 127).astype(np.int8)


def _fit_compression(landmarks: Landmarks, words: np.ndarray) -> _Compression:
    """Find the principal components of some images, evenly taken."""
    num_images = len(landmarks.starts) - 1
    rows = np.unique(np.linspace(0, num_images - 1, SAMPLED_IMAGES).astype(int))
    sample = np.stack([_describe(landmarks, row, words) for row in rows])
    variances, vectors = np.linalg.eigh(sample @ sample.T)
    scales = np.sqrt(np.maximum(variances[-COMPONENTS:], 1e-9))
    components = (vectors[:, -COMPONENTS:] / scales).T @ sample
    rotation = np.linalg.qr(np.random.default_rng(0).normal(size=(COMPONENTS, COMPONENTS)))[0]
    projection = (rotation @ components).astype(np.float16)
    largest = np.abs(sample @ to_float32(projection).T).max()
    return _Compression(projection, max(float(largest), 1e-9) / 127)


def _describe(landmarks: Landmarks, row: int, words: np.ndarray) -> np.ndarray:
    rows = slice(landmarks.starts[row], landmarks.starts[row + 1])
    return aggregate(root_sift(landmarks.descriptors[rows]), words)


def _cluster(landmarks: Landmarks) -> np.ndarray:
    """Return the vocabulary: centers of clusters of descriptors, evenly taken from the map."""
    total = len(landmarks.descriptors)
    rows = np.unique(np.linspace(0, total - 1, min(total, CLUSTERED_DESCRIPTORS)).astype(int))
    descriptors = root_sift(landmarks.descriptors[rows])
    criteria = (cv2.TERM_CRITERIA_COUNT, KMEANS_ITERATIONS, 0.0)
    labels = np.zeros((len(descriptors), 1), np.int32)
    cv2.setRNGSeed(0)
    _, _, words = cv2.kmeans(
        descriptors, min(WORDS, len(descriptors)), labels, criteria, 1, cv2.KMEANS_PP_CENTERS
    )
    return np.asarray(words, np.float32)
