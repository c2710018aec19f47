"""Evidence for and against the rotations of a scene: its images and its 3-D points."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.spatial.transform import Rotation

from posenet.datasets.scene import Scene
from posenet.mapping.relative_rotation import MeasuredRotation, rotation_disagreements_deg
from posenet.mapping.rotation_readings import Reading, other_readings, standard_readings

Verdict = Literal["consistent", "inverted", "contradicted", "inconclusive"]

# Largest disagreement of consistent labels with measured relative rotations, degrees, and the
# margin by which the others must be worse.
MAX_DISAGREEMENT_DEG = 3.0
DISAGREEMENT_RATIO = 2.0
DISAGREEMENT_MARGIN_DEG = 1.0
# Labels that no reading explains contradict the images if three quarters of the pairs disagree by
# more than half of the labeled rotation, which a focal length that is wrong by a factor of 1.5
# explains.
MAX_DISAGREEMENT_RATIO = 0.5
MIN_CONTRADICTING = 0.75
# Fraction of points in view of the better reading, and difference between the readings.
MIN_IN_VIEW = 0.8
MIN_IN_VIEW_DIFFERENCE = 0.3
# Labels with fewer points in view contradict the points.
MAX_CONTRADICTED_IN_VIEW = 0.5
# Fewest observations, and the largest number that is used.
MIN_OBSERVATIONS = 100
MAX_OBSERVATIONS = 5000
# Margin around an image for lens distortion, relative to its long side.
VIEW_MARGIN = 0.05


@dataclass(frozen=True)
class ConventionCheck:
    """The verdict on the rotations of a scene. Numbers come in pairs: as read, and inverted.

    Attributes:
        verdict: "consistent"; "inverted", if the opposite direction (world to camera, or camera to
            world) fits; "contradicted", if another reading of the files fits, or none; or
            "inconclusive".
        reason: why.
        rotation_deg: median disagreement with relative rotations measured between images, degrees;
            None if not measured.
        in_view: fraction of 3-D points inside the images that observe them; None if there are none.
        tilt_deg: RMS angle between the cameras' x axes and the plane of motion, degrees; None if
            not needed.
        fitting_reading: what the files contain, if a reading other than the scene's fits clearly.
    """

    verdict: Verdict
    reason: str
    rotation_deg: tuple[float, float] | None = None
    in_view: tuple[float, float] | None = None
    tilt_deg: tuple[float, float] | None = None
    fitting_reading: str | None = None

    @property
    def is_wrong(self) -> bool:
        """Whether the evidence is against the labels."""
        return self.verdict in ("inverted", "contradicted")


def check_by_images(scene: Scene, measured: list[MeasuredRotation]) -> ConventionCheck | None:
    """Judge the rotations of a scene by measured relative rotations.

    Args:
        scene: the scene.
        measured: relative rotations of at least 4 pairs of its images.

    Returns:
        The verdict; None if the images do not decide.
    """
    rotations = scene.poses.rotations
    own_deg = _median_deg(measured, rotations)
    inverted_deg = _median_deg(measured, rotations.inv())
    standard = standard_readings(scene)[1:]
    others_deg = [_median_deg(measured, reading.rotations) for reading in standard]
    pair = (own_deg, inverted_deg)
    # A camera that only pans fits the reading with both errors, direction and axes, nearly as well.
    one_error_deg = min(inverted_deg, others_deg[0])
    if own_deg <= min(MAX_DISAGREEMENT_DEG, one_error_deg):
        if not _is_clearly_worse(one_error_deg, own_deg):
            return None
        reason = (
            f"relative rotations measured between images differ from the labels by {own_deg:.1f} "
            f"deg, inverted by {inverted_deg:.1f}"
        )
        return ConventionCheck("consistent", reason, rotation_deg=pair)
    reason = (
        "the labels do not fit the images: measured relative rotations differ from them by "
        f"{own_deg:.1f} deg"
    )
    others = other_readings(scene)
    errors = [*others_deg, *(_median_deg(measured, reading.rotations) for reading in others)]
    best = min(errors)
    if best <= MAX_DISAGREEMENT_DEG and _is_clearly_worse(own_deg, best):
        row = _most_likely(errors, len(standard))
        fitting = [*standard, *others][row]
        reason += f", by {errors[row]:.1f} if the files contain {fitting.description}"
        verdict = _wrong_verdict(fitting, standard)
        return ConventionCheck(
            verdict, reason, rotation_deg=pair, fitting_reading=fitting.description
        )
    if not _contradicts(scene, measured):
        return None
    reason += f", and no other reading of the files fits (the best by {best:.1f})"
    return ConventionCheck("contradicted", reason, rotation_deg=pair)


def _most_likely(errors_deg: list[float], num_standard: int) -> int:
    """Return the row of the best standard reading, or of the first other one if it fits better."""
    limit = min(errors_deg) + DISAGREEMENT_MARGIN_DEG
    row = int(np.argmin(errors_deg[:num_standard]))
    if errors_deg[row] <= limit:
        return row
    return next(row for row, error in enumerate(errors_deg) if error <= limit)


def _contradicts(scene: Scene, measured: list[MeasuredRotation]) -> bool:
    """Return whether nearly all measured rotations disagree with the labels."""
    pairs = [(pair.first, pair.second) for pair in measured]
    cameras = [scene.cameras[row] for pair in pairs for row in pair]
    # An assumed focal length may be the reason.
    if not all(camera is not None and camera.has_known_focal_length for camera in cameras):
        return False
    rotations = scene.poses.rotations
    first, second = np.array(pairs).T
    labeled_deg = np.degrees((rotations[second].inv() * rotations[first]).magnitude())
    limits_deg = np.maximum(MAX_DISAGREEMENT_RATIO * labeled_deg, MAX_DISAGREEMENT_DEG)
    disagree = rotation_disagreements_deg(measured, rotations) > limits_deg
    return bool(disagree.mean() >= MIN_CONTRADICTING)


def _wrong_verdict(fitting: Reading, standard: list[Reading]) -> Verdict:
    return "inverted" if fitting.is_reversed and fitting in standard else "contradicted"


def _median_deg(measured: list[MeasuredRotation], rotations: Rotation) -> float:
    return float(np.median(rotation_disagreements_deg(measured, rotations)))


def _is_clearly_worse(error_deg: float, best_deg: float) -> bool:
    return error_deg >= DISAGREEMENT_RATIO * best_deg + DISAGREEMENT_MARGIN_DEG


def check_by_points(scene: Scene) -> ConventionCheck | None:
    """Judge the rotations of a scene by its 3-D points.

    Args:
        scene: the scene.

    Returns:
        The verdict; None if there are too few points or they do not decide.
    """
    rotations = scene.poses.rotations
    own = _fraction_in_view(scene, rotations)
    inverted = _fraction_in_view(scene, rotations.inv())
    if own is None or inverted is None:
        return None
    standard = standard_readings(scene)[1:]
    others = [_fraction_in_view(scene, reading.rotations) or 0.0 for reading in standard]
    best = max(others)
    if own >= max(best, MIN_IN_VIEW):
        if own - best <= MIN_IN_VIEW_DIFFERENCE:
            return None
        reason = (
            f"{own:.0%} of the 3-D points are inside the images that observe them, "
            f"{inverted:.0%} if inverted"
        )
        return ConventionCheck("consistent", reason, in_view=(own, inverted))
    reason = (
        f"the labels do not fit the 3-D points: {own:.0%} of them are inside the images that "
        "observe them"
    )
    if best > MIN_IN_VIEW and best - own > MIN_IN_VIEW_DIFFERENCE:
        fitting = standard[others.index(best)]
        reason += f", {best:.0%} if the files contain {fitting.description}"
        return ConventionCheck(
            _wrong_verdict(fitting, standard),
            reason,
            in_view=(own, inverted),
            fitting_reading=fitting.description,
        )
    if own > MAX_CONTRADICTED_IN_VIEW:
        return None
    reason += f", at most {best:.0%} in another reading of the files"
    return ConventionCheck("contradicted", reason, in_view=(own, inverted))


def _fraction_in_view(scene: Scene, rotations: Rotation) -> float | None:
    """Return the fraction of observations whose point is in view; None without enough."""
    if scene.points is None:
        return None
    known = np.array([camera is not None for camera in scene.cameras], bool)
    observations = scene.points.observations[known[scene.points.observations[:, 0]]]
    if len(observations) < MIN_OBSERVATIONS:
        return None
    observations = observations[:: max(1, len(observations) // MAX_OBSERVATIONS)]
    images, points = observations.T
    offsets = scene.points.positions[points] - scene.poses.positions[images]
    x, y, z = rotations[images].inv().apply(offsets).T
    intrinsics = np.array(
        [(c.fx, c.fy, c.cx, c.cy, c.width, c.height) if c else (1,) * 6 for c in scene.cameras]
    )
    fx, fy, cx, cy, width, height = intrinsics[images].T
    with np.errstate(divide="ignore", invalid="ignore"):
        u = fx * x / z + cx
        v = fy * y / z + cy
    margin = VIEW_MARGIN * np.maximum(width, height)
    inside = (u > -margin) & (u < width + margin) & (v > -margin) & (v < height + margin)
    return float(np.mean((z > 0) & inside))
