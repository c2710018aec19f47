"""Published weights in the graph that they were made for. Plain TensorFlow 1 operations are the
independent graph.
"""

import logging

import h5py
import numpy as np
import pytest

from posenet.errors import PoseNetError
from posenet.models.build import build_network
from posenet.models.weights.convert import convert_weights
from posenet.models.weights.layer_names import our_name
from posenet.models.weights.load import (
    LoadReport,
    assign_by_name,
    load_network,
    read_weights,
    weight_format,
)
from tests.helpers.weights import CHANNELS, random_weights, save_npy

pytestmark = pytest.mark.slow

KERAS = {"running_mean": "moving_mean", "running_std": "moving_variance"}


def plain_tensorflow(x, weights, batch_norm=False, epsilon=1e-3, symmetric=False):
    """The ports' graphs in TensorFlow 1's operations: SAME padding, tf.nn.lrn; keras-posenet's with
    batch_norm, the PyTorch port's with symmetric.
    """
    import tensorflow as tf

    def conv(x, name, stride=1):
        w = weights[name]
        padding = [[0, 0], [3, 3], [3, 3], [0, 0]] if symmetric and stride == 2 else "SAME"
        return tf.nn.relu(
            tf.nn.conv2d(x, w["weights"], [1, stride, stride, 1], padding) + w["biases"]
        )

    def pool(x, stride, padding="SAME"):
        padding = [[0, 0], [1, 1], [1, 1], [0, 0]] if symmetric and stride == 2 else padding
        return tf.nn.max_pool2d(x, 3, stride, padding)

    def norm(x, name):
        if not batch_norm:
            return tf.nn.lrn(x, depth_radius=2, alpha=2e-5, beta=0.75, bias=1.0)
        w = weights[name]
        return (
            w["gamma"] * (x - w["running_mean"]) / tf.sqrt(w["running_std"] + epsilon) + w["beta"]
        )

    def dense(x, name):
        return x @ weights[name]["weights"] + weights[name]["biases"]

    x = norm(pool(conv(x, "conv1", 2), 2), "norm1")
    x = pool(
        norm(conv(conv(x, "reduction2"), "conv2"), "norm2"), 2, "VALID" if batch_norm else "SAME"
    )
    for name in CHANNELS:
        x = pool(x, 2) if name in ("icp3", "icp8") else x
        parts = [conv(x, f"{name}_out0"), conv(conv(x, f"{name}_reduction1"), f"{name}_out1")]
        parts += [
            conv(conv(x, f"{name}_reduction2"), f"{name}_out2"),
            conv(pool(x, 1), f"{name}_out3"),
        ]
        x = tf.concat(parts, 3)
    x = tf.nn.relu(
        dense(tf.reshape(tf.nn.avg_pool2d(x, 7, 1, "VALID"), (-1, 1024)), "cls3_fc1_pose")
    )
    return np.asarray(dense(x, "cls3_fc_pose_xyz")), np.asarray(dense(x, "cls3_fc_pose_wpqr"))


@pytest.fixture(scope="module")
def image():
    return np.random.default_rng(1).uniform(-120, 140, (2, 224, 224, 3)).astype("f4")


def check(network, image, expected):
    found = network.predict(image, verbose=0)
    for name, theirs in zip(("position", "quaternion"), expected, strict=True):
        assert np.abs(found[name] - theirs).max() < 1e-4 * np.abs(theirs).max()


def save_checkpoint(prefix, weights):
    import tensorflow as tf

    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        made = {}
        for layer, arrays in weights.items():
            for name, array in arrays.items():
                made[f"{layer}/{name}"] = tf.compat.v1.Variable(array)
                made[f"{layer}/{name}/Adam"] = tf.compat.v1.Variable(np.zeros_like(array))
        session.run(tf.compat.v1.global_variables_initializer())
        tf.compat.v1.train.Saver(made).save(session, str(prefix))


def test_tensorflow_graph_from_a_checkpoint(tmp_path, image):
    weights = random_weights()
    save_checkpoint(tmp_path / "PoseNet.ckpt", weights)
    network = load_network(tmp_path / "PoseNet.ckpt", labels="world_from_camera")
    check(network, image, plain_tensorflow(image, weights))


def test_keras_ports_graph_from_an_h5_file(tmp_path, image):
    weights = random_weights(batch_norm=True)
    short = {"weights": "W", "biases": "b"}
    with h5py.File(tmp_path / "trained_weights.h5", "w") as file:
        file.attrs["layer_names"] = [name.encode() for name in weights]
        for layer, arrays in weights.items():
            names = [f"{layer}_{short.get(name, name)}" for name in arrays]
            file.create_group(layer).attrs["weight_names"] = [name.encode() for name in names]
            for name, array in zip(names, arrays.values(), strict=True):
                file[layer].create_dataset(name, data=array)
    network = load_network(tmp_path / "trained_weights.h5", labels="world_from_camera")
    check(network, image, plain_tensorflow(image, weights, batch_norm=True))


def test_keras_ports_epsilon_is_an_option(tmp_path, image):
    weights = random_weights(batch_norm=True)
    for name in ("norm1", "norm2"):
        weights[name]["running_std"] = np.full_like(
            weights[name]["running_std"], 0.001
        )  # epsilon counts as much
    expected = plain_tensorflow(image, weights, batch_norm=True, epsilon=1e-5)
    path = save_npy(
        tmp_path / "w.npy",
        {n: {KERAS.get(k, k): v for k, v in a.items()} for n, a in weights.items()},
    )
    check(
        load_network(path, "keras", labels="world_from_camera", batchnorm_epsilon=1e-5),
        image,
        expected,
    )
    other = load_network(path, "keras", labels="world_from_camera").predict(image, verbose=0)
    assert np.abs(other["position"] - expected[0]).max() > 1e-2 * np.abs(expected[0]).max()


def test_pytorchs_graph_pads_its_pools_on_every_side(tmp_path, image):
    weights = random_weights()
    path = save_npy(tmp_path / "w.npy", weights)
    network = load_network(path, "pytorch", labels="world_from_camera")
    assert network.input.name == "rgb"
    check(network, image, plain_tensorflow(image, weights, symmetric=True))


def test_labels_of_cambridge_are_turned_round(tmp_path, image):
    path = save_npy(tmp_path / "posenet.npy", random_weights())
    plain = load_network(path, labels="world_from_camera").predict(image, verbose=0)
    turned = load_network(path).predict(image, verbose=0)
    np.testing.assert_array_equal(turned["position"], plain["position"])
    np.testing.assert_array_equal(turned["quaternion"], plain["quaternion"] * [1, -1, -1, -1])


def test_a_shape_that_does_not_fit_names_both(tmp_path):
    weights = random_weights()
    weights["icp3_out1"]["weights"] = np.zeros((3, 3, 96, 200), "f4")
    with pytest.raises(PoseNetError) as refusal:
        load_network(save_npy(tmp_path / "w.npy", weights))
    expected = (
        "kernel of the layer icp3_out1 must have shape (3, 3, 96, 208), received (3, 3, 96, 200)"
    )
    assert expected in str(refusal.value)


def test_missing_and_unexpected_layers_are_told(tmp_path, caplog):
    weights = random_weights()
    weights["loss3/classifier"] = {"weights": np.zeros((2, 2)), "biases": np.zeros(2)}
    caplog.set_level(logging.INFO)
    load_network(save_npy(tmp_path / "w.npy", weights))
    assert "60 layers matched; 0 missing; 1 unexpected (cls3_classifier)" in caplog.text
    del weights["cls3_fc_pose_xyz"]
    with pytest.raises(
        PoseNetError, match=r"every layer of PoseNet, 59 layers matched; 1 missing \(cls3_fc_po"
    ):
        load_network(save_npy(tmp_path / "w.npy", weights))
    weights["conv1"].pop("biases")
    with pytest.raises(PoseNetError, match=r"the layer conv1 must have a bias, it has kernel"):
        load_network(save_npy(tmp_path / "w.npy", weights))


def test_bvlc_and_slim_names():
    assert our_name("inception_4e/5x5_reduce") == "icp7_reduction2"
    assert our_name("conv1/7x7_s2") == "conv1"
    assert our_name("loss2/fc") == "cls2_fc1"
    assert our_name("InceptionV1/InceptionV1/Mixed_5b/Branch_2/Conv2d_0a_3x3") == "icp8_out2"
    assert our_name("InceptionV1/Mixed_3b/Branch_0/Conv2d_0a_1x1") == "icp1_out0"
    assert our_name("extract.incp5b.branch_x5.2") == "icp9_out2"
    assert our_name("regress2.regress_fc_wpqr") == "cls2_fc_pose_wpqr"
    assert our_name("icp4_out0") == "icp4_out0"


def test_backbone_of_googlenet_for_training(tmp_path):
    weights = random_weights()
    network = build_network("posenet", (224, 224))
    loaded = assign_by_name(
        network, read_weights(save_npy(tmp_path / "w.npy", weights)), tmp_path / "w.npy"
    )
    assert isinstance(loaded, LoadReport)
    assert len(loaded.matched) == 60
    assert sorted(loaded.missing)[:2] == ["cls1_fc1_pose", "cls1_fc_pose_wpqr"]
    np.testing.assert_array_equal(
        network.get_layer("icp9_out2").get_weights()[0], weights["icp9_out2"]["weights"]
    )


def test_formats(tmp_path):
    for name, kind in (
        ("a.caffemodel", "caffemodel"),
        ("a.npy", "npy"),
        ("a.h5", "h5"),
        ("a.pth", "pth"),
    ):
        (tmp_path / name).write_bytes(b"x")
        assert weight_format(tmp_path / name) == kind
    (tmp_path / "a.txt").write_bytes(b"x")
    with pytest.raises(PoseNetError, match=r"a.txt must be a weight file \(.caffemodel, .npy"):
        weight_format(tmp_path / "a.txt")
    with pytest.raises(PoseNetError, match="weight file not found: .*none.npy"):
        weight_format(tmp_path / "none.npy")
    with pytest.raises(
        PoseNetError,
        match="the variant must be one of caffe, tensorflow, keras, pytorch, received 'torch'",
    ):
        load_network(tmp_path / "a.npy", variant="torch")
    (tmp_path / "a.npz").write_bytes(b"x")
    with pytest.raises(
        PoseNetError,
        match=r"a.npz: an .npz file does not state its variant, give --variant: one of caffe",
    ):
        load_network(tmp_path / "a.npz")


def test_a_converted_npz_loads_as_its_original(tmp_path):
    original = save_npy(tmp_path / "w.npy", random_weights())
    convert_weights(original, tmp_path / "w.npz")
    images = np.random.default_rng(1).uniform(-100, 100, (2, 224, 224, 3)).astype("f4")
    expected = load_network(original).predict_on_batch(images)
    found = load_network(tmp_path / "w.npz", "tensorflow").predict_on_batch(images)
    np.testing.assert_array_equal(found["position"], expected["position"])
