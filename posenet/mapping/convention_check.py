"""Check whether the rotations of a scene are read correctly.

Files may contain world_from_camera or camera_from_world rotations, with OpenCV or OpenGL camera
axes; see rotation_readings.py. Images decide with certainty: the relative rotation of two images
can be measured and compared with the labels. So do 3-D points: they must be in front of the cameras
that observe them and inside their images. If either contradicts the labels, no weaker evidence is
considered. Without both, the horizon may help.

A camera that people carry or drive stays level: its x axis lies in the plane of motion. If the
rotations are inverted, the x axes tilt out of that plane. On the Cambridge lists the tilt is 3 to 5
degrees (RMS) if read correctly and 12 to 46 if inverted. The tilt is inconclusive if world and
camera axes nearly agree, if the camera is tilted, or if it does not move in a plane.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.spatial.transform import Rotation

from posenet.datasets.scene import Scene
from posenet.geometry.alignment import principal_axes
from posenet.mapping.convention_evidence import (
    ConventionCheck,
    Verdict,
    check_by_images,
    check_by_points,
)
from posenet.mapping.relative_rotation import measure_rotations

__all__ = ["ConventionCheck", "check_convention", "has_equal_rotations"]

# Rotations that differ by less, in degrees, are equal.
EQUAL_DEG = 1e-4
# Largest tilt of a level camera, and smallest tilt of the other reading, degrees and ratio.
LEVEL_DEG = 8.0
TILTED_DEG = 10.0
TILT_RATIO = 2.0
# Largest spread out of the plane of motion, relative to the second spread in it.
MAX_OFF_PLANE = 0.5
MIN_CAMERAS = 10


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
    rotations = scene.poses.rotations
    if len(scene) > 1 and has_equal_rotations(scene):
        return ConventionCheck(
            "inconclusive",
            f"all {len(scene)} rotations are equal: nothing can show whether they are right",
        )
    check = None
    if use_images and (measured := measure_rotations(scene)):
        check = check_by_images(scene, measured)
    if check is None:
        check = check_by_points(scene)
    return check or _check_by_level(scene, rotations, rotations.inv())


def has_equal_rotations(scene: Scene) -> bool:
    """Return whether the rotations of all images are equal.

    Args:
        scene: at least one image.

    Returns:
        True if they differ by less than 0.0001 degrees.
    """
    rotations = scene.poses.rotations
    return bool(np.degrees((rotations[0].inv() * rotations).magnitude()).max() < EQUAL_DEG)


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
