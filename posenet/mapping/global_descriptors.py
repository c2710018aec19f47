"""What a pose network has to beat: the mean training pose, and the nearest training image."""

from __future__ import annotations

import cv2
import numpy as np

SIZE, CELL, ORIENTATIONS = (
    (96, 128),
    32,
    8,
)  # pixels that images are described at (height, width), and bins


def describe(images) -> np.ndarray:
    """(n, d) float32 unit descriptors of images (n, h, w, 3) uint8 RGB, for retrieval by cosine similarity.

    Gradient orientations, weighed by their strength, counted in cells and square-rooted: what HOG (Dalal & Triggs
    2005) and GIST do. Needs no training and no network.
    """
    descriptors = np.array([_orientations(images[row]) for row in range(len(images))], np.float32)
    descriptors -= descriptors.mean(axis=1, keepdims=True)
    return descriptors / np.maximum(np.linalg.norm(descriptors, axis=1, keepdims=True), 1e-12)


def _orientations(image: np.ndarray) -> np.ndarray:
    """Orientation histograms of one image, one a cell, joined."""
    gray = cv2.cvtColor(
        cv2.resize(image, SIZE[::-1], interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2GRAY
    )
    x, y = (cv2.Sobel(gray, cv2.CV_32F, *axis) for axis in ((1, 0), (0, 1)))
    strength, angle = cv2.cartToPolar(x, y)
    bins = (angle * (ORIENTATIONS / np.pi)).astype(int) % ORIENTATIONS
    rows, columns = np.indices(SIZE) // CELL
    cells = (rows * (SIZE[1] // CELL) + columns) * ORIENTATIONS + bins
    counts = np.bincount(
        cells.ravel(), strength.ravel(), minlength=SIZE[0] * SIZE[1] // CELL**2 * ORIENTATIONS
    )
    counts = counts.reshape(-1, ORIENTATIONS)
    return np.sqrt(counts / (counts.sum(axis=1, keepdims=True) + 200.0)).ravel()


def nearest_neighbors(training: np.ndarray, queries: np.ndarray, count: int = 1) -> np.ndarray:
    """(n, count) for each query descriptor, the rows of the most similar training descriptors, the best first.

    As many as there are, if there are fewer than count.
    """
    count = min(count, len(training))
    rows = [np.zeros((0, count), int)]
    for start in range(0, len(queries), 512):
        likeness = queries[start : start + 512] @ training.T
        rows.append(np.argsort(-likeness, axis=1, kind="stable")[:, :count])
    return np.concatenate(rows)
