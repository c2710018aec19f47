"""Caffe's weight files. caffe-tensorflow's .npy files of the same networks are the independent
conversion.
"""

import numpy as np
import pytest

from posenet.errors import PoseNetError
from posenet.models.weights.caffe import _message_class, read_binaryproto, read_caffemodel
from posenet.models.weights.npy import read_npy
from tests.helpers.weights import blob, field, varint

pytestmark = pytest.mark.slow


def layer(name, kind, bottom, top, *blobs):
    parts = field(1, name) + field(2, kind) + field(3, bottom) + field(4, top)
    return field(100, parts + b"".join(field(7, each) for each in blobs))


def v1_layer(name, kind, bottom, top, *blobs):
    parts = field(2, bottom) + field(3, top) + field(4, name) + varint(5 << 3) + varint(kind)
    return field(2, parts + b"".join(field(6, each) for each in blobs))


KERNEL = np.arange(2 * 3 * 4 * 5, dtype=np.float32).reshape(2, 3, 4, 5)  # out, in, height, width
DENSE = np.arange(7 * 12, dtype=np.float32).reshape(7, 12)  # on 2 channels of 2 x 3


@pytest.mark.parametrize("packed", [True, False])
def test_new_layers(tmp_path, packed):
    path = tmp_path / "net.caffemodel"
    path.write_bytes(
        field(1, b"a net")
        + layer(
            b"conv", b"Convolution", b"data", b"conv", blob(KERNEL, packed), blob([1, 2], packed)
        )
        + layer(b"relu", b"ReLU", b"conv", b"conv")
        + layer(b"fc", b"InnerProduct", b"conv", b"fc", blob(DENSE, packed))
        + layer(b"fc2", b"InnerProduct", b"fc", b"fc2", blob(np.ones((3, 14)), packed))
    )
    weights = read_caffemodel(path)
    assert weights["conv"]["kernel"].shape == (4, 5, 3, 2)
    assert weights["conv"]["kernel"][1, 2, 0, 1] == KERNEL[1, 0, 1, 2]
    np.testing.assert_array_equal(weights["conv"]["bias"], [1, 2])
    # row of height 1, width 0, channel 1 among 2 x 3 x 2, against channel 1, height 1, width 0
    # among 2 x 2 x 3
    np.testing.assert_array_equal(
        weights["fc"]["kernel"][(1 * 3 + 0) * 2 + 1], DENSE[:, 1 * 6 + 1 * 3 + 0]
    )
    assert weights["fc2"]["kernel"].shape == (14, 3)


def test_old_layers_with_four_dimensions(tmp_path):
    path = tmp_path / "net.caffemodel"
    path.write_bytes(
        v1_layer(b"conv", 4, b"data", b"conv", blob(KERNEL, legacy=True), blob([1, 2], legacy=True))
        + v1_layer(
            b"fc", 14, b"conv", b"fc", blob(DENSE, legacy=True), blob(np.arange(7), legacy=True)
        )
    )
    weights = read_caffemodel(path)
    np.testing.assert_array_equal(weights["conv"]["kernel"], KERNEL.transpose(2, 3, 1, 0))
    assert weights["fc"]["kernel"].shape == (12, 7)
    np.testing.assert_array_equal(weights["fc"]["bias"], np.arange(7))


def test_batch_norm_scale_and_concatenation(tmp_path):
    path = tmp_path / "net.caffemodel"
    both = (
        field(1, b"cat") + field(2, b"Concat") + field(3, b"a") + field(3, b"b") + field(4, b"cat")
    )
    path.write_bytes(
        layer(b"a", b"Convolution", b"data", b"a", blob(KERNEL))
        + layer(b"b", b"Convolution", b"data", b"b", blob(KERNEL))
        + layer(b"bn", b"BatchNorm", b"a", b"a", blob([2, 4]), blob([6, 8]), blob([2]))
        + layer(b"scale", b"Scale", b"a", b"a", blob([1, 2]), blob([3, 4]))
        + field(100, both)
        + layer(b"fc", b"InnerProduct", b"cat", b"fc", blob(np.arange(16).reshape(2, 8)))
    )
    weights = read_caffemodel(path)
    np.testing.assert_array_equal(weights["bn"]["moving_mean"], [1, 2])
    np.testing.assert_array_equal(weights["bn"]["moving_variance"], [3, 4])
    np.testing.assert_array_equal(weights["scale"]["beta"], [3, 4])
    np.testing.assert_array_equal(
        weights["fc"]["kernel"][:, 0], [0, 2, 4, 6, 1, 3, 5, 7]
    )  # four channels of 1 x 2


def test_mean_image(tmp_path):
    mean = np.arange(24, dtype=np.float32).reshape(1, 3, 2, 4)
    (tmp_path / "mean.binaryproto").write_bytes(blob(mean, legacy=True))
    found = read_binaryproto(tmp_path / "mean.binaryproto")
    assert found.shape == (2, 4, 3)
    assert found[1, 2, 0] == mean[0, 0, 1, 2]
    (tmp_path / "mean.binaryproto").write_bytes(blob(KERNEL))
    with pytest.raises(PoseNetError, match="must hold one image"):
        read_binaryproto(tmp_path / "mean.binaryproto")


def test_a_dense_layer_of_one_vector_and_names_that_are_no_utf8(tmp_path):
    path = tmp_path / "net.caffemodel"
    path.write_bytes(layer(b"d\xff", b"InnerProduct", b"data", b"d", blob(DENSE[0])))
    found = read_caffemodel(path)
    assert list(found) == ["d\xff"]
    assert found["d\xff"]["kernel"].shape == (12, 1)


def test_broken_files(tmp_path):
    path = tmp_path / "net.caffemodel"
    lying = field(5, b"\0" * 8) + field(7, field(1, varint(10**12)))
    whole = layer(b"conv", b"Convolution", b"data", b"conv", blob(KERNEL))
    for content, message in (
        (whole[:-3], "must be a Caffe file"),
        (b"", "it holds none"),
        (b"\xff" * 50, "must be a Caffe file"),
        (
            layer(b"c", b"Convolution", b"d", b"c", lying),
            "c: a blob of 2 numbers must have that size, it says (10",
        ),
        (layer(b"c", b"Convolution", b"d", b"c", blob(DENSE)), "a kernel needs 4 dimensions"),
        (b"\x13" * 1000, "must be a Caffe file"),
        (
            layer(b"d", b"InnerProduct", b"d", b"d", blob(KERNEL)),
            "d: dense weights need 2 dimensions",
        ),
        (
            layer(b"d", b"InnerProduct", b"d", b"d", blob(np.float32(1))),
            "d: dense weights need 2 dimensions",
        ),
        (
            layer(b"x", b"Other", b"d", b"x", field(7, field(1, varint(2**62) * 2 + b"\0"))),
            "a possible shape",
        ),
    ):
        path.write_bytes(content)
        with pytest.raises(PoseNetError) as refusal:
            read_caffemodel(path)
        assert message in str(refusal.value)
        assert "\n" not in str(refusal.value)
    with pytest.raises(PoseNetError, match="the file cannot be read"):
        read_caffemodel(tmp_path / "none")
    assert _message_class("NetParameter") is _message_class("NetParameter")


@pytest.mark.parametrize("name", ["det1", "det2"])
def test_real_networks_equal_their_independent_conversion(real_data, name):
    ours = read_caffemodel(real_data / f"weights/caffe_v2/{name}.caffemodel")
    theirs = read_npy(real_data / f"weights/npy/{name}.npy")
    assert set(ours) >= set(theirs)
    for layer_name, arrays in theirs.items():
        assert set(arrays) == set(ours[layer_name])
        for part, array in arrays.items():
            np.testing.assert_array_equal(ours[layer_name][part], array)


def test_real_old_network(real_data):
    weights = read_caffemodel(real_data / "weights/caffe_v1/cifar10_quick_iter_4000.caffemodel")
    assert {name: arrays["kernel"].shape for name, arrays in weights.items()} == {
        "conv1": (5, 5, 3, 32),
        "conv2": (5, 5, 32, 32),
        "conv3": (5, 5, 32, 64),
        "ip1": (1024, 64),
        "ip2": (64, 10),
    }
