"""The facade of the chapel in the synthetic courtyard, as a uint8 RGB texture."""

from __future__ import annotations

import numpy as np

from posenet.datasets.courtyard.walls import Wall

# RGB of the panes in the pointed windows.
STAINED_GLASS = ((150, 44, 50), (46, 70, 150), (60, 120, 80), (190, 150, 60))


def paint_chapel(rng: np.random.Generator, width: float, height: float) -> np.ndarray:
    """Paint the west side: gray ashlar, stained glass, a portal and ivy.

    Args:
        rng: source of randomness.
        width: width in meters.
        height: height in meters.

    Returns:
        RGB image, uint8.
    """
    wall = Wall(rng, width, height, (150, 150, 146), 11)
    wall.bricks(
        0, height, (0.62, 0.3), ((158, 156, 148), (146, 148, 146), (168, 162, 148)), (112, 110, 106)
    )
    wall.cornice(0, (176, 172, 162), 0.9)
    wall.cornice(height - 1.0, (160, 156, 148))
    for x in (0.2, 4.2, 13.0, 17.0):
        wall.box(x, 1.2, 0.8, height - 1.2, (132, 130, 126))
        wall.shape([(x - 0.1, 1.3), (x + 0.4, 0.7), (x + 0.9, 1.3)], (182, 178, 166))
    for x in (1.8, 5.6, 11.2, 14.9):
        wall.arch(x - 0.2, 1.7, 1.8, 4.6, (188, 184, 170), 1.5)
        wall.arch(x, 1.95, 1.4, 4.2, (40, 44, 60), 1.5)
        for row in np.arange(2.9, 5.9, 0.24):
            for column in range(5):
                glass = STAINED_GLASS[rng.integers(len(STAINED_GLASS))]
                wall.box(
                    x + 0.05 + 0.27 * column,
                    row,
                    0.22,
                    0.19,
                    [rng.uniform(0.6, 1.1) * c for c in glass],
                )
    wall.arch(7.4, height - 3.9, 3.2, 3.9, (190, 184, 168), 1.3)
    wall.arch(7.7, height - 3.5, 2.6, 3.5, (120, 116, 108), 1.3)
    wall.arch(8.0, height - 3.1, 2.0, 3.1, (92, 58, 36), 1.3)
    for x in np.arange(8.1, 9.9, 0.22):
        wall.box(x, height - 2.2, 0.025, 2.2, (52, 32, 22))
    for radius, color in ((1.25, (190, 184, 170)), (1.05, (52, 58, 80))):
        wall.disk((9.0, 2.6), radius, color)
    for k in range(8):
        x = 9.0 + 0.65 * np.cos(k * np.pi / 4)
        y = 2.6 + 0.65 * np.sin(k * np.pi / 4)
        tone = ((168, 54, 60), (60, 88, 168))[k % 2]
        wall.disk((x, y), 0.24, tone, smooth=False)
    for x in (2.0, 14.6):
        wall.box(x, height - 2.6, 1.5, 1.3, (72, 52, 40))
        wall.box(x + 0.1, height - 2.5, 1.3, 1.1, (226, 218, 198))
        for line in np.arange(height - 2.4, height - 1.5, 0.12):
            wall.box(x + 0.2, line, rng.uniform(0.4, 1.1), 0.04, (110, 92, 80))
    wall.leaves((12.6, height - 2.2), (0.7, 1.5), 1400, ((42, 74, 42), (62, 94, 46), (120, 66, 40)))
    return wall.to_image()
