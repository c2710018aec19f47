"""A small painter's renderer: textured faces seen by a pinhole camera.

World: meters, z up. Camera axes: OpenCV (x right, y down, z forward). Pixel (0, 0) has its center
at (0.5, 0.5). Textures are uint8 RGB or RGBA.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import cv2
import numpy as np
from scipy.spatial.transform import Rotation

from posenet.datasets.courtyard.meshes import Face, Solid
from posenet.datasets.courtyard.rasterizer import draw_faces
from posenet.geometry.camera import Camera

# Factor by which images are rendered larger, against aliasing at outlines.
SUPERSAMPLING = 2


def full_brightness(face: Face) -> float:
    """Return the factor 1 for the colors of every face.

    Args:
        face: any face.

    Returns:
        1.
    """
    return 1.0


def render(
    camera: Camera,
    position: np.ndarray,
    rotation: Rotation,
    backdrop: np.ndarray,
    faces: Sequence[Face],
    solids: Sequence[Solid],
    shade: Callable[[Face], float] = full_brightness,
) -> np.ndarray:
    """Render an image of the world. Faces seen from behind are not drawn.

    Args:
        camera: the camera.
        position: camera center in world axes, meters, shape (3,).
        rotation: rotation from camera to world axes.
        backdrop: RGB image behind everything, uint8; it is resized to the image.
        faces: faces to draw first, in this order.
        solids: solids to draw afterwards, far to near.
        shade: function from a face to the factor of its colors.

    Returns:
        RGB image, shape (height, width, 3), uint8.
    """
    large = camera.resized(camera.width * SUPERSAMPLING, camera.height * SUPERSAMPLING)
    canvas = cv2.resize(backdrop, (large.width, large.height), interpolation=cv2.INTER_LINEAR)
    ordered = [
        face for solid in far_to_near(solids, position) for face in _stacked(solid, position)
    ]
    draw_faces(
        canvas, [*faces, *ordered], large.matrix @ rotation.inv().as_matrix(), position, shade
    )
    return cv2.resize(canvas, (camera.width, camera.height), interpolation=cv2.INTER_AREA)


def far_to_near(solids: Sequence[Solid], position: np.ndarray) -> list[Solid]:
    """Order solids so that none is drawn over one that it cannot hide.

    A vertical plane separates two solids whose boxes do not overlap along x or y; the one on the
    camera's side is never hidden by the other.

    Args:
        solids: solids whose boxes do not overlap.
        position: camera center in world axes, meters, shape (3,).

    Returns:
        The solids in drawing order.
    """
    if not solids:
        return []
    low = np.array([solid.low[:2] for solid in solids])
    high = np.array([solid.high[:2] for solid in solids])
    eye = np.asarray(position)[:2]
    before = (high[:, None] <= low[None]) & (eye <= low)[None]
    after = (low[:, None] >= high[None]) & (eye >= high)[None]
    # Entry [i, j]: solid i is never hidden by solid j.
    safe: np.ndarray = np.any(before | after, axis=2)
    hides: np.ndarray = ~safe.T
    np.fill_diagonal(hides, False)
    distance = np.linalg.norm(np.clip(eye, low, high) - eye, axis=1)
    left = list(np.argsort(-distance, kind="stable"))
    # Solid i must wait for the solids that it hides and that cannot hide it.
    waits = hides & ~hides.T
    ordered = []
    while left:
        blocked = waits[np.ix_(left, left)].any(axis=1)
        ordered.append(left.pop(int(np.argmin(blocked))))
    return [solids[i] for i in ordered]


def _stacked(solid: Solid, position: np.ndarray) -> list[Face]:
    """Return the faces of a stack in drawing order: the part at eye height hides the others."""

    def height_from_eye(part: int) -> float:
        low, high = solid.heights[part]
        return abs(min(max(position[2], low), high) - position[2])

    order = sorted(range(len(solid.parts)), key=height_from_eye, reverse=True)
    return [face for part in order for face in solid.parts[part]]
