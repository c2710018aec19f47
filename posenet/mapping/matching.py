"""Match the descriptors of two images."""

from __future__ import annotations

import numpy as np


def root_sift(descriptors: np.ndarray) -> np.ndarray:
    """(n, 128) float32 of unit length: the square roots of SIFT's shares (Arandjelovic & Zisserman 2012)."""
    values = np.sqrt(descriptors.astype(np.float32))
    return values / np.maximum(np.linalg.norm(values, axis=1, keepdims=True), 1e-6)


def match(
    ours: np.ndarray, theirs: np.ndarray, ratio: float = 0.8
) -> tuple[np.ndarray, np.ndarray]:
    """Rows of root_sift descriptors (n, 128) and (m, 128) that are each other's nearest, (k,) and (k,).

    ratio: the nearest must lie nearer than this share of the second nearest's distance (Lowe 2004).
    """
    if len(ours) < 2 or len(theirs) < 2:
        return np.zeros(0, int), np.zeros(0, int)
    likeness = ours @ theirs.T
    rows, nearest = np.arange(len(ours)), likeness.argmax(axis=1)
    back = likeness.argmax(axis=0)
    best = likeness[rows, nearest].copy()
    likeness[rows, nearest] = -1.0
    second = likeness.max(axis=1)
    good = (1 - best < ratio**2 * (1 - second)) & (back[nearest] == rows)
    return rows[good], nearest[good]
