"""Causal smoothing of poses."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from posenet.localization.pnp import CameraPose
from posenet.streams.smoothing import CausalSmoother

STILL = Rotation.identity()


def smooth(smoother, positions, seconds, stds=None, rotations=None):
    """Return the smoothed poses."""
    stds = [0.1] * len(seconds) if stds is None else stds
    rotations = [STILL] * len(seconds) if rotations is None else rotations
    return [
        smoother.smooth(CameraPose(np.array([x, 0.0, 0]), rotation), std, 1.0, time)
        for x, time, std, rotation in zip(positions, seconds, stds, rotations, strict=True)
    ]


def scalar_kalman(values, seconds, variance, acceleration):
    """Filter numbers by a textbook Kalman filter with constant velocity."""
    state = np.array([values[0], 0.0])
    covariance = np.diag([variance, acceleration**2])
    found = [values[0]]
    for value, passed in zip(values[1:], np.diff(seconds), strict=True):
        step = np.array([[1, passed], [0, 1]])
        push = np.array([passed**2 / 2, passed])
        covariance = step @ covariance @ step.T + acceleration**2 * np.outer(push, push)
        state = step @ state
        gain = covariance @ [1, 0] / (covariance[0, 0] + variance)
        state = state + gain * (value - state[0])
        covariance = (np.eye(2) - np.outer(gain, [1, 0])) @ covariance
        found.append(state[0])
    return np.array(found)


def test_the_second_pose_by_hand():
    # Acceleration 1, 1 s: after prediction the variance is 0.75 / 3 + 1 + 1 / 4 = 1.5; measured
    # is 0.25, so that the gain is 1.5 / 1.75 = 6 / 7.
    smoother = CausalSmoother(1.0, acceleration=1.0)
    found = smooth(smoother, [0.0, 0.7], [0.0, 1.0], [np.sqrt(0.75)] * 2)
    assert found[0].position[0] == 0.0
    assert found[1].position[0] == pytest.approx(0.6)


def test_positions_agree_with_a_textbook_filter():
    rng = np.random.default_rng(0)
    seconds = np.cumsum(rng.uniform(0.05, 0.2, 30))
    values = 0.5 * seconds + rng.normal(0, 0.02, 30)
    found = smooth(CausalSmoother(2.0, acceleration=0.5), values, seconds)
    expected = scalar_kalman(values, seconds, 0.1**2 / 3, 1.0)
    np.testing.assert_allclose([pose.position[0] for pose in found], expected, atol=1e-12)


def test_a_constant_turn_is_kept_and_noise_on_it_is_reduced():
    rng = np.random.default_rng(1)
    seconds = np.arange(60) / 30
    truth = [Rotation.from_rotvec([0, 0, time]) for time in seconds]  # 57 degrees per second
    noisy = [each * Rotation.from_rotvec(rng.normal(0, 0.01, 3)) for each in truth]
    found = smooth(CausalSmoother(1.0), np.zeros(60), seconds, rotations=noisy)

    def error(rotations):
        return np.mean(
            [(a.inv() * b).magnitude() for a, b in zip(rotations, truth, strict=True)][20:]
        )

    assert error([pose.rotation for pose in found]) < 0.9 * error(noisy)


def test_precise_poses_stay_unchanged():
    rng = np.random.default_rng(2)
    values, seconds = rng.normal(0, 1, 20), np.arange(20) / 5
    found = smooth(CausalSmoother(1e6), values, seconds, [1e-3] * 20)
    np.testing.assert_allclose([pose.position[0] for pose in found], values, atol=1e-9)


def test_a_pose_far_from_the_prediction_starts_again():
    seconds = np.arange(12) / 10
    values = np.where(seconds < 0.75, 0.0, 50.0)
    found = [pose.position[0] for pose in smooth(CausalSmoother(1.0), values, seconds, [0.01] * 12)]
    assert found[8] == 50.0
    assert abs(found[9] - 50.0) < 0.1


def test_a_dropped_frame_moves_no_precise_pose():
    """Frames come at equal times though one of them is missing: the step doubles once."""
    seconds = np.arange(20) / 10
    values = np.delete(np.arange(21) * 0.4, 9)
    found = smooth(CausalSmoother(8.0), values, seconds, [0.005] * 20)
    np.testing.assert_allclose([pose.position[0] for pose in found], values, atol=0.01)


def test_an_uncertain_pose_is_drawn_to_the_prediction():
    seconds = np.arange(12) / 10
    values = 1.0 * seconds
    values[8] = 2.0
    stds = [0.01] * 12
    stds[8] = 1.0
    found = smooth(CausalSmoother(1.0), values, seconds, stds)
    assert abs(found[8].position[0] - 0.8) < 0.05


def test_a_gap_and_a_reset_forget_the_motion():
    smoother = CausalSmoother(1.0)
    smooth(smoother, [0.0, 0.1, 0.2], [0.0, 0.1, 0.2], [1.0] * 3)
    [after_gap] = smooth(smoother, [3.0], [1.3], [1.0])
    assert after_gap.position[0] == 3.0
    smoother.reset()
    [after_reset] = smooth(smoother, [7.0], [1.4], [1.0])
    assert after_reset.position[0] == 7.0
    [repeated] = smooth(smoother, [8.0], [1.4], [1.0])  # no time has passed
    assert repeated.position[0] == 8.0
