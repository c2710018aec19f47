"""Fit focal length and principal point to matching keypoints of images of known pose."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.optimize import least_squares

from posenet.datasets.scene import Scene
from posenet.geometry.poses import Poses
from posenet.mapping.keypoints import KeypointCache, Keypoints, detect_or_empty
from posenet.mapping.matching import match, root_sift
from posenet.mapping.neighbors import pairs_from_poses
from posenet.mapping.parallel import in_parallel
from posenet.mapping.rays import epipolar_errors, world_rays

# Neighbors that images are matched with, by rank of distance; pairs in all; keypoints per image.
RANKS = (1, 3, 6, 10, 16)
MAX_PAIRS = 200
MAX_KEYPOINTS = 1200
# Matches that are used per pair, fewest per pair and fewest in all.
MATCHES_PER_PAIR = 100
MIN_PER_PAIR = 20
MIN_MATCHES = 500
# Blocks of time that are divided into two halves to verify a shift, and fewest pairs of a half.
NUM_BLOCKS = 8
MIN_PAIRS = 10
# Factors of the focal length that are tried.
FACTORS = np.exp(np.linspace(np.log(0.4), np.log(2.5), 75))
# Errors in pixels beyond which only the logarithm grows (Cauchy).
CAUCHY_PIXELS = 2.0
# Accept a focal length only if the cost 15 % to either side of it is at least 5 % higher, and a
# shift only if it lowers the cost of held-out pairs by 5 %.
PROBE_OFFSET = 1.15
MIN_COST_RATIO = 1.05


class Shift(NamedTuple):
    """Shift of the principal point, in multiples of the focal length.

    Attributes:
        right: shift to the right.
        down: shift down.
    """

    right: float
    down: float


class PairMatches(NamedTuple):
    """Matching keypoints of two images.

    Attributes:
        first: index of the first image.
        second: index of the second image.
        first_rays: keypoints of the first on the plane z = 1, shape (m, 2).
        second_rays: keypoints of the second, shape (m, 2).
        pixel: width of a pixel on that plane.
    """

    first: int
    second: int
    first_rays: np.ndarray
    second_rays: np.ndarray
    pixel: float


def match_pairs(scene: Scene, *, cache: KeypointCache | None = None) -> list[PairMatches]:
    """Match the keypoints of some 200 pairs of neighboring images.

    Args:
        scene: images of known pose.
        cache: receives the keypoints that are detected.

    Returns:
        The matches; none if there are too few.
    """
    pairs = pairs_from_poses(scene.poses, RANKS)
    if len(pairs):
        chosen = np.unique(np.linspace(0, len(pairs) - 1, MAX_PAIRS).astype(int))
        pairs = pairs[chosen]
    rows = np.unique(pairs).tolist()

    def detect_row(row: int) -> Keypoints:
        return detect_or_empty(scene.paths[row], scene.cameras[row], MAX_KEYPOINTS, cache=cache)

    keypoints = dict(zip(rows, in_parallel(detect_row, rows, "focal length"), strict=True))
    rng = np.random.default_rng(0)
    matches = []
    for first, second in pairs.tolist():
        own = keypoints[first]
        other = keypoints[second]
        own_rows, other_rows = match(root_sift(own.descriptors), root_sift(other.descriptors))
        chosen = rng.permutation(len(own_rows))[:MATCHES_PER_PAIR]
        if len(own_rows) < MIN_PER_PAIR:
            continue
        own_rays = own.rays[own_rows[chosen]]
        other_rays = other.rays[other_rows[chosen]]
        matches.append(PairMatches(first, second, own_rays, other_rays, own.pixel))
    total = sum(len(pair.first_rays) for pair in matches)
    return matches if total >= MIN_MATCHES else []


def fit_focal_factor(matches: list[PairMatches], poses: Poses, shift: Shift) -> float | None:
    """Fit the factor of all focal lengths.

    Args:
        matches: matches of pairs of images.
        poses: the poses of the images.
        shift: shift of the principal point.

    Returns:
        The factor, None unless the images determine it clearly.
    """
    costs = np.array([_cost(_errors(matches, poses, factor, shift)) for factor in FACTORS])
    lowest = int(costs.argmin())
    if lowest in (0, len(FACTORS) - 1):
        return None
    # The minimum of the parabola through the lowest cost and its neighbors.
    left, middle, right = costs[lowest - 1 : lowest + 2]
    offset = 0.5 * (left - right) / max(left - 2 * middle + right, 1e-12)
    best = float(FACTORS[lowest] * (FACTORS[1] / FACTORS[0]) ** offset)
    probes = np.log([best * PROBE_OFFSET, best * (1 / PROBE_OFFSET)])
    probe_costs = np.interp(probes, np.log(FACTORS), costs)
    return best if min(probe_costs) > MIN_COST_RATIO * middle else None


def fit_shift(matches: list[PairMatches], poses: Poses, factor: float, *, start: Shift) -> Shift:
    """Fit the shift of the principal point.

    Args:
        matches: matches of pairs of images.
        poses: the poses of the images.
        factor: factor of the focal lengths.
        start: the initial shift.

    Returns:
        The shift with the smallest errors.
    """

    def errors(hundredths: np.ndarray) -> np.ndarray:
        shift = Shift(hundredths[0] / 100, hundredths[1] / 100)
        return _errors(matches, poses, factor, shift)

    solution = least_squares(
        errors,
        100 * np.array(start),
        loss="cauchy",
        f_scale=CAUCHY_PIXELS,
        diff_step=1e-3,
        x_scale=1.0,
    )
    right, down = solution.x / 100
    return Shift(float(right), float(down))


def verify_shift(
    matches: list[PairMatches], poses: Poses, factor: float, *, moments: np.ndarray
) -> Shift | None:
    """Fit the shift of the principal point and verify it on held-out pairs.

    The images are divided into two halves, in blocks of time. Each half must agree clearly better
    with the shift that the other half determines.

    Args:
        matches: matches of pairs of images.
        poses: the poses of the images.
        factor: factor of the focal lengths.
        moments: number of the moment of each image, 0, 1, ..., shape (n,).

    Returns:
        The shift of all pairs; None if it is not confirmed or less than a pixel.
    """
    no_shift = Shift(0.0, 0.0)
    half_of = moments * NUM_BLOCKS // (moments.max() + 1) % 2
    halves = [
        [pair for pair in matches if half_of[pair.first] == half_of[pair.second] == half]
        for half in (0, 1)
    ]
    if min(map(len, halves)) < MIN_PAIRS:
        return None
    shifts = [fit_shift(half, poses, factor, start=no_shift) for half in halves]
    for half, other_shift in zip(halves, shifts[::-1], strict=True):
        cost = _cost(_errors(half, poses, factor, no_shift))
        shifted_cost = _cost(_errors(half, poses, factor, other_shift))
        if cost < MIN_COST_RATIO * shifted_cost:
            return None
    shift = fit_shift(matches, poses, factor, start=no_shift)
    return shift if float(np.hypot(shift.right, shift.down)) > matches[0].pixel else None


def _errors(matches: list[PairMatches], poses: Poses, factor: float, shift: Shift) -> np.ndarray:
    """Return how far keypoints miss each other's epipolar lines, in pixels, shape (m,)."""
    errors = []
    for pair in matches:
        base = poses.positions[pair.second] - poses.positions[pair.first]
        first_rays = world_rays((pair.first_rays - shift) / factor, poses, pair.first)
        second_rays = world_rays((pair.second_rays - shift) / factor, poses, pair.second)
        angles = epipolar_errors(base, first_rays, second_rays)
        errors.append(angles * factor / pair.pixel)
    return np.concatenate(errors)


def _cost(errors: np.ndarray) -> float:
    """Return the mean of Cauchy's loss."""
    return float(np.log1p((errors / CAUCHY_PIXELS) ** 2).mean())
