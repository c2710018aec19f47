"""Are the intrinsics right? Rays of matching keypoints meet only with the right ones, where the poses are known.

Intrinsics of another sensor (a depth camera's beside colour pictures), of another picture size, guessed ones, or a
camera that sits askew on what was tracked, are common; they cost accuracy everywhere, and nothing else would tell.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from scipy.optimize import least_squares

from posenet.keypoints import Keypoints, detect_or_none, match, root_sift
from posenet.parallel import in_parallel
from posenet.poses import Poses
from posenet.scene import Camera, Scene
from posenet.structure import epipolar_errors, neighbour_pairs, world_rays

RANKS, PAIRS, KEYPOINTS = (1, 3, 6, 10, 16), 100, 1200
MATCHES_A_PAIR, FEWEST_MATCHES, FEWEST_A_PAIR = 100, 500, 20
FACTORS = np.exp(np.linspace(np.log(0.4), np.log(2.5), 75))
SLACK = 2.0  # pixels; larger errors count by their logarithm (Cauchy)
BESIDE, DISTINCT = 1.15, 1.05  # so much beside the best factor, errors must be so much larger
OFF = 1.03  # a known focal length is kept when the best one is nearer than this


class Correction(NamedTuple):
    """What agrees better than a camera's intrinsics.

    factor: of the focal length. right, down: by which the principal point moves, in focal lengths as they were.
    """

    factor: float = 1.0
    right: float = 0.0
    down: float = 0.0

    def of(self, camera: Camera) -> Camera:
        """The corrected camera."""
        return replace(
            camera, fx=camera.fx * self.factor, fy=camera.fy * self.factor, cx=camera.cx + self.right * camera.fx,
            cy=camera.cy + self.down * camera.fy, source="measured",
        )  # fmt: skip


Corrections = Mapping[str, Correction]  # by what the focal lengths came from, as in Camera.source


def measured_corrections(scene: Scene) -> Corrections:
    """How the scene's intrinsics must change, so that its pictures agree with its poses best.

    One correction for each source of focal lengths ("file", "EXIF", "assumed"). The focal length changes only where it
    is clear and more than 3 % off; assumed ones are corrected whenever it is clear. The principal point moves only
    where all pictures are of one camera, and pairs of pictures that did not tell where to also agree better, by 5 %.
    Scenes with their own 3-D points have intrinsics from the same adjustment as their poses: none is measured.
    """
    if scene.points is not None:
        return {}
    sources = [camera.source if camera else None for camera in scene.cameras]
    corrections = {}
    for source in sorted({source for source in sources if source}):
        rows = np.flatnonzero([each == source for each in sources])
        found = _correction(scene.subset(rows), source == "assumed")
        if found is not None:
            corrections[source] = found
    return corrections


def corrected(scene: Scene, corrections: Corrections) -> Scene:
    """The scene with its cameras corrected, each by what its source asks for."""
    if not corrections:
        return scene
    sources = [camera.source if camera else "" for camera in scene.cameras]
    changed = [
        corrections[source].of(camera) if camera and source in corrections else camera
        for source, camera in zip(sources, scene.cameras, strict=True)
    ]
    return replace(scene, cameras=tuple(changed))


def told(scene: Scene, corrections: Corrections) -> list[str]:
    """A sentence for each correction; scene: before it was corrected."""
    sentences = []
    for source, each in corrections.items():
        old = next(camera for camera in scene.cameras if camera and camera.source == source)
        new, where = each.of(old), {"file": "its files say", "EXIF": "EXIF says", "assumed": "was assumed"}[source]
        facts = []
        if each.factor != 1 or source == "assumed":
            facts.append(f"a focal length of {new.fx:.0f} pixels, not {old.fx:.0f}")
        if each.right or each.down:
            facts.append(f"a principal point at {new.cx:.0f}, {new.cy:.0f}, not {old.cx:.0f}, {old.cy:.0f}")
        sentences.append(f"pictures and poses agree on {' and '.join(facts)} as {where}: training uses it")
    return sentences


def _correction(scene: Scene, assumed: bool) -> Correction | None:
    """What all of the scene's cameras need; None where that is nothing, or the pictures do not tell it."""
    matches = _matches(scene)
    factor = _best_factor(matches, scene.poses) if matches else None
    if factor is None:
        return None
    if not assumed and max(factor, 1 / factor) <= OFF:
        factor = 1.0
    right, down = _best_shift(matches, scene.poses, factor) if len(set(scene.cameras)) == 1 else (0.0, 0.0)
    unchanged = factor == 1 and not (right or down) and not assumed
    return None if unchanged else Correction(factor, right, down)


class _Matches(NamedTuple):
    """Matching keypoints of a pair of pictures: rows of the pictures, rays (m, 2) of each, the width of a pixel."""

    first: int
    second: int
    ours: np.ndarray
    theirs: np.ndarray
    pixel: float


def _cost(errors: np.ndarray) -> float:
    return float(np.log1p((errors / SLACK) ** 2).mean())


def _best_factor(matches: list[_Matches], poses: Poses) -> float | None:
    """The best factor of all focal lengths, where the pictures tell it clearly."""
    costs = np.array([_cost(_errors(matches, poses, Correction(factor))) for factor in FACTORS])
    place = int(costs.argmin())
    if place in (0, len(FACTORS) - 1):
        return None
    # the lowest point of the parabola through the three
    left, middle, right = costs[place - 1 : place + 2]
    shift = 0.5 * (left - right) / max(left - 2 * middle + right, 1e-12)
    best = float(FACTORS[place] * (FACTORS[1] / FACTORS[0]) ** shift)
    beside = [np.interp(np.log(best * each), np.log(FACTORS), costs) for each in (BESIDE, 1 / BESIDE)]
    return best if min(beside) > DISTINCT * middle else None


def _best_shift(matches: list[_Matches], poses: Poses, factor: float) -> tuple[float, float]:
    """Where the principal point moves, (right, down): nowhere, unless each half of the pairs agrees better where the
    other half would have it."""
    halves = matches[::2], matches[1::2]
    found = [_shift_of(half, poses, factor) for half in halves]
    for half, other in zip(halves, found[::-1], strict=True):
        plain, moved = (_cost(_errors(half, poses, Correction(factor, *each))) for each in ((0.0, 0.0), other))
        if plain < DISTINCT * moved:
            return 0.0, 0.0
    return _shift_of(matches, poses, factor)


def _shift_of(matches: list[_Matches], poses: Poses, factor: float) -> tuple[float, float]:
    """The shift under which matching keypoints miss each other least."""

    def errors(hundredths):
        return _errors(matches, poses, Correction(factor, *(hundredths / 100)))

    best = least_squares(errors, np.zeros(2), loss="cauchy", f_scale=SLACK, diff_step=1e-3, x_scale=1.0).x / 100
    return float(best[0]), float(best[1])


def _errors(matches: list[_Matches], poses: Poses, correction: Correction) -> np.ndarray:
    """How far (m,) matching keypoints miss each other's epipolar lines with a correction, in pixels."""
    factor, shift = correction.factor, correction[1:]
    return np.concatenate([
        epipolar_errors(
            poses.positions[each.second] - poses.positions[each.first],
            world_rays((each.ours - shift) / factor, poses, each.first),
            world_rays((each.theirs - shift) / factor, poses, each.second),
        ) * factor / each.pixel
        for each in matches
    ])  # fmt: skip


def _matches(scene: Scene) -> list[_Matches]:
    """Matches of some hundred pairs of neighbouring pictures; none where too few keypoints match."""
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
            kept.append(_Matches(first, second, ones.rays[ours[some]], others.rays[theirs[some]], ones.pixel))
    return kept if sum(len(each.ours) for each in kept) >= FEWEST_MATCHES else []
