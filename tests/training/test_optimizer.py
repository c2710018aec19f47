import keras
import numpy as np
import pytest

from posenet.training.optimizer import create_optimizer

pytestmark = pytest.mark.slow


def train(optimizer, rates):
    """Apply random gradients to a kernel, a matrix and an output layer."""
    rng = np.random.default_rng(0)
    shapes = {"kernel": (3, 3, 2, 4), "dense": (6, 5), "head_xyz": (5, 3)}
    variables = [
        keras.Variable(rng.normal(size=shape), name=name, dtype="float32")
        for name, shape in shapes.items()
    ]
    for variable, name in zip(variables, shapes, strict=True):
        variable._path = f"{name}/{name}"
    optimizer.build(variables)
    for rate in rates:
        optimizer.learning_rate = rate
        gradients = [
            keras.ops.convert_to_tensor(rng.normal(size=v.shape).astype(np.float32))
            for v in variables
        ]
        optimizer.apply(gradients, variables)
    return [np.asarray(variable) for variable in variables]


def test_updates_are_those_of_keras_muon():
    fast = create_optimizer()
    stock = keras.optimizers.Muon.from_config(fast.get_config())
    rates = [0.01, 0.02, 0.005, 0.01]
    for own, expected in zip(train(fast, rates), train(stock, rates), strict=True):
        np.testing.assert_allclose(own, expected, rtol=1e-5, atol=1e-6)


def test_adam_by_hand():
    # The first step of Adam moves each weight by rate * ratio * sign of the gradient.
    optimizer = create_optimizer()
    variable = keras.Variable(np.array([1.0, -2.0, 3.0]), name="bias", dtype="float32")
    optimizer.build([variable])
    optimizer.learning_rate = 0.1
    optimizer.apply([keras.ops.convert_to_tensor(np.float32([5, -0.1, 2]))], [variable])
    np.testing.assert_allclose(np.asarray(variable), [0.95, -1.95, 2.95], atol=1e-5)
    assert int(optimizer.iterations) == 1
