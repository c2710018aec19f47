"""Draw textured faces: each is warped by its exact plane-to-image homography.

Textures are uint8 RGB or RGBA. Pixel (0, 0) has its center at (0.5, 0.5).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import cv2
import numpy as np

from posenet.datasets.courtyard.meshes import NEAR, Face

# Bits of subpixel precision of outlines.
SUBPIXEL_BITS = 4
# Outlines are limited to this distance from a face's box, pixels, to stay in OpenCV's range.
MAX_OFFSET = 30000
# A texture is halved at most this often.
MAX_LEVEL = 6
# A texel covers at least this many pixels in its narrowest direction, against aliasing on slanted
# faces. It is less than 1 because these would be blurred otherwise.
MIN_TEXEL = 0.4


def draw_faces(
    canvas: np.ndarray,
    faces: Sequence[Face],
    projection: np.ndarray,
    position: np.ndarray,
    shade: Callable[[Face], float],
) -> None:
    """Draw the faces that are not seen from behind, the first one first.

    All their tiles are projected at once, which is faster.

    Args:
        canvas: RGB image to draw on, uint8, shape (h, w, 3).
        faces: the faces.
        projection: K times the rotation from world to camera axes, shape (3, 3).
        position: camera center in world axes, meters, shape (3,).
        shade: function from a face to the factor of its colors.
    """
    normals = np.array([face.normal for face in faces])
    corners = np.array([face.corner for face in faces])
    towards = ((position - corners) * normals).sum(axis=1) > 1e-6
    faces = [face for face, is_seen in zip(faces, towards, strict=True) if is_seen]
    if not faces:
        return
    axes = np.array([(face.across, face.down, face.corner - position) for face in faces])
    # Homographies, whose third row gives the depth.
    image_from_face = projection @ axes.transpose(0, 2, 1)
    owner = np.repeat(np.arange(len(faces)), [len(face.tiles) for face in faces])
    outlines = np.concatenate([face.padded_tiles for face in faces])
    polygons = outlines @ image_from_face[owner].transpose(0, 2, 1)
    tiles, polygons = _clip_near(polygons)
    pixels = polygons[:, :, :2] / polygons[:, :, 2:]
    size = canvas.shape[1::-1]
    low = np.clip(np.floor(pixels.min(axis=1)) - 1, 0, size).astype(int)
    high = np.clip(np.ceil(pixels.max(axis=1)) + 1, 0, size).astype(int)
    inside = (high > low).all(axis=1)
    tiles, pixels, low, high = (array[inside] for array in (tiles, pixels, low, high))
    owner = owner[tiles]
    centers = np.concatenate([face.tile_centers for face in faces])[tiles]
    levels = _levels(faces, owner, centers, image_from_face[owner])
    sources = [
        faces[face].texture.level(*level)
        for face, level in zip(owner, levels.tolist(), strict=True)
    ]
    texel_from_box = _texels_from_boxes(sources, np.linalg.inv(image_from_face)[owner], low)
    polygons = np.clip(pixels - (low[:, None] + 0.5), -MAX_OFFSET, MAX_OFFSET) * 2**SUBPIXEL_BITS
    shades = [shade(face) for face in faces]
    rounded = np.round(polygons).astype(np.int32)
    for tile, (face, (left, top), (right, bottom)) in enumerate(
        zip(owner, low.tolist(), high.tolist(), strict=True)
    ):
        _draw(
            canvas[top:bottom, left:right],
            sources[tile],
            texel_from_box[tile],
            rounded[tile],
            shades[face],
        )


def _draw(
    target: np.ndarray,
    source: np.ndarray,
    texel_from_target: np.ndarray,
    polygon: np.ndarray,
    shade: float,
) -> None:
    """Draw a texture inside a convex polygon (k, 2), in fractions of a pixel, onto a target."""
    size = target.shape[1::-1]
    painted = cv2.warpPerspective(
        source,
        texel_from_target,
        size,
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    mask = np.zeros(size[::-1], np.uint8)
    cv2.fillConvexPoly(mask, polygon, 255, shift=SUBPIXEL_BITS)
    if painted.shape[2] == 4:
        weight = (cv2.bitwise_and(painted[:, :, 3], mask).astype(np.float32) / 255)[:, :, None]
        target[:] = np.clip(
            target * (1 - weight) + painted[:, :, :3] * (weight * shade) + 0.5, 0, 255
        )
    else:
        cv2.copyTo(cv2.convertScaleAbs(painted, alpha=shade), mask, target)


def _texels_from_boxes(
    sources: Sequence[np.ndarray], face_from_image: np.ndarray, low: np.ndarray
) -> np.ndarray:
    """Return homographies (n, 3, 3) from pixels of boxes at `low` (n, 2) to those of textures."""
    texel_from_face = np.tile(np.array([[0, 0, -0.5], [0, 0, -0.5], [0, 0, 1]]), (len(low), 1, 1))
    for axis in (0, 1):
        texel_from_face[:, axis, axis] = [source.shape[1 - axis] for source in sources]
    image_from_box = np.tile(np.eye(3), (len(low), 1, 1))
    image_from_box[:, :2, 2] = low + 0.5
    product: np.ndarray = texel_from_face @ face_from_image @ image_from_box
    return product


def _clip_near(polygons: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the parts of convex polygons (n, k, 3) whose third coordinate is at least NEAR.

    Returns the indices (m,) of those of which something is left, and the parts (m, k + 1, 3), in
    which the last corner may be repeated.
    """
    depth = polygons[:, :, 2] - NEAR
    kept = np.flatnonzero((depth >= 0).any(axis=1))
    clipped = np.concatenate([polygons[kept], polygons[kept, -1:]], axis=1)
    for row in np.flatnonzero((depth[kept] < 0).any(axis=1)):
        polygon = _clip_polygon(polygons[kept[row]], depth[kept[row]])
        clipped[row, : len(polygon)] = polygon
        clipped[row, len(polygon) :] = polygon[-1]
    return kept, clipped


def _clip_polygon(polygon: np.ndarray, depth: np.ndarray) -> np.ndarray:
    """Return the part of a convex polygon (k, 3) at depths (k,) of at least 0."""
    kept = []
    for i in range(len(polygon)):
        j = (i + 1) % len(polygon)
        if depth[i] >= 0:
            kept.append(polygon[i])
        if (depth[i] >= 0) != (depth[j] >= 0):
            fraction = depth[i] / (depth[i] - depth[j])
            kept.append(polygon[i] + (polygon[j] - polygon[i]) * fraction)
    return np.array(kept)


def _levels(
    faces: Sequence[Face], owner: np.ndarray, centers: np.ndarray, image_from_face: np.ndarray
) -> np.ndarray:
    """Return how often to halve textures, across and down, so that a texel is about a pixel.

    Args:
        faces: the faces.
        owner: index of the face of each of n tiles, shape (n,).
        centers: centers of the tiles in (s, t, 1), shape (n, 3).
        image_from_face: homographies of the tiles, shape (n, 3, 3).

    Returns:
        Numbers, shape (n, 2).
    """
    x, y, depth = (image_from_face @ centers[:, :, None])[:, :, 0].T
    is_near = depth < NEAR
    depth = np.where(is_near, 1.0, depth)
    point = np.stack([x / depth, y / depth], axis=1)
    change = point[:, :, None] * image_from_face[:, 2:, :2]
    jacobian = (image_from_face[:, :2, :2] - change) / depth[:, None, None]
    sizes = np.array([face.texture.pixels.shape[1::-1] for face in faces])[owner]
    # Pixels per texel.
    jacobian /= sizes[:, None]
    smallest = np.abs(np.linalg.det(jacobian)) / np.maximum(
        np.linalg.norm(jacobian, axis=(1, 2)), 1e-12
    )
    lengths = np.maximum(np.linalg.norm(jacobian, axis=1), 1e-6)
    need = np.maximum(1 / lengths, MIN_TEXEL / np.maximum(smallest, 1e-6)[:, None])
    levels: np.ndarray = np.clip(np.ceil(np.log2(need)), 0, MAX_LEVEL).astype(int)
    levels[is_near] = 0
    return levels
