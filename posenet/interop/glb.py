"""Write a map and its cameras as a GLB file: binary glTF 2.0, y up."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np

from posenet.interop.map_export import CORNERS, TRIANGLES, MapExport, frustum_corners
from posenet.io.files import atomic_path

# Constants of the glTF 2.0 specification.
MAGIC = b"glTF"
VERSION = 2
JSON_CHUNK = b"JSON"
BINARY_CHUNK = b"BIN\0"
FLOAT, UNSIGNED_SHORT, UNSIGNED_INT = 5126, 5123, 5125
COMPONENT_TYPES = {"<f4": FLOAT, "<u2": UNSIGNED_SHORT, "<u4": UNSIGNED_INT}
ARRAY_BUFFER, ELEMENT_ARRAY_BUFFER = 34962, 34963
POINTS, TRIANGLE_LIST = 0, 4
OPAQUE = 1.0


def write_glb(path: Path, exported: MapExport) -> None:
    """Write points and frusta, relative to the center of the cameras and with y up.

    The center and the axes of the world frame are in the `extras` of the scene.

    Args:
        path: the file to write.
        exported: the map.

    Raises:
        PoseNetError: the file cannot be written.
    """
    file = _GltfFile()
    if len(exported.positions):
        file.add_mesh("points", to_y_up(exported, exported.positions), exported.colors, None)
    for group in exported.groups:
        corners = frustum_corners(group, exported.frustum_size)
        colors = np.tile(np.array(group.color, np.uint8), (corners.size // 3, 1))
        first = CORNERS * np.arange(len(corners))[:, None, None]
        positions = to_y_up(exported, corners.reshape(-1, 3))
        file.add_mesh(group.name, positions, colors, (TRIANGLES + first).ravel())
    extras = {
        "name": exported.name,
        "unit": exported.unit,
        "center": exported.center.tolist(),
        "world_from_gltf": _gltf_axes(exported).T.tolist(),
    }
    with atomic_path(path) as temporary:
        temporary.write_bytes(file.to_bytes(extras))


def to_y_up(exported: MapExport, positions: np.ndarray) -> np.ndarray:
    """Convert points of the world frame to the frame of the GLB file.

    Args:
        exported: the map.
        positions: shape (n, 3).

    Returns:
        Relative to the center: x along the main horizontal axis, y up, shape (n, 3).
    """
    return (positions - exported.center) @ _gltf_axes(exported).T


def _gltf_axes(exported: MapExport) -> np.ndarray:
    """Return the axes of the file in the world frame, in rows, shape (3, 3)."""
    along, left, up = exported.axes
    return np.stack([along, up, -left])


def _linear_colors(colors: np.ndarray) -> np.ndarray:
    """Return sRGB colors (n, 3) as glTF stores them: linear, with opacity, shape (n, 4)."""
    encoded = colors / 255.0
    # IEC 61966-2-1.
    linear = np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)
    full = np.column_stack([linear, np.full(len(linear), OPAQUE)])
    return np.rint(full * np.iinfo(np.uint16).max).astype("<u2")


class _GltfFile:
    """The parts of a glTF file under construction."""

    def __init__(self) -> None:
        self.binary = bytearray()
        self.views: list[dict[str, Any]] = []
        self.accessors: list[dict[str, Any]] = []
        self.meshes: list[dict[str, Any]] = []

    def add_mesh(
        self, name: str, positions: np.ndarray, colors: np.ndarray, triangles: np.ndarray | None
    ) -> None:
        """Add points (n, 3), or triangles of them."""
        position = positions.astype("<f4")
        bounds = {"min": position.min(axis=0).tolist(), "max": position.max(axis=0).tolist()}
        attributes = {
            "POSITION": self._add_array(position, "VEC3", ARRAY_BUFFER, bounds),
            "COLOR_0": self._add_array(
                _linear_colors(colors), "VEC4", ARRAY_BUFFER, {"normalized": True}
            ),
        }
        primitive: dict[str, Any] = {"attributes": attributes, "material": 0, "mode": POINTS}
        if triangles is not None:
            primitive["mode"] = TRIANGLE_LIST
            primitive["indices"] = self._add_array(
                triangles.astype("<u4"), "SCALAR", ELEMENT_ARRAY_BUFFER, {}
            )
        self.meshes.append({"name": name, "primitives": [primitive]})

    def to_bytes(self, extras: dict[str, Any]) -> bytes:
        """Return the file."""
        nodes = [{"name": mesh["name"], "mesh": row} for row, mesh in enumerate(self.meshes)]
        content = {
            "asset": {"version": "2.0", "generator": "posenet"},
            "extensionsUsed": ["KHR_materials_unlit"],
            "scene": 0,
            "scenes": [{"nodes": list(range(len(nodes))), "extras": extras}],
            "nodes": nodes,
            "meshes": self.meshes,
            "materials": [{"doubleSided": True, "extensions": {"KHR_materials_unlit": {}}}],
            "accessors": self.accessors,
            "bufferViews": self.views,
            "buffers": [{"byteLength": len(self.binary)}],
        }
        text = json.dumps(content).encode()
        text += b" " * (-len(text) % 4)
        chunks = [
            struct.pack("<I4s", len(part), kind) + part
            for kind, part in ((JSON_CHUNK, text), (BINARY_CHUNK, bytes(self.binary)))
        ]
        body = b"".join(chunks)
        return struct.pack("<4sII", MAGIC, VERSION, 12 + len(body)) + body

    def _add_array(self, array: np.ndarray, kind: str, target: int, more: dict[str, Any]) -> int:
        """Add an array whose size is a multiple of four bytes; return its accessor."""
        view = {
            "buffer": 0,
            "byteOffset": len(self.binary),
            "byteLength": array.nbytes,
            "target": target,
        }
        self.views.append(view)
        self.binary += array.tobytes()
        accessor = {
            "bufferView": len(self.views) - 1,
            "componentType": COMPONENT_TYPES[array.dtype.str],
            "count": len(array),
            "type": kind,
        }
        self.accessors.append(accessor | more)
        return len(self.accessors) - 1
