"""A small painter's renderer: textured faces seen by a pinhole camera.

World: meters, z up. Camera axes: OpenCV (x right, y down, z forward). Pixel (0, 0) has its center
at (0.5, 0.5). Textures are uint8 RGB or RGBA. Each face is warped by its exact plane-to-image
homography.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import cv2
import numpy as np
from scipy.spatial.transform import Rotation

from posenet.datasets.courtyard.meshes import NEAR, Face, Solid, Texture
from posenet.geometry.camera import Camera

# Factor by which images are rendered larger, against aliasing at outlines.
SUPERSAMPLING = 2
# Bits of subpixel precision of outlines.
SUBPIXEL_BITS = 4
# Outlines are limited to this distance from a face's box, pixels, to stay in OpenCV's range.
MAX_OFFSET = 30000
# A texture is halved at most this often.
MAX_LEVEL = 6
# A texel covers at least this many pixels in its narrowest direction, against aliasing on slanted
# faces. It is less than 1 because these would be blurred otherwise.
MIN_TEXEL = 0.4


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
    projection = large.matrix @ rotation.inv().as_matrix()
    ordered = [
        face for solid in far_to_near(solids, position) for face in _stacked(solid, position)
    ]
    for face in (*faces, *ordered):
        if face.normal @ (position - face.corner) > 1e-6:
            axes = np.stack([face.across, face.down, face.corner - position], axis=1)
            image_from_face = projection @ axes
            for outline in face.tiles:
                _draw(canvas, face.texture, outline, image_from_face, shade(face))
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
    ordered = []
    while left:
        # Solid i must wait for the solids that it hides and that cannot hide it.
        blocked = [(hides[i, left] & ~hides[left, i]).any() for i in left]
        ordered.append(left.pop(int(np.argmin(blocked))))
    return [solids[i] for i in ordered]


def _stacked(solid: Solid, position: np.ndarray) -> list[Face]:
    """Return the faces of a stack in drawing order: the part at eye height hides the others."""

    def height_from_eye(part: list[Face]) -> float:
        heights = np.concatenate([face.points(np.array(face.outline))[:, 2] for face in part])
        return float(abs(np.clip(position[2], heights.min(), heights.max()) - position[2]))

    return [
        face for part in sorted(solid.parts, key=height_from_eye, reverse=True) for face in part
    ]


def _draw(
    canvas: np.ndarray,
    texture: Texture,
    outline: np.ndarray,
    image_from_face: np.ndarray,
    shade: float,
) -> None:
    """Draw the part of a face inside an outline (k, 2) in (s, t).

    `image_from_face` is a homography (3, 3) whose third row gives the depth.
    """
    polygon = _clip_near(np.column_stack([outline, np.ones(len(outline))]) @ image_from_face.T)
    if len(polygon) < 3:
        return
    pixels = polygon[:, :2] / polygon[:, 2:]
    height, width = canvas.shape[:2]
    left, top = np.clip(np.floor(pixels.min(axis=0)).astype(int) - 1, 0, (width, height))
    right, bottom = np.clip(np.ceil(pixels.max(axis=0)).astype(int) + 1, 0, (width, height))
    if right <= left or bottom <= top:
        return
    source = texture.level(*_levels(texture, outline, image_from_face))
    texel_from_face = np.array([[source.shape[1], 0, -0.5], [0, source.shape[0], -0.5], [0, 0, 1]])
    image_from_box = np.array([[1, 0, left + 0.5], [0, 1, top + 0.5], [0, 0, 1]])
    texel_from_box = texel_from_face @ np.linalg.inv(image_from_face) @ image_from_box
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    size = (int(right - left), int(bottom - top))
    painted = cv2.warpPerspective(
        source, texel_from_box, size, flags=flags, borderMode=cv2.BORDER_REPLICATE
    )
    mask = np.zeros(size[::-1], np.uint8)
    corners = (
        np.clip((pixels - (left + 0.5, top + 0.5)), -MAX_OFFSET, MAX_OFFSET) * 2**SUBPIXEL_BITS
    )
    cv2.fillConvexPoly(mask, np.round(corners).astype(np.int32), 255, shift=SUBPIXEL_BITS)
    target = canvas[top:bottom, left:right]
    if painted.shape[2] == 4:
        weight = (cv2.bitwise_and(painted[:, :, 3], mask).astype(np.float32) / 255)[:, :, None]
        target[:] = np.clip(
            target * (1 - weight) + painted[:, :, :3] * (weight * shade) + 0.5, 0, 255
        )
    else:
        cv2.copyTo(cv2.convertScaleAbs(painted, alpha=shade), mask, target)


def _clip_near(polygon: np.ndarray) -> np.ndarray:
    """Return the part of a convex polygon (k, 3) whose third coordinate is at least NEAR."""
    depth = polygon[:, 2] - NEAR
    if (depth >= 0).all():
        return polygon
    kept = []
    for i in range(len(polygon)):
        j = (i + 1) % len(polygon)
        if depth[i] >= 0:
            kept.append(polygon[i])
        if (depth[i] >= 0) != (depth[j] >= 0):
            fraction = depth[i] / (depth[i] - depth[j])
            kept.append(polygon[i] + (polygon[j] - polygon[i]) * fraction)
    return np.array(kept).reshape(-1, 3)


def _levels(texture: Texture, outline: np.ndarray, image_from_face: np.ndarray) -> tuple[int, int]:
    """Return how often to halve a texture, across and down, so that a texel is about a pixel."""
    x, y, depth = image_from_face @ (*outline.mean(axis=0), 1.0)
    if depth < NEAR:
        return 0, 0
    change = np.outer((x / depth, y / depth), image_from_face[2, :2])
    # Pixels per texel.
    jacobian = (image_from_face[:2, :2] - change) / depth
    jacobian /= (texture.pixels.shape[1], texture.pixels.shape[0])
    smallest = abs(np.linalg.det(jacobian)) / max(np.linalg.norm(jacobian), 1e-12)
    lengths = np.maximum(np.linalg.norm(jacobian, axis=0), 1e-6)
    need = np.maximum(1 / lengths, MIN_TEXEL / max(smallest, 1e-6))
    across, down = np.clip(np.ceil(np.log2(need)), 0, MAX_LEVEL).astype(int)
    return int(across), int(down)
