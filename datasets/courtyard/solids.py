"""The solid objects of the synthetic courtyard: prisms on top of one another. Meters, z up."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from posenet.datasets.courtyard.colors import scale_color
from posenet.datasets.courtyard.meshes import Solid, Texture
from posenet.datasets.courtyard.paving import paint_tiles
from posenet.datasets.courtyard.prisms import make_prism, make_solid, make_underside
from posenet.datasets.courtyard.textures import Point, Surface
from posenet.datasets.courtyard.walls import Wall

# Center (x, y) and size of the trees: meters, and a factor of the crown.
TREES = (
    ((9.9, 6.7), 1.3),
    ((10.2, -6.6), 1.5),
    ((-10.3, -6.8), 1.4),
    ((5.6, 7.9), 1.0),
    ((-3.4, -7.9), 1.0),
)
# Center (x, y) of the hedges and half their lengths along x and y, meters.
HEDGES = (
    ((-4.6, 8.2), (1.2, 0.4)),
    ((2.4, 8.2), (0.8, 0.35)),
    ((11.2, 2.6), (0.4, 1.3)),
    ((-11.2, -3.2), (0.45, 1.1)),
    ((4.0, -8.2), (1.2, 0.4)),
)
# Center (x, y) of the benches, meters.
BENCHES = ((-1.6, 7.9), (8.2, -7.9), (0.4, -8.0))
# Axis (x, y) of the lamps, meters.
LAMPS = ((10.6, -1.6), (-10.6, 1.7), (7.6, 7.6))


def make_solids(rng: np.random.Generator) -> list[Solid]:
    """Make fountain, kiosk, trees, hedges, benches and lamps, all outside the walks.

    Args:
        rng: source of randomness.

    Returns:
        The solids.
    """
    solids = [_fountain(rng), _kiosk(rng, (-9.3, 6.2))]
    solids += [_tree(rng, center, size) for center, size in TREES]
    solids += [_hedge(rng, center, half, rng.uniform(0.7, 1.1)) for center, half in HEDGES]
    solids += [_bench(rng, center) for center in BENCHES]
    return solids + _lamps(rng)


def _fountain(rng: np.random.Generator) -> Solid:
    """Return an octagonal fountain at the origin: basin, shaft and bowl."""
    stone = Wall(rng, 2.4, 0.7, (178, 168, 150), 12, 7)
    stone.bricks(0, 0.7, (0.4, 0.23), ((184, 174, 156), (170, 162, 148)), (128, 120, 110))
    stone.cornice(0, (196, 188, 170))
    basin = Surface(rng, 3.7, 3.7, (190, 182, 164), 8, 6)
    angle = np.arange(8) * np.pi / 4 + np.pi / 8
    octagon = np.column_stack([np.cos(angle), np.sin(angle)])
    for radius, color in (
        (1.62, (120, 118, 112)),
        (1.58, (66, 112, 124)),
        (1.1, (84, 134, 144)),
        (0.7, (120, 160, 166)),
    ):
        basin.shape(1.85 + radius * octagon, color)
    side = Texture(stone.to_image())
    water = Texture(basin.to_image(damp=False))
    shaft = Texture(Surface(rng, 0.5, 1.2, (160, 152, 138), 14, 8).to_image())
    foot = make_prism((0, 0), (1.85, 1.85), (0, 0.65), side, water, 8)
    column = make_prism((0, 0), (0.4, 0.26), (0.65, 1.5), shaft, shaft, 8)
    bowl = make_prism((0, 0), (0.35, 0.95), (1.5, 1.8), shaft, water, 8)
    bowl.append(make_underside((0, 0), 0.35, 1.5, shaft, 8))
    tip = make_prism((0, 0), (0.2, 0.05), (1.8, 2.7), shaft, shaft, 8)
    return make_solid([foot, column, bowl, tip])


def _kiosk(rng: np.random.Generator, center: Point) -> Solid:
    """Return a kiosk of 2.2 x 2.2 m whose sides are two shops."""
    sides = []
    for color, sign in (((36, 92, 84), "NEWS"), ((150, 52, 44), "ICE")):
        wall = Surface(rng, 2.2, 2.5, color, 5)
        wall.box(0.15, 0.55, 1.9, 1.0, (60, 62, 66))
        for i in range(10):
            wall.box(0.25 + 0.18 * i, 0.95, 0.15, 0.5, rng.uniform(60, 235, 3).tolist())
        wall.box(0.1, 0.08, 2.0, 0.4, (236, 222, 180))
        wall.text(sign, 0.35, 0.4, 0.24, (60, 30, 30))
        for x in np.arange(0.15, 2.1, 0.24):
            wall.box(x, 1.7, 0.2, 0.75, scale_color(color, 0.8))
        sides.append(Texture(wall.to_image()))
    body = make_prism(center, (1.1, 1.1), (0, 2.5), sides[0], sides[0])
    body[1:4:2] = [replace(face, texture=sides[1]) for face in body[1:4:2]]
    tiles = Texture(paint_tiles(rng, 3, 1.2, (150, 120, 60)))
    roof = make_prism(center, (1.45, 0.1), (2.5, 3.4), tiles, tiles)
    roof.append(make_underside(center, 1.45, 2.5, tiles, 4))
    return make_solid([body, roof])


def _tree(rng: np.random.Generator, center: Point, size: float) -> Solid:
    """Return a tree with a crown of three tiers."""
    bark = Texture(Surface(rng, 0.4, 2, (92, 74, 58), 14, 10).to_image())
    crown = Surface(rng, 3, 2, (44, 66, 36), 22, 12)
    tones = np.array([(54, 86, 42), (76, 108, 50), (104, 130, 58)]) * rng.uniform(0.85, 1.15, 3)
    crown.leaves((1.5, 1.0), (1.3, 0.9), 2600, tones)
    leaves = Texture(crown.to_image(damp=False))
    z = 2.2 + 0.5 * rng.random()
    # Lower and upper radius, lower and upper height, all in units of the size.
    tiers = ((0.55, 1.0, 0, 0.6), (1.0, 0.85, 0.6, 1.4), (0.85, 0.25, 1.4, 2.2))
    parts = [make_prism(center, (0.2, 0.13), (0, z), bark, bark, 6)]
    for below, above, low, high in tiers:
        radii = (size * below, size * above)
        heights = (z + size * low, z + size * high)
        parts.append(make_prism(center, radii, heights, leaves, leaves, 9))
    parts[1].append(make_underside(center, size * 0.55, z, leaves, 9))
    return make_solid(parts)


def _hedge(rng: np.random.Generator, center: Point, half: Point, height: float) -> Solid:
    """Return a hedge in a stone trough; `half` is half its length along x and y."""
    box = Surface(rng, 2.4, 1, (48, 74, 38), 16, 10)
    box.leaves((1.2, 0.5), (0.9, 0.4), 1300)
    stone = Texture(Surface(rng, 2.4, 0.3, (150, 140, 124), 10, 6).to_image())
    green = Texture(box.to_image())
    radii = np.array(half)
    trough = make_prism(center, (radii, radii), (0, 0.25), stone, stone)
    plants = make_prism(center, (radii * 0.9, radii * 0.85), (0.25, height), green, green)
    return make_solid([trough, plants])


def _bench(rng: np.random.Generator, center: Point) -> Solid:
    """Return a wooden bench along x."""
    wood = Surface(rng, 1.6, 0.5, (136, 92, 56), 6, 5)
    for line in np.arange(0.1, 0.5, 0.13):
        wood.box(0, line, 1.6, 0.03, (62, 42, 30))
    planks = Texture(wood.to_image())
    iron = Texture(Surface(rng, 0.3, 0.4, (58, 58, 60), 4).to_image(damp=False))
    frame = np.array((0.7, 0.15))
    board = np.array((0.85, 0.25))
    legs = make_prism(center, (frame, frame), (0, 0.4), iron, iron)
    seat = make_prism(center, (board, board), (0.4, 0.5), planks, planks)
    return make_solid([legs, seat])


def _lamps(rng: np.random.Generator) -> list[Solid]:
    """Return the lamps on posts, which share their textures."""
    metal = Texture(Surface(rng, 0.3, 3, (48, 54, 58), 3).to_image(damp=False))
    light = Texture(Surface(rng, 0.4, 0.5, (250, 236, 196), 4).to_image(damp=False))
    lamps = []
    for axis in LAMPS:
        post = make_prism(axis, (0.09, 0.06), (0, 3.1), metal, metal, 6)
        head = make_prism(axis, (0.14, 0.22), (3.1, 3.5), light, metal, 6)
        head.append(make_underside(axis, 0.14, 3.1, metal, 6))
        lid = make_prism(axis, (0.26, 0.02), (3.5, 3.75), metal, metal, 6)
        lamps.append(make_solid([post, head, lid]))
    return lamps
