"""Check whether a scene's rotations are read correctly, or world-to-camera as camera-to-world.

Images decide with certainty: the relative rotation of two images can be measured and compared with
the labels. So do 3-D points: they must be in front of the cameras that observe them and inside
their images. Without both, the horizon may help.

A camera that people carry or drive stays level: its x axis lies in the plane of motion. If the
rotations are inverted, the x axes tilt out of that plane. On the Cambridge lists the tilt is 3 to 5
degrees (RMS) if read correctly and 12 to 46 if inverted. The tilt is inconclusive if world and
camera axes nearly agree, if the camera is tilted, or if it does not move in a plane.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from scipy.spatial.transform import Rotation

from posenet.datasets.scene import Scene
from posenet.geometry.alignment import principal_axes
from posenet.mapping.relative_rotation import rotation_agreement

Verdict = Literal["consistent", "inverted", "inconclusive"]

# OpenGL's camera axes: x right, y up, z back.
OPENGL_AXES = Rotation.from_euler("x", 180, degrees=True)
# Largest disagreement of consistent labels with measured relative rotations, degrees, and the
# margin by which the others must be worse.
MAX_DISAGREEMENT_DEG = 3.0
DISAGREEMENT_RATIO = 2.0
DISAGREEMENT_MARGIN_DEG = 1.0
# Fraction of points in view of the better reading, and difference between the readings.
MIN_IN_VIEW = 0.8
MIN_IN_VIEW_DIFFERENCE = 0.3
# Fewest observations, and the largest number that is used.
MIN_OBSERVATIONS = 100
MAX_OBSERVATIONS = 5000
# Margin around an image for lens distortion, relative to its long side.
VIEW_MARGIN = 0.05
# Largest tilt of a level camera, and smallest tilt of the other reading, degrees and ratio.
LEVEL_DEG = 8.0
TILTED_DEG = 10.0
TILT_RATIO = 2.0
# Largest spread out of the plane of motion, relative to the second spread in it.
MAX_OFF_PLANE = 0.5
MIN_CAMERAS = 10


@dataclass(frozen=True)
class ConventionCheck:
    """The verdict on the rotations of a scene. Numbers come in pairs: as read, and inverted.

    Attributes:
        verdict: whether the rotations are read correctly.
        reason: why.
        rotation_deg: median disagreement with relative rotations measured between images, degrees;
            None if not measured.
        in_view: fraction of 3-D points inside the images that observe them; None if there are none.
        tilt_deg: RMS angle between the cameras' x axes and the plane of motion, degrees; None if
            not needed.
    """

    verdict: Verdict
    reason: str
    rotation_deg: tuple[float, float] | None = None
    in_view: tuple[float, float] | None = None
    tilt_deg: tuple[float, float] | None = None


class _Plane(NamedTuple):
    """The plane of motion: spreads along the principal axes (3,), and its normal (3,)."""

    spreads: np.ndarray
    normal: np.ndarray


def check_convention(scene: Scene, *, use_images: bool = True) -> ConventionCheck:
    """Check the rotations of a scene by its images, its 3-D points or the level of its cameras.

    Args:
        scene: the scene.
        use_images: False if there are no image files.

    Returns:
        The verdict.
    """
    read = scene.poses.rotations
    inverted = read.inv()
    if use_images:
        errors = rotation_agreement(scene, [read, inverted, read * OPENGL_AXES])
        check = _check_by_images(errors) if errors is not None else None
        if check is not None:
            return check
    check = _check_by_points(scene, read, inverted)
    return check or _check_by_level(scene, read, inverted)


def _check_by_images(errors: list[float]) -> ConventionCheck | None:
    """Judge disagreements in degrees: as read, inverted, with OpenGL axes."""
    reason = (
        f"relative rotations measured between images differ from the labels by {errors[0]:.1f} "
        f"deg, inverted by {errors[1]:.1f}"
    )
    best = min(errors)
    others = min(errors[1:])
    is_clear = max(errors[0], others) >= DISAGREEMENT_RATIO * best + DISAGREEMENT_MARGIN_DEG
    if best > MAX_DISAGREEMENT_DEG or not is_clear:
        return None
    if errors[2] == best:
        reason += f", with OpenGL axes (x right, y up, z back) by {best:.1f}"
    verdict: Verdict = "consistent" if errors[0] == best else "inverted"
    return ConventionCheck(verdict, reason, rotation_deg=(errors[0], errors[1]))


def _check_by_points(scene: Scene, read: Rotation, inverted: Rotation) -> ConventionCheck | None:
    in_view = _fraction_in_view(scene, read)
    in_view_inverted = _fraction_in_view(scene, inverted)
    if in_view is None or in_view_inverted is None:
        return None
    if max(in_view, in_view_inverted) <= MIN_IN_VIEW:
        return None
    if abs(in_view - in_view_inverted) <= MIN_IN_VIEW_DIFFERENCE:
        return None
    reason = (
        f"{in_view:.0%} of the 3-D points are inside the images that observe them, "
        f"{in_view_inverted:.0%} if inverted"
    )
    verdict: Verdict = "consistent" if in_view > in_view_inverted else "inverted"
    return ConventionCheck(verdict, reason, in_view=(in_view, in_view_inverted))


def _check_by_level(scene: Scene, read: Rotation, inverted: Rotation) -> ConventionCheck:
    positions = scene.poses.positions
    if len(scene) < MIN_CAMERAS:
        return ConventionCheck(
            "inconclusive", f"at least {MIN_CAMERAS} cameras are required, received {len(scene)}"
        )
    plane = _plane_of_motion(positions)
    tilts = _tilt_deg(plane, read), _tilt_deg(plane, inverted)
    reason = (
        f"camera x axes tilt {tilts[0]:.1f} deg out of the plane of motion, {tilts[1]:.1f} deg if "
        "inverted"
    )
    verdict: Verdict = "inconclusive"
    if float(plane.spreads[2] / max(plane.spreads[1], 1e-12)) > MAX_OFF_PLANE:
        reason = "the cameras do not move in a plane"
    elif min(tilts) > LEVEL_DEG:
        reason += ": not level in either reading"
    elif max(tilts) < max(TILTED_DEG, TILT_RATIO * min(tilts)):
        reason += ": too similar, as if world and camera axes nearly agree"
    else:
        verdict = "consistent" if tilts[0] < tilts[1] else "inverted"
    return ConventionCheck(verdict, reason, tilt_deg=tilts)


def _plane_of_motion(positions: np.ndarray) -> _Plane:
    spreads, axes = principal_axes(positions - np.median(positions, axis=0))
    return _Plane(spreads, axes[2])


def _tilt_deg(plane: _Plane, rotations: Rotation) -> float:
    """Return the RMS angle between the cameras' x axes and a plane, degrees."""
    sines = np.clip(rotations.apply([1, 0, 0]) @ plane.normal, -1, 1)
    return float(np.degrees(np.sqrt(np.mean(np.arcsin(sines) ** 2))))


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
