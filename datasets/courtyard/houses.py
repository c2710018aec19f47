"""The facades of the three houses in the synthetic courtyard, as uint8 RGB textures."""

from __future__ import annotations

import numpy as np

from posenet.datasets.courtyard.colors import STONE, WHITE
from posenet.datasets.courtyard.walls import Wall


def paint_brick_house(rng: np.random.Generator, width: float, height: float) -> np.ndarray:
    """Paint the north side: red brick, sash windows, a green door, a bookshop and a creeper.

    Args:
        rng: source of randomness.
        width: width in meters.
        height: height in meters.

    Returns:
        RGB image, uint8.
    """
    wall = Wall(rng, width, height, (150, 80, 62))
    wall.bricks(
        0, height, (0.28, 0.1), ((152, 78, 60), (138, 68, 54), (166, 92, 70)), (176, 160, 146)
    )
    wall.box(0, height - 0.7, width, 0.7, (128, 122, 116))
    wall.cornice(0, WHITE, 0.5)
    wall.cornice(3.9, (196, 186, 168))
    for i, x in enumerate((0.9, 3.4, 5.9, 9.0, 12.4, 14.9, 18.2, 21.6)):
        wall.window(
            x, 1.3, 1.2, 1.9, panes=(2, 2 + i % 3), shutters=(44, 74, 92) if i in (3, 6) else None
        )
    for x in (1.2, 4.0, 15.6, 21.2):
        wall.window(x, 5.0, 1.3, 1.7, panes=(3, 2))
    wall.door(7.3, height - 2.6, 1.5, (34, 78, 58), WHITE)
    wall.box(9.8, height - 3.35, 4.8, 3.25, (40, 54, 92))
    for x in (10.0, 13.0):
        wall.glass(x, height - 2.5, 1.4, 1.7)
    wall.door(11.65, height - 2.4, 1.1, (70, 44, 34), (60, 74, 112))
    wall.text("OLD COURT BOOKS", 10.1, height - 2.85, 0.28, (236, 214, 150))
    for k in range(12):
        wall.box(10.05 + 0.11 * k, height - 1.5, 0.08, 0.65, rng.uniform(60, 220, 3).tolist())
    wall.window(18.4, height - 2.7, 1.4, 1.6, (120, 50, 44), (2, 2))
    wall.text("17", 17.6, height - 1.9, 0.24, WHITE)
    wall.leaves((23.0, height - 2.6), (0.6, 1.6), 1500)
    wall.leaves((6.6, height - 0.9), (0.25, 0.5), 300)
    return wall.to_image()


def paint_arcade_house(rng: np.random.Generator, width: float, height: float) -> np.ndarray:
    """Paint the east side: cream plaster over an arcade, shuttered windows, a clock and banners.

    Args:
        rng: source of randomness.
        width: width in meters.
        height: height in meters.

    Returns:
        RGB image, uint8.
    """
    wall = Wall(rng, width, height, (226, 208, 168), 9)
    wall.box(0, height - 4.1, width, 4.1, (206, 190, 160))
    wall.cornice(0, STONE, 0.4)
    wall.cornice(height - 4.3, (214, 200, 172), 0.6)
    bay = width / 6
    for i in range(6):
        x = i * bay + 0.45
        wall.arch(x - 0.18, height - 3.68, bay - 0.54, 3.68, (238, 226, 196))
        wall.arch(x, height - 3.5, bay - 0.9, 3.5, (74, 62, 54))
        wall.arch(x + 0.35, height - 3.1, bay - 1.25, 3.1, tuple(rng.uniform(88, 122, 3)))
        if i % 2:
            wall.window(x + 0.8, height - 2.3, 1.0, 1.4, (150, 110, 70), (2, 2))
        else:
            wall.door(
                x + 0.75,
                height - 2.3,
                1.1,
                ((120, 40, 40), (40, 60, 110), (90, 84, 44))[i // 2],
                (150, 136, 112),
            )
        wall.box(i * bay - 0.28, height - 1.75, 0.56, 0.18, (232, 220, 192))
        wall.box(i * bay - 0.24, height - 0.5, 0.48, 0.5, (160, 148, 128))
    for i, x in enumerate((1.2, 4.1, 11.4, 15.4)):
        wall.window(x, 1.2, 1.1, 1.9, shutters=(70, 112, 92) if i != 2 else (132, 70, 52))
    _paint_clock(wall)
    for x, color in ((6.65, (164, 36, 48)), (13.55, (38, 72, 140))):
        wall.box(x, 1.0, 0.8, 2.6, color)
        wall.shape([(x + 0.4, 1.3), (x + 0.7, 2.2), (x + 0.4, 3.1), (x + 0.1, 2.2)], (236, 206, 96))
    return wall.to_image()


def _paint_clock(wall: Wall) -> None:
    """Paint a clock whose center is at (9.0, 2.1)."""
    for radius, color in ((1.0, STONE), (0.85, (244, 240, 226)), (0.08, (30, 30, 40))):
        wall.disk((9.0, 2.1), radius, color)
    for hour in np.arange(12) * np.pi / 6:
        x = 9.0 + 0.7 * np.sin(hour)
        y = 2.1 - 0.7 * np.cos(hour)
        wall.box(x - 0.04, y - 0.04, 0.08, 0.08, (30, 30, 40))
    wall.shape([(8.95, 2.1), (9.05, 2.1), (9.4, 1.6), (9.34, 1.56)], (30, 30, 40))
    wall.shape([(9.0, 2.05), (9.0, 2.15), (8.4, 2.3), (8.4, 2.26)], (30, 30, 40))


def paint_cafe_house(rng: np.random.Generator, width: float, height: float) -> np.ndarray:
    """Paint the south side: two plaster houses, rose and ochre, with shops, awnings and a mural.

    Args:
        rng: source of randomness.
        width: width in meters.
        height: height in meters.

    Returns:
        RGB image, uint8.
    """
    wall = Wall(rng, width, height, (206, 142, 126), 10)
    wall.box(13.5, 0, width - 13.5, height, (220, 178, 96))
    wall.box(13.36, 0, 0.28, height, (186, 176, 160))
    wall.box(0, height - 0.9, 13.36, 0.9, (126, 116, 110))
    wall.box(13.64, height - 0.6, width, 0.6, (150, 96, 66))
    wall.cornice(0, (222, 206, 190))
    wall.cornice(height - 3.5, (222, 206, 190))
    for i, x in enumerate((1.3, 4.4, 7.5, 10.8)):
        wall.window(x, 0.9, 1.1, 1.6, shutters=(104, 116, 124) if i < 3 else (150, 60, 60))
    for x in (14.9, 17.6, 20.4, 22.4):
        wall.arch(x - 0.15, 0.65, 1.3, 2.0, (244, 226, 190))
        wall.arch(x, 0.8, 1.0, 1.75, (60, 72, 84))
        wall.box(x + 0.47, 0.8, 0.06, 1.75, (244, 226, 190))
    wall.box(1.0, height - 2.5, 4.6, 1.7, (70, 40, 34))
    for x in (1.15, 2.7, 4.2):
        wall.glass(x, height - 2.4, 1.25, 1.5)
    wall.awning(0.8, height - 2.95, 5.0, ((188, 48, 44), (240, 234, 220)))
    wall.text("CAFE LUNA", 1.6, height - 3.05, 0.36, (84, 30, 34))
    wall.door(6.5, height - 2.5, 1.2, (96, 56, 32))
    wall.window(8.8, height - 2.4, 1.7, 1.4, (90, 100, 74), (4, 1))
    wall.box(8.6, height - 0.95, 2.1, 0.3, (140, 76, 50))
    wall.leaves(
        (9.65, height - 1.05), (0.6, 0.12), 220, ((200, 60, 80), (230, 150, 60), (70, 110, 50))
    )
    _paint_mural(wall, 11.3, height - 3.0)
    wall.door(14.4, height - 2.6, 1.3, (38, 52, 84), (236, 214, 168))
    wall.box(16.6, height - 2.7, 5.4, 2.1, (52, 88, 70))
    for x in (16.8, 19.4):
        wall.glass(x, height - 2.1, 2.3, 1.4)
    wall.awning(16.4, height - 3.0, 5.8, ((48, 104, 76), (232, 226, 196)))
    wall.text("FLOWERS", 17.9, height - 3.1, 0.34, (40, 70, 54))
    wall.leaves(
        (19.3, height - 0.4),
        (1.3, 0.2),
        600,
        ((210, 70, 110), (240, 190, 60), (90, 130, 60), (160, 90, 180)),
    )
    return wall.to_image()


def _paint_mural(wall: Wall, x: float, y: float) -> None:
    """Paint a panel of 1.7 x 2.2 meters: hills, a sun and a sail."""
    wall.box(x - 0.08, y - 0.08, 1.86, 2.36, (240, 232, 214))
    wall.box(x, y, 1.7, 2.2, (132, 186, 204))
    wall.disk((x + 1.2, y + 0.6), 0.3, (246, 196, 84), smooth=False)
    wall.shape([(x, y + 1.3), (x + 0.6, y + 0.7), (x + 1.1, y + 1.5), (x, y + 1.5)], (92, 122, 98))
    wall.box(x, y + 1.45, 1.7, 0.75, (48, 98, 138))
    wall.shape([(x + 0.8, y + 0.95), (x + 1.25, y + 1.75), (x + 0.8, y + 1.75)], (250, 246, 236))
