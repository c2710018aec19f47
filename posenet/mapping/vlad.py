"""VLAD: one global descriptor per image, aggregated from its local descriptors.

Jegou et al., "Aggregating local descriptors into a compact image representation", CVPR 2010, with
residuals normalized for each word (Arandjelovic and Zisserman, "All about VLAD", CVPR 2013). The
vocabulary is that of the scene, so that nothing needs to be trained elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import cv2
import numpy as np

from posenet.io.files import best_effort_write
from posenet.mapping.landmarks import Landmarks
from posenet.mapping.matching import root_sift

VLAD = "vlad.npz"
# Number of words, and of descriptors that they are clustered from.
WORDS = 64
CLUSTERED_DESCRIPTORS = 20000
KMEANS_ITERATIONS = 15


@dataclass(frozen=True, eq=False)
class VladIndex:
    """The training images by their VLAD descriptors.

    Attributes:
        words: the vocabulary, shape (k, 128), float32.
        descriptors: unit descriptors of n images, shape (n, 128 k), float32.
    """

    words: np.ndarray
    descriptors: np.ndarray

    def rank(self, local_descriptors: np.ndarray) -> np.ndarray:
        """Rank the training images by similarity with a query image.

        Args:
            local_descriptors: RootSIFT descriptors of the query, shape (m, 128).

        Returns:
            Indices of all training images, most similar first.
        """
        similarity = self.descriptors @ aggregate(local_descriptors, self.words)
        return np.argsort(-similarity, kind="stable")


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
    num_images = len(landmarks.starts) - 1
    try:
        with np.load(folder / VLAD, allow_pickle=False) as saved:
            words = saved["words"]
            descriptors = saved["descriptors"].astype(np.float32)
        if descriptors.shape == (num_images, words.size) and words.shape[1] == 128:
            return VladIndex(words, descriptors)
    except (OSError, ValueError, TypeError, LookupError, EOFError, RuntimeError, BadZipFile):
        pass  # there is none, or it is damaged
    words = _cluster(landmarks)
    # Stored as float16: the same whether the index was just built or loaded.
    stored = np.stack([_describe(landmarks, row, words) for row in range(num_images)])
    stored = stored.astype(np.float16)
    with best_effort_write(folder / VLAD) as temporary, open(temporary, "wb") as file:
        np.savez(file, words=words, descriptors=stored)
    return VladIndex(words, stored.astype(np.float32))


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
