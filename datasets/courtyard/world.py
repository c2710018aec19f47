"""The geometry of the synthetic courtyard: 24 x 18 m about the origin, meters, z up."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from posenet.datasets.courtyard.chapel import paint_chapel
from posenet.datasets.courtyard.houses import (
    paint_arcade_house,
    paint_brick_house,
    paint_cafe_house,
)
from posenet.datasets.courtyard.meshes import Face, Solid, Texture
from posenet.datasets.courtyard.paving import paint_paving, paint_tiles
from posenet.datasets.courtyard.people import paint_person
from posenet.datasets.courtyard.prisms import make_face
from posenet.datasets.courtyard.sky import paint_sky
from posenet.datasets.courtyard.solids import make_solids

# Half the length of the courtyard along x, meters.
HALF_X = 12.0
# Half the length of the courtyard along y, meters.
HALF_Y = 9.0
# Heights of the north, east, south and west facades, meters.
WALL_HEIGHTS = (7.4, 8.2, 6.8, 8.8)
# RGB of the north, east, south and west roofs.
ROOF_COLORS = ((120, 66, 52), (150, 84, 58), (96, 86, 84), (82, 92, 104))
# Number of different people.
NUM_PEOPLE = 14


@dataclass(frozen=True, eq=False)
class World:
    """The courtyard and the people to choose from.

    Attributes:
        ground: the ground, drawn first.
        walls: the four roofs, then the four facades (north, east, south, west); they are drawn
            before solids.
        solids: the objects.
        people: RGBA textures of people, all 2 m high.
        sky: panorama of the sky, RGB, shape (256, 1024, 3), uint8.
    """

    ground: Face
    walls: list[Face]
    solids: list[Solid]
    people: list[Texture]
    sky: np.ndarray

    @property
    def wall_heights(self) -> list[float]:
        """Heights of the north, east, south and west facades, meters."""
        return [-float(wall.down[2]) for wall in self.walls[4:]]

    @property
    def faces(self) -> list[Face]:
        """All faces, the ground first."""
        return [
            self.ground,
            *self.walls,
            *(face for solid in self.solids for part in solid.parts for face in part),
        ]


def make_world(seed: int) -> World:
    """Make the courtyard.

    Args:
        seed: seed of all randomness.

    Returns:
        The courtyard.
    """
    rng = np.random.default_rng([seed, 0])
    # The order of these calls is part of the scene: all of them draw from one generator.
    paving = paint_paving(rng, 2 * HALF_X, 2 * HALF_Y)
    walls = _walls(rng)
    solids = make_solids(rng)
    people = [Texture(paint_person(rng)) for _ in range(NUM_PEOPLE)]
    sky = paint_sky(rng)
    ground = make_face((-HALF_X, HALF_Y, 0), (2 * HALF_X, 0, 0), (0, -2 * HALF_Y, 0), paving)
    return World(ground, walls, solids, people, sky)


def _walls(rng: np.random.Generator) -> list[Face]:
    """Return the four facades, and the roofs that lean back above them."""
    painters = (paint_brick_house, paint_arcade_house, paint_cafe_house, paint_chapel)
    corners = np.array([(-1, 1), (1, 1), (1, -1), (-1, -1)]) * (HALF_X, HALF_Y)
    walls, roofs = [], []
    for side, (painter, height) in enumerate(zip(painters, WALL_HEIGHTS, strict=True)):
        start, end = corners[side], corners[(side + 1) % 4]
        along = np.array([*(end - start), 0])
        length = float(np.linalg.norm(along))
        outward = np.cross((0, 0, 1), along) / length
        walls.append(
            make_face((*start, height), along, (0, 0, -height), painter(rng, length, height))
        )
        slope = 3.0 * outward + (0, 0, 2.2)
        tiles = paint_tiles(rng, length, float(np.linalg.norm(slope)), ROOF_COLORS[side])
        roofs.append(make_face(np.array([*start, height]) + slope, along, -slope, tiles))
    return roofs + walls
