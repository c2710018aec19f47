"""The head that answers by geometry. scipy's align_vectors is the independent solution."""

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from posenet.models.quaternions import rotate
from posenet.models.scene_coordinates import BlendedPosition, CoordinatesToPose, weighted_procrustes

pytestmark = pytest.mark.slow


def scattered(seed, noise, count=40):
    """Points (4, count, 3), where a rigid motion and noise put them, weights, and the motion."""
    rng = np.random.default_rng(seed)
    points = rng.normal(size=(4, count, 3)) * (1, 1, 0.3) + (0, 0, 2)
    turns, shifts = Rotation.random(4, rng=rng), rng.normal(size=(4, 3))
    targets = np.stack(
        [turn.apply(each) + shift for turn, each, shift in zip(turns, points, shifts, strict=True)]
    )
    weights = rng.uniform(0.1, 1, (4, count))
    return (
        points,
        targets + noise * rng.normal(size=points.shape),
        weights / weights.sum(1, keepdims=True),
        turns,
    )


def float32(*arrays):
    return [np.asarray(array, np.float32) for array in arrays]


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), noise=st.sampled_from([0.0, 0.02, 0.2]))
def test_the_motion_is_that_of_scipy(seed, noise):
    points, targets, weights, turns = scattered(seed, noise)
    position, quaternion, residual = (
        np.asarray(part) for part in weighted_procrustes(*float32(points, targets, weights))
    )
    for row in range(4):
        middle, aim = weights[row] @ points[row], weights[row] @ targets[row]
        turn, _ = Rotation.align_vectors(targets[row] - aim, points[row] - middle, weights[row])
        found = Rotation.from_quat(quaternion[row], scalar_first=True)
        assert np.degrees((found.inv() * turn).magnitude()) < 0.02
        np.testing.assert_allclose(position[row], aim - turn.apply(middle), atol=2e-3)
        left = turn.apply(points[row] - middle) + aim - targets[row]
        assert residual[row] == pytest.approx(np.sqrt(weights[row] @ (left**2).sum(1)), abs=1e-3)
        if noise == 0:
            assert np.degrees((turn.inv() * turns[row]).magnitude()) < 1e-4


def test_untrusted_points_do_not_count():
    points, targets, _, turns = scattered(3, 0.0)
    targets[:, ::2] += 5
    weights = np.zeros(points.shape[:2])
    weights[:, 1::2] = 1 / 20
    _, quaternion, residual = (
        np.asarray(part) for part in weighted_procrustes(*float32(points, targets, weights))
    )
    found = Rotation.from_quat(quaternion, scalar_first=True)
    assert np.degrees((found.inv() * turns).magnitude()).max() < 0.02
    assert residual.max() < 1e-3


def test_rotate_is_scipys():
    turns, vectors = Rotation.random(6, rng=1), np.random.default_rng(1).normal(size=(6, 3))
    found = rotate(*float32(turns.as_quat(scalar_first=True), vectors))
    np.testing.assert_allclose(found, turns.apply(vectors), atol=1e-5)


def test_gradients_are_finite_even_where_all_points_are_one():
    import tensorflow as tf

    points, targets, weights, _ = scattered(0, 0.1)
    for start in (points, np.zeros_like(points)):
        variables = [tf.Variable(each) for each in float32(start, targets, weights)]
        with tf.GradientTape() as tape:
            parts = weighted_procrustes(*(variable + 0.0 for variable in variables))
            total = sum(keras.ops.sum(part) for part in parts)
        for gradient in tape.gradient(total, variables):
            assert np.isfinite(gradient.numpy()).all()


def test_the_layer_starts_with_points_before_the_camera_and_is_saved(tmp_path):
    image = keras.Input((6, 8, 7))
    model = keras.Model(image, CoordinatesToPose()(image))
    maps = np.random.default_rng(0).normal(0, 0.1, (2, 6, 8, 7)).astype(np.float32)
    answer = {name: np.asarray(value) for name, value in model(maps).items()}
    assert answer["camera_coordinates"].shape == answer["scene_coordinates"].shape == (2, 6, 8, 3)
    assert answer["camera_coordinates"][..., 2].min() > 0
    assert (answer["camera_coordinates"][:, :, 0, 0] < 0).all()  # the left column lies to the left
    assert (answer["camera_coordinates"][:, -1, :, 1] > 0).all()  # the lowest row lies below
    np.testing.assert_allclose(np.linalg.norm(answer["quaternion"], axis=1), 1, atol=1e-5)
    model.save(tmp_path / "m.keras")
    again = keras.saving.load_model(tmp_path / "m.keras", compile=False)
    np.testing.assert_array_equal(again(maps)["position"], answer["position"])


def test_two_answers_are_mixed_by_one_share():
    mixed = BlendedPosition()
    ours, theirs = float32([[1, 2, 3]], [[5, 6, 7]])
    first = np.asarray(mixed([ours, theirs]))
    share = 1 / (1 + np.exp(-1.0))  # the logit starts at 1
    np.testing.assert_allclose(first, share * ours + (1 - share) * theirs, rtol=1e-5)
    mixed.paced.assign(-10.0)
    np.testing.assert_allclose(mixed([ours, theirs]), theirs, rtol=1e-5)
