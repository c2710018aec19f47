"""Global image descriptors without a network: HOG, and nearest neighbors among descriptors."""

from __future__ import annotations

import cv2
import numpy as np

from posenet.io.image_cache import ImageArray

# Size in pixels (height, width) that images are described at, side of a cell, and number of bins.
SIZE = (96, 128)
CELL = 32
ORIENTATIONS = 8
# Added to the sum of gradients of a cell, so that uniform cells count little.
REGULARIZATION = 200.0
# Queries that are compared at once.
CHUNK = 512


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


def nearest_neighbors(training: np.ndarray, queries: np.ndarray, count: int = 1) -> np.ndarray:
    """Return the most similar training descriptors of each query.

    Args:
        training: unit descriptors, shape (n, d).
        queries: unit descriptors, shape (q, d).
        count: number of neighbors; all if there are fewer.

    Returns:
        Indices of training descriptors, most similar first, shape (q, count).
    """
    count = min(count, len(training))
    rows = [np.zeros((0, count), int)]
    for start in range(0, len(queries), CHUNK):
        similarity = queries[start : start + CHUNK] @ training.T
        rows.append(np.argsort(-similarity, axis=1, kind="stable")[:, :count])
    return np.concatenate(rows)


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
