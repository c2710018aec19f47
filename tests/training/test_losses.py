import math

import keras
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from posenet.models.quaternions import nearer_sign, rotation_angle, unit
from posenet.training.losses.geometric import GeometricLoss
from posenet.training.losses.learned import LearnedWeightsLoss
from posenet.training.losses.posenet import PoseNetLoss

pytestmark = pytest.mark.slow


def heads(position, quaternion, auxiliary=True):
    position, quaternion = np.float32([position]), np.float32([quaternion])
    prefixes = ("", "aux1_", "aux2_") if auxiliary else ("",)
    return {
        f"{p}{n}": v
        for p in prefixes
        for n, v in (("position", position), ("quaternion", quaternion))
    }


TRUTH = {"position": np.float32([[1, 2, 3]]), "quaternion": np.float32([[1, 0, 0, 0]])}


def test_posenet_loss_by_hand():
    # position off by a 3-4-0 triangle: 5; quaternion off by 0.1; beta 500; heads weigh 1, .3, .3
    value = PoseNetLoss(beta=500.0)(TRUTH, heads([4, 6, 3], [1, 0.1, 0, 0]))
    assert float(value[0]) == pytest.approx(1.6 * (5 + 500 * 0.1), rel=1e-5)


def test_posenet_loss_takes_either_sign_of_the_quaternion():
    loss = PoseNetLoss()
    assert float(loss(TRUTH, heads([1, 2, 3], [-1, 0, 0, 0]))[0]) == pytest.approx(0, abs=1e-2)


def test_learned_loss_by_hand_at_its_start():
    # sx = sq = 0: L1 position 7 / scale 2, and L1 rotation |cos 0.1 - 1| + sin 0.1
    value = LearnedWeightsLoss(scale=2.0)(
        TRUTH, heads([4, 6, 3], [math.cos(0.1), math.sin(0.1), 0, 0], False)
    )
    expected = 7 / 2 + 1 - math.cos(0.1) + math.sin(0.1)
    assert float(value[0]) == pytest.approx(expected, rel=1e-4)


def test_learned_weights_find_their_optimum():
    # for constant errors lx and lq the best log variances are log lx and log lq
    loss = LearnedWeightsLoss(scale=1.0)
    output = heads([1.5, 2, 3], [math.cos(0.01), math.sin(0.01), 0, 0], False)
    loss(TRUTH, output)
    import tensorflow as tf

    optimizer = keras.optimizers.Adam(0.005)
    for _ in range(400):
        with tf.GradientTape() as tape:
            value = keras.ops.mean(loss(TRUTH, output))
        optimizer.apply([tape.gradient(value, loss.paced.value)], [loss.paced])
    rotation = 1 - math.cos(0.01) + math.sin(0.01)
    np.testing.assert_allclose(
        np.asarray(loss.log_variances)[:2], [math.log(0.5), math.log(rotation)], atol=0.02
    )


def test_gradients_are_finite_at_a_perfect_answer():
    import tensorflow as tf

    for loss in (PoseNetLoss(), LearnedWeightsLoss()):
        variables = {
            name: tf.Variable(value) for name, value in heads([1, 2, 3], [1, 0, 0, 0]).items()
        }
        with tf.GradientTape() as tape:
            value = keras.ops.sum(loss(TRUTH, {name: v + 0.0 for name, v in variables.items()}))
        for gradient in tape.gradient(value, list(variables.values())):
            assert np.isfinite(gradient.numpy()).all()


@pytest.mark.parametrize("degrees", [0.01, 1.0, 90.0, 179.0])
def test_rotation_angle_equals_scipy(degrees):
    start = Rotation.from_rotvec([0.3, -0.5, 0.9])
    turned = start * Rotation.from_rotvec([0, np.radians(degrees), 0])
    a, b = (r.as_quat(scalar_first=True)[None].astype(np.float32) for r in (start, turned))
    assert np.degrees(float(rotation_angle(3 * a, -b)[0])) == pytest.approx(degrees, abs=2e-3)


def test_helpers():
    np.testing.assert_allclose(
        np.asarray(unit(np.float32([[0, 3, 0, 4]]))), [[0, 0.6, 0, 0.8]], atol=1e-6
    )
    np.testing.assert_array_equal(
        np.asarray(nearer_sign(np.float32([[1, 0, 0, 0]]), np.float32([[-1, 0, 0, 0]]))),
        [[1, 0, 0, 0]],
    )


def with_points(position, quaternion):
    """Return ground truth of 2 x 3 cells, one unknown, of a camera at (1, 2, 3) along z."""
    camera = np.float32([[[0, 0, 2], [1, 0, 4], [0, 1, 4]], [[0, 0, 8], [-1, 0, 2], [np.nan] * 3]])[
        None
    ]
    scene = camera + np.float32([1, 2, 3])
    return TRUTH | {"camera_coordinates": camera, "scene_coordinates": scene}, heads(
        position, quaternion, False
    )


def test_geometric_loss_by_hand():
    # moved by 0.4 along x: every point is off by 0.4, at depths 2, 4, 4, 8, 2
    truth, output = with_points([1.4, 2, 3], [1, 0, 0, 0])
    expected = 0.4 * (1 / 2 + 1 / 4 + 1 / 4 + 1 / 8 + 1 / 2) / 5
    assert float(GeometricLoss()(truth, output)[0]) == pytest.approx(expected, rel=1e-4)
    assert float(GeometricLoss()(*with_points([1, 2, 3], [-2, 0, 0, 0]))[0]) == pytest.approx(
        0, abs=1e-5
    )


def test_geometric_loss_of_a_turn_is_scipys():
    turn = Rotation.from_rotvec([0.1, -0.2, 0.05])
    truth, output = with_points([1, 2, 3], turn.as_quat(scalar_first=True))
    points = truth["camera_coordinates"].reshape(-1, 3)[:5].astype(float)
    expected = np.mean(np.linalg.norm(turn.inv().apply(points) - points, axis=1) / points[:, 2])
    assert float(GeometricLoss()(truth, output)[0]) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("kind", [LearnedWeightsLoss, GeometricLoss])
def test_points_are_weighed_where_they_are_known(kind):
    # Scene points are off by 3, camera points by 1, the scale is 2, and the pose is exact.
    truth, output = with_points([1, 2, 3], [1, 0, 0, 0])
    outputs = {
        "scene_coordinates": np.nan_to_num(truth["scene_coordinates"]) + np.float32([3, 0, 0])
    }
    outputs |= {
        "camera_coordinates": np.nan_to_num(truth["camera_coordinates"]) + np.float32([0, 1, 0])
    }
    assert float(kind(scale=2.0)(truth, output | outputs)[0]) == pytest.approx(
        (3 + 1) / 2, rel=1e-4
    )


def test_gradients_are_finite_where_no_point_is_known():
    import tensorflow as tf

    truth, output = with_points([1, 2, 3], [1, 0, 0, 0])
    truth = {
        name: np.full_like(each, np.nan) if "coordinates" in name else each
        for name, each in truth.items()
    }
    outputs = {
        name: tf.Variable(np.ones((1, 2, 3, 3), np.float32))
        for name in ("scene_coordinates", "camera_coordinates")
    }
    for kind in (LearnedWeightsLoss, GeometricLoss):
        with tf.GradientTape() as tape:
            value = keras.ops.sum(
                kind()(truth, output | {name: each + 0.0 for name, each in outputs.items()})
            )
        assert np.isfinite(float(value))
        for gradient in tape.gradient(value, list(outputs.values()), unconnected_gradients="zero"):
            assert np.isfinite(gradient.numpy()).all()


@pytest.mark.parametrize("kind", [PoseNetLoss, LearnedWeightsLoss, GeometricLoss])
def test_losses_are_computed_in_float32_under_a_mixed_policy(kind):
    truth, output = with_points([1.001, 2, 3], [1, 0, 0, 0])  # bfloat16 has no 1.001
    output |= {
        name: np.nan_to_num(truth[name]) for name in ("scene_coordinates", "camera_coordinates")
    }
    expected = float(kind()(truth, output)[0])
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        found = kind()(truth, output)[0]
    finally:
        keras.config.set_dtype_policy("float32")
    assert float(found) == pytest.approx(expected, rel=1e-5)
    assert expected > 1e-4
