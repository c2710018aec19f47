"""Published weights, evaluated as their authors did; inspected and converted."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from posenet.cli.evaluate import evaluate_script
from posenet.cli.main import main
from posenet.datasets.registry import open_scene
from posenet.errors import PoseNetError
from posenet.evaluation.published import Preprocessing, evaluate_weights, read_mean
from posenet.io.images import read_image
from posenet.models.layers import CAFFE_MEAN_BGR
from posenet.models.weights.load import load_network
from tests.helpers.errors import refusal
from tests.helpers.weights import blob, random_weights, save_npy

pytestmark = pytest.mark.slow

RAMP = np.zeros((256, 455, 3), np.uint8)
RAMP[..., 0], RAMP[..., 1] = (
    np.arange(256)[:, None],
    np.arange(455) % 256,
)  # red is the row, green the column


def test_center_crop_in_bgr():
    crop = Preprocessing(np.zeros(3, np.float32)).crop(RAMP)
    assert crop.shape == (224, 224, 3)
    assert crop[0, 0].tolist() == [0, 115, 16]  # blue, green: column 115, red: row 16
    assert crop[-1, -1].tolist() == [0, (115 + 223) % 256, 239]


def test_crop_of_the_ports_begins_at_the_top():
    crop = Preprocessing(np.zeros(3, np.float32), legacy=True).crop(RAMP)
    assert crop[0, 0].tolist() == [0, 87, 0]
    square = Preprocessing(np.zeros(3, np.float32), legacy=True).crop(RAMP[:, :256])
    assert square.shape == (224, 224, 3)  # stretched to 455 x 256


def test_short_side_of_any_image_becomes_256():
    portrait = np.zeros((960, 540, 3), np.uint8)
    portrait[480:] = 255
    crop = Preprocessing(np.zeros(3, np.float32)).crop(portrait)
    assert crop.shape == (224, 224, 3)
    assert crop[:100].max() == 0
    assert crop[-100:].min() == 255


def test_means_of_the_image_of_the_crop_and_of_color():
    whole = RAMP[:, :, ::-1].astype(np.float32)
    assert np.abs(Preprocessing(whole).crop(RAMP)).max() == 0
    square = np.linspace(0, 255, 256, dtype=np.float32)[:, None, None] * np.ones(
        (1, 256, 3), np.float32
    )
    wide = np.repeat(np.linspace(0, 255, 512).astype(np.uint8)[:, None], 1024, axis=1)[
        ..., None
    ].repeat(3, axis=2)
    assert (
        np.abs(Preprocessing(square).crop(wide)).max() < 1
    )  # a mean of another shape is stretched
    crops = Preprocessing(np.zeros((224, 224, 3), np.float32)).crop(RAMP)[None]
    np.testing.assert_array_equal(Preprocessing(crops[0]).apply(crops), np.zeros_like(crops))
    color = np.array(CAFFE_MEAN_BGR, np.float32)
    np.testing.assert_array_equal(Preprocessing(color).apply(crops), crops - color)


def test_mean_files(tmp_path):
    mean = np.random.default_rng(0).uniform(0, 255, (3, 256, 455)).astype(np.float32)
    (tmp_path / "mean.binaryproto").write_bytes(blob(mean[None], legacy=True))
    np.testing.assert_array_equal(read_mean(tmp_path / "mean.binaryproto"), mean.transpose(1, 2, 0))
    np.save(tmp_path / "mean.npy", np.zeros((224, 224, 3)))
    assert read_mean(tmp_path / "mean.npy").shape == (224, 224, 3)
    np.save(tmp_path / "odd.npy", np.zeros((7, 7, 3)))
    with pytest.raises(
        PoseNetError, match=r"odd.npy must be a mean color, or .* received \(7, 7, 3\)"
    ):
        read_mean(tmp_path / "odd.npy")
    np.save(tmp_path / "gray.npy", np.zeros((256, 341, 1)))
    with pytest.raises(
        PoseNetError, match=r"gray.npy must be a mean color, or .* received \(256, 341, 1\)"
    ):
        read_mean(tmp_path / "gray.npy")
    np.save(tmp_path / "object.npy", np.array({}, object), allow_pickle=True)
    np.save(tmp_path / "text.npy", np.array(["a", "b", "c"]))
    np.savez(tmp_path / "zip.npz", mean=np.zeros(3))
    (tmp_path / "zip.npz").rename(tmp_path / "zip.npy")
    huge = b"{'descr': '<f8', 'fortran_order': False, 'shape': (10000000000000,), }"
    (tmp_path / "huge.npy").write_bytes(b"\x93NUMPY\x01\x00v\x00" + huge.ljust(117) + b"\n")
    for name in ("object.npy", "text.npy", "zip.npy", "huge.npy"):
        assert f"{name} must be an .npy file of numbers, cannot read it" in refusal(
            read_mean, tmp_path / name
        )


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    return save_npy(tmp_path_factory.mktemp("weights") / "posenet.npy", random_weights())


def test_a_scene_is_evaluated_with_its_own_convention(cambridge, weights):
    found = evaluate_weights(weights, cambridge, variant="caffe")
    test = open_scene(cambridge).split("test")
    network = load_network(weights, "caffe", labels="camera_from_world")
    recipe = Preprocessing(np.array(CAFFE_MEAN_BGR, np.float32))
    outputs = network.predict(
        recipe.apply(np.stack([recipe.crop(read_image(path)) for path in test.paths])), verbose=0
    )
    np.testing.assert_allclose(found.estimate.positions, outputs["position"], rtol=1e-5)
    quaternions = outputs["quaternion"] / np.linalg.norm(
        outputs["quaternion"], axis=1, keepdims=True
    )
    quaternions *= np.where(quaternions[:, :1] < 0, -1, 1)
    np.testing.assert_allclose(found.estimate.quaternions_wxyz, quaternions, atol=1e-5)
    assert set(found.baselines) == {"mean_pose", "retrieval"}
    assert found.method == "posenet.npy"


@pytest.mark.parametrize("legacy", [False, True])
def test_damaged_test_images_are_dropped(cambridge, weights, monkeypatch, caplog, legacy):
    monkeypatch.setattr("posenet.evaluation.published.BATCH", 2)  # of four images
    test = open_scene(cambridge).split("test")
    whole = evaluate_weights(weights, cambridge, variant="caffe")
    for row in (0, 3):
        content = test.paths[row].read_bytes()
        test.paths[row].write_bytes(content[:200] + bytes(len(content) - 300) + content[-100:])
    caplog.clear()
    if legacy:
        crops = [
            Preprocessing(np.zeros(3), True).crop(read_image(test.paths[row])) for row in (1, 2)
        ]
        network = load_network(weights, "caffe", labels="camera_from_world")
        expected = network.predict(np.stack(crops) - np.mean(crops, axis=0), verbose=0)["position"]
    else:
        expected = whole.estimate.positions[1:3]
    found = evaluate_weights(weights, cambridge, variant="caffe", legacy=legacy)
    np.testing.assert_allclose(found.estimate.positions, expected, rtol=1e-4)
    assert found.scene.names == test.names[1:3]
    assert [text for text in caplog.messages if "dropped" in text] == [
        "2 of 4 images dropped: "
        + "; ".join(
            f"{path}: not a valid image (could not decode {path.stat().st_size} bytes)"
            for path in (test.paths[0], test.paths[3])
        )
    ]


def test_legacy_subtracts_the_mean_of_the_images_themselves(cambridge, weights, monkeypatch):
    monkeypatch.setattr("posenet.evaluation.published.BATCH", 3)  # of four images
    found = evaluate_weights(weights, cambridge, legacy=True)
    test = open_scene(cambridge).split("test")
    crops = np.stack(
        [Preprocessing(np.zeros(3), legacy=True).crop(read_image(path)) for path in test.paths]
    )
    network = load_network(weights, labels="camera_from_world")
    outputs = network.predict(crops - crops.mean(axis=0), verbose=0)
    np.testing.assert_allclose(found.estimate.positions, outputs["position"], rtol=1e-4)
    assert not np.allclose(
        found.estimate.positions, network.predict(crops, verbose=0)["position"], rtol=1e-3
    )


def test_options_reach_the_network_and_its_input(cambridge, tmp_path, monkeypatch):
    seen, loaded = [], []

    class Network:
        input = SimpleNamespace(name="rgb")

        def predict_on_batch(self, images):
            seen.append(images)
            return {"position": np.zeros((len(images), 3)), "quaternion": np.ones((len(images), 4))}

    def load(*known, **options):
        loaded.append((known, options))
        return Network()

    monkeypatch.setattr("posenet.evaluation.published.load_network", load)
    mean = np.array([10.0, 20, 30], np.float32)
    np.save(tmp_path / "mean.npy", mean)
    (tmp_path / "w.pth").write_bytes(b"")
    options = [
        "--variant",
        "pytorch",
        "--mean-image",
        str(tmp_path / "mean.npy"),
        "--batchnorm-epsilon",
        "1e-5",
        "--split",
        "every:4",
    ]
    assert main(["weights", "evaluate", str(tmp_path / "w.pth"), str(cambridge), *options]) == 0
    assert loaded == [
        (
            (tmp_path / "w.pth", "pytorch"),
            {"labels": "camera_from_world", "batchnorm_epsilon": 1e-5},
        )
    ]
    test = open_scene(cambridge, split="every:4").split("test")
    first = Image.open(test.paths[0]).resize((341, 256), Image.Resampling.BICUBIC)  # of 64 x 48
    expected = np.asarray(first, np.float32)[16:240, 58:282] - mean  # RGB, its middle
    np.testing.assert_allclose(seen[0][0], expected)
    assert [len(images) for images in seen] == [len(test)] == [4]


def test_evaluate_command_on_weights(cambridge, weights, capsys, tmp_path):
    evaluate = ["weights", "evaluate"]
    output = ["--output", str(tmp_path / "out"), "--no-plot"]
    assert main([*evaluate, str(weights), str(cambridge), "--json", *output]) == 0
    summary = json.loads(capsys.readouterr().out)
    assert summary["images"] == 4
    assert (tmp_path / "out" / "errors.csv").is_file()
    assert main([*evaluate, str(tmp_path / "none.npy"), str(cambridge)]) == 1
    assert f"weight file not found: {tmp_path / 'none.npy'}" in capsys.readouterr().err


def test_evaluate_script_recognizes_weights(cambridge, weights, capsys):
    assert evaluate_script([str(weights), str(cambridge), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["method"] == "posenet.npy"


def test_inspect(weights, capsys):
    assert main(["weights", "inspect", str(weights)]) == 0
    out = capsys.readouterr().out
    assert "icp1_out1                                kernel 3 x 3 x 96 x 128, bias 128" in out
    assert "npy: 60 layers, 8,087,095 parameters" in out
    assert main(["weights", "inspect", str(weights), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["layers"]["conv1"]["kernel"] == [7, 7, 3, 64]


def test_convert(weights, capsys, tmp_path):
    assert main(["weights", "convert", str(weights), str(tmp_path / "w.npz")]) == 0
    with np.load(tmp_path / "w.npz") as arrays:
        np.testing.assert_array_equal(arrays["conv1/kernel"], random_weights()["conv1"]["weights"])
    assert main(["weights", "convert", str(weights), str(tmp_path / "w.weights.h5")]) == 0
    network = load_network(weights)
    before = network.get_layer("icp5_out2").get_weights()[0]
    network.get_layer("icp5_out2").set_weights([np.zeros_like(before), np.zeros(64)])
    network.load_weights(tmp_path / "w.weights.h5")
    np.testing.assert_array_equal(network.get_layer("icp5_out2").get_weights()[0], before)
    assert main(["weights", "convert", str(weights), str(tmp_path / "w.npz")]) == 1
    assert "w.npz (use --overwrite to replace it)" in capsys.readouterr().err
    assert main(["weights", "convert", str(weights), str(tmp_path / "w.txt")]) == 1
    assert (
        "the output file must end in .npz or .weights.h5, received w.txt" in capsys.readouterr().err
    )
