"""Is the focal length right? Rays of matching keypoints meet only with the right one, where the poses are known.

Intrinsics of another sensor (a depth camera's beside colour pictures), of another picture size, or guessed ones are
common; they cost accuracy everywhere, and nothing else would tell.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from posenet.keypoints import Keypoints, detect_or_none, match, root_sift
from posenet.parallel import in_parallel
from posenet.scene import Camera, Scene
from posenet.structure import epipolar_errors, neighbour_pairs, world_rays

RANKS, PAIRS, KEYPOINTS = (1, 3, 6, 10, 16), 100, 1200
MATCHES_A_PAIR, FEWEST_MATCHES, FEWEST_A_PAIR = 100, 500, 20
FACTORS = np.exp(np.linspace(np.log(0.4), np.log(2.5), 75))
SLACK = 2.0  # pixels; larger errors count by their logarithm (Cauchy)
BESIDE, DISTINCT = 1.15, 1.05  # so much beside the best factor, errors must be so much larger
OFF = 1.03  # a known focal length is kept when the best one is nearer than this

Factors = Mapping[str, float]  # by what the focal lengths came from, as in Camera.source


def measured_focals(scene: Scene) -> Factors:
    """What the focal lengths must be multiplied by, so that the scene's pictures agree with its poses best.

    One factor for each source of focal lengths ("file", "EXIF", "assumed"), only where it is clear and more than
    3 % from 1; assumed focal lengths have one whenever it is clear. Scenes with their own 3-D points have intrinsics
    from the same adjustment as their poses: none is measured.
    """
    if scene.points is not None:
        return {}
    sources = [camera.source if camera else None for camera in scene.cameras]
    factors = {}
    for source in sorted({source for source in sources if source}):
        rows = np.flatnonzero([each == source for each in sources])
        best = _best_factor(scene.subset(rows))
        if best and (source == "assumed" or max(best, 1 / best) > OFF):
            factors[source] = best
    return factors


def with_focals(scene: Scene, factors: Factors) -> Scene:
    """The scene with its focal lengths multiplied, each by the factor of its source."""
    return replace(scene, cameras=tuple(_corrected(camera, factors) for camera in scene.cameras)) if factors else scene


def _corrected(camera: Camera | None, factors: Factors) -> Camera | None:
    factor = factors.get(camera.source) if camera else None
    if camera is None or factor is None:
        return camera
    return replace(camera, fx=camera.fx * factor, fy=camera.fy * factor, source="measured")


def told(scene: Scene, factors: Factors) -> list[str]:
    """A sentence for each factor; scene: before it was corrected."""
    sentences = []
    for source, factor in factors.items():
        focal = next(camera.fx for camera in scene.cameras if camera and camera.source == source)
        where = {"file": "its files say", "EXIF": "EXIF says", "assumed": "was assumed"}[source]
        sentences.append(
            f"pictures and poses agree on a focal length of {factor * focal:.0f} pixels, not {focal:.0f} as {where}: "
            "training uses it"
        )
    return sentences


def _best_factor(scene: Scene) -> float | None:
    """The best factor of all focal lengths, where the pictures tell it clearly."""
    errors = _errors(scene)
    if errors is None:
        return None
    costs = np.array([np.log1p((errors(factor) / SLACK) ** 2).mean() for factor in FACTORS])
    place = int(costs.argmin())
    if place in (0, len(FACTORS) - 1):
        return None
    # the lowest point of the parabola through the three
    left, middle, right = costs[place - 1 : place + 2]
    shift = 0.5 * (left - right) / max(left - 2 * middle + right, 1e-12)
    best = float(FACTORS[place] * (FACTORS[1] / FACTORS[0]) ** shift)
    beside = [np.interp(np.log(best * each), np.log(FACTORS), costs) for each in (BESIDE, 1 / BESIDE)]
    return best if min(beside) > DISTINCT * middle else None


def _errors(scene: Scene):
    """A function: factor -> how far (m,) matching keypoints miss each other's epipolar lines, in pixels.

    None where too few keypoints match.
    """
    pairs = neighbour_pairs(scene.poses, RANKS)
    pairs = [pairs[row] for row in np.unique(np.linspace(0, len(pairs) - 1, PAIRS).astype(int))] if pairs else []
    rows = sorted({row for pair in pairs for row in pair})

    def detected(row: int) -> Keypoints:
        return detect_or_none(scene.paths[row], scene.cameras[row], KEYPOINTS)

    found = dict(zip(rows, in_parallel(detected, rows, "focal length"), strict=True))
    kept, random = [], np.random.default_rng(0)
    for first, second in pairs:
        ones, others = found[first], found[second]
        ours, theirs = match(root_sift(ones.descriptors), root_sift(others.descriptors))
        some = random.permutation(len(ours))[:MATCHES_A_PAIR]
        if len(ours) >= FEWEST_A_PAIR:
            kept.append((first, second, ones.rays[ours[some]], others.rays[theirs[some]], ones.pixel))
    if sum(len(each[2]) for each in kept) < FEWEST_MATCHES:
        return None

    def errors(factor: float) -> np.ndarray:
        poses = scene.poses
        return np.concatenate([
            epipolar_errors(
                poses.positions[second] - poses.positions[first],
                world_rays(ours / factor, poses, first), world_rays(theirs / factor, poses, second),
            ) * factor / pixel
            for first, second, ours, theirs, pixel in kept
        ])  # fmt: skip

    return errors
