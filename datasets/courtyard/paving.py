"""The ground and the roof tiles of the synthetic courtyard, as uint8 RGB textures."""

from __future__ import annotations

import cv2
import numpy as np

from posenet.datasets.courtyard.colors import Color, scale_color
from posenet.datasets.courtyard.textures import DENSITY, Surface


def paint_paving(rng: np.random.Generator, width: float, depth: float) -> np.ndarray:
    """Paint the ground: slabs in a grid of darker bands, a rosette, puddles and repairs.

    Args:
        rng: source of randomness.
        width: width in meters.
        depth: depth in meters.

    Returns:
        RGB image, uint8.
    """
    ground = Surface(rng, width, depth, (150, 142, 130), 9, 5)
    ground.bricks(
        0, depth, (0.9, 0.6), ((164, 154, 138), (152, 146, 136), (172, 160, 140)), (112, 104, 96)
    )
    for x in np.arange(3.0, width, 6.0):
        ground.box(x - 0.2, 0, 0.4, depth, (120, 84, 70))
    for y in np.arange(3.0, depth, 6.0):
        ground.box(0, y - 0.2, width, 0.4, (110, 106, 104))
    middle = (width / 2, depth / 2)
    for radius, ring in (
        (3.6, (126, 92, 78)),
        (3.2, (186, 176, 156)),
        (2.7, (120, 116, 114)),
        (2.3, (170, 160, 142)),
    ):
        angle = np.linspace(0, 2 * np.pi, 60)
        x = middle[0] + radius * np.cos(angle)
        y = middle[1] + radius * np.sin(angle)
        ground.shape(np.column_stack([x, y]), ring)
    for _ in range(26):
        x, y = rng.uniform((0, 0), (width - 2, depth - 2))
        color = rng.uniform(0.65, 1.15) * np.array((140, 136, 130))
        ground.box(x, y, rng.uniform(0.5, 1.9), rng.uniform(0.4, 1.4), color.tolist())
    _add_stains(rng, ground, width, depth)
    for side in ((middle[0], 0.2), (middle[0], depth - 0.2)):
        ground.leaves(side, (width / 3, 0.35), 900, ((150, 104, 50), (120, 90, 52), (92, 96, 52)))
    return ground.to_image(damp=False)


def _add_stains(rng: np.random.Generator, ground: Surface, width: float, depth: float) -> None:
    """Add puddles and dry patches of irregular shape to the weather of the ground."""
    for _ in range(110):
        x, y = rng.uniform((0, 0), (width, depth))
        size = rng.uniform(0.1, 0.55)
        darkness = rng.uniform(-14, 26)
        angle = np.linspace(0, 2 * np.pi, 40, endpoint=False)
        waves = [
            rng.normal(0, 0.25 / k) * np.sin(k * angle + rng.uniform(0, 6)) for k in range(1, 6)
        ]
        radius = size * (1 + np.sum(waves, axis=0))[:, None] * DENSITY
        directions = np.column_stack([np.cos(angle), np.sin(angle)])
        stain = np.array([x, y]) * DENSITY + radius * directions
        corners = stain.astype(np.int32)
        low = np.maximum(corners.min(axis=0), 0)
        part = ground.weather[low[1] : corners[:, 1].max() + 1, low[0] : corners[:, 0].max() + 1]
        mask = np.zeros(part.shape, np.uint8)
        cv2.fillPoly(mask, [corners - low], 1)
        part -= darkness * mask


def paint_tiles(rng: np.random.Generator, width: float, height: float, color: Color) -> np.ndarray:
    """Paint a roof of overlapping tiles.

    Args:
        rng: source of randomness.
        width: width in meters.
        height: height in meters.
        color: RGB of the tiles.

    Returns:
        RGB image, uint8.
    """
    roof = Surface(rng, width, height, color, 10)
    roof.bricks(
        0,
        height,
        (0.3, 0.28),
        (color, scale_color(color, 0.85)),
        scale_color(color, 0.5),
    )
    return roof.to_image(damp=False)
