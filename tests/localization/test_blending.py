"""Weights of retrieved poses, by hand."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from posenet.geometry.metrics import position_errors, rotation_errors_deg
from posenet.geometry.poses import Poses
from posenet.localization.blending import (
    BlendingWeights,
    calibrate_blending,
    load_blending,
    save_blending,
)

FAR = 1e9


def poses_at(x, degrees=0.0):
    """Return poses on the x axis, rotated about z."""
    x = np.atleast_1d(np.asarray(x, float))
    angles = np.broadcast_to(np.asarray(degrees, float), x.shape)
    positions = np.column_stack([x, 0 * x, 0 * x])
    return Poses(positions, Rotation.from_euler("z", angles[:, None], degrees=True))


def errors(count, meters, degrees):
    """Return true poses and poses with these errors."""
    rows = np.arange(float(count))
    return poses_at(rows), poses_at(rows + meters, degrees)


def test_means_by_hand():
    weights = BlendingWeights(0.25, 0.5, max_distance=FAR, max_angle_deg=FAR)
    blended = weights.blend(poses_at([0, 1], [10, 350]), poses_at([4, 1], [30, 10]))
    np.testing.assert_allclose(blended.positions[:, 0], [1.0, 1.0])
    np.testing.assert_allclose(
        blended.rotations.as_euler("zyx", degrees=True)[:, 0], [20, 0], atol=1e-9
    )


@pytest.mark.parametrize(("weight", "x"), [(0.4, 0.0), (0.6, 9.0)])
def test_poses_of_different_places_are_not_averaged(weight, x):
    near_in_angle = BlendingWeights(weight, weight, max_distance=8.0, max_angle_deg=FAR)
    assert near_in_angle.blend(poses_at(0), poses_at(9)).positions[0, 0] == x
    near_in_distance = BlendingWeights(weight, weight, max_distance=FAR, max_angle_deg=20.0)
    blended = near_in_distance.blend(poses_at(0), poses_at(9, 30))
    assert blended.positions[0, 0] == x


def test_weights_of_few_images_by_hand():
    # Equal errors of 7 images and 8 as the prior: the ratios are 1.2 ** (8 / 15) and
    # 0.9 ** (8 / 15), and inverse variances give r ** 2 / (1 + r ** 2).
    truth, off = errors(7, 0.5, 3.0)
    weights = calibrate_blending(off, off, truth)
    position, rotation = 1.2 ** (16 / 15), 0.9 ** (16 / 15)
    assert weights.position == pytest.approx(position / (1 + position))
    assert weights.rotation == pytest.approx(rotation / (1 + rotation))
    assert weights.max_distance == pytest.approx(4.0)
    assert weights.max_angle_deg == pytest.approx(24.0)


def test_errors_in_the_same_direction_do_not_cancel():
    # Every retrieved pose is twice as far off on the same side: any share of it does harm.
    truth, near = errors(24, 0.5, 3.0)
    _, far = errors(24, 1.0, 6.0)
    weights = calibrate_blending(near, far, truth)
    assert (weights.position, weights.rotation) == (0.0, 0.0)


def test_the_smallest_weight_that_hardly_costs_is_taken():
    # At weight w the error is 1 - 0.5 w, at best 0.5: 1.0 is the only one within 5 %.
    truth, near = errors(24, 0.5, 3.0)
    _, far = errors(24, 1.0, 6.0)
    weights = calibrate_blending(far, near, truth)
    assert (weights.position, weights.rotation) == (1.0, 1.0)


def test_networks_that_are_hardly_worse_than_retrieval_stay_alone():
    truth, near = errors(24, 0.5, 3.0)
    _, far = errors(24, 0.7, 4.6)
    weights = calibrate_blending(far, near, truth)
    assert weights.position == 0.0  # 1.4 times as large
    assert weights.rotation == 1.0  # 1.53 times


def test_a_useless_network_is_not_used():
    truth, near = errors(3, 0.1, 1.0)
    _, far = errors(3, 0.31, 3.1)
    weights = calibrate_blending(far, near, truth)
    assert (weights.position, weights.rotation) == (1.0, 1.0)


def test_a_precise_network_is_hardly_changed():
    truth, near = errors(60, 0.01, 0.1)
    _, far = errors(60, 1.0, 10.0)
    weights = calibrate_blending(near, far, truth)
    assert max(weights.position, weights.rotation) < 0.001


def test_the_mean_of_independent_errors_is_better_than_both():
    rng = np.random.default_rng(0)
    count = 400
    truth = poses_at(np.zeros(count))
    both = [
        Poses(
            scale * rng.normal(size=(count, 3)),
            Rotation.from_rotvec(scale * 0.1 * rng.normal(size=(count, 3))),
        )
        for scale in (1.6, 1.0)
    ]
    half = slice(0, count // 2), slice(count // 2, count)
    weights = calibrate_blending(both[0][half[0]], both[1][half[0]], truth[half[0]])
    tested = [poses[half[1]] for poses in both]
    blended = weights.blend(*tested)
    for error in (position_errors, rotation_errors_deg):
        medians = [np.median(error(poses, truth[half[1]])) for poses in (blended, *tested)]
        assert medians[0] < min(medians[1:])


def test_saved_weights_are_those_of_one_network(tmp_path):
    weights = BlendingWeights(0.2, 0.3, 1.5, 40.0)
    save_blending(tmp_path, "network", weights)
    assert load_blending(tmp_path, "network") == weights
    assert load_blending(tmp_path, "another") is None
    (tmp_path / "blending.json").write_text("{")
    assert load_blending(tmp_path, "network") is None
    assert load_blending(tmp_path / "nowhere", "network") is None
