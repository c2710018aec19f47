"""Rotation parameterizations, compared with scipy's rotations and numpy's decompositions."""

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from posenet.models.build import build_network, inference_network
from posenet.models.quaternions import cross
from posenet.models.rotations import IDENTITY, ToQuaternion, largest_eigenvector

pytestmark = pytest.mark.slow


def by_logarithm(numbers):
    return Rotation.from_rotvec(2 * numbers)


def by_two_axes(numbers):
    """Gram and Schmidt, as numpy's QR does it, with the signs that keep the axes' directions."""
    q, r = np.linalg.qr(numbers.reshape(2, 3).T)
    x, y = (q * np.sign(np.diag(r))).T
    return Rotation.from_matrix(np.stack([x, y, np.cross(x, y)], axis=1))


KINDS = {"log": by_logarithm, "6d": by_two_axes}


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_quaternions_are_scipys(kind, seed):
    start = np.array(IDENTITY[kind])
    numbers = np.random.default_rng(seed).normal(0, 0.4, (5, len(start)))
    found = np.asarray(ToQuaternion(kind)(numbers.astype(np.float32)))
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-5)
    for row, each in zip(found, numbers, strict=True):
        true = KINDS[kind](start + each)
        assert (
            np.degrees((Rotation.from_quat(row, scalar_first=True).inv() * true).magnitude()) < 0.1
        )


@pytest.mark.parametrize("kind", KINDS)
def test_zeros_are_no_turn_and_their_gradients_are_finite(kind):
    import tensorflow as tf

    numbers = tf.Variable(np.zeros((2, len(IDENTITY[kind])), np.float32))
    with tf.GradientTape() as tape:
        quaternions = ToQuaternion(kind)(numbers + 0.0)
        total = keras.ops.sum(quaternions * [1.0, 2.0, 3.0, 4.0])
    np.testing.assert_allclose(np.abs(quaternions), [[1, 0, 0, 0]] * 2, atol=1e-5)
    gradient = tape.gradient(total, numbers).numpy()
    assert np.isfinite(gradient).all()
    assert np.abs(gradient).max() > 0.1


@pytest.mark.parametrize("kind", KINDS)
def test_a_network_that_answers_so_is_saved(kind, tmp_path):
    plan = "googlenet", (64, 96), (1.0, 2.0, 3.0), 5.0
    network = build_network(*plan, rotation=kind)
    images = np.random.default_rng(0).uniform(0, 255, (2, 64, 96, 3)).astype(np.float32)
    answer = {name: np.asarray(value) for name, value in network(images).items()}
    assert answer["quaternion"].shape == answer["aux1_quaternion"].shape == (2, 4)
    inference_network(network, *plan, rotation=kind).save(tmp_path / "m.keras")
    again = keras.saving.load_model(tmp_path / "m.keras", compile=False)(images)
    np.testing.assert_allclose(again["quaternion"], answer["quaternion"], atol=1e-3)


def test_largest_eigenvector_is_numpys():
    rng = np.random.default_rng(0)
    matrices = rng.normal(size=(20, 4, 4))
    matrices = matrices + matrices.transpose(0, 2, 1)
    values, vectors = np.linalg.eigh(matrices)
    clear = values[:, 3] - values[:, 2] > 0.05
    found = np.asarray(largest_eigenvector(matrices.astype(np.float32)))
    alike = np.abs((found * vectors[:, :, 3]).sum(axis=1))
    assert clear.sum() > 15
    np.testing.assert_allclose(alike[clear], 1, atol=1e-4)


def test_cross_products_are_numpys_and_broadcast():
    rng = np.random.default_rng(0)
    first, second = rng.normal(size=(5, 1, 3)), rng.normal(size=(5, 7, 3))
    np.testing.assert_allclose(np.asarray(cross(first, second)), np.cross(first, second), atol=1e-6)


def test_equally_long_columns_of_opposite_sign_do_not_cancel():
    vector = np.array([0.5, -0.5, 0.5, -0.5])  # all four columns of the limit are equally long
    found = np.asarray(largest_eigenvector(np.outer(vector, vector)[None].astype(np.float32)))
    np.testing.assert_allclose(found, [vector], atol=1e-6)  # the first column
