"""Smoothing the camera path of a video: single answers that jump are doubted, the rest are drawn together."""

from __future__ import annotations

import numpy as np
from scipy.linalg import solveh_banded
from scipy.spatial.transform import Rotation

from posenet.geometry.poses import Poses

ROUNDS = 8
BEFORE = 3  # rotations that tell the sign of the next: cameras may turn by 90 degrees a image
DOUBT = 2.5  # standard deviations from the smooth path at which an answer has half its weight


def smooth(poses: Poses, sequences: np.ndarray, window: float = 5.0) -> Poses:
    """Each sequence's poses on the smooth path nearest to them: a robust Whittaker smoother.

    sequences: (n,) names; the images of one are in the order of time. window: images over which a movement is
    taken for noise; one of twice the length keeps nine tenths. Minimizes sum w |y - x|^2 + (window / 2 pi)^4
    |second differences of x|^2 of positions and of sign-aligned quaternions; the weights w fall with the distance from
    the path (Cauchy's).
    """
    positions, quaternions = poses.positions.copy(), poses.quaternions_wxyz.copy()
    stiffness = (window / (2 * np.pi)) ** 4
    for name in dict.fromkeys(sequences.tolist()):
        rows = np.flatnonzero(sequences == name)
        if len(rows) < 3:
            continue
        positions[rows] = _smooth_rows(positions[rows], stiffness)
        quaternions[rows] = _smooth_rows(_aligned(quaternions[rows]), stiffness)
    return Poses(positions, Rotation.from_quat(quaternions, scalar_first=True))


def contiguous_segments(sequences: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """(k,) numbers of the stretches of time in which some of n images follow one another.

    sequences: (n,) names, the images of one in the order of time. rows: (k,) those that are asked for: a sequence is
    cut where a step is more than twice the usual one, since images that belong to others, or are lost, were there.
    """
    places = np.argsort(np.argsort(sequences, kind="stable"))[rows]  # one sequence after the other
    order = np.argsort(places)
    names = sequences[rows][order]
    steps, other = np.diff(places[order]), names[1:] != names[:-1]
    usual = np.median(steps[~other]) if not other.all() else 1
    numbers = np.zeros(len(rows), int)
    numbers[order[1:]] = np.cumsum((steps > 2 * usual) | other)
    return numbers


def _aligned(quaternions: np.ndarray) -> np.ndarray:
    """Each with the sign that lies nearer to the few before it: a wild one among these does not decide."""
    aligned = quaternions.copy()
    for row in range(1, len(aligned)):
        if aligned[row] @ aligned[max(0, row - BEFORE) : row].sum(axis=0) < 0:
            aligned[row] *= -1
    return aligned


def _smooth_rows(values: np.ndarray, stiffness: float) -> np.ndarray:
    """The smooth rows nearest to values (n, d)."""
    bands = np.zeros(
        (3, len(values))
    )  # the lower form of B^T B, five diagonals, with the second differences B
    for first, one in enumerate((1.0, -2.0, 1.0)):
        for second, other in enumerate((1.0, -2.0, 1.0)[: first + 1]):
            bands[first - second, second : len(values) - 2 + second] += stiffness * one * other
    weights, path = np.ones(len(values)), values
    step = float(np.median(np.linalg.norm(np.diff(values, axis=0), axis=1)))
    for _ in range(ROUNDS):
        system = bands.copy()
        system[0] += weights
        path = solveh_banded(system, weights[:, None] * values, lower=True)
        off = np.linalg.norm(values - path, axis=1)
        spread = max(
            1.4826 * float(np.median(off)), 0.5 * step, 1e-12
        )  # less than half a step is no fault
        weights = 1 / (1 + (off / (DOUBT * spread)) ** 2)
    return path
