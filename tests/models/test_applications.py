"""The networks of keras.applications as backbones, beside Keras' own way of using them."""

import importlib

import keras
import numpy as np
import pytest

from posenet.errors import PoseNetError
from posenet.models.applications import _PREPROCESSING, application_names, preprocessing
from posenet.models.build import build_network, get_backbone, inference_network
from posenet.models.weights.pretrained import load_weights

pytestmark = pytest.mark.slow

# one network of each family
FAMILIES = {
    "convnext": "ConvNeXtTiny",
    "densenet": "DenseNet121",
    "efficientnet": "EfficientNetB0",
    "efficientnet_v2": "EfficientNetV2B0",
    "inception_resnet_v2": "InceptionResNetV2",
    "inception_v3": "InceptionV3",
    "mobilenet": "MobileNet",
    "mobilenet_v2": "MobileNetV2",
    "mobilenet_v3": "MobileNetV3Small",
    "nasnet": "NASNetMobile",
    "resnet": "ResNet50",
    "resnet_v2": "ResNet50V2",
    "vgg16": "VGG16",
    "vgg19": "VGG19",
    "xception": "Xception",
}
SIZE = 96


def test_every_network_of_keras_is_known():
    made = [name for name in dir(keras.applications) if name[0].isupper()]
    assert sorted(application_names()) == sorted(made)
    assert set(FAMILIES) == set(_PREPROCESSING)


@pytest.mark.parametrize("family", FAMILIES)
def test_preprocessing_is_the_familys_own(family):
    image = np.random.default_rng(0).uniform(0, 255, (1, 4, 5, 3)).astype("f4")
    expected = getattr(keras.applications, family).preprocess_input(image.copy())
    np.testing.assert_allclose(preprocessing(FAMILIES[family])(image), expected, atol=1e-4)


def with_random_weights(name):
    """Keras' own network, all arrays random; EfficientNet's colors as in its published files."""
    network = getattr(keras.applications, name)(
        weights=None, include_top=False, input_shape=(SIZE, SIZE, 3)
    )
    rng = np.random.default_rng(0)
    for variable in network.weights:
        if variable.name == "variance":
            variable.assign([0.229, 0.224, 0.225])  # the deviation: tensorflow/tensorflow#49930
        elif variable.name == "mean":
            variable.assign([0.485, 0.456, 0.406])
        elif variable.name in ("moving_variance", "gamma"):
            variable.assign(rng.uniform(0.5, 1.5, variable.shape))
        elif variable.name in ("moving_mean", "beta", "bias"):
            variable.assign(rng.normal(0, 0.2, variable.shape))
    return network


@pytest.mark.parametrize(
    "name", ["MobileNetV2", "EfficientNetB0", "InceptionV3", "ResNet50", "ConvNeXtTiny"]
)
def test_keras_files_give_what_keras_gives(name, tmp_path, monkeypatch):
    path = tmp_path / "published.h5"
    with_random_weights(name).save(path)
    make = getattr(keras.applications, name)
    module = importlib.import_module(make.__module__)
    monkeypatch.setattr(
        module.file_utils, "get_file", lambda *_, **__: path
    )  # Keras finds its "ImageNet" weights here
    theirs = make(weights="imagenet", include_top=False, input_shape=(SIZE, SIZE, 3))
    image = np.random.default_rng(1).uniform(0, 255, (1, SIZE, SIZE, 3)).astype("f4")
    own = importlib.import_module(f"keras.applications.{make.__module__.rpartition('.')[2]}")
    expected = np.asarray(theirs(own.preprocess_input(image.copy())))

    network = build_network(name, (SIZE, SIZE))
    loaded = load_weights(network, name, path)
    assert loaded.missing == ["cls3_where", "cls3_where_bn", "cls3_hidden", "cls3_xyz", "cls3_wpqr"]
    features = keras.Model(network.input, network.get_layer("cls3_pool").input)
    assert np.abs(np.asarray(features(image)) - expected).max() < 1e-4 * np.abs(expected).max()

    saved = inference_network(network, name, (SIZE, SIZE), (0.0, 0.0, 0.0), 1.0)
    saved.save(tmp_path / "model.keras")
    reread = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(
        reread(image)["position"], network(image)["position"], rtol=1e-3, atol=1e-4
    )


def test_a_file_with_the_classifier_is_read_too(tmp_path):
    source = keras.applications.MobileNetV3Small(weights=None)
    source.save(tmp_path / "top.h5")
    network = build_network("MobileNetV3Small", (SIZE, SIZE))
    loaded = load_weights(network, "MobileNetV3Small", tmp_path / "top.h5")
    assert loaded.unexpected == ["conv_2", "logits"]
    kernel = network.get_layer("backbone").get_layer("conv_1").get_weights()[0]
    np.testing.assert_array_equal(kernel, source.get_layer("conv_1").get_weights()[0])


def test_a_file_of_another_network_is_refused(tmp_path):
    with_random_weights("MobileNet").save(tmp_path / "w.h5")
    with pytest.raises(
        PoseNetError, match=r"w\.h5 must contain 104 layers for this network, it contains 54"
    ):
        load_weights(build_network("MobileNetV2", (SIZE, SIZE)), "MobileNetV2", tmp_path / "w.h5")


def test_classifier_is_the_whole_network():
    network = get_backbone("MobileNetV3Small").classifier()
    assert network.input_shape == (None, 224, 224, 3)
    shares = network.predict(np.zeros((1, 224, 224, 3)), verbose=0)
    assert shares.shape == (1, 1000)
    assert shares.sum() == pytest.approx(1, abs=1e-3)
