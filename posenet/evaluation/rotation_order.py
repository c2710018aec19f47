"""Detect quaternions in another order or of the inverse rotation, by the ground truth.

Four numbers of unit length do not show their order. If another order fits the ground truth much
better, a warning says so. The evaluation itself stays as the file was read.
"""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np

from posenet.datasets.formats.pose_conversion import CONJUGATE
from posenet.geometry.metrics import rotation_errors_deg
from posenet.geometry.poses import Poses

log = logging.getLogger("posenet")

# Median errors in degrees between which a wrong order is certain, and fewest poses. Twelve readings
# of random rotations are never all within 5 degrees.
MIN_WRONG_DEG = 20.0
MAX_RIGHT_DEG = 5.0
MIN_POSES = 5
# How far w x y z moves if the file's order is another, and what that order is.
ROLLS = {0: "", 1: "x y z w", -1: "w x y z"}


def warn_about_order(path: Path, estimate: Poses, ground_truth: Poses) -> None:
    """Warn if the rotations agree with the ground truth in another reading only.

    Args:
        path: the pose file, for the message.
        estimate: n poses as the file was read.
        ground_truth: n true poses.
    """
    if len(estimate) < MIN_POSES:
        return
    as_read = float(np.median(rotation_errors_deg(estimate, ground_truth)))
    if as_read < MIN_WRONG_DEG:
        return
    errors = {reading: _error(estimate, ground_truth, *reading) for reading in _readings()}
    reading = min(errors, key=lambda key: errors[key])
    if errors[reading] < MAX_RIGHT_DEG:
        before, roll, after = reading
        words = [f"their order is {ROLLS[roll]}"] if roll else []
        words += ["they are inverted"] if before != after else []
        log.warning(
            "%s: the rotations differ by %.3g deg (median), but by %.3g deg if %s: a header like "
            "'# name x y z qx qy qz qw, camera to world' states order and direction",
            path,
            as_read,
            errors[reading],
            " and ".join(words),
        )


def _readings() -> list[tuple[bool, int, bool]]:
    """Return the readings: inverted before the order changes, the roll, inverted after it."""
    readings = [(before, roll, after) for roll in ROLLS for before in (0, 1) for after in (0, 1)]
    return [(bool(before), roll, bool(after)) for before, roll, after in readings]


def _error(estimate: Poses, ground_truth: Poses, before: bool, roll: int, after: bool) -> float:
    """Return the median error in degrees of a reading."""
    quaternions = estimate.quaternions_wxyz
    quaternions = np.roll(quaternions * (CONJUGATE if before else 1.0), roll, axis=1)
    quaternions = quaternions * (CONJUGATE if after else 1.0)
    poses = Poses.from_quaternions(estimate.positions, quaternions)
    return float(np.median(rotation_errors_deg(poses, ground_truth)))
