"""Keras' .h5 weight files."""

import re
import struct
import subprocess
import sys
from functools import partial

import h5py
import numpy as np
import pytest

from posenet.models.weights.keras_h5 import read_keras_h5
from tests.helpers.errors import refusal

RNG = np.random.default_rng(0)


def write(path, layers, under=None, **attributes):
    """layers: {name: {weight name: array}}."""
    with h5py.File(path, "w") as file:
        file.attrs.update(attributes)
        root = file.create_group(under) if under else file
        root.attrs["layer_names"] = [name.encode() for name in layers]
        for name, arrays in layers.items():
            group = root.create_group(name)
            group.attrs["weight_names"] = [each.encode() for each in arrays]
            for each, array in arrays.items():
                group.create_dataset(each, data=array)
    return path


refused = partial(refusal, read_keras_h5)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="memory is bounded on Linux only")
def test_lengths_of_texts_are_not_taken_at_their_word(tmp_path):
    """A length of 4 GB in libhdf5's heap of texts, in a process of its own so that its peak memory
    can be measured.
    """
    path = write(tmp_path / "w.h5", {"a-layer-of-a-longish-name": {"kernel": np.ones((2, 2))}})
    with h5py.File(path, "a") as file:
        del file.attrs["layer_names"]
        file.attrs["layer_names"] = np.array(["a-layer-of-a-longish-name"], h5py.string_dtype())
    content = path.read_bytes()
    assert read_keras_h5(path)
    # the attribute's value is length (4 bytes), heap's address (8), number (4)
    heaps = [found.start() for found in re.finditer(b"GCOL", content)]
    (place,) = [at for h in heaps if (at := content.find(struct.pack("<IQ", 25, h))) >= 0]
    path.write_bytes(content[:place] + (4_000_000_000).to_bytes(4, "little") + content[place + 4 :])
    script = (
        "import re, sys; from pathlib import Path; from posenet.models.weights.keras_h5 import read_keras_h5\n"
        "try: read_keras_h5(Path(sys.argv[1]))\n"
        "except Exception as error: print(type(error).__name__)\n"
        "print(re.search(r'VmHWM:\\s+(\\d+)', Path('/proc/self/status').read_text())[1])"
    )
    said, peak = subprocess.run(
        [sys.executable, "-c", script, str(path)], capture_output=True, text=True, check=True
    ).stdout.split()
    assert said == "PoseNetError"
    assert int(peak) < 500_000  # kB


def convolve(image, kernel):
    """Theano's convolution, flipped kernel, valid border: image (c, h, w), kernel (out, in, kh,
    kw).
    """
    out, _, height, width = kernel.shape
    rows, columns = image.shape[1] - height + 1, image.shape[2] - width + 1
    result = np.zeros((out, rows, columns))
    for y in range(rows):
        for x in range(columns):
            window = image[:, y : y + height, x : x + width][:, ::-1, ::-1]
            result[:, y, x] = (kernel * window).sum(axis=(1, 2, 3))
    return result


@pytest.mark.parametrize(
    "said", [{"backend": b"theano"}, {"model_config": b'{"dim_ordering": "th"}'}, {}]
)
def test_theano_kernels_compute_what_theano_does(tmp_path, said):
    import keras

    kernel = RNG.normal(size=(8, 5, 3, 3)).astype(np.float32)
    path = write(tmp_path / "w.h5", {"c": {"c_W": kernel, "c_b": np.zeros(8, np.float32)}}, **said)
    weights = read_keras_h5(path)["c"]
    layer = keras.layers.Conv2D(8, 3)
    layer.build((None, 7, 6, 5))
    layer.set_weights([weights["kernel"], weights["bias"]])
    image = RNG.normal(size=(5, 7, 6)).astype(np.float32)
    ours = np.asarray(layer(image.transpose(1, 2, 0)[None]))[0]
    np.testing.assert_allclose(
        ours, convolve(image, kernel).transpose(1, 2, 0), rtol=1e-4, atol=1e-4
    )


def test_order_can_be_told(tmp_path):
    kernel = RNG.normal(size=(4, 4, 4, 4))
    path = write(tmp_path / "w.h5", {"c": {"c_W": kernel}})
    np.testing.assert_array_equal(read_keras_h5(path)["c"]["kernel"], kernel)
    theano = read_keras_h5(path, "theano")["c"]["kernel"]
    np.testing.assert_array_equal(theano, kernel.transpose(2, 3, 1, 0)[::-1, ::-1])


def test_names_of_keras_1_and_2(tmp_path):
    norm = {
        f"n_{name}": np.full(2, value)
        for value, name in enumerate(("gamma", "beta", "running_mean", "running_std"))
    }
    layers = {
        "n": norm,
        "empty": {},
        "conv2d_1": {"conv2d_1/kernel:0": np.ones((3, 3, 1, 2)), "conv2d_1/bias:0": np.ones(2)},
        "d": {"d_W:0": np.ones((4, 2)), "d_b:0": np.ones(2)},
    }
    found = read_keras_h5(write(tmp_path / "w.h5", layers, under="model_weights"))
    assert list(found) == ["n", "conv2d_1", "d"]
    assert list(found["n"]) == ["gamma", "beta", "moving_mean", "moving_variance"]
    assert found["n"]["moving_variance"].tolist() == [3, 3]
    assert list(found["conv2d_1"]) == list(found["d"]) == ["kernel", "bias"]


def test_real_files(real_data):
    tensorflow = read_keras_h5(real_data / "weights/keras1_tf/model.h5")
    assert tensorflow["convolution2d_1"]["kernel"].shape == (5, 5, 3, 24)
    assert tensorflow["dense_1"]["kernel"].shape == (1152, 100)
    theano = read_keras_h5(real_data / "weights/keras1_theano/SR_Weights_2X.h5")
    assert {name: arrays["kernel"].shape for name, arrays in theano.items()} == {
        "level1": (9, 9, 3, 64),
        "level2": (1, 1, 64, 32),
        "output": (5, 5, 32, 3),
    }
    with h5py.File(real_data / "weights/keras1_theano/SR_Weights_2X.h5") as file:
        raw = file["level1/level1_W"][()]
    assert theano["level1"]["kernel"][0, 1, 2, 3] == raw[3, 2, 8, 7]


def test_links_that_leave_the_file(tmp_path):
    secret = write(tmp_path / "secret.h5", {"s": {"s_W": np.ones((2, 2))}})
    path = write(tmp_path / "w.h5", {"c": {"c_W": np.ones((2, 2))}})
    with h5py.File(path, "a") as file:
        del file["c/c_W"]
        file["c/c_W"] = h5py.ExternalLink(str(secret), "/s/s_W")
    assert "c_W must be an array in the file itself" in refused(path)
    with h5py.File(path, "a") as file:
        del file["c"]
        file["c"] = h5py.SoftLink("/c")
    assert "the layer c must be a group of its own in the file" in refused(path)
    with h5py.File(path, "a") as file:
        file.attrs["layer_names"] = [b"way/s"]
        file["way"] = h5py.ExternalLink(str(secret), "/")
    assert "the layer way/s must be a group of its own in the file" in refused(path)


def test_arrays_elsewhere_or_of_text(tmp_path):
    (tmp_path / "raw").write_bytes(b"\0" * 16)
    path = write(tmp_path / "w.h5", {"c": {}})
    with h5py.File(path, "a") as file:
        file["c"].attrs["weight_names"] = [b"out"]
        file["c"].create_dataset("out", (2, 2), "f4", external=[(str(tmp_path / "raw"), 0, 16)])
    assert "must be an array of numbers in the file itself" in refused(path)
    path = write(tmp_path / "t.h5", {"c": {"c_W": np.array([b"text"])}})
    assert "must be an array of numbers in the file itself" in refused(path)


def test_a_promise_of_more_than_the_file_can_hold(tmp_path):
    path = write(tmp_path / "w.h5", {"c": {}})
    with h5py.File(path, "a") as file:
        file["c"].attrs["weight_names"] = [b"big"]
        file["c"].create_dataset(
            "big", (10**6, 10**6), "f4", chunks=(1000, 1000), compression="gzip"
        )
    assert "promises (1000000, 1000000), more than the file can hold" in refused(path)


def test_other_files(tmp_path):
    (tmp_path / "w.h5").write_bytes(b"no hdf5")
    assert "must be an .h5 file of Keras, it cannot be read" in refused(tmp_path / "w.h5")
    assert "it cannot be read" in refused(tmp_path / "none.h5")
    with h5py.File(tmp_path / "e.h5", "w"):
        pass
    assert "its group / has no layer_names" in refused(tmp_path / "e.h5")
    with h5py.File(tmp_path / "k.weights.h5", "w") as file:
        file.create_group("layers")
    assert "must be an .h5 file of Keras 1 or 2, it is a .weights.h5 of Keras 3" in refused(
        tmp_path / "k.weights.h5"
    )
    write(tmp_path / "n.h5", {"c": {}})
    assert "with weights, it holds none" in refused(tmp_path / "n.h5")
    whole = write(tmp_path / "t.h5", {"c": {"c_W": np.ones((20, 20))}}).read_bytes()
    (tmp_path / "t.h5").write_bytes(whole[: len(whole) // 2])
    assert "it cannot be read" in refused(tmp_path / "t.h5")


def test_marshalled_code_is_not_looked_at(tmp_path):
    config = b'{"class_name": "Lambda", "config": {"function": ["4wAAAA=="]}}'
    path = write(tmp_path / "w.h5", {"d": {"d_W": np.ones((2, 2))}}, model_config=config)
    assert list(read_keras_h5(path)) == ["d"]
