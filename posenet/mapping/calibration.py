"""Are the intrinsics right? Rays of matching keypoints meet only with the right ones, where the poses are known.

Intrinsics of another sensor (a depth camera's beside color images), of another image size, guessed ones, or a
camera that sits askew on what was tracked, are common; they cost accuracy everywhere, and nothing else would tell.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from scipy.optimize import least_squares

from posenet.datasets.scene import Scene
from posenet.geometry.camera import PERSPECTIVE_MODELS, Camera
from posenet.geometry.poses import Poses
from posenet.mapping.keypoints import Keypoints, detect_or_empty
from posenet.mapping.matching import match, root_sift
from posenet.mapping.parallel import in_parallel
from posenet.mapping.triangulation import epipolar_errors, pairs_from_poses, world_rays

RANKS, PAIRS, KEYPOINTS = (1, 3, 6, 10, 16), 200, 1200
BLOCKS, FEWEST_PAIRS = (
    8,
    10,
)  # of time, every second of them to either half, which must have so many pairs
MATCHES_A_PAIR, FEWEST_MATCHES, FEWEST_A_PAIR = 100, 500, 20
FACTORS = np.exp(np.linspace(np.log(0.4), np.log(2.5), 75))
SLACK = 2.0  # pixels; larger errors count by their logarithm (Cauchy)
BESIDE, DISTINCT = 1.15, 1.05  # so much beside the best factor, errors must be so much larger
OFF = 1.03  # a known focal length is kept when the best one is nearer than this


class IntrinsicsCorrection(NamedTuple):
    """What agrees better than a camera's intrinsics.

    factor: of the focal length. right, down: by which the principal point moves, in focal lengths as they were, of
    images whose width / height is aspect; it moves another way in images that were held otherwise.
    """

    factor: float = 1.0
    right: float = 0.0
    down: float = 0.0
    aspect: float = 0.0

    def of(self, camera: Camera) -> Camera:
        """The corrected camera."""
        moves = abs(camera.width / camera.height - self.aspect) < 0.01 * self.aspect
        right, down = (self.right, self.down) if moves else (0.0, 0.0)
        return replace(
            camera, fx=camera.fx * self.factor, fy=camera.fy * self.factor, cx=camera.cx + right * camera.fx,
            cy=camera.cy + down * camera.fy, source="measured",
        )  # fmt: skip


Corrections = Mapping[
    str, IntrinsicsCorrection
]  # by what the focal lengths came from, as in Camera.source


def estimate_corrections(scene: Scene) -> Corrections:
    """How the scene's intrinsics must change, so that its images agree with its poses best.

    One correction for each source of focal lengths ("file", "EXIF", "assumed"). The focal length changes only where it
    is clear and more than 3 % off; assumed ones are corrected whenever it is clear. The principal point moves only
    where all images are of one camera, by a pixel of 640 or more, and where pairs of other images, which
    did not tell where to, agree better by 5 % of the cost. None is measured of scenes with their own 3-D points, whose
    intrinsics come from the same adjustment as their poses, and of lenses that bend lines.
    """
    if scene.points is not None:
        return {}
    sources = _sources(scene)
    corrections = {}
    for source in sorted({source for source in sources if source}):
        rows = np.flatnonzero([each == source for each in sources])
        found = _correction(scene.subset(rows), source == "assumed")
        if found is not None:
            corrections[source] = found
    return corrections


def apply_corrections(scene: Scene, corrections: Corrections) -> Scene:
    """The scene with its cameras corrected, each by what its source asks for."""
    if not corrections:
        return scene
    sources = _sources(scene)
    changed = [
        corrections[source].of(camera) if camera and source in corrections else camera
        for source, camera in zip(sources, scene.cameras, strict=True)
    ]
    return replace(scene, cameras=tuple(changed))


def _sources(scene: Scene) -> list[str]:
    """What each camera's focal length came from; "" where nothing can be measured of it, nor corrected."""
    return [
        camera.source if camera and camera.lens in PERSPECTIVE_MODELS else ""
        for camera in scene.cameras
    ]


def told(scene: Scene, corrections: Corrections) -> list[str]:
    """A sentence for each correction; scene: before it was corrected."""
    sentences = []
    for source, each in corrections.items():
        old = next(
            camera
            for camera, its in zip(scene.cameras, _sources(scene), strict=True)
            if camera and its == source
        )
        new, where = (
            each.of(old),
            {"file": "its files say", "EXIF": "EXIF says", "assumed": "was assumed"}[source],
        )
        facts = []
        if each.factor != 1 or source == "assumed":
            facts.append(f"a focal length of {new.fx:.0f} pixels, not {old.fx:.0f}")
        if each.right or each.down:
            facts.append(
                f"a principal point at {new.cx:.0f}, {new.cy:.0f}, not {old.cx:.0f}, {old.cy:.0f}"
            )
        sentences.append(
            f"images and poses agree on {' and '.join(facts)} as {where}: training uses it"
        )
    return sentences


def _correction(scene: Scene, assumed: bool) -> IntrinsicsCorrection | None:
    """What all of the scene's cameras need; None where that is nothing, or the images do not tell it."""
    matches, poses = _matches(scene), scene.poses
    found = _best_factor(matches, poses, IntrinsicsCorrection()) if matches else None
    if found is None:
        return None
    camera = scene.cameras[0]
    moved = (
        _proven_shift(matches, poses, found) if camera and len(set(scene.cameras)) == 1 else None
    )
    if camera and moved:
        found = (
            _best_factor(matches, poses, moved) or moved
        )  # each changes what the other seems to be
        found = _best_shift(matches, poses, found)
        found = _best_factor(matches, poses, found) or found
        found = found._replace(aspect=camera.width / camera.height)
    if not assumed and max(found.factor, 1 / found.factor) <= OFF:
        found = found._replace(factor=1.0)
    return None if found == IntrinsicsCorrection() else found


class _Matches(NamedTuple):
    """Matching keypoints of a pair of images: rows of the images, rays (m, 2) of each, the width of a pixel."""

    first: int
    second: int
    ours: np.ndarray
    theirs: np.ndarray
    pixel: float


def _cost(errors: np.ndarray) -> float:
    return float(np.log1p((errors / SLACK) ** 2).mean())


def _best_factor(
    matches: list[_Matches], poses: Poses, known: IntrinsicsCorrection
) -> IntrinsicsCorrection | None:
    """With the best factor of all focal lengths, where the images tell it clearly; the shift is that of `known`."""
    costs = np.array(
        [_cost(_errors(matches, poses, known._replace(factor=factor))) for factor in FACTORS]
    )
    place = int(costs.argmin())
    if place in (0, len(FACTORS) - 1):
        return None
    # the lowest point of the parabola through the three
    left, middle, right = costs[place - 1 : place + 2]
    shift = 0.5 * (left - right) / max(left - 2 * middle + right, 1e-12)
    best = float(FACTORS[place] * (FACTORS[1] / FACTORS[0]) ** shift)
    beside = [
        np.interp(np.log(best * each), np.log(FACTORS), costs) for each in (BESIDE, 1 / BESIDE)
    ]
    return known._replace(factor=best) if min(beside) > DISTINCT * middle else None


def _proven_shift(
    matches: list[_Matches], poses: Poses, known: IntrinsicsCorrection
) -> IntrinsicsCorrection | None:
    """As `_best_shift`; None for less than a pixel, or where a half of the pairs does not agree better by what the
    other half tells."""
    half_of = (
        np.arange(len(poses)) * BLOCKS // len(poses) % 2
    )  # of a image: the halves have none in common
    halves = [
        [m for m in matches if half_of[m.first] == half_of[m.second] == half] for half in (0, 1)
    ]
    if min(map(len, halves)) < FEWEST_PAIRS:
        return None
    found = [_best_shift(half, poses, known) for half in halves]
    for half, other in zip(halves, found[::-1], strict=True):
        plain, moved = (_cost(_errors(half, poses, each)) for each in (known, other))
        if plain < DISTINCT * moved:
            return None
    whole = _best_shift(matches, poses, known)
    return whole if float(np.hypot(whole.right, whole.down)) > matches[0].pixel else None


def _best_shift(
    matches: list[_Matches], poses: Poses, known: IntrinsicsCorrection
) -> IntrinsicsCorrection:
    """With the shift under which matching keypoints miss each other least; the factor is that of `known`."""

    def errors(hundredths):
        return _errors(
            matches, poses, known._replace(right=hundredths[0] / 100, down=hundredths[1] / 100)
        )

    start = 100 * np.array([known.right, known.down])
    right, down = (
        least_squares(errors, start, loss="cauchy", f_scale=SLACK, diff_step=1e-3, x_scale=1.0).x
        / 100
    )
    return known._replace(right=float(right), down=float(down))


def _errors(matches: list[_Matches], poses: Poses, correction: IntrinsicsCorrection) -> np.ndarray:
    """How far (m,) matching keypoints miss each other's epipolar lines with a correction, in pixels."""
    factor, shift = correction.factor, correction[1:3]
    return np.concatenate([
        epipolar_errors(
            poses.positions[each.second] - poses.positions[each.first],
            world_rays((each.ours - shift) / factor, poses, each.first),
            world_rays((each.theirs - shift) / factor, poses, each.second),
        ) * factor / each.pixel
        for each in matches
    ])  # fmt: skip


def _matches(scene: Scene) -> list[_Matches]:
    """Matches of some 200 pairs of neighboring images; none where too few keypoints match."""
    pairs = pairs_from_poses(scene.poses, RANKS)
    pairs = (
        [pairs[row] for row in np.unique(np.linspace(0, len(pairs) - 1, PAIRS).astype(int))]
        if pairs
        else []
    )
    rows = sorted({row for pair in pairs for row in pair})

    def detected(row: int) -> Keypoints:
        return detect_or_empty(scene.paths[row], scene.cameras[row], KEYPOINTS)

    found = dict(zip(rows, in_parallel(detected, rows, "focal length"), strict=True))
    kept, random = [], np.random.default_rng(0)
    for first, second in pairs:
        ones, others = found[first], found[second]
        ours, theirs = match(root_sift(ones.descriptors), root_sift(others.descriptors))
        some = random.permutation(len(ours))[:MATCHES_A_PAIR]
        if len(ours) >= FEWEST_A_PAIR:
            kept.append(
                _Matches(
                    first, second, ones.rays[ours[some]], others.rays[theirs[some]], ones.pixel
                )
            )
    return kept if sum(len(each.ours) for each in kept) >= FEWEST_MATCHES else []
