import keras
import numpy as np
import pytest
import tensorflow as tf

from posenet.errors import PoseNetError
from posenet.geometry.cropping import Crop
from posenet.models.build import BACKBONES, build_network, inference_network
from posenet.models.layers import FastBatchNorm, FastDepthwise, LocalResponseNorm, ToMeanBGR

pytestmark = pytest.mark.slow

SIZES = {"googlenet": (96, 128)}


@pytest.fixture(scope="module", params=sorted(BACKBONES))
def network(request):
    keras.utils.set_random_seed(1)
    model = build_network(request.param, SIZES.get(request.param, (224, 224)), (1, 2, 3), 5.0)
    head = next(
        layer
        for layer in model.layers
        if layer.name.startswith("cls3") and layer.name.endswith("wpqr")
    )
    head.set_weights(
        [head.get_weights()[0], np.array([0.6, -0.2, 0.3, 0.1])]
    )  # an untrained quaternion may be near 0
    return request.param, model


def test_every_backbone_has_its_heads_in_training_and_one_after(network):
    name, model = network
    heads = ("",) if name in ("efficientnet_lite0", "inception_v4") else ("", "aux1_", "aux2_")
    assert set(model.output) == {
        f"{head}{part}" for head in heads for part in ("position", "quaternion")
    }
    images = (
        np.random.default_rng(0).uniform(0, 255, (2, *model.input_shape[1:])).astype(np.float32)
    )
    plain = inference_network(model, name, model.input_shape[1:3], (1, 2, 3), 5.0)
    ours, theirs = plain(images), model(images)
    assert set(ours) == {"position", "quaternion"}
    np.testing.assert_allclose(ours["position"], theirs["position"], rtol=1e-4, atol=1e-4)
    expected = np.asarray(theirs["quaternion"])
    expected = expected / np.linalg.norm(expected, axis=1, keepdims=True)
    np.testing.assert_allclose(ours["quaternion"], expected, atol=1e-4)


def test_loaded_networks_predict_what_saved_ones_did(network, tmp_path):
    name, model = network
    plain = inference_network(model, name, model.input_shape[1:3], (1, 2, 3), 5.0)
    plain.save(tmp_path / "m.keras")
    again = keras.saving.load_model(tmp_path / "m.keras", compile=False)
    images = (
        np.random.default_rng(0).uniform(0, 255, (1, *model.input_shape[1:])).astype(np.float32)
    )
    for output in ("position", "quaternion"):
        np.testing.assert_array_equal(plain(images)[output], again(images)[output])


def test_posenet_has_the_published_number_of_parameters():
    assert build_network("posenet", (224, 224)).count_params() == 12_431_173
    assert build_network("posenet_tensorflow", (224, 224)).count_params() == 12_431_173
    # the Keras port's two batch normalizations, of 64 and of 192 channels, have four values a
    # channel
    assert build_network("posenet_keras", (224, 224)).count_params() == 12_431_173 + 4 * (64 + 192)
    backbone = build_network("posenet", (224, 224))
    convolutions = [layer for layer in backbone.layers if isinstance(layer, keras.layers.Conv2D)]
    assert (
        sum(layer.count_params() for layer in convolutions if not layer.name.startswith("cls"))
        == 5_973_552
    )


def test_the_graphs_differ_where_they_should():
    shapes = {
        name: build_network(name, (224, 224)).get_layer("pool2").output.shape[1:3]
        for name in BACKBONES
        if name.startswith("posenet")
    }
    assert shapes == {
        "posenet": (28, 28),
        "posenet_tensorflow": (28, 28),
        "posenet_keras": (27, 27),
    }
    assert build_network("posenet", (224, 224)).get_layer("conv1").output.shape[1:3] == (112, 112)
    drops = {name: build_network(name, (224, 224)).get_layer("cls1_drop").rate for name in shapes}
    assert drops == {"posenet": 0.7, "posenet_tensorflow": 0.0, "posenet_keras": 0.0}


def test_local_response_norm_by_hand():
    # one pixel, six channels, size 5, alpha 10, k 2: channel 0 sees channels 0-2, channel 3 sees
    # 1-5
    x = np.float32([[[[1, 2, 3, 4, 5, 6]]]])
    y = np.asarray(LocalResponseNorm(size=5, alpha=10.0, beta=0.75, k=2.0)(x)).ravel()
    assert y[0] == pytest.approx(1 / (2 + 2 * (1 + 4 + 9)) ** 0.75, rel=1e-5)
    assert y[3] == pytest.approx(4 / (2 + 2 * (4 + 9 + 16 + 25 + 36)) ** 0.75, rel=1e-5)


def test_local_response_norm_equals_tensorflows_with_alpha_divided():
    import tensorflow as tf

    x = np.random.default_rng(0).normal(0, 50, (2, 3, 4, 16)).astype(np.float32)
    expected = tf.nn.lrn(x, depth_radius=2, bias=1.0, alpha=1e-4 / 5, beta=0.75)
    np.testing.assert_allclose(LocalResponseNorm()(x), expected, rtol=1e-5)


def test_caffe_preprocessing_is_bgr_minus_mean():
    np.testing.assert_allclose(ToMeanBGR()(np.float32([[[[200, 150, 110]]]])), [[[[6, 33, 77]]]])


def test_start_positions_lie_near_the_scenes_center():
    keras.utils.set_random_seed(0)
    model = build_network("googlenet", (96, 96), (100.0, 200.0, 300.0), 5.0, auxiliary=False)
    outputs = model(np.random.default_rng(0).uniform(0, 255, (4, 96, 96, 3)).astype(np.float32))
    assert np.abs(np.asarray(outputs["position"]) - [100, 200, 300]).max() < 10


def test_unknown_backbone_is_one_line():
    with pytest.raises(
        PoseNetError,
        match="--backbone must be one of googlenet, efficientnet_lite0, .* received 'vgg'",
    ):
        build_network("vgg", (224, 224))


@pytest.mark.parametrize("training", [True, False])
def test_fast_batch_norm_gives_what_keras_own_gives(training):
    rng = np.random.default_rng(0)
    x = tf.constant(rng.normal(3, 2, (4, 5, 6, 8)), tf.float32)
    weight = tf.constant(rng.normal(size=(4, 5, 6, 8)), tf.float32)
    outputs, gradients, states = [], [], []
    for cls in (keras.layers.BatchNormalization, FastBatchNorm):
        layer = cls(momentum=0.9)
        layer.build(x.shape)
        layer.set_weights(
            [np.linspace(0.5, 2, 8), np.linspace(-1, 1, 8), np.full(8, 2.0), np.full(8, 3.0)]
        )
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = layer(x, training=training)
            total = tf.reduce_sum(y * weight)
        outputs.append(y.numpy())
        gradients.append(
            [g.numpy() for g in tape.gradient(total, [x, layer.gamma.value, layer.beta.value])],
        )
        states.append([layer.moving_mean.numpy(), layer.moving_variance.numpy()])
    np.testing.assert_allclose(outputs[1], outputs[0], atol=1e-5)
    for own, kerass in zip(gradients[1] + states[1], gradients[0] + states[0], strict=True):
        np.testing.assert_allclose(own, kerass, rtol=1e-4, atol=1e-4)
    assert np.allclose(states[1][0], 2.0) != training  # the averages move in training only


def test_fast_batch_norm_frozen_uses_the_moving_averages():
    layer = FastBatchNorm(trainable=False, epsilon=0.0)
    layer.build((None, 2, 2, 1))
    layer.set_weights([np.array([2.0]), np.array([1.0]), np.array([5.0]), np.array([4.0])])
    y = layer(tf.fill((1, 2, 2, 1), 9.0), training=True)
    np.testing.assert_allclose(y, 2 * (9 - 5) / 2 + 1, rtol=1e-6)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("kernel", [1, 3, 5, 7])
@pytest.mark.parametrize("stride", [1, 2])
def test_fast_depthwise_gives_what_keras_own_gives(precision, kernel, stride):
    rng = np.random.default_rng(0)
    values = [
        np.asarray(tf.cast(rng.normal(size=size), precision), np.float32)
        for size in ((2, 9, 12, 5), (kernel, kernel, 5, 1))
    ]
    outputss = []
    for cls, kind in ((keras.layers.DepthwiseConv2D, "float32"), (FastDepthwise, precision)):
        layer = cls(kernel, stride, "same", use_bias=False, dtype=kind)
        layer.build((None, 9, 12, 5))
        layer.set_weights(values[1:])
        x = tf.cast(values[0], kind)
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = layer(x)
            weight = tf.reshape(tf.cos(tf.range(tf.size(y), dtype=tf.float32)), y.shape)
            total = tf.reduce_sum(tf.cast(y, "float32") * weight)
        gradients = tape.gradient(total, [x, layer.kernel.value])
        outputss.append([np.asarray(tf.cast(each, "float32")) for each in (y, *gradients)])
    for own, kerass in zip(outputss[1], outputss[0], strict=True):
        slack = 1e-6 if precision == "float32" else 0.01
        np.testing.assert_allclose(own, kerass, atol=slack * np.abs(kerass).max() * 5)


def test_saved_networks_hold_kerass_own_layers():
    for backbone in ("googlenet", "efficientnet_lite0"):
        network = build_network(backbone, (64, 64))
        saved = inference_network(network, backbone, (64, 64), (0.0, 0.0, 0.0), 1.0)
        kinds = {type(layer) for layer in saved.layers}
        assert keras.layers.BatchNormalization in kinds
        assert {kind.__module__.split(".")[0] for kind in kinds} == {"keras"}


@pytest.mark.parametrize(
    "backbone", [name for name, each in BACKBONES.items() if each.feature_maps]
)
def test_the_scene_coordinate_head_has_the_unit_of_the_scene(backbone, tmp_path):
    keras.utils.set_random_seed(0)
    model = build_network(backbone, (96, 128), (10, 20, 30), 5.0, head="scene-coordinates")
    images = np.random.default_rng(0).uniform(0, 255, (2, 96, 128, 3)).astype(np.float32)
    outputs = {name: np.asarray(value) for name, value in model(images).items()}
    assert outputs["scene_coordinates"].shape == outputs["camera_coordinates"].shape == (2, 6, 8, 3)
    # an untrained network's scene points lie near the scene's center
    np.testing.assert_allclose(
        outputs["scene_coordinates"].mean(axis=(0, 1, 2)), [10, 20, 30], atol=5
    )
    assert set(outputs) == {
        "position",
        "quaternion",
        "residual_rms",
        "scene_coordinates",
        "camera_coordinates",
    }
    plain = inference_network(
        model, backbone, (96, 128), (10, 20, 30), 5.0, head="scene-coordinates"
    )
    plain.save(tmp_path / "m.keras")
    again = keras.saving.load_model(tmp_path / "m.keras", compile=False)(images)
    assert set(again) == {"position", "quaternion", "residual_rms"}
    np.testing.assert_allclose(again["position"], outputs["position"], rtol=1e-3, atol=1e-2)
    np.testing.assert_allclose(np.linalg.norm(outputs["quaternion"], axis=1), 1, atol=1e-5)


def test_maps_have_the_size_of_the_cells():
    for backbone in (each for each in BACKBONES.values() if each.feature_maps):
        fine, coarse = backbone.feature_maps(keras.Input((160, 208, 3)))
        assert fine.shape[1:3] == Crop((160, 208), (160, 208)).grid == (10, 13)
        assert coarse.shape[1:3] == (5, 7)
