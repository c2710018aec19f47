"""Write a map and its cameras as a PLY file."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from posenet.interop.map_export import EDGES, MapExport, frustum_corners
from posenet.io.files import atomic_path

# Dots on each edge of a frustum.
DOTS = 12
VERTEX = np.dtype(
    [("x", "<f8"), ("y", "<f8"), ("z", "<f8"), ("red", "u1"), ("green", "u1"), ("blue", "u1")]
)


def write_ply(path: Path, exported: MapExport) -> None:
    """Write points and frusta in the world frame, as binary little endian PLY.

    The frusta are dotted lines, since programs for point clouds show vertices only.

    Args:
        path: the file to write.
        exported: the map.

    Raises:
        PoseNetError: the file cannot be written.
    """
    positions = [exported.positions]
    colors = [exported.colors]
    for group in exported.groups:
        dots = _dots(frustum_corners(group, exported.frustum_size))
        positions.append(dots)
        colors.append(np.tile(np.array(group.color, np.uint8), (len(dots), 1)))
    vertices = np.empty(sum(map(len, positions)), VERTEX)
    for axis, values in zip("xyz", np.concatenate(positions).T, strict=True):
        vertices[axis] = values
    for name, values in zip(("red", "green", "blue"), np.concatenate(colors).T, strict=True):
        vertices[name] = values
    comment = f"{exported.name}, unit: {exported.unit}".encode("ascii", "replace").decode()
    header = [
        "ply",
        "format binary_little_endian 1.0",
        f"comment {' '.join(comment.split())}",
        f"element vertex {len(vertices)}",
        *(f"property double {axis}" for axis in "xyz"),
        *(f"property uchar {name}" for name in ("red", "green", "blue")),
        "end_header\n",
    ]
    with atomic_path(path) as temporary:
        temporary.write_bytes("\n".join(header).encode() + vertices.tobytes())


def _dots(corners: np.ndarray) -> np.ndarray:
    """Return points on the edges of frusta (n, 5, 3), both ends included, shape (m, 3)."""
    share = np.linspace(0, 1, DOTS)[:, None]
    start = corners[:, EDGES[:, 0], None]
    end = corners[:, EDGES[:, 1], None]
    dots: np.ndarray = (start + share * (end - start)).reshape(-1, 3)
    return dots
