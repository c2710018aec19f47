"""Hypotheses for the pose of a query image: one for each group of covisible training images.

Training images that look similar but show different places would drown each other's matches in one
RANSAC, so each group is solved by itself, as hloc does (Sarlin et al., "From coarse to fine", CVPR
2019).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from posenet.localization.covisibility import Covisibility
from posenet.localization.pnp import CameraPose, RansacPose, ransac_pnp
from posenet.localization.query_matches import QueryMatcher
from posenet.mapping.parallel import in_threads

# Most groups, and most images in a group.
MAX_GROUPS = 5
GROUP_SIZE = 8
# Fewest matches of an image in a group.
MIN_MATCHES = 5
# Fraction of points that an image must share with the first image of its group.
MIN_OVERLAP = 0.3
# Two hypotheses are of different places if they differ by more than 10 degrees, or by more than a
# quarter of the scene's depth.
SAME_ANGLE_DEG = 10.0
SAME_DISTANCE = 0.25


class Hypothesis(NamedTuple):
    """A pose that the matches with a group of training images agree with.

    Attributes:
        pose: the pose.
        images: indices of the group's images, those with the most matches first.
        num_inliers: number of keypoints that agree.
    """

    pose: CameraPose
    images: tuple[int, ...]
    num_inliers: int


def group_images(
    matcher: QueryMatcher, images: Sequence[int], covisibility: Covisibility
) -> list[tuple[int, ...]]:
    """Group training images that match a query image and see the same part of the scene.

    Args:
        matcher: matches of the query image.
        images: indices of training images.
        covisibility: which of them see the same.

    Returns:
        Up to five groups. Each starts with the image with the most matches that is in no group
        before, followed by images covisible with it.
    """
    matcher.prepare(images)
    num_matches = {image: len(matcher.matches(image).rows) for image in images}
    ranked = sorted(images, key=lambda image: -num_matches[image])
    ranked = [image for image in ranked if num_matches[image] >= MIN_MATCHES]
    groups: list[tuple[int, ...]] = []
    grouped: set[int] = set()
    for first in ranked:
        if first in grouped:
            continue
        others = np.array([image for image in ranked if image != first], int)
        covisible = others[covisibility.overlaps(first, others) > MIN_OVERLAP]
        groups.append((first, *covisible[: GROUP_SIZE - 1].tolist()))
        grouped.update(groups[-1])
        if len(groups) == MAX_GROUPS:
            break
    return groups


def solve_groups(matcher: QueryMatcher, groups: Sequence[tuple[int, ...]]) -> list[Hypothesis]:
    """Solve for a pose with each group.

    Args:
        matcher: matches of the query image.
        groups: groups of training images.

    Returns:
        The hypotheses of those groups that give one, most inliers first.
    """

    def solve(images: tuple[int, ...]) -> RansacPose | None:
        return ransac_pnp(matcher.keypoints, matcher.joined_matches(images))

    hypotheses = [
        Hypothesis(found.pose, images, found.num_inliers)
        for images, found in zip(groups, in_threads(solve, groups, matcher.threads), strict=True)
        if found is not None
    ]
    return sorted(hypotheses, key=lambda each: -each.num_inliers)


def strongest_rival(hypotheses: Sequence[Hypothesis], depth: float) -> Hypothesis | None:
    """Return the hypothesis with the most inliers that contradicts the first one.

    Args:
        hypotheses: hypotheses, most inliers first.
        depth: median depth of the scene, which says what is near.

    Returns:
        The rival. None if all hypotheses agree with the first one.
    """
    for other in hypotheses[1:]:
        if not are_near(hypotheses[0].pose, other.pose, depth):
            return other
    return None


def are_near(first: CameraPose, second: CameraPose, depth: float) -> bool:
    """Return whether two poses are of the same place, so that they do not contradict each other.

    Args:
        first: a pose.
        second: another.
        depth: median depth of the scene.

    Returns:
        True if they differ by less than 10 degrees and a quarter of the depth.
    """
    distance = np.linalg.norm(first.position - second.position)
    angle = np.degrees((first.rotation.inv() * second.rotation).magnitude())
    return bool(distance < SAME_DISTANCE * depth and angle < SAME_ANGLE_DEG)
