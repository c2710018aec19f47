"""Smooth the trajectory of a video: outliers are down-weighted, the rest are drawn together."""

from __future__ import annotations

import numpy as np
from scipy.linalg import solveh_banded
from scipy.spatial.transform import Rotation

from posenet.geometry.poses import Poses

# Rounds of iteratively reweighted least squares.
ROUNDS = 8
# Number of earlier rotations whose sum determines the sign of the next quaternion; the camera may
# rotate by 90 degrees per image.
SIGN_WINDOW = 3
# Standard deviations from the smooth trajectory at which a pose has half its weight.
HALF_WEIGHT_DEVIATIONS = 2.5
# Ratio of the standard deviation to the median absolute deviation of a normal distribution.
MAD_TO_STD = 1.4826
# A sequence is split where a step is more than this many times the usual one.
MAX_STEP_RATIO = 2


def smooth_trajectory(poses: Poses, sequences: np.ndarray, *, window: float = 5.0) -> Poses:
    """Smooth the poses of each sequence with a robust Whittaker smoother.

    Minimizes sum w |y - x|^2 + (window / 2 pi)^4 |second differences of x|^2 for positions and for
    sign-aligned quaternions. The weights w decrease with the distance from the trajectory (Cauchy).

    Args:
        poses: n poses, world_from_camera.
        sequences: the sequence of each image, shape (n,); within one, images are ordered by time.
        window: number of images over which a movement is considered noise. Of a movement over
            twice as many images, nine tenths remain.

    Returns:
        n smoothed poses. Sequences of fewer than three images stay unchanged.
    """
    positions = poses.positions.copy()
    quaternions = poses.quaternions_wxyz.copy()
    stiffness = (window / (2 * np.pi)) ** 4
    for name in dict.fromkeys(sequences.tolist()):
        rows = np.flatnonzero(sequences == name)
        if len(rows) < 3:
            continue
        positions[rows] = _smooth_rows(positions[rows], stiffness)
        quaternions[rows] = _smooth_rows(_align_signs(quaternions[rows]), stiffness)
    return Poses(positions, Rotation.from_quat(quaternions, scalar_first=True))


def contiguous_segments(sequences: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Number the contiguous segments of time that some images of a scene form.

    A sequence is split where a step is more than twice the usual one, since images in between
    belong to others or are missing.

    Args:
        sequences: the sequence of each of n images, shape (n,); ordered by time within one.
        rows: indices of the images in question, shape (k,).

    Returns:
        The number of the segment of each of these images, shape (k,).
    """
    places = np.argsort(np.argsort(sequences, kind="stable"))[rows]  # sequence after sequence
    order = np.argsort(places)
    names = sequences[rows][order]
    steps = np.diff(places[order])
    other_sequence = names[1:] != names[:-1]
    usual = np.median(steps[~other_sequence]) if not other_sequence.all() else 1
    segments = np.zeros(len(rows), int)
    segments[order[1:]] = np.cumsum((steps > MAX_STEP_RATIO * usual) | other_sequence)
    return segments


def _align_signs(quaternions: np.ndarray) -> np.ndarray:
    """Give each quaternion the sign closer to the few before it; one outlier does not decide."""
    aligned = quaternions.copy()
    for row in range(1, len(aligned)):
        before = aligned[max(0, row - SIGN_WINDOW) : row].sum(axis=0)
        if aligned[row] @ before < 0:
            aligned[row] *= -1
    return aligned


def _smooth_rows(values: np.ndarray, stiffness: float) -> np.ndarray:
    """Return the smooth rows nearest to values (n, d)."""
    # The lower form of the five diagonals of B^T B, where B takes second differences.
    bands = np.zeros((3, len(values)))
    difference = (1.0, -2.0, 1.0)
    for first, one in enumerate(difference):
        for second, other in enumerate(difference[: first + 1]):
            bands[first - second, second : len(values) - 2 + second] += stiffness * one * other
    weights = np.ones(len(values))
    trajectory = values
    step = float(np.median(np.linalg.norm(np.diff(values, axis=0), axis=1)))
    for _ in range(ROUNDS):
        system = bands.copy()
        system[0] += weights
        trajectory = solveh_banded(system, weights[:, None] * values, lower=True)
        distances = np.linalg.norm(values - trajectory, axis=1)
        # Less than half a step is not an outlier.
        spread = max(MAD_TO_STD * float(np.median(distances)), 0.5 * step, 1e-12)
        weights = 1 / (1 + (distances / (HALF_WEIGHT_DEVIATIONS * spread)) ** 2)
    return trajectory
