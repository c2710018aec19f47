import keras
import numpy as np
import pytest

from posenet.models.build import build_network, get_backbone
from posenet.models.layers import FastBatchNorm

pytestmark = pytest.mark.slow


def layer_states(network):
    """Return whether each layer with weights is trained, by its name."""
    return {layer.name: layer.trainable for layer in network.layers if layer.weights}


def test_stages_of_efficientnet_cover_the_backbone_in_order():
    backbone = get_backbone("efficientnet_lite0")
    assert len(backbone.stages) == 17
    network = build_network("efficientnet_lite0", (64, 64), head="scene-coordinates")
    backbone.freeze(network, 0)
    assert all(layer_states(network).values())
    backbone.freeze(network, 2)
    frozen = [name for name, trainable in layer_states(network).items() if not trainable]
    assert {"_conv_stem", "_bn0", "_blocks_0__depthwise_conv", "_blocks_0__bn2"} <= set(frozen)
    assert not any(name.startswith(("_blocks_1_", "_blocks_10_", "points")) for name in frozen)
    backbone.freeze(network, 17)
    trained = [name for name, trainable in layer_states(network).items() if trainable]
    assert trained
    assert all(name.startswith("points") for name in trained)


def test_kept_statistics_normalize_in_training_and_do_not_change():
    layer = FastBatchNorm(epsilon=0, momentum=0.5)
    image = keras.Input((1, 1, 1))
    network = keras.Model(image, layer(image))
    layer.set_weights([np.array([v]) for v in (10.0, 7.0, 5.0, 4.0)])  # as in test_folding.py
    values = np.array([1.0, 3.0]).reshape(2, 1, 1, 1)
    batch = np.asarray(network(values, training=True)).ravel()
    np.testing.assert_allclose(batch, [-3, 17], atol=1e-4)  # (x - 2) * 10 + 7
    # (5 + 2) / 2 and (4 + 1) / 2
    np.testing.assert_allclose(np.asarray(layer.moving_mean), [3.5])
    layer.set_weights([np.array([v]) for v in (10.0, 7.0, 5.0, 4.0)])
    layer.keeps_statistics = True
    kept = np.asarray(network(values, training=True)).ravel()
    np.testing.assert_allclose(kept, [-13, -3], atol=1e-4)  # (x - 5) / 2 * 10 + 7
    np.testing.assert_array_equal(np.asarray(layer.moving_mean), [5])
    np.testing.assert_array_equal(np.asarray(layer.moving_variance), [4])
