"""3-D points of a scene from its images and their known poses: keypoints matched between neighbors, triangulated."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from posenet.datasets.scene import Scene
from posenet.geometry.poses import Poses
from posenet.mapping.keypoints import Keypoints, detect_or_empty
from posenet.mapping.matching import match, root_sift
from posenet.mapping.parallel import Arrays, kept_in_parallel

# which of the images that look the same way are matched with one: near ones match best, far ones tell depth best
NEIGHBOUR_RANKS = (2, 5, 9, 15, 24, 40)
WIDEST_DEG = 35.0
LEAST_PARALLAX = np.sin(np.radians(1.0))
TOLERANCE = 3.0  # pixels


@dataclass(frozen=True, eq=False)
class Observations:
    """What a image sees of the scene's 3-D points: its keypoints that were triangulated.

    keypoints: n of them. points: (n, 3) world frame, scene unit.
    """

    keypoints: Keypoints
    points: np.ndarray


def triangulate_scene(
    scene: Scene, most: int = 1200, ranks: Iterable[int] = NEIGHBOUR_RANKS, keep: Path | None = None
) -> list[Observations]:
    """The 3-D points that each image of a scene sees; none for images without intrinsics or that do not decode.

    most: keypoints a image. ranks: which neighbors are matched. keep: a folder for what is done, so that stopped
    work goes on; it must hold nothing of other work.
    """
    arrays = kept_in_parallel(
        lambda row: _keypoints(scene, row, most), range(len(scene)), "keypoints", keep
    )
    found = [Keypoints(rays, descriptors, float(pixel)) for rays, descriptors, pixel in arrays]
    rows = np.flatnonzero([len(each) > 0 for each in found])  # the others have nothing to match
    pairs = [(int(rows[a]), int(rows[b])) for a, b in pairs_from_poses(scene.poses[rows], ranks)]

    def matched(
        pair,
    ):  # from bytes each time: as floats all of them would take four times the memory
        return match(*(root_sift(found[row].descriptors) for row in pair))

    matches = kept_in_parallel(matched, pairs, "matching", keep)
    seen_by: list[list] = [[] for _ in found]
    for (first, second), (ours, theirs) in zip(pairs, matches, strict=True):
        seen_by[first].append((second, ours, theirs))
        seen_by[second].append((first, theirs, ours))
    return [_triangulate_image(row, found, scene.poses, seen_by[row]) for row in range(len(scene))]


def pairs_from_poses(poses: Poses, ranks: Iterable[int]) -> list[tuple[int, int]]:
    """Rows (first < second) of images to match: for each, those of the given ranks by distance among the images
    that look the same way to within 35 degrees."""
    forward = poses.rotations.apply([0.0, 0, 1])
    pairs = set()
    for row in range(len(poses)):
        alike = np.flatnonzero(forward @ forward[row] > np.cos(np.radians(WIDEST_DEG)))
        alike = alike[alike != row]
        order = alike[
            np.argsort(
                np.linalg.norm(poses.positions[alike] - poses.positions[row], axis=1), kind="stable"
            )
        ]
        pairs |= {
            (min(row, int(order[r])), max(row, int(order[r]))) for r in ranks if r < len(order)
        }
    return sorted(pairs)


def _keypoints(scene: Scene, row: int, most: int) -> Arrays:
    """One image's rays, descriptors and width of a pixel."""
    camera = scene.cameras[row]
    known = camera if camera is not None and camera.has_known_focal_length else None
    found = detect_or_empty(scene.paths[row], known, most)
    return found.rays, found.descriptors, np.array(found.pixel)


def _triangulate_image(
    row: int, found: list[Keypoints], poses: Poses, seen_by: list
) -> Observations:
    """The points of one image's keypoints: on the keypoint's own ray, where the neighbors' rays pass nearest."""
    own = found[row]
    rays, center = world_rays(own.rays, poses, row), poses.positions[row]
    inverse = np.full((len(own), max(1, len(seen_by))), np.nan)  # 1 / distance, by each neighbor
    parallax = np.zeros_like(inverse)
    for column, (other, ours, theirs) in enumerate(seen_by):
        seen = world_rays(found[other].rays[theirs], poses, other)
        along, residual, angle = meet(center, rays[ours], poses.positions[other], seen)
        good = (along > 0) & (angle > LEAST_PARALLAX) & (residual < TOLERANCE * found[other].pixel)
        inverse[ours[good], column], parallax[ours[good], column] = 1 / along[good], angle[good]
    middle = _row_median(inverse)
    # an error of a pixel in the other image moves 1 / distance by about pixel / (parallax * distance)
    agree = (
        np.abs(inverse - middle[:, None]) * np.maximum(parallax, 1e-9)
        < 2 * TOLERANCE * own.pixel * middle[:, None]
    )
    weight = np.where(agree, parallax**2, 0)
    widest = np.where(agree, parallax, 0).max(axis=1)
    good = (agree.sum(axis=1) >= 2) | ((agree.sum(axis=1) == 1) & (widest > 2 * LEAST_PARALLAX))
    mean = np.where(agree, inverse, 0)[good] * weight[good]
    distances = weight[good].sum(axis=1) / mean.sum(axis=1)
    return Observations(own[good], center + distances[:, None] * rays[good])


def _row_median(values: np.ndarray) -> np.ndarray:
    """(n,) lower medians of the rows' numbers, NaN for rows without any."""
    ordered = np.sort(values, axis=1)  # NaN last
    counts = np.isfinite(values).sum(axis=1)
    return ordered[np.arange(len(values)), np.maximum(counts - 1, 0) // 2]


def world_rays(rays: np.ndarray, poses: Poses, row: int) -> np.ndarray:
    """(n, 3) unit directions in the world of points (n, 2) on the plane z = 1 of one pose's camera."""
    directions = poses.rotations[row].apply(np.column_stack([rays, np.ones(len(rays))]))
    return directions / np.linalg.norm(directions, axis=1, keepdims=True)


def meet(center: np.ndarray, rays: np.ndarray, other: np.ndarray, others: np.ndarray):
    """How far (n,) along unit rays (n, 3) from a center (3,) the unit rays `others` from `other` are seen to meet them.

    Also the sine of the angle (n,) at which `other` still misses that point, and of the angle (n,) between the rays.
    """
    across = rays - (rays * others).sum(axis=1, keepdims=True) * others
    base = other - center
    offset = base - (others @ base)[:, None] * others
    along = (across * offset).sum(axis=1) / np.maximum((across**2).sum(axis=1), 1e-12)
    missed = np.linalg.norm(along[:, None] * across - offset, axis=1)
    far = np.linalg.norm(along[:, None] * rays - base, axis=1)
    return along, missed / np.maximum(far, 1e-12), np.linalg.norm(across, axis=1)


def epipolar_errors(base: np.ndarray, rays: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Angles (n,), in radians and for small ones, by which unit rays (n, 3) and others, from a camera `base` (3,) away,
    miss each other: Sampson's distance of both from a common epipolar plane (Hartley & Zisserman 2004, 11.4.3)."""
    missed = (base * np.cross(rays, others)).sum(axis=1)
    slopes = (np.cross(others, base) ** 2).sum(axis=1) + (np.cross(base, rays) ** 2).sum(axis=1)
    return np.abs(missed) / np.sqrt(np.maximum(slopes, 1e-24))
