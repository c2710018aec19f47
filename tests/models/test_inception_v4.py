"""Inception-v4 beside the same network in plain TensorFlow operations, saved as TF-Slim and the
Keras port do.
"""

import h5py
import numpy as np
import pytest
import tensorflow as tf

from posenet.errors import PoseNetError
from posenet.models import inception_v4
from posenet.models.build import build_network
from posenet.models.weights.layer_names import inception_v4_names
from posenet.models.weights.pretrained import load_weights
from tests.helpers.images import write_image

pytestmark = pytest.mark.slow


class Slim:
    """Inception-v4 from operations: makes random variables by their TF-Slim names on first use, in
    order.
    """

    def __init__(self):
        self.rng, self.variables = np.random.default_rng(0), {}

    def conv(self, x, scope, filters, stride=1, padding="SAME"):
        height, width = (int(side) for side in scope.rpartition("_")[2].split("x"))
        if f"{scope}/weights" not in self.variables:
            shape = (height, width, int(x.shape[-1]), filters)
            self.variables[f"{scope}/weights"] = self.rng.normal(
                0, (2 / np.prod(shape[:3])) ** 0.5, shape
            )
            self.variables[f"{scope}/BatchNorm/beta"] = self.rng.normal(0, 0.2, filters)
            self.variables[f"{scope}/BatchNorm/moving_mean"] = self.rng.normal(0, 0.2, filters)
            self.variables[f"{scope}/BatchNorm/moving_variance"] = self.rng.uniform(
                0.5, 1.5, filters
            )
        names = ("weights", "BatchNorm/moving_mean", "BatchNorm/moving_variance", "BatchNorm/beta")
        kernel, mean, variance, beta = (
            np.float32(self.variables[f"{scope}/{name}"]) for name in names
        )
        x = tf.nn.conv2d(x, kernel, stride, padding)
        return tf.nn.relu((x - mean) / np.sqrt(variance + 0.001) + beta)

    def chain(self, x, branch, *steps):
        for scope, filters in steps:
            x = self.conv(x, f"{branch}/Conv2d_{scope}", filters)
        return x

    def __call__(self, image):
        x = image / 127.5 - 1
        x = self.conv(x, "Conv2d_1a_3x3", 32, 2, "VALID")
        x = self.conv(self.conv(x, "Conv2d_2a_3x3", 32, 1, "VALID"), "Conv2d_2b_3x3", 64)
        x = tf.concat(
            [halved(x), self.conv(x, "Mixed_3a/Branch_1/Conv2d_0a_3x3", 96, 2, "VALID")], 3
        )
        first = self.chain(x, "Mixed_4a/Branch_0", ("0a_1x1", 64))
        first = self.conv(first, "Mixed_4a/Branch_0/Conv2d_1a_3x3", 96, 1, "VALID")
        second = self.chain(x, "Mixed_4a/Branch_1", ("0a_1x1", 64), ("0b_1x7", 64), ("0c_7x1", 64))
        x = tf.concat(
            [first, self.conv(second, "Mixed_4a/Branch_1/Conv2d_1a_3x3", 96, 1, "VALID")], 3
        )
        x = tf.concat(
            [self.conv(x, "Mixed_5a/Branch_0/Conv2d_1a_3x3", 192, 2, "VALID"), halved(x)], 3
        )
        for name in ("Mixed_5b", "Mixed_5c", "Mixed_5d", "Mixed_5e"):
            x = self.block_a(x, name)
        first = self.conv(x, "Mixed_6a/Branch_0/Conv2d_1a_3x3", 384, 2, "VALID")
        second = self.chain(x, "Mixed_6a/Branch_1", ("0a_1x1", 192), ("0b_3x3", 224))
        second = self.conv(second, "Mixed_6a/Branch_1/Conv2d_1a_3x3", 256, 2, "VALID")
        x = tf.concat([first, second, halved(x)], 3)
        for letter in "bcdefgh":
            x = self.block_b(x, f"Mixed_6{letter}")
        first = self.chain(x, "Mixed_7a/Branch_0", ("0a_1x1", 192))
        first = self.conv(first, "Mixed_7a/Branch_0/Conv2d_1a_3x3", 192, 2, "VALID")
        second = self.chain(
            x, "Mixed_7a/Branch_1", ("0a_1x1", 256), ("0b_1x7", 256), ("0c_7x1", 320)
        )
        second = self.conv(second, "Mixed_7a/Branch_1/Conv2d_1a_3x3", 320, 2, "VALID")
        x = tf.concat([first, second, halved(x)], 3)
        for letter in "bcd":
            x = self.block_c(x, f"Mixed_7{letter}")
        x = tf.reduce_mean(x, (1, 2))
        if "Logits/Logits/weights" not in self.variables:
            self.variables["Logits/Logits/weights"] = self.rng.normal(0, 0.02, (1536, 1001))
            self.variables["Logits/Logits/biases"] = self.rng.normal(0, 0.1, 1001)
        return tf.nn.softmax(x @ self.dense("weights") + self.dense("biases")).numpy()

    def dense(self, name):
        return np.float32(self.variables[f"Logits/Logits/{name}"])

    def block_a(self, x, name):
        parts = [
            self.chain(x, f"{name}/Branch_0", ("0a_1x1", 96)),
            self.chain(x, f"{name}/Branch_1", ("0a_1x1", 64), ("0b_3x3", 96)),
            self.chain(x, f"{name}/Branch_2", ("0a_1x1", 64), ("0b_3x3", 96), ("0c_3x3", 96)),
            self.chain(averaged(x), f"{name}/Branch_3", ("0b_1x1", 96)),
        ]
        return tf.concat(parts, 3)

    def block_b(self, x, name):
        long = ("0a_1x1", 192), ("0b_7x1", 192), ("0c_1x7", 224), ("0d_7x1", 224), ("0e_1x7", 256)
        parts = [
            self.chain(x, f"{name}/Branch_0", ("0a_1x1", 384)),
            self.chain(x, f"{name}/Branch_1", ("0a_1x1", 192), ("0b_1x7", 224), ("0c_7x1", 256)),
            self.chain(x, f"{name}/Branch_2", *long),
            self.chain(averaged(x), f"{name}/Branch_3", ("0b_1x1", 128)),
        ]
        return tf.concat(parts, 3)

    def block_c(self, x, name):
        parts = [self.chain(x, f"{name}/Branch_0", ("0a_1x1", 256))]
        wide = self.chain(x, f"{name}/Branch_1", ("0a_1x1", 384))
        parts += [
            self.chain(wide, f"{name}/Branch_1", (scope, 256)) for scope in ("0b_1x3", "0c_3x1")
        ]
        deep = self.chain(x, f"{name}/Branch_2", ("0a_1x1", 384), ("0b_3x1", 448), ("0c_1x3", 512))
        parts += [
            self.chain(deep, f"{name}/Branch_2", (scope, 256)) for scope in ("0d_1x3", "0e_3x1")
        ]
        return tf.concat([*parts, self.chain(averaged(x), f"{name}/Branch_3", ("0b_1x1", 256))], 3)


def halved(x):
    return tf.nn.max_pool2d(x, 3, 2, "VALID")


def averaged(x):
    return tf.nn.avg_pool2d(x, 3, 1, "SAME")


@pytest.fixture(scope="module")
def image():
    small = np.random.default_rng(1).uniform(0, 255, (1, 12, 12, 3))
    return tf.image.resize(small, (299, 299), "bicubic").numpy().astype("f4")


@pytest.fixture(scope="module")
def slim(image):
    """The network in operations, its variables made, and what it says of the image."""
    network = Slim()
    network.answer = network(image)
    return network


@pytest.fixture(scope="module")
def checkpoint(slim, tmp_path_factory):
    prefix = tmp_path_factory.mktemp("slim") / "inception_v4.ckpt"
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        made = {}
        for name, value in slim.variables.items():
            made[f"InceptionV4/{name}"] = tf.compat.v1.Variable(
                np.float32(value), use_resource=False
            )
        made["global_step"] = tf.compat.v1.Variable(1, use_resource=False)
        aux = tf.compat.v1.Variable(np.zeros((768, 1001), "f4"), use_resource=False)
        made["InceptionV4/AuxLogits/Aux_logits/weights"] = aux
        session.run(tf.compat.v1.global_variables_initializer())
        tf.compat.v1.train.Saver(made).save(session, str(prefix))
    return prefix


@pytest.fixture(scope="module")
def classifier():
    return inception_v4.classifier()


def answers(classifier, path, image, part="classifier"):
    for (
        layer
    ) in classifier.layers:  # what an earlier test loaded must not pass for what this one loads
        for variable in layer.weights:
            variable.assign(np.zeros(variable.shape))
    loaded = load_weights(classifier, "inception_v4", path, part)
    return loaded, classifier.predict(image, verbose=0)


def test_numbers(classifier):
    # 41,079,648 of 149 kernels, 3 x 31,584 of normalizations, 1537 x 1001 of the classifier
    assert classifier.count_params() == 41_079_648 + 3 * 31_584 + 1537 * 1001
    assert len(inception_v4.convolution_names()) == 149
    shapes = [
        classifier.get_layer(name).output.shape[1:] for name in ("Mixed_5a", "Mixed_6a", "Mixed_7d")
    ]
    assert shapes == [(35, 35, 384), (17, 17, 1024), (8, 8, 1536)]


def test_tf_slims_checkpoint(slim, checkpoint, classifier, image):
    loaded, found = answers(classifier, checkpoint, image)
    assert loaded.missing == []
    assert loaded.unexpected == ["AuxLogits_Aux_logits"]
    assert np.abs(found - slim.answer).max() < 1e-4 * slim.answer.max()
    assert slim.answer.max() > 3 / 1001  # not all the same: the comparison says something


def write_port(path, slim, theano=False, keras2_theano=False, top=True):
    """The Keras port's file: automatic names, in an order of their own."""
    kernels = [
        np.float32(v)
        for name, v in slim.variables.items()
        if name.endswith("/weights") and v.ndim == 4
    ]
    if theano or keras2_theano:
        kernels = [kernel[::-1, ::-1] for kernel in kernels]
    if theano:
        kernels = [kernel.transpose(3, 2, 0, 1) for kernel in kernels]
    layers = {f"conv2d_{number}": {"kernel:0": kernel} for number, kernel in enumerate(kernels, 1)}
    scopes = [name.removesuffix("/beta") for name in slim.variables if name.endswith("/beta")]
    for number, scope in enumerate(scopes, 1):
        parts = {
            f"{name}:0": slim.variables[f"{scope}/{name}"]
            for name in ("beta", "moving_mean", "moving_variance")
        }
        layers[f"batch_normalization_{number}"] = parts
    if top:
        layers["dense_1"] = {"kernel:0": slim.dense("weights"), "bias:0": slim.dense("biases")}
    with h5py.File(path, "w") as file:
        if theano or keras2_theano:
            file.attrs["backend"] = b"theano"
        file.attrs["layer_names"] = [
            name.encode() for name in sorted(layers)
        ]  # as text: conv2d_10 before conv2d_2
        for layer, arrays in layers.items():
            names = [f"{layer}/{name}" for name in arrays]
            file.create_group(layer).attrs["weight_names"] = [name.encode() for name in names]
            for name, array in zip(names, arrays.values(), strict=True):
                file[layer].create_dataset(name, data=np.float32(array))
    return path


@pytest.mark.parametrize("order", [{}, {"theano": True}, {"keras2_theano": True}], ids=str)
def test_the_keras_ports_file(slim, classifier, image, tmp_path, order):
    loaded, found = answers(classifier, write_port(tmp_path / "port.h5", slim, **order), image)
    assert loaded.missing == loaded.unexpected == []
    assert np.abs(found - slim.answer).max() < 1e-4 * slim.answer.max()


def test_as_a_backbone(slim, tmp_path):
    network = build_network("inception_v4", (96, 128))
    path = write_port(tmp_path / "notop.h5", slim, top=False)
    loaded = load_weights(network, "inception_v4", path)
    assert len(loaded.matched) == 298
    assert all(name.startswith("cls3") for name in loaded.missing)
    kernel = network.get_layer("Mixed_7d_Branch_2_Conv2d_0e_3x1").get_weights()[0]
    np.testing.assert_array_equal(
        kernel, np.float32(slim.variables["Mixed_7d/Branch_2/Conv2d_0e_3x1/weights"])
    )


def test_a_kernel_of_another_place_is_refused(slim, tmp_path, classifier):
    path = write_port(tmp_path / "port.h5", slim)
    with h5py.File(path, "a") as file:
        del file["conv2d_3/conv2d_3/kernel:0"]
        file["conv2d_3"].create_dataset("conv2d_3/kernel:0", data=np.zeros((3, 3, 32, 65), "f4"))
    with pytest.raises(PoseNetError) as refusal:
        load_weights(classifier, "inception_v4", path, "classifier")
    expected = (
        "kernel of the layer Conv2d_2b_3x3 must have shape (3, 3, 32, 64), received (3, 3, 32, 65)"
    )
    assert expected in str(refusal.value)


def test_other_layers_keep_their_names():
    arrays = {"kernel": np.zeros((1, 1, 1, 1))}
    assert inception_v4_names({"mine": arrays}) == {"mine": arrays}
    assert (
        list(inception_v4_names({"conv2d_2": {}, "conv2d_1": arrays, "mine": arrays | {}}))[-1]
        == "mine"
    )


def test_classify_says_background_for_the_first_class(slim, tmp_path, capsys):
    from posenet.cli.main import main

    write_image(tmp_path / "a.png", (300, 400))
    biases = slim.variables["Logits/Logits/biases"].copy()
    slim.variables["Logits/Logits/biases"][[0, 387]] += (40, 39)
    path = write_port(tmp_path / "port.h5", slim)
    slim.variables["Logits/Logits/biases"] = biases
    assert (
        main(
            [
                "classify",
                str(tmp_path / "a.png"),
                "--backbone",
                "inception_v4",
                "--weights",
                str(path),
            ]
        )
        == 0
    )
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("%  ")[1] for line in lines[:2]] == ["background", "African elephant"]
