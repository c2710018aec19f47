"""Triangulate 3-D points from images of known pose: keypoints are matched between neighbors."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from posenet.datasets.scene import Scene
from posenet.geometry.poses import Poses
from posenet.mapping.keypoints import KeypointCache, Keypoints, detect_or_empty
from posenet.mapping.matching import match, root_sift
from posenet.mapping.parallel import Arrays, in_parallel_resumable

# Neighbors that an image is matched with, by rank of distance among those with a similar viewing
# direction. Near ones match best, distant ones determine depth best.
NEIGHBOR_RANKS = (2, 5, 9, 15, 24, 40)
# Largest angle between the viewing directions of neighbors, degrees.
MAX_VIEW_ANGLE_DEG = 35.0
# Sine of the smallest angle between rays that determines depth: 1 degree.
MIN_PARALLAX = np.sin(np.radians(1.0))
# Largest reprojection error of a triangulated point, pixels.
MAX_ERROR_PIXELS = 3.0


@dataclass(frozen=True, eq=False)
class Observations:
    """What an image observes of the scene: its keypoints that were triangulated.

    Attributes:
        keypoints: n keypoints.
        points: their 3-D points in the world frame, scene units, shape (n, 3).
    """

    keypoints: Keypoints
    points: np.ndarray


class RayIntersections(NamedTuple):
    """Where n pairs of rays come closest.

    Attributes:
        distances: distances along the first rays, shape (n,).
        misses: sine of the angle by which the second rays miss the points, shape (n,).
        parallax: sine of the angle between the rays, shape (n,).
    """

    distances: np.ndarray
    misses: np.ndarray
    parallax: np.ndarray


class NeighborMatches(NamedTuple):
    """Matches of an image with one neighbor.

    Attributes:
        neighbor: index of the neighbor.
        own: rows of the image's keypoints, shape (k,).
        other: rows of the neighbor's keypoints, shape (k,).
    """

    neighbor: int
    own: np.ndarray
    other: np.ndarray


def triangulate_scene(
    scene: Scene,
    max_keypoints: int = 1200,
    *,
    ranks: Iterable[int] = NEIGHBOR_RANKS,
    checkpoint: Path | None = None,
    cache: KeypointCache | None = None,
) -> list[Observations]:
    """Triangulate the points that each image of a scene observes.

    Args:
        scene: n images of known pose.
        max_keypoints: largest number of keypoints per image.
        ranks: which neighbors are matched.
        checkpoint: folder for finished parts, so that interrupted work resumes; it must not contain
            those of other work.
        cache: keypoints that were detected before.

    Returns:
        The observations of each image; none for images that do not decode or without intrinsics.
    """

    def detect_arrays(row: int) -> Arrays:
        camera = scene.cameras[row]
        known = camera if camera is not None and camera.has_known_focal_length else None
        detected = detect_or_empty(scene.paths[row], known, max_keypoints, cache=cache)
        return detected.rays, detected.descriptors, np.array(detected.pixel)

    arrays = in_parallel_resumable(detect_arrays, range(len(scene)), "keypoints", checkpoint)
    keypoints = [Keypoints(rays, descriptors, float(pixel)) for rays, descriptors, pixel in arrays]
    rows = np.flatnonzero([len(found) > 0 for found in keypoints])
    pairs = [(int(rows[a]), int(rows[b])) for a, b in pairs_from_poses(scene.poses[rows], ranks)]

    def match_pair(pair: tuple[int, int]) -> Arrays:
        # Converted for each pair: as floats all descriptors would take four times the memory.
        first, second = (root_sift(keypoints[row].descriptors) for row in pair)
        return match(first, second)

    matches = in_parallel_resumable(match_pair, pairs, "matching", checkpoint)
    by_image: list[list[NeighborMatches]] = [[] for _ in keypoints]
    for (first, second), (first_rows, second_rows) in zip(pairs, matches, strict=True):
        by_image[first].append(NeighborMatches(second, first_rows, second_rows))
        by_image[second].append(NeighborMatches(first, second_rows, first_rows))
    return [
        triangulate_image(row, keypoints, scene.poses, by_image[row]) for row in range(len(scene))
    ]


def pairs_from_poses(poses: Poses, ranks: Iterable[int]) -> list[tuple[int, int]]:
    """Return pairs of images to match, from their poses.

    Args:
        poses: n poses.
        ranks: for each image, those of these ranks by distance, among the images whose viewing
            direction differs by less than 35 degrees.

    Returns:
        Pairs of indices, the smaller one first, sorted.
    """
    ranks = tuple(ranks)
    forward = poses.rotations.apply([0.0, 0, 1])
    min_cosine = np.cos(np.radians(MAX_VIEW_ANGLE_DEG))
    pairs = set()
    for row in range(len(poses)):
        similar = np.flatnonzero(forward @ forward[row] > min_cosine)
        similar = similar[similar != row]
        distances = np.linalg.norm(poses.positions[similar] - poses.positions[row], axis=1)
        order = similar[np.argsort(distances, kind="stable")]
        for rank in ranks:
            if rank < len(order):
                other = int(order[rank])
                pairs.add((min(row, other), max(row, other)))
    return sorted(pairs)


def world_rays(rays: np.ndarray, poses: Poses, row: int) -> np.ndarray:
    """Return the directions of rays in the world frame.

    Args:
        rays: points on the plane z = 1 of a camera, shape (n, 2).
        poses: some poses.
        row: index of the camera's pose.

    Returns:
        Unit vectors, shape (n, 3).
    """
    directions = poses.rotations[row].apply(np.column_stack([rays, np.ones(len(rays))]))
    return directions / np.linalg.norm(directions, axis=1, keepdims=True)


def triangulate_rays(
    center: np.ndarray, rays: np.ndarray, other_center: np.ndarray, other_rays: np.ndarray
) -> RayIntersections:
    """Intersect rays of one camera with those of another: where they appear to meet.

    Args:
        center: center of the first camera, shape (3,).
        rays: its unit rays, shape (n, 3).
        other_center: center of the second camera, shape (3,).
        other_rays: its unit rays, shape (n, 3).

    Returns:
        The intersections as the second camera sees them.
    """
    across = rays - (rays * other_rays).sum(axis=1, keepdims=True) * other_rays
    base = other_center - center
    offset = base - (other_rays @ base)[:, None] * other_rays
    distances = (across * offset).sum(axis=1) / np.maximum((across**2).sum(axis=1), 1e-12)
    missed = np.linalg.norm(distances[:, None] * across - offset, axis=1)
    depth = np.linalg.norm(distances[:, None] * rays - base, axis=1)
    parallax = np.linalg.norm(across, axis=1)
    return RayIntersections(distances, missed / np.maximum(depth, 1e-12), parallax)


def epipolar_errors(base: np.ndarray, rays: np.ndarray, other_rays: np.ndarray) -> np.ndarray:
    """Return the angles by which rays of two cameras miss each other.

    Sampson's distance from a common epipolar plane (Hartley and Zisserman, 2004, 11.4.3).

    Args:
        base: center of the second camera relative to the first, shape (3,).
        rays: unit rays of the first camera, shape (n, 3).
        other_rays: unit rays of the second camera, shape (n, 3).

    Returns:
        Angles in radians, for small ones, shape (n,).
    """
    missed = (base * np.cross(rays, other_rays)).sum(axis=1)
    slopes = (np.cross(other_rays, base) ** 2).sum(axis=1)
    slopes = slopes + (np.cross(base, rays) ** 2).sum(axis=1)
    return np.abs(missed) / np.sqrt(np.maximum(slopes, 1e-24))


def triangulate_image(
    row: int,
    keypoints: Mapping[int, Keypoints] | Sequence[Keypoints],
    poses: Poses,
    matches: Sequence[NeighborMatches],
) -> Observations:
    """Place an image's keypoints on their rays, where most neighbors' rays pass closest.

    Args:
        row: index of the image.
        keypoints: those of the image and of its neighbors, by index.
        poses: the poses of all images.
        matches: its matches with its neighbors.

    Returns:
        The keypoints that were triangulated.
    """
    own = keypoints[row]
    rays = world_rays(own.rays, poses, row)
    center = poses.positions[row]
    inverse = np.full((len(own), max(1, len(matches))), np.nan)  # 1 / distance, by each neighbor
    parallax = np.zeros_like(inverse)
    for column, (neighbor, own_rows, other_rows) in enumerate(matches):
        other_rays = world_rays(keypoints[neighbor].rays[other_rows], poses, neighbor)
        found = triangulate_rays(center, rays[own_rows], poses.positions[neighbor], other_rays)
        good = (
            (found.distances > 0)
            & (found.parallax > MIN_PARALLAX)
            & (found.misses < MAX_ERROR_PIXELS * keypoints[neighbor].pixel)
        )
        inverse[own_rows[good], column] = 1 / found.distances[good]
        parallax[own_rows[good], column] = found.parallax[good]
    median = _row_median(inverse)
    # An error of a pixel in the neighbor changes 1 / distance by about
    # pixel / (parallax * distance).
    agree = (
        np.abs(inverse - median[:, None]) * np.maximum(parallax, 1e-9)
        < 2 * MAX_ERROR_PIXELS * own.pixel * median[:, None]
    )
    weight = np.where(agree, parallax**2, 0)
    largest = np.where(agree, parallax, 0).max(axis=1)
    count = agree.sum(axis=1)
    good = (count >= 2) | ((count == 1) & (largest > 2 * MIN_PARALLAX))
    weighted = np.where(agree, inverse, 0)[good] * weight[good]
    distances = weight[good].sum(axis=1) / weighted.sum(axis=1)
    return Observations(own[good], center + distances[:, None] * rays[good])


def _row_median(values: np.ndarray) -> np.ndarray:
    """Return the lower medians of rows (n, m), NaN for rows without a number."""
    ordered = np.sort(values, axis=1)  # NaN last
    counts = np.isfinite(values).sum(axis=1)
    return ordered[np.arange(len(values)), np.maximum(counts - 1, 0) // 2]
