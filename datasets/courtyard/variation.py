"""Vary a courtyard: other colors, facades, heights and places of the objects.

Courtyards of different seeds differ only in details, so that those of a city would look the same.
"""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from posenet.datasets.courtyard.meshes import Face, Solid, Texture
from posenet.datasets.courtyard.textures import DENSITY
from posenet.datasets.courtyard.world import HALF_X, HALF_Y, World

# The walks stay inside this ellipse: half axes along x and y, meters.
WALK_X = 9.3
WALK_Y = 6.6
# Part of the height of a facade that is moved sideways on its own.
UPPER_STOREYS = 0.45
# Largest change of a hue, degrees.
MAX_HUE = 70.0
# Share of the objects other than the fountain that are kept.
KEPT = 0.8
# How often a place for an object is tried, and how far it is moved, meters.
PLACE_TRIES = 20
MAX_MOVE = 2.5
# Distance between the boxes of two objects, meters.
GAP = 0.1


def vary(world: World, rng: np.random.Generator) -> World:
    """Return another courtyard, made of the parts of one.

    Args:
        world: the courtyard.
        rng: source of randomness.

    Returns:
        The other courtyard. Nothing is inside the ellipse of the walks that was not there before.
    """
    ground = replace(world.ground, texture=_paint(rng, world.ground.texture, MAX_HUE / 3))
    roofs, facades = world.walls[:4], world.walls[4:]
    textures = [facade.texture for facade in facades]
    for side in (0, 1):
        if rng.random() < 0.5:  # opposite facades are equally long
            textures[side], textures[side + 2] = textures[side + 2], textures[side]
    walls = [
        _vary_wall(rng, roof, facade, texture)
        for roof, facade, texture in zip(roofs, facades, textures, strict=True)
    ]
    return replace(
        world,
        ground=ground,
        walls=[roof for roof, _ in walls] + [facade for _, facade in walls],
        solids=_place(rng, world.solids),
    )


def _vary_wall(
    rng: np.random.Generator, roof: Face, facade: Face, texture: Texture
) -> tuple[Face, Face]:
    """Return a roof and a facade of another height and color, with signs."""
    height = -facade.down[2]
    rise = np.array([0, 0, height * rng.uniform(-0.15, 0.35)])
    pixels = _move_storeys(rng, _paint(rng, texture, MAX_HUE).pixels)
    _add_signs(rng, pixels)
    roof = replace(roof, corner=roof.corner + rise, texture=_paint(rng, roof.texture, MAX_HUE / 2))
    return roof, replace(
        facade, corner=facade.corner + rise, down=facade.down - rise, texture=Texture(pixels)
    )


def _paint(rng: np.random.Generator, texture: Texture, max_hue: float) -> Texture:
    """Return a texture with another hue, saturation and brightness, mirrored or not."""
    turn = np.radians(rng.uniform(-max_hue, max_hue))
    # Rodrigues' formula about the axis of gray values.
    hue = cv2.Rodrigues(turn * np.ones(3) / np.sqrt(3))[0]
    gray = np.full((3, 3), 1 / 3)
    saturation = rng.uniform(0.5, 1.3)
    mix = rng.uniform(0.8, 1.15) * (saturation * hue + (1 - saturation) * gray)
    pixels = cv2.transform(texture.pixels, mix)
    return Texture(np.ascontiguousarray(pixels[:, ::-1]) if rng.random() < 0.5 else pixels)


def _move_storeys(rng: np.random.Generator, pixels: np.ndarray) -> np.ndarray:
    """Return a facade whose upper and lower storeys are moved sideways, each on its own."""
    edge = int(UPPER_STOREYS * len(pixels))
    parts = [
        np.roll(part, int(rng.integers(part.shape[1])), axis=1)
        for part in (pixels[:edge], pixels[edge:])
    ]
    return np.concatenate(parts)


def _add_signs(rng: np.random.Generator, pixels: np.ndarray) -> None:
    """Draw signs and posters with random letters onto a facade."""
    rows, columns = pixels.shape[:2]
    for _ in range(rng.integers(4, 11)):
        word = "".join(chr(65 + letter) for letter in rng.integers(26, size=rng.integers(2, 7)))
        scale = rng.uniform(0.7, 1.7)
        (width, height), _ = cv2.getTextSize(word, cv2.FONT_HERSHEY_DUPLEX, scale, 2)
        x = int(rng.integers(max(1, columns - width - DENSITY)))
        y = int(rng.integers(rows // 6, rows - DENSITY))
        paper, ink = rng.uniform(0, 120, 3), rng.uniform(140, 255, 3)
        if rng.random() < 0.5:
            paper, ink = ink, paper
        pad = int(rng.uniform(0.1, 0.4) * DENSITY)
        box = (x, y - height - pad, width + 2 * pad, height + 2 * pad)
        cv2.rectangle(pixels, box, paper.tolist(), cv2.FILLED)
        place = (x + pad, y)
        cv2.putText(
            pixels, word, place, cv2.FONT_HERSHEY_DUPLEX, scale, ink.tolist(), 2, cv2.LINE_AA
        )


def _place(rng: np.random.Generator, solids: list[Solid]) -> list[Solid]:
    """Return the fountain, which is the first, and most of the other objects at other places."""
    placed = [_paint_solid(rng, solids[0])]
    mirror = rng.choice((-1, 1), 2)
    for solid in solids[1:]:
        center = (solid.low + solid.high)[:2] / 2
        if rng.random() > KEPT:
            continue
        for attempt in range(PLACE_TRIES):
            reach = MAX_MOVE * (attempt + 1) / PLACE_TRIES
            move = np.array([*(center * mirror - center + rng.uniform(-reach, reach, 2)), 0.0])
            low, high = solid.low + move, solid.high + move
            if _is_free(low[:2], high[:2], placed):
                placed.append(_paint_solid(rng, _move(solid, move)))
                break
    return placed


def _is_free(low: np.ndarray, high: np.ndarray, placed: list[Solid]) -> bool:
    """Return whether a box (x, y) is beside the walks, the facades and the objects."""
    nearest = np.clip(0.0, low, high) / (WALK_X, WALK_Y)
    is_beside_walks = float((nearest**2).sum()) > 1
    is_inside = bool((np.maximum(-low, high) < (HALF_X, HALF_Y)).all())
    gaps = [
        (low > other.high[:2] + GAP).any() or (high < other.low[:2] - GAP).any() for other in placed
    ]
    return is_beside_walks and is_inside and all(gaps)


def _move(solid: Solid, move: np.ndarray) -> Solid:
    """Return a solid at another place."""
    parts = [[replace(face, corner=face.corner + move) for face in part] for part in solid.parts]
    return Solid(parts, solid.low + move, solid.high + move)


def _paint_solid(rng: np.random.Generator, solid: Solid) -> Solid:
    """Return a solid with other colors; faces that share a texture still do."""
    painted: dict[int, Texture] = {}
    for part in solid.parts:
        for face in part:
            if id(face.texture) not in painted:
                painted[id(face.texture)] = _paint(rng, face.texture, MAX_HUE / 2)
    parts = [
        [replace(face, texture=painted[id(face.texture)]) for face in part] for part in solid.parts
    ]
    return replace(solid, parts=parts)
