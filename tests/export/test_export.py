"""Exported networks agree with Keras in their own runtimes, and what does not is not kept."""

import json
import shutil
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import get_args, get_type_hints

import cv2
import numpy as np
import pytest
from PIL import Image

from posenet.cli.export import ExportConfig
from posenet.cli.main import main
from posenet.datasets.courtyard.generate import make_courtyard
from posenet.export import cached, onnx
from posenet.export.check import CheckResult, require_agreement
from posenet.export.export import export_run
from posenet.export.network import export_network
from posenet.export.registry import FORMATS, get_format
from posenet.io.images import load_image
from posenet.localization.localizer import Localizer
from posenet.models.build import build_network
from posenet.run import open_run
from tests.helpers.errors import refusal
from tests.helpers.images import write_image

ROOT = Path(__file__).resolve().parents[2]
# A network of 30,000 weights with the scene-coordinate head.
FIXTURE = ROOT / "tests" / "fixtures" / "run_format_1"

pytestmark = pytest.mark.slow


def needs(name):
    """Skip a test unless the packages of a format are installed."""
    for module in FORMATS[name].MODULES:
        pytest.importorskip(module)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder with a small run and its scene."""
    folder = tmp_path_factory.mktemp("export")
    shutil.copytree(FIXTURE, folder / "run")
    make_courtyard(folder / "courtyard", train=36, test=8, seed=0)
    return folder


@pytest.fixture
def run(made, tmp_path):
    """A copy of the run, which may be changed."""
    shutil.copytree(FIXTURE, tmp_path / "run")
    (tmp_path / "courtyard").symlink_to(made / "courtyard")
    return open_run(tmp_path / "run")


@pytest.fixture(scope="module")
def exported(made):
    """The run of `made` with its ONNX file."""
    needs("onnx")
    run = open_run(made / "run")
    export_run(run, "onnx")
    return run


@pytest.fixture
def quick(exported, monkeypatch):
    """Replace the conversion to ONNX by a copy of its result."""
    made = exported.folder / onnx.FILE
    monkeypatch.setattr(onnx, "write", lambda network, path: shutil.copyfile(made, path))


def listing(folder):
    return sorted(path.name for path in folder.iterdir())


def by_keras(run, paths):
    """The outputs of the run's network in Keras, quaternions with w >= 0."""
    images = np.stack([load_image(path, *run.crop.resized) for path in paths])
    outputs = run.load_model().predict_on_batch(run.crop.center(images).astype(np.float32))
    signs = np.where(outputs["quaternion"][:, :1] < 0, -1, 1)
    return images, outputs | {"quaternion": signs * outputs["quaternion"]}


PIECES = {
    "onnx": ["net.onnx", "net.onnx.json"],
    "litert": ["net.tflite", "net.tflite.json"],
    "saved-model": ["net", "net.json"],
    "openvino": ["net.bin", "net.xml", "net.xml.json"],
}


@pytest.mark.parametrize("name", FORMATS)
def test_formats_agree_with_keras(run, name, tmp_path):
    needs(name)
    (tmp_path / "out").mkdir()
    target = tmp_path / "out" / f"net{Path(FORMATS[name].FILE).suffix}"
    made = export_run(run, name, target)
    assert listing(tmp_path / "out") == PIECES[name]
    assert made.check.source == "8 training images"
    assert made.check.differences.keys() == {"position", "quaternion", "pooled", "residual_rms"}
    paths = run.open_scene().split("test").paths[:3]
    images, expected = by_keras(run, paths)
    found = get_format(name).load(target).predict_on_batch(images)
    scale = run.position_scale
    np.testing.assert_allclose(found["position"], expected["position"], atol=1e-4 * scale)
    np.testing.assert_allclose(found["residual_rms"], expected["doubt"], atol=1e-4 * scale)
    np.testing.assert_allclose(found["quaternion"], expected["quaternion"], atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(found["quaternion"], axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(found["pooled"], axis=1), 1, atol=1e-5)
    written = json.loads(Path(f"{target}.json").read_text())
    assert written["format"] == name
    assert written["outputs"]["pooled"]["shape"] == [None, found["pooled"].shape[1]]


def test_description(exported):
    values = json.loads((exported.folder / "model.onnx.json").read_text())
    assert values["input"] == {
        "name": "image",
        "shape": [None, 96, 128, 3],
        "layout": "NHWC",
        "dtype": "float32",
        "color": "RGB",
        "range": [0, 255],
    }
    assert values["preprocessing"]["resized_hw"] == values["preprocessing"]["crop_hw"] == [96, 128]
    assert values["scene"] == "courtyard"
    assert values["unit"] == values["outputs"]["position"]["unit"] == "m"
    assert values["origin"] == [0, 0, 0]
    assert values["origin_included"] is False
    assert values["camera"]["width"] == 480
    assert values["model_fingerprint"] == cached.model_stamp(exported)


def test_origin_is_in_the_description_only(run, quick):
    far = replace(run, origin=(4e6, 5e5, 100.0))
    export_run(far, "onnx")
    values = json.loads((run.folder / "model.onnx.json").read_text())
    assert values["origin"] == [4e6, 5e5, 100.0]
    images, expected = by_keras(run, run.open_scene().split("test").paths[:1])
    found = onnx.load(run.folder / "model.onnx").predict_on_batch(images)
    np.testing.assert_allclose(found["position"], expected["position"], atol=1e-3)


def test_missing_images_are_replaced_by_noise(run, quick, caplog):
    made = export_run(replace(run, scene=run.folder / "gone"), "onnx")
    assert made.check.source == "8 images of random noise"
    assert "the export is checked with random noise: " in caplog.text


def test_layer_names_suit_tensorflow_and_outputs_stay():
    model = build_network("efficientnet_lite0", (64, 64), auxiliary=False, head="scene-coordinates")
    assert any(layer.name.startswith("_") for layer in model.layers)
    network = export_network(model)
    assert not any(layer.name.startswith("_") for layer in network.layers)
    image = np.random.default_rng(0).uniform(0, 255, (2, 64, 64, 3)).astype(np.float32)
    expected, found = model.predict_on_batch(image), network.predict_on_batch(image)
    np.testing.assert_allclose(found["position"], expected["position"], atol=1e-4)
    np.testing.assert_allclose(found["residual_rms"], expected["residual_rms"], atol=1e-4)
    assert (found["quaternion"][:, 0] >= 0).all()


def test_constants_of_normalization_become_a_rescaling():
    model = build_network("EfficientNetV2B0", (64, 64), auxiliary=False)
    network = export_network(model)
    kinds = {type(layer).__name__ for layer in network._flatten_layers()}
    assert "Normalization" not in kinds
    image = np.random.default_rng(0).uniform(0, 255, (2, 64, 64, 3)).astype(np.float32)
    expected = model.get_layer("backbone").predict_on_batch(image)
    found = network.get_layer("backbone").predict_on_batch(image)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_options_name_every_format():
    assert get_args(get_type_hints(ExportConfig)["to"]) == tuple(FORMATS)


def test_wrong_use(run, tmp_path):
    needs("onnx")
    assert refusal(export_run, run, "caffe") == (
        "--to must be one of onnx, litert, saved-model, openvino; received 'caffe'"
    )
    line = refusal(export_run, run, "onnx", tmp_path / "net.tflite")
    assert line == f"--output must end with .onnx, received {tmp_path / 'net.tflite'}"
    line = refusal(export_run, run, "onnx", tmp_path / "none" / "net.onnx")
    assert line == f"--output must be in a folder that exists, received {tmp_path}/none/net.onnx"
    (run.folder / "model.keras").unlink()
    line = refusal(export_run, run, "onnx")
    assert (
        line
        == f"{run.folder}/model.keras is missing: the run was not trained long enough to save it"
    )


def test_existing_output_is_replaced_on_request_only(run, quick, tmp_path):
    target = tmp_path / "net.onnx"
    target.write_text("mine")
    line = refusal(export_run, run, "onnx", target)
    assert line == f"output already exists: {target} (use --overwrite to replace it)"
    assert target.read_text() == "mine"
    export_run(run, "onnx", target, overwrite=True)
    onnx.load(target)
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "letter.txt").write_text("mine")
    line = refusal(export_run, run, "saved-model", folder, overwrite=True)
    assert line == f"--overwrite replaces exported networks only, {folder} is something else"
    assert listing(folder) == ["letter.txt"]


def test_saved_model_is_replaced(run):
    target = run.folder / "saved_model"
    target.mkdir()
    for name in ("saved_model.pb", "old"):
        (target / name).write_text("")
    export_run(run, "saved-model", overwrite=True)
    assert "old" not in listing(target)
    assert "saved_model.pb" in listing(target)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda outputs: outputs | {"position": outputs["position"] + 1},
            "the exported network must agree with Keras, its position differs by 1 on 8 training "
            "images (at most 0.00058)",
        ),
        (
            lambda outputs: outputs | {"quaternion": outputs["quaternion"] * np.nan},
            "the exported network must agree with Keras, its quaternion differs by nan on 8 "
            "training images (at most 1e-05)",
        ),
        (
            lambda outputs: {"position": outputs["position"]},
            "the exported network lacks the output pooled",
        ),
        (
            lambda outputs: 1 / 0,
            "the network cannot be exported to onnx (division by zero)",
        ),
    ],
)
def test_network_that_differs_is_not_kept(run, quick, monkeypatch, change, message):
    predict = onnx.OnnxNetwork.predict_on_batch
    monkeypatch.setattr(
        onnx.OnnxNetwork, "predict_on_batch", lambda self, images: change(predict(self, images))
    )
    before = listing(run.folder)
    assert refusal(export_run, run, "onnx") == message
    assert listing(run.folder) == before


def test_file_that_does_not_load_is_not_kept(run, monkeypatch):
    needs("onnx")
    monkeypatch.setattr(onnx, "write", lambda network, path: path.write_bytes(b"no network"))
    before = listing(run.folder)
    line = refusal(export_run, run, "onnx")
    assert line.startswith("the network cannot be exported to onnx (")
    assert listing(run.folder) == before


def test_opposite_quaternions_are_the_same_rotation(run, quick, monkeypatch):
    predict = onnx.OnnxNetwork.predict_on_batch

    def opposite(self, images):
        outputs = predict(self, images)
        return outputs | {"quaternion": -outputs["quaternion"]}

    monkeypatch.setattr(onnx.OnnxNetwork, "predict_on_batch", opposite)
    assert export_run(run, "onnx").check.differences["quaternion"] < 1e-5


def test_tolerances():
    fine = {"position": 9e-4, "residual_rms": 9e-4, "quaternion": 9e-6, "pooled": 9e-5}
    require_agreement(CheckResult("noise", fine, 1.0, 1.0), position_scale=10.0)
    for name, value in fine.items():
        result = CheckResult("noise", fine | {name: 2 * value}, 1.0, 1.0)
        assert f"its {name} differs by" in refusal(require_agreement, result, 10.0)


@pytest.mark.parametrize(("name", "module"), [("onnx", "tf2onnx"), ("openvino", "openvino")])
def test_missing_package_names_the_extra(run, monkeypatch, name, module):
    monkeypatch.setitem(sys.modules, module, None)
    assert refusal(export_run, run, name) == (
        f"posenet export --to {name} requires the extra `export`: "
        "pip install 'camera-posenet[export]'"
    )


def test_command_prints_a_summary(run, quick, capsys):
    assert main(["export", str(run.folder), "--to", "onnx"]) == 0
    [line] = capsys.readouterr().out.splitlines()
    assert line.startswith(
        f"{run.folder}/model.onnx: 0.1 MB; largest differences from Keras on 8 training images: "
    )
    assert " ms, Keras " in line


def test_localizer_takes_an_exported_network(exported):
    images = exported.open_scene().split("test").paths[:2]
    tolerance = 1e-3 * exported.position_scale
    for refine in (False, True):
        expected = Localizer(exported, refine=refine).localize_all(images)
        network = cached.load_exported(exported)
        found = Localizer(exported, refine=refine, network=network).localize_all(images)
        np.testing.assert_allclose(found.positions, expected.positions, atol=tolerance)
        np.testing.assert_allclose(found.quaternions_wxyz, expected.quaternions_wxyz, atol=1e-3)
        np.testing.assert_array_equal(found.refined, expected.refined)


PREDICT = (
    "import sys\n"
    "from posenet.cli.main import main\n"
    "code = main(sys.argv[1:])\n"
    "heavy = {'tensorflow', 'keras'} & set(sys.modules)\n"
    "sys.exit(f'imported {heavy}' if heavy else code)"
)


def test_prediction_without_tensorflow(exported, capsys):
    image = str(exported.open_scene().split("test").paths[0])
    arguments = ["predict", str(exported.folder), image]
    assert main(arguments) == 0
    expected = capsys.readouterr().out
    done = subprocess.run(
        [sys.executable, "-c", PREDICT, *arguments, "--runtime", "onnx"],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    numbers = [
        np.array(text.splitlines()[1].split()[1:8], float) for text in (expected, done.stdout)
    ]
    np.testing.assert_allclose(numbers[1], numbers[0], atol=1e-3)


def test_prediction_exports_once_and_again_for_another_model(run, quick, capsys, caplog):
    image = str(run.open_scene().split("test").paths[0])
    arguments = ["predict", str(run.folder), image, "--runtime", "onnx", "--no-refine"]
    message = "exporting the network to ONNX, which takes TensorFlow this one time"
    caplog.set_level("INFO", "posenet")
    for is_first in (True, False):
        caplog.clear()
        assert main(arguments) == 0
        assert (message in caplog.text) == is_first
    with zipfile.ZipFile(run.folder / "model.keras", "a") as model:
        model.comment = b"another training"
    assert cached.load_exported(run) is None
    caplog.clear()
    assert main(arguments) == 0
    assert message in caplog.text


def test_damaged_file_is_refused_with_its_name(exported, tmp_path):
    shutil.copytree(exported.folder, tmp_path / "run", copy_function=shutil.copy2)
    run = open_run(tmp_path / "run")
    (run.folder / "model.onnx").write_bytes(b"no network")
    line = refusal(cached.load_exported, run)
    assert line.startswith(
        f"{run.folder}/model.onnx must be an ONNX file, cannot load it: delete it ("
    )


def test_missing_onnx_runtime_names_the_extra(exported, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    assert refusal(cached.load_exported, exported) == (
        "ONNX requires the extra `onnx`: pip install 'camera-posenet[onnx]'"
    )


# Runs an example in a process that cannot import posenet, TensorFlow or Keras.
EXAMPLE = (
    "import runpy, sys\n"
    "for name in ('posenet', 'tensorflow', 'keras'): sys.modules[name] = None\n"
    "sys.argv.pop(0)\n"
    "sys.path.insert(0, sys.argv[0].rpartition('/')[0])\n"
    "runpy.run_path(sys.argv[0], run_name='__main__')"
)


@pytest.mark.parametrize("name", ["onnx", "litert"])
def test_examples_give_the_localizers_poses(made, name, monkeypatch):
    needs(name)
    run = open_run(made / "run")
    network = export_run(run, name, overwrite=True).path
    images = run.open_scene().split("test").paths[:2]
    command = [sys.executable, "-c", EXAMPLE, ROOT / "examples" / f"{name}_localize.py", network]
    done = subprocess.run([*command, *images], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    monkeypatch.setattr(Localizer, "blending", None)
    expected = Localizer(run, refine=False, tta_views=1).localize_all(images)
    lines = [line.split() for line in done.stdout.splitlines()]
    assert [line[0] for line in lines] == list(map(str, images))
    found = np.array([line[1:] for line in lines], float)
    np.testing.assert_allclose(found[:, :3], expected.positions, atol=1e-4 * run.position_scale)
    np.testing.assert_allclose(found[:, 3:], expected.quaternions_wxyz, atol=1e-4)


@pytest.mark.parametrize(
    ("size", "suffix", "brightness"),
    [
        ((96, 128), "png", 1.0),  # the size itself
        ((40, 61), "png", 1.0),  # enlarged
        ((301, 223), "png", 0.4),  # portrait, dark
        ((333, 517), "jpg", 1.0),  # decoded at half its size
        ((900, 1300), "jpg", 0.02),  # at an eighth, very dark
    ],
)
def test_examples_prepare_images_as_posenet(size, suffix, brightness, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "examples"))
    from exported_input import load_input

    path = tmp_path / f"image.{suffix}"
    noise = np.random.default_rng(0).uniform(0, 255, (8, 9, 3)).astype(np.float32)
    image = cv2.resize(noise, size[::-1], interpolation=cv2.INTER_CUBIC).clip(0, 255) * brightness
    cv2.imwrite(str(path), image.astype(np.uint8))
    exposure = {"percentile": 99, "pixel_step": 3, "target": 160, "max_gain": 8.0}
    preprocessing = {"resized_hw": [96, 128], "crop_hw": [90, 120], "exposure": exposure}
    found = load_input(str(path), preprocessing)
    expected = load_image(path, 96, 128)[3:93, 4:124]
    np.testing.assert_array_equal(found, expected[None])


def test_examples_turn_images_upright(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "examples"))
    from exported_input import read_rgb

    write_image(tmp_path / "a.png", (60, 80))
    with Image.open(tmp_path / "a.png") as image:
        exif = image.getexif()
        exif[0x0112] = 6
        image.save(tmp_path / "a.jpg", exif=exif)
    assert read_rgb(str(tmp_path / "a.jpg"), 60, 60).shape == (80, 60, 3)
    np.testing.assert_array_equal(
        read_rgb(str(tmp_path / "a.jpg"), 60, 60), load_image(tmp_path / "a.jpg", 80, 60)
    )
