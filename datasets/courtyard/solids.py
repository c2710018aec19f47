"""The solid objects of the synthetic courtyard: prisms on top of one another. Meters, z up."""

from __future__ import annotations

import numpy as np

from posenet.datasets.courtyard import facades
from posenet.datasets.courtyard.meshes import Face, Solid, Texture
from posenet.datasets.courtyard.textures import Wall


def make_face(corner, across, down, pixels, outline=None) -> Face:
    """Make a face.

    Args:
        corner: top left corner of the texture, 3 numbers, meters.
        across: from there to the top right corner, 3 numbers.
        down: from there to the bottom left corner, 3 numbers.
        pixels: a texture, or its image.
        outline: the polygon in (s, t). Default: the whole rectangle.

    Returns:
        The face.
    """
    texture = pixels if isinstance(pixels, Texture) else Texture(pixels)
    vectors = (np.array(vector, np.float64) for vector in (corner, across, down))
    return Face(*vectors, texture) if outline is None else Face(*vectors, texture, tuple(outline))


def _prism(center, radii, heights, side, top, count: int = 4) -> list[Face]:
    """Return a closed prism or frustum without a bottom.

    `radii` and `heights` are those of the lower and upper end. Four sides make a box whose radii
    may be pairs: half its lengths along x and y.
    """
    angles = (np.arange(count) + 0.5) * 2 * np.pi / count
    unit = np.column_stack([np.cos(angles), np.sin(angles)]) / (
        np.cos(np.pi / 4) if count == 4 else 1
    )
    below, above = (
        np.column_stack([unit * r + center, np.full(count, z)])
        for r, z in zip(radii, heights, strict=True)
    )
    faces = []
    for i in range(count):
        j = (i + 1) % count
        width, narrow = np.linalg.norm(below[j] - below[i]), np.linalg.norm(above[j] - above[i])
        # The trapezium i, j, seen from outside, inside the parallelogram that its wider edge spans.
        inset = 0.5 * (1 - min(width, narrow) / max(width, narrow))
        wide = (below if width >= narrow else above)[[i, j]]
        rise = (above[i] + above[j] - below[i] - below[j]) / 2
        upper = wide if width < narrow else wide + rise
        outline = (
            ((inset, 0), (1 - inset, 0), (1, 1), (0, 1))
            if width >= narrow
            else ((0, 0), (1, 0), (1 - inset, 1), (inset, 1))
        )
        faces.append(make_face(upper[0], upper[1] - upper[0], -rise, side, outline))
    low, size = above.min(axis=0), np.ptp(above, axis=0)
    if size[:2].min() > 0.02:
        lid = [((x - low[0]) / size[0], 1 - (y - low[1]) / size[1]) for x, y, _ in above[::-1]]
        faces.append(
            make_face(
                (low[0], low[1] + size[1], heights[1]), (size[0], 0, 0), (0, -size[1], 0), top, lid
            )
        )
    return faces


def _solid(parts: list[list[Face]]) -> Solid:
    corners = np.concatenate(
        [face.points(np.array(face.outline)) for part in parts for face in part]
    )
    low, high = corners.min(axis=0), corners.max(axis=0)
    return Solid(parts, np.array([low[0], low[1], 0.0]), high)


def _underside(center, radius: float, height: float, texture: Texture, count: int) -> Face:
    """Return the bottom of a prism, seen from below."""
    angles = (np.arange(count) + 0.5) * 2 * np.pi / count
    shape = 0.5 + 0.5 * np.column_stack([np.cos(angles), np.sin(angles)]) / (
        np.cos(np.pi / 4) if count == 4 else 1
    )
    corner = (center[0] - radius, center[1] - radius, height)
    return make_face(
        corner,
        (2 * radius, 0, 0),
        (0, 2 * radius, 0),
        texture,
        [tuple(point) for point in np.clip(shape, 0, 1)],
    )


def make_solids(rng: np.random.Generator) -> list[Solid]:
    """Make fountain, kiosk, trees, hedges, benches and lamps, all outside the walks.

    Args:
        rng: source of randomness.

    Returns:
        The solids.
    """
    solids = [_fountain(rng), _kiosk(rng, (-9.3, 6.2))]
    trees = (
        (9.9, 6.7, 1.3),
        (10.2, -6.6, 1.5),
        (-10.3, -6.8, 1.4),
        (5.6, 7.9, 1.0),
        (-3.4, -7.9, 1.0),
    )
    solids += [_tree(rng, (x, y), size) for x, y, size in trees]
    hedges = (
        (-4.6, 8.2, 1.2, 0.4),
        (2.4, 8.2, 0.8, 0.35),
        (11.2, 2.6, 0.4, 1.3),
        (-11.2, -3.2, 0.45, 1.1),
    )
    solids += [
        _hedge(rng, (x, y), (a, b), rng.uniform(0.7, 1.1))
        for x, y, a, b in (*hedges, (4.0, -8.2, 1.2, 0.4))
    ]
    solids += [_bench(rng, *place) for place in ((-1.6, 7.9), (8.2, -7.9), (0.4, -8.0))]
    metal = Texture(Wall(rng, 0.3, 3, (48, 54, 58), 3).finished(damp=False))
    lamp = Texture(Wall(rng, 0.4, 0.5, (250, 236, 196), 4).finished(damp=False))
    for x, y in ((10.6, -1.6), (-10.6, 1.7), (7.6, 7.6)):
        post = _prism((x, y), (0.09, 0.06), (0, 3.1), metal, metal, 6)
        head = [
            *_prism((x, y), (0.14, 0.22), (3.1, 3.5), lamp, metal, 6),
            _underside((x, y), 0.14, 3.1, metal, 6),
        ]
        solids.append(
            _solid([post, head, _prism((x, y), (0.26, 0.02), (3.5, 3.75), metal, metal, 6)])
        )
    return solids


def _fountain(rng: np.random.Generator) -> Solid:
    stone = Wall(rng, 2.4, 0.7, (178, 168, 150), 12, 7)
    stone.bricks(0, 0.7, (0.4, 0.23), ((184, 174, 156), (170, 162, 148)), (128, 120, 110))
    stone.cornice(0, (196, 188, 170))
    basin = Wall(rng, 3.7, 3.7, (190, 182, 164), 8, 6)
    turn = np.arange(8) * np.pi / 4 + np.pi / 8
    for radius, color in (
        (1.62, (120, 118, 112)),
        (1.58, (66, 112, 124)),
        (1.1, (84, 134, 144)),
        (0.7, (120, 160, 166)),
    ):
        basin.shape(1.85 + radius * np.column_stack([np.cos(turn), np.sin(turn)]), color)
    side, water = Texture(stone.finished()), Texture(basin.finished(damp=False))
    shaft = Texture(Wall(rng, 0.5, 1.2, (160, 152, 138), 14, 8).finished())
    return _solid(
        [
            _prism((0, 0), (1.85, 1.85), (0, 0.65), side, water, 8),
            _prism((0, 0), (0.4, 0.26), (0.65, 1.5), shaft, shaft, 8),
            [
                *_prism((0, 0), (0.35, 0.95), (1.5, 1.8), shaft, water, 8),
                _underside((0, 0), 0.35, 1.5, shaft, 8),
            ],
            _prism((0, 0), (0.2, 0.05), (1.8, 2.7), shaft, shaft, 8),
        ]
    )


def _kiosk(rng: np.random.Generator, center) -> Solid:
    sides = []
    for color, sign in (((36, 92, 84), "NEWS"), ((150, 52, 44), "ICE")):
        wall = Wall(rng, 2.2, 2.5, color, 5)
        wall.box(0.15, 0.55, 1.9, 1.0, (60, 62, 66))
        for i in range(10):
            wall.box(0.25 + 0.18 * i, 0.95, 0.15, 0.5, rng.uniform(60, 235, 3).tolist())
        wall.box(0.1, 0.08, 2.0, 0.4, (236, 222, 180))
        wall.text(sign, 0.35, 0.4, 0.24, (60, 30, 30))
        for x in np.arange(0.15, 2.1, 0.24):
            wall.box(x, 1.7, 0.2, 0.75, tuple(0.8 * c for c in color))
        sides.append(Texture(wall.finished()))
    body = _prism(center, (1.1, 1.1), (0, 2.5), sides[0], sides[0])
    body[1:4:2] = [Face(f.corner, f.across, f.down, sides[1], f.outline) for f in body[1:4:2]]
    roof = Texture(facades.tiles(rng, 3, 1.2, (150, 120, 60)))
    return _solid(
        [
            body,
            [
                *_prism(center, (1.45, 0.1), (2.5, 3.4), roof, roof),
                _underside(center, 1.45, 2.5, roof, 4),
            ],
        ]
    )


def _tree(rng: np.random.Generator, center, size: float) -> Solid:
    bark = Texture(Wall(rng, 0.4, 2, (92, 74, 58), 14, 10).finished())
    crown = Wall(rng, 3, 2, (44, 66, 36), 22, 12)
    tones = np.array([(54, 86, 42), (76, 108, 50), (104, 130, 58)]) * rng.uniform(0.85, 1.15, 3)
    crown.leaves((1.5, 1.0), (1.3, 0.9), 2600, tones)
    leaves = Texture(crown.finished(damp=False))
    z = 2.2 + 0.5 * rng.random()
    tiers = ((0.55, 1.0, 0, 0.6), (1.0, 0.85, 0.6, 1.4), (0.85, 0.25, 1.4, 2.2))
    parts = [_prism(center, (0.2, 0.13), (0, z), bark, bark, 6)]
    for below, above, low, high in tiers:
        radii, heights = (size * below, size * above), (z + size * low, z + size * high)
        parts.append(_prism(center, radii, heights, leaves, leaves, 9))
    parts[1].append(_underside(center, size * 0.55, z, leaves, 9))
    return _solid(parts)


def _hedge(rng: np.random.Generator, center, half, height: float) -> Solid:
    box = Wall(rng, 2.4, 1, (48, 74, 38), 16, 10)
    box.leaves((1.2, 0.5), (0.9, 0.4), 1300)
    stone = Texture(Wall(rng, 2.4, 0.3, (150, 140, 124), 10, 6).finished())
    green = Texture(box.finished())
    half = np.array(half)
    return _solid(
        [
            _prism(center, (half, half), (0, 0.25), stone, stone),
            _prism(center, (half * 0.9, half * 0.85), (0.25, height), green, green),
        ]
    )


def _bench(rng: np.random.Generator, x: float, y: float) -> Solid:
    wood = Wall(rng, 1.6, 0.5, (136, 92, 56), 6, 5)
    for line in np.arange(0.1, 0.5, 0.13):
        wood.box(0, line, 1.6, 0.03, (62, 42, 30))
    planks = Texture(wood.finished())
    iron = Texture(Wall(rng, 0.3, 0.4, (58, 58, 60), 4).finished(damp=False))
    seat, legs = np.array((0.85, 0.25)), np.array((0.7, 0.15))
    return _solid(
        [
            _prism((x, y), (legs, legs), (0, 0.4), iron, iron),
            _prism((x, y), (seat, seat), (0.4, 0.5), planks, planks),
        ]
    )
