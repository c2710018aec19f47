import keras
import numpy as np
import pytest
from keras import layers

from posenet.models.build import build_network, inference_network
from posenet.models.folding import fold_batch_norm

pytestmark = pytest.mark.slow


def randomize_norms(network, seed=0):
    rng = np.random.default_rng(seed)
    for layer in network.layers:
        if isinstance(layer, layers.BatchNormalization):
            values = {
                "gamma": rng.uniform(0.5, 1.5, layer.moving_mean.shape),
                "beta": rng.normal(size=layer.moving_mean.shape),
                "moving_mean": rng.normal(size=layer.moving_mean.shape),
                "moving_variance": rng.uniform(0.5, 2, layer.moving_mean.shape),
            }
            layer.set_weights([values[weight.name] for weight in layer.weights])


def num_norms(network):
    return sum(isinstance(layer, layers.BatchNormalization) for layer in network.layers)


def test_one_channel_by_hand():
    image = keras.Input((1, 1, 1))
    x = layers.Conv2D(1, 1, use_bias=False, name="conv")(image)
    network = keras.Model(image, layers.BatchNormalization(epsilon=0, name="norm")(x))
    network.get_layer("conv").set_weights([np.full((1, 1, 1, 1), 3.0)])
    # gamma, beta, mean, variance: (3 x - 5) / sqrt(4) * 10 + 7 = 15 x - 18
    network.get_layer("norm").set_weights([np.array([v]) for v in (10.0, 7.0, 5.0, 4.0)])
    folded = fold_batch_norm(network)
    kernel, bias = folded.get_layer("conv").get_weights()
    assert kernel.item() == pytest.approx(15)
    assert bias.item() == pytest.approx(-18)
    assert num_norms(folded) == 0
    assert folded.predict_on_batch(np.full((1, 1, 1, 1), 2.0)).item() == pytest.approx(12)


@pytest.mark.parametrize("backbone", ["googlenet", "efficientnet_lite0"])
@pytest.mark.parametrize("head", ["pose", "scene-coordinates"])
def test_folded_network_computes_the_same(backbone, head):
    network = build_network(backbone, (64, 96), head=head)
    randomize_norms(network)
    network = inference_network(network, backbone, (64, 96), head=head)
    folded = fold_batch_norm(network)
    assert num_norms(network) > 30
    assert num_norms(folded) == 0
    images = np.random.default_rng(1).uniform(0, 255, (2, 64, 96, 3)).astype(np.float32)
    expected = network.predict_on_batch(images)
    outputs = folded.predict_on_batch(images)
    assert set(outputs) == set(expected)
    for name, values in expected.items():
        scale = np.abs(values).max()
        np.testing.assert_allclose(outputs[name], values, atol=2e-4 * scale)


def test_training_network_folds_too_and_stays_unchanged():
    network = build_network("efficientnet_lite0", (64, 64), head="scene-coordinates")
    randomize_norms(network)
    before = [weight.copy() for weight in network.get_weights()]
    backbone = keras.Model(network.input, network.get_layer("points_fine").input)
    folded = fold_batch_norm(backbone)
    image = np.random.default_rng(2).uniform(0, 255, (1, 64, 64, 3)).astype(np.float32)
    expected = backbone.predict_on_batch(image)
    assert np.abs(expected).max() > 1
    np.testing.assert_allclose(
        folded.predict_on_batch(image), expected, atol=2e-4 * np.abs(expected).max()
    )
    for weight, old in zip(network.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weight, old)


def test_other_normalization_is_kept():
    image = keras.Input((4, 4, 2))
    activated = layers.Conv2D(2, 1, use_bias=False, activation="relu")(image)
    activated = layers.BatchNormalization(name="after_relu")(activated)
    shared = layers.Conv2D(2, 1, use_bias=False)(image)
    normed = layers.BatchNormalization(name="beside_another_use")(shared)
    biased = layers.BatchNormalization(name="after_bias")(layers.Conv2D(2, 1)(image))
    first = layers.BatchNormalization(name="first")(image)
    network = keras.Model(image, layers.Add()([activated, normed, shared, biased, first]))
    randomize_norms(network)
    folded = fold_batch_norm(network)
    assert num_norms(folded) == 4
    values = np.random.default_rng(3).normal(size=(2, 4, 4, 2))
    np.testing.assert_allclose(
        folded.predict_on_batch(values), network.predict_on_batch(values), atol=1e-5
    )
