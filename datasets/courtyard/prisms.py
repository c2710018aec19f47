"""Make faces and prisms, the parts of solid objects. Meters, z up."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from posenet.datasets.courtyard.meshes import SQUARE, Face, Solid, Texture

# A frustum whose upper end is smaller than this has no lid, meters.
MIN_LID = 0.02


def make_face(
    corner: Sequence[float] | np.ndarray,
    across: Sequence[float] | np.ndarray,
    down: Sequence[float] | np.ndarray,
    texture: Texture | np.ndarray,
    outline: Sequence[tuple[float, float]] = SQUARE,
) -> Face:
    """Make a face.

    Args:
        corner: top left corner of the texture, meters, shape (3,).
        across: vector from there to the top right corner, meters, shape (3,).
        down: vector from there to the bottom left corner, meters, shape (3,).
        texture: a texture, or its image.
        outline: the polygon in (s, t). Default: the whole rectangle.

    Returns:
        The face.
    """
    if not isinstance(texture, Texture):
        texture = Texture(texture)
    # `Face` recognizes a whole rectangle by identity with SQUARE; tuple() returns the same tuple.
    return Face(
        np.array(corner, np.float64),
        np.array(across, np.float64),
        np.array(down, np.float64),
        texture,
        tuple(outline),
    )


def make_prism(
    center: Sequence[float],
    radii: Sequence[float | np.ndarray],
    heights: Sequence[float],
    side: Texture,
    top: Texture,
    count: int = 4,
) -> list[Face]:
    """Make a closed prism or frustum without a bottom.

    Args:
        center: its axis (x, y), meters.
        radii: radii of the lower and upper end, meters. Four sides make a box, whose radii may
            also be arrays of shape (2,): half its lengths along x and y.
        heights: heights of the lower and upper end, meters.
        side: texture of every side.
        top: texture of the lid.
        count: number of sides.

    Returns:
        The sides, then the lid unless the upper end is a point.
    """
    unit = _regular_polygon(count)
    below, above = (
        np.column_stack([unit * radius + center, np.full(count, z)])
        for radius, z in zip(radii, heights, strict=True)
    )
    faces = []
    for i in range(count):
        ends = [i, (i + 1) % count]
        faces.append(_trapezium(below[ends], above[ends], side))
    low = above.min(axis=0)
    size = np.ptp(above, axis=0)
    if size[:2].min() > MIN_LID:
        lid = [((x - low[0]) / size[0], 1 - (y - low[1]) / size[1]) for x, y, _ in above[::-1]]
        corner = (low[0], low[1] + size[1], heights[1])
        faces.append(make_face(corner, (size[0], 0, 0), (0, -size[1], 0), top, lid))
    return faces


def _regular_polygon(count: int) -> np.ndarray:
    """Return corners (count, 2) on the unit circle, or of the square from -1 to 1 for 4."""
    angles = (np.arange(count) + 0.5) * 2 * np.pi / count
    corners = np.column_stack([np.cos(angles), np.sin(angles)])
    if count == 4:
        corners /= np.cos(np.pi / 4)
    return corners


def _trapezium(below: np.ndarray, above: np.ndarray, texture: Texture) -> Face:
    """Return a side of a prism from its lower and upper edge (2, 3), from left to right.

    The trapezium is inside the parallelogram that its wider edge spans.
    """
    lower = float(np.linalg.norm(below[1] - below[0]))
    upper = float(np.linalg.norm(above[1] - above[0]))
    inset = 0.5 * (1 - min(lower, upper) / max(lower, upper))
    rise = (above[0] + above[1] - below[0] - below[1]) / 2
    if lower >= upper:
        left, right = below + rise
        outline = [(inset, 0.0), (1 - inset, 0.0), (1.0, 1.0), (0.0, 1.0)]
    else:
        left, right = above
        outline = [(0.0, 0.0), (1.0, 0.0), (1 - inset, 1.0), (inset, 1.0)]
    return make_face(left, right - left, -rise, texture, outline)


def make_underside(
    center: Sequence[float], radius: float, height: float, texture: Texture, count: int
) -> Face:
    """Make the bottom of a prism, which is visible from below.

    Args:
        center: axis of the prism (x, y), meters.
        radius: radius of its lower end, meters.
        height: height of its lower end, meters.
        texture: the texture.
        count: number of sides.

    Returns:
        The bottom.
    """
    outline = np.clip(0.5 + 0.5 * _regular_polygon(count), 0, 1)
    corner = (center[0] - radius, center[1] - radius, height)
    across = (2 * radius, 0, 0)
    down = (0, 2 * radius, 0)
    return make_face(corner, across, down, texture, [(s, t) for s, t in outline])


def make_solid(parts: list[list[Face]]) -> Solid:
    """Make a solid from its parts.

    Args:
        parts: the faces of each part.

    Returns:
        The solid, whose box reaches down to the ground.
    """
    faces = [face for part in parts for face in part]
    corners = np.concatenate([face.points(np.array(face.outline)) for face in faces])
    low = corners.min(axis=0)
    low[2] = 0.0
    return Solid(parts, low, corners.max(axis=0))
