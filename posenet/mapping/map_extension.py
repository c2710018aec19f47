"""Extend a landmark map by new images: only these are detected, matched and triangulated."""

from __future__ import annotations

from posenet.datasets.scene import Scene
from posenet.mapping.keypoints import KeypointCache, Keypoints, detect_or_empty
from posenet.mapping.landmarks import MAX_KEYPOINTS, RANKS, Landmarks
from posenet.mapping.matching import DescriptorMatches, match, root_sift
from posenet.mapping.parallel import in_parallel
from posenet.mapping.triangulation import (
    NeighborMatches,
    Observations,
    pairs_from_poses,
    triangulate_image,
)


def triangulate_new_images(
    scene: Scene, landmarks: Landmarks, *, cache: KeypointCache | None = None
) -> list[Observations]:
    """Triangulate what the images of a scene observe that are not in a map yet.

    They are matched with their neighbors, old and new. Of old images only the keypoints are known
    that have landmarks. What old images observe does not change.

    Args:
        scene: the images of the map, then n new ones.
        landmarks: the map.
        cache: keypoints that were detected before.

    Returns:
        The observations of the n new images.
    """
    first = len(landmarks.pixels)
    pairs = [
        pair for pair in pairs_from_poses(scene.poses, RANKS) if pair[1] >= first
    ]  # the second is the larger index
    rows = sorted({row for pair in pairs for row in pair} | set(range(first, len(scene))))

    def find_keypoints(row: int) -> Keypoints:
        if row < first:
            return landmarks.observations(row).keypoints
        camera = scene.cameras[row]
        known = camera if camera is not None and camera.has_known_focal_length else None
        return detect_or_empty(scene.paths[row], known, MAX_KEYPOINTS, cache=cache)

    found = in_parallel(find_keypoints, rows, "keypoints")
    keypoints = dict(zip(rows, found, strict=True))

    def match_pair(pair: tuple[int, int]) -> DescriptorMatches:
        return match(*(root_sift(keypoints[row].descriptors) for row in pair))

    matches = in_parallel(match_pair, pairs, "matching")
    by_image: dict[int, list[NeighborMatches]] = {row: [] for row in rows}
    for (one, two), (own, other) in zip(pairs, matches, strict=True):
        by_image[one].append(NeighborMatches(two, own, other))
        by_image[two].append(NeighborMatches(one, other, own))
    return [
        triangulate_image(row, keypoints, scene.poses, by_image[row])
        for row in range(first, len(scene))
    ]
