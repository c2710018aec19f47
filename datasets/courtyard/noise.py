"""Smooth random noise for stains and clouds."""

from __future__ import annotations

import cv2
import numpy as np


def cloud_noise(
    rng: np.random.Generator, height: int, width: int, cell: float, octaves: int = 4
) -> np.ndarray:
    """Return smooth noise with mean 0 and standard deviation 1.

    Args:
        rng: source of randomness.
        height: height in pixels.
        width: width in pixels.
        cell: width of the largest features in pixels.
        octaves: number of scales.

    Returns:
        The noise, shape (height, width), float32.
    """
    total: np.ndarray = np.zeros((height, width), np.float32)
    for octave in range(octaves):
        columns = max(2, int(width * 2**octave / cell))
        rows = max(2, int(height * 2**octave / cell))
        coarse = rng.standard_normal((rows, columns)).astype(np.float32)
        total += cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC) * 0.6**octave
    noise: np.ndarray = total / total.std()
    return noise
