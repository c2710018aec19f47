"""TensorFlow 1 checkpoints, written by TensorFlow's own Saver."""

import numpy as np
import pytest

from posenet.models.weights.tf1 import checkpoint_prefix, read_checkpoint
from tests.helpers.errors import refusal

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", params=[1, 2], ids=["V1", "V2"])
def checkpoint(request, tmp_path_factory):
    import tensorflow as tf

    prefix = tmp_path_factory.mktemp("ckpt") / "PoseNet.ckpt"
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        values = {
            "conv1/weights": np.arange(24.0).reshape(2, 2, 3, 2),
            "conv1/biases": np.ones(2),
            "conv1/weights/Adam": np.zeros((2, 2, 3, 2)),
            "conv1/weights/Adam_1": np.zeros((2, 2, 3, 2)),
            "bn/BatchNorm/moving_mean": np.full(2, 3.0),
            "beta1_power": np.array(0.9),
        }
        made = [
            tf.compat.v1.Variable(value.astype("f4"), name=name) for name, value in values.items()
        ]
        session.run(tf.compat.v1.global_variables_initializer())
        saver = tf.compat.v1.train.Saver(
            {each.op.name: each for each in made}, write_version=request.param
        )
        saver.save(session, str(prefix))
    return prefix


def test_variables_without_slots(checkpoint):
    found = read_checkpoint(checkpoint)
    assert {layer: list(arrays) for layer, arrays in found.items()} == {
        "bn": ["moving_mean"],
        "conv1": ["bias", "kernel"],
    }
    np.testing.assert_array_equal(found["conv1"]["kernel"], np.arange(24).reshape(2, 2, 3, 2))


def test_any_of_its_files_will_do(checkpoint):
    for file in checkpoint.parent.glob("PoseNet.ckpt*"):
        assert checkpoint_prefix(file) == checkpoint
    assert checkpoint_prefix(checkpoint.parent / "none") is None


def test_other_files(tmp_path):
    (tmp_path / "x.ckpt").write_bytes(b"hello")
    (tmp_path / "y.ckpt.index").write_bytes(b"hello")
    for name, message in (
        ("x.ckpt", "must be a TensorFlow checkpoint: a V1 file"),
        ("y.ckpt", "it cannot be read"),
    ):
        assert message in refusal(read_checkpoint, tmp_path / name)


def test_a_variable_of_which_one_slice_is_there_takes_no_memory(tmp_path):
    import tensorflow as tf

    # The whole shape, then the part of it that is written: one row, three columns.
    huge = "1000000 1000000 0,1:0,3"
    tf.raw_ops.SaveV2(
        prefix=str(tmp_path / "w.ckpt"),
        tensor_names=["conv1/weights"],
        shape_and_slices=[huge],
        tensors=[tf.zeros((1, 3))],
    )
    message = refusal(read_checkpoint, tmp_path / "w.ckpt")
    assert "promises 4000000000000 bytes of variables, its files hold" in message


def test_real_checkpoints(real_data):
    found = read_checkpoint(real_data / "weights/tf1/PNet_landmark/PNet-18")
    assert {name: arrays["kernel"].shape for name, arrays in found.items()} == {
        "conv1": (3, 3, 3, 10),
        "conv2": (3, 3, 10, 16),
        "conv3": (3, 3, 16, 32),
        "conv4_1": (1, 1, 32, 2),
        "conv4_2": (1, 1, 32, 4),
        "conv4_3": (1, 1, 32, 10),
    }
    assert not any("Momentum" in name for arrays in found.values() for name in arrays)
