"""Where the images of a scene see its 3-D points, for layouts that write measurements."""

from __future__ import annotations

import numpy as np

from posenet.datasets.scene import Scene
from posenet.geometry.camera_models import projected

Track = list[tuple[int, int, float, float]]


def measured_points(
    scene: Scene, lost: list[str], from_middle: bool = False
) -> tuple[np.ndarray, list[Track]]:
    """The points (m, 3), and for each its measurements (image, keypoint, x, y).

    x, y: pixels of the point's projection, (0.5, 0.5) at the first pixel's center, or counted from the image's
    middle; then only those inside the image, since the farthest ones tell a reader how large it is. A scene keeps no
    keypoints, so these are exact, not measured. A image whose camera is not known, or has a lens that cannot be
    computed, has none, which `lost` says.
    """
    if scene.points is None:
        return np.zeros((0, 3)), []
    tracks: list[Track] = [[] for _ in scene.points.positions]
    world_points, observations = scene.points.positions, scene.points.observations
    order = np.argsort(observations[:, 0], kind="stable")
    starts = np.searchsorted(observations[order, 0], np.arange(len(scene) + 1))
    camera_from_world = scene.poses.inverse()
    for row, camera in enumerate(scene.cameras):
        seen = observations[order[starts[row] : starts[row + 1]], 1]
        if camera is None or len(seen) == 0:
            continue
        local = (
            camera_from_world.rotations[row].apply(world_points[seen])
            + camera_from_world.positions[row]
        )
        seen, local = seen[local[:, 2] > 0], local[local[:, 2] > 0]
        pixels = projected(camera, local)
        if pixels is None:
            continue
        if from_middle:
            half = np.array([camera.width, camera.height]) / 2
            pixels = pixels - half
            inside = (np.abs(pixels) <= half).all(axis=1)
            seen, pixels = seen[inside], pixels[inside]
        for keypoint, (point, (x, y)) in enumerate(zip(seen, pixels.tolist(), strict=True)):
            tracks[point].append((row, keypoint, x, y))
    if (written := sum(map(len, tracks))) < len(observations):
        lost.append(f"{len(observations) - written} of {len(observations)} sights of 3-D points")
    return world_points, tracks
