"""The geometry of the synthetic courtyard: 24 x 18 m about the origin, meters, z up."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from posenet.datasets.courtyard import facades
from posenet.datasets.courtyard.meshes import Face, Solid, Texture
from posenet.datasets.courtyard.solids import make_face, make_solids
from posenet.datasets.courtyard.textures import sky

# Half the size of the courtyard, meters.
HALF_X = 12.0
HALF_Y = 9.0
# Heights of the facades in meters, and colors of the roofs: north, east, south, west.
WALL_HEIGHTS = (7.4, 8.2, 6.8, 8.8)
ROOFS = ((120, 66, 52), (150, 84, 58), (96, 86, 84), (82, 92, 104))


@dataclass(frozen=True, eq=False)
class World:
    """Everything that does not move.

    Attributes:
        ground: the ground, drawn first.
        walls: facades and roofs, drawn before solids.
        solids: the objects.
        people: RGBA textures of people, all 2 m high.
        sky: panorama of the sky.
    """

    ground: Face
    walls: list[Face]
    solids: list[Solid]
    people: list[Texture]
    sky: np.ndarray

    @property
    def faces(self) -> list[Face]:
        """All faces, the ground first."""
        return [
            self.ground,
            *self.walls,
            *(face for s in self.solids for part in s.parts for face in part),
        ]


def make_world(seed: int) -> World:
    """Make the courtyard.

    Args:
        seed: seed of all randomness.

    Returns:
        The courtyard.
    """
    rng = np.random.default_rng([seed, 0])
    ground = make_face(
        (-HALF_X, HALF_Y, 0), (2 * HALF_X, 0, 0), (0, -2 * HALF_Y, 0), facades.paving(rng, 24, 18)
    )
    return World(
        ground, _walls(rng), make_solids(rng), [Texture(_person(rng)) for _ in range(14)], sky(rng)
    )


def _walls(rng: np.random.Generator) -> list[Face]:
    """Return the four facades, and the roofs that lean back above them."""
    paint = (facades.brick_house, facades.arcade_house, facades.cafe_house, facades.chapel)
    corners = np.array([(-1, 1), (1, 1), (1, -1), (-1, -1)]) * (HALF_X, HALF_Y)
    walls, roofs = [], []
    for side, (painter, height) in enumerate(zip(paint, WALL_HEIGHTS, strict=True)):
        start, end = corners[side], corners[(side + 1) % 4]
        along = np.array([*(end - start), 0])
        length = np.linalg.norm(along)
        outward = np.cross((0, 0, 1), along) / length
        walls.append(
            make_face((*start, height), along, (0, 0, -height), painter(rng, length, height))
        )
        slope = 3.0 * outward + (0, 0, 2.2)
        tiles = facades.tiles(rng, length, np.linalg.norm(slope), ROOFS[side])
        roofs.append(make_face(np.array([*start, height]) + slope, along, -slope, tiles))
    return roofs + walls


def _person(rng: np.random.Generator) -> np.ndarray:
    """Return an RGBA image (200, 90, 4) of a person of 1.8 m in 0.9 x 2 m, feet at the bottom."""
    coat, trousers, hair = (
        rng.uniform(40, 215, 3),
        rng.uniform(30, 120, 3),
        rng.uniform(20, 150) * np.array((1, 0.8, 0.6)),
    )
    coat = 0.55 * coat + 0.35 * coat.mean()  # cloth is seldom gaudy
    skin = rng.uniform(0.55, 1.0) * np.array((232, 188, 158))
    figure = np.zeros((400, 180, 4), np.uint8)
    stride, swing = rng.uniform(4, 26), rng.uniform(4, 20)

    def limb(start, end, width, color):
        cv2.line(
            figure,
            np.int32(start).tolist(),
            np.int32(end).tolist(),
            (*color, 255),
            int(width),
            cv2.LINE_AA,
        )

    for sign, tone in ((-1, 0.8), (1, 1.0)):
        limb((90 + sign * 11, 220), (90 + sign * stride, 385), 25, tone * trousers)
        limb((90 + sign * stride - 4, 390), (90 + sign * stride + 12, 390), 14, (30, 28, 28))
        limb((90 + sign * 34, 108), (90 + sign * (38 + swing * 0.6), 165), 19, 0.85 * tone * coat)
        limb(
            (90 + sign * (38 + swing * 0.6), 165),
            (90 + sign * (36 + swing), 215),
            16,
            0.85 * tone * coat,
        )
        cv2.circle(
            figure, (int(90 + sign * (36 + swing)), 222), 9, (*skin, 255), cv2.FILLED, cv2.LINE_AA
        )
    body = np.array(
        [(58, 95), (122, 95), (130, 110), (118, 180), (122, 240), (58, 240), (62, 180), (50, 110)]
    )
    cv2.fillPoly(figure, [body], (*coat, 255), cv2.LINE_AA)
    cv2.line(figure, (90, 98), (90, 238), (*(0.7 * coat), 255), 3)
    limb((90, 70), (90, 92), 20, 0.9 * skin)
    cv2.ellipse(figure, (90, 58), (20, 27), 0, 0, 360, (*skin, 255), cv2.FILLED, cv2.LINE_AA)
    cv2.ellipse(
        figure,
        (90, 48),
        (22, 22),
        0,
        160 - 40 * rng.random(),
        380 + 40 * rng.random(),
        (*hair, 255),
        cv2.FILLED,
    )
    if rng.random() < 0.4:
        limb((55, 130), (48, 200), 26, rng.uniform(30, 160, 3))
    return cv2.resize(figure, (90, 200), interpolation=cv2.INTER_AREA)
