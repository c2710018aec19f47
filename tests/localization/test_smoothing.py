import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from posenet.geometry.metrics import position_errors, rotation_errors_deg
from posenet.geometry.poses import Poses
from posenet.localization import smoothing
from posenet.localization.smoothing import contiguous_segments, smooth_trajectory


def walk(count=60):
    """Return a curved trajectory with a rotating camera."""
    time = np.linspace(0, 1, count)
    positions = np.column_stack([4 * time, np.sin(3 * time), 0.3 * time])
    turned = Rotation.from_euler(
        "y", np.linspace(-170, 190, count)[:, None], degrees=True
    )  # through w = 0
    return Poses(positions, turned)


def noisy(poses, meters, degrees, seed=0):
    rng = np.random.default_rng(seed)
    turn = Rotation.from_rotvec(np.radians(degrees) * rng.normal(size=(len(poses), 3)))
    return Poses(
        poses.positions + meters * rng.normal(size=(len(poses), 3)), poses.rotations * turn
    )


def test_noise_is_reduced_and_the_trajectory_stays():
    truth, one = walk(), np.array(["a"] * 60)
    given = noisy(truth, 0.05, 3.0)
    found = smooth_trajectory(given, one)
    assert np.median(position_errors(found, truth)) < 0.75 * np.median(
        position_errors(given, truth)
    )
    assert np.median(rotation_errors_deg(found, truth)) < 0.75 * np.median(
        rotation_errors_deg(given, truth)
    )
    still = smooth_trajectory(truth, one)
    assert position_errors(still, truth).max() < 0.01
    assert rotation_errors_deg(still, truth).max() < 0.5


def test_segments_end_where_images_of_others_lie_between():
    names, rows = (
        np.array(["a"] * 13 + ["b"] * 2),
        np.array([0, 1, 3, 10, 11, 12, 13, 14]),
    )  # image 2 does not decode
    assert contiguous_segments(names, rows).tolist() == [0, 0, 0, 1, 1, 1, 2, 2]
    every_fifth = np.array([0, 5, 10, 15])  # one video still
    assert contiguous_segments(np.array(["a"] * 16), every_fifth).tolist() == [0] * 4
    assert contiguous_segments(np.array(["a"] * 4), np.array([3])).tolist() == [0]


def test_sequences_may_be_given_in_turns():
    names = np.array(["b", "a", "b", "a", "a", "b", "a", "b"], object)
    assert contiguous_segments(names, np.arange(8)).tolist() == [1, 0, 1, 0, 0, 1, 0, 1]
    kept = np.array([0, 1, 2, 3, 5, 6, 7])  # one of a's is lost
    assert contiguous_segments(names, kept).tolist() == [1, 0, 1, 0, 1, 0, 1]
    assert contiguous_segments(np.array(["a", "b"]), np.arange(2)).tolist() == [0, 1]


def test_a_camera_that_turns_quickly_is_followed():
    truth = Poses(
        np.zeros((40, 3)), Rotation.from_euler("y", 80.0 * np.arange(40)[:, None], degrees=True)
    )
    found = smooth_trajectory(noisy(truth, 0, 1.0), np.array(["a"] * 40))
    assert np.median(rotation_errors_deg(found, truth)) < 2


def test_ends_of_a_segment_are_not_pulled_to_the_next():
    first, second = walk(20), walk(20)
    positions = np.concatenate([first.positions, second.positions + [0, 5, 0]])
    both = Poses(positions, Rotation.concatenate([first.rotations, second.rotations]))
    rows = np.r_[0:20, 100:120]
    drawn = smooth_trajectory(both, contiguous_segments(np.array(["all"] * 120), rows))
    assert position_errors(drawn, both).max() < 0.01
    assert (
        position_errors(smooth_trajectory(both, np.array(["all"] * 40)), both)[[19, 20]].min()
        > 0.02
    )  # as one path


def test_the_banded_solution_is_that_of_the_dense_equations(monkeypatch):
    values = np.random.default_rng(0).normal(size=(7, 2))
    bends = np.diff(np.eye(7), n=2, axis=0)
    monkeypatch.setattr(smoothing, "ROUNDS", 1)  # all weights are 1
    path = smoothing._smooth_rows(values, 0.7)
    np.testing.assert_allclose(
        path, np.linalg.solve(np.eye(7) + 0.7 * bends.T @ bends, values), atol=1e-12
    )


def test_a_long_video_is_smoothed_in_a_moment():
    truth = walk(50_000)  # dense matrices would take 60 GB
    found = smooth_trajectory(noisy(truth, 0.05, 3.0), np.array(["a"] * 50_000))
    assert np.median(position_errors(found, truth)) < 0.06


def test_an_outlier_does_not_bend_the_path():
    truth = walk()
    given = noisy(truth, 0.01, 0.5)
    positions = given.positions.copy()
    positions[30] += (3, -2, 1)
    found = smooth_trajectory(Poses(positions, given.rotations), np.array(["a"] * 60))
    assert position_errors(found, truth)[[28, 29, 30, 31, 32]].max() < 0.1


def test_two_outlying_rotations_do_not_bend_the_path():
    truth = walk()
    for seed in range(20):
        rotations = noisy(truth, 0, 0.5).rotations.as_quat()
        rotations[[30, 31]] = Rotation.random(2, rng=np.random.default_rng(seed)).as_quat()
        given = Poses(truth.positions, Rotation.from_quat(rotations))
        found = rotation_errors_deg(smooth_trajectory(given, np.array(["a"] * 60)), truth)
        assert found[[27, 28, 29, 32, 33, 34]].max() < 3, seed


def test_sequences_do_not_touch_and_short_ones_stay():
    poses = Poses(
        np.array([[0.0, 0, 0], [0, 0, 0], [9, 0, 0], [9, 0, 0], [9, 0, 0]]), Rotation.identity(5)
    )
    found = smooth_trajectory(poses, np.array(["a", "a", "b", "b", "b"]))
    np.testing.assert_allclose(found.positions, poses.positions, atol=1e-9)


@pytest.mark.parametrize(("period", "least", "most"), [(10.0, 0.85, 1.0), (2.5, 0.0, 0.15)])
def test_the_window_separates_noise_from_motion(period, least, most):
    # The smoother keeps 1 / (1 + stiffness (2 sin(pi / period))^4) of a sine of that period.
    time = np.arange(200)
    positions = np.column_stack([np.sin(2 * np.pi * time / period), 0 * time, 0 * time])
    found = smooth_trajectory(
        Poses(positions, Rotation.identity(200)), np.array(["a"] * 200), window=5.0
    )
    kept = np.linalg.norm(found.positions[50:150, 0]) / np.linalg.norm(positions[50:150, 0])
    assert least < kept < most
