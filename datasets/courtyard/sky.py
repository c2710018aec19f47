"""The sky above the synthetic courtyard, as a panorama."""

from __future__ import annotations

import numpy as np

from posenet.datasets.courtyard.noise import cloud_noise


def paint_sky(rng: np.random.Generator) -> np.ndarray:
    """Paint a panorama of the sky, from 75 degrees above to 5 degrees below the horizon.

    Args:
        rng: source of randomness.

    Returns:
        RGB image, shape (256, 1024, 3), uint8.
    """
    rise = np.linspace(1, 0, 256)[:, None, None]
    blue = (1 - rise**0.7) * np.array([206.0, 220, 232]) + rise**0.7 * np.array([84.0, 138, 206])
    noise = cloud_noise(rng, 256, 1024, 180, 6)
    fade = np.linspace(0, 1, 128)[None]
    noise[:, -128:] = noise[:, -128:] * (1 - fade) + noise[:, :1] * fade
    cover = np.clip(0.35 + 0.55 * noise, 0, 0.95)[:, :, None]
    return (blue * (1 - cover) + cover * (np.array([246.0, 246, 248]) - 10 * rise)).astype(np.uint8)
