"""Adding a scene to a run."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest

import posenet
from posenet.cli.main import main
from posenet.config import TrainConfig
from posenet.datasets.convert import convert
from posenet.datasets.registry import open_scene
from posenet.errors import PoseNetError
from posenet.evaluation.evaluate import evaluate_run
from posenet.run import open_run
from posenet.training.train import train
from tests.helpers.errors import refusal
from tests.helpers.planes import plane_scene
from tests.helpers.scenes import write_cambridge

pytestmark = pytest.mark.slow


@pytest.fixture
def second(tmp_path):
    """Another walk before the plane of `plane_trained`."""
    scene = plane_scene(tmp_path / "made2", 10, poses_seed=7)
    scene = replace(scene, splits=np.array(["train"] * 8 + ["test"] * 2))
    convert(scene, tmp_path / "second", "transforms", copy=True)
    return tmp_path / "second"


def test_a_second_walk_extends_map_network_and_report(plane_trained, second, capsys, caplog):
    folder, _ = plane_trained
    run = open_run(folder)
    old = evaluate_run(run)
    weights = run.load_model().get_layer("points_fine").get_weights()[0]
    caplog.set_level("INFO")
    assert main(["train", str(folder), "--add", str(second), "--epochs", "2"]) == 0
    shown = capsys.readouterr()
    assert "extending the map by 8 training images" in caplog.text
    assert f"trained: {folder}" in shown.out
    report = shown.out.splitlines()
    assert any(line.startswith("plane: ") and "(median of 4)" in line for line in report)
    assert any(line.startswith("second: ") and "(median of 2)" in line for line in report)
    added = open_run(folder)
    assert len(added.training_images) == 12 + 8
    assert added.training_images[:12] == run.training_images
    assert all(name.startswith("second/") for name in added.training_images[12:])
    assert 0 < len(set(added.validation_images) - set(run.validation_images)) < 8
    assert added.config.epochs == 2
    # The network was trained further, from its old weights.
    changed = added.load_model().get_layer("points_fine").get_weights()[0]
    difference = np.abs(changed - weights).max()
    assert 0 < difference < 0.5 * np.abs(weights).max()
    summary = json.loads((folder / "evaluation" / "summary.json").read_text())
    assert {name: part["images"] for name, part in summary["scenes"].items()} == {
        "plane": 4,
        "second": 2,
    }
    # Refined poses of the old test images are as good as before.
    keras.config.set_dtype_policy("float32")
    new = evaluate_run(added)
    assert new.errors.position[:4].max() < max(0.02, 2 * old.errors.position.max())
    assert (folder / "history-1.csv").is_file()


def test_an_interrupted_addition_is_resumed(plane_trained, second, monkeypatch):
    folder, _ = plane_trained
    monkeypatch.setattr(
        "posenet.training.train._fit", lambda *_args: (_ for _ in ()).throw(KeyboardInterrupt)
    )
    with pytest.raises(KeyboardInterrupt):
        train(TrainConfig(folder, add=second, epochs=1))
    monkeypatch.undo()
    assert refusal(train, TrainConfig(folder, add=second)) == (
        f"{second} is part of {folder} already (use --resume --output {folder} to finish its "
        "training)"
    )
    run = train(TrainConfig(output=folder, resume=True))
    assert run.checkpoint_path.name == "state-1.npz"
    assert run.checkpoint_path.is_file()
    # A finished one is not trained again.
    assert train(TrainConfig(output=folder, resume=True)).added == run.added


def test_scenes_with_the_same_folder_name_are_told_apart(trained, cambridge, tmp_path):
    walk = write_cambridge(tmp_path / "elsewhere" / "Square", seed=3)
    run = train(TrainConfig(trained, add=walk, epochs=1))
    assert run.added[0].name == "Square-2"
    scene = run.open_scene()
    assert len(scene) == 32
    assert {str(part) for part in scene.parts} == {"Square", "Square-2"}
    # Both are found again after a move.
    shutil.move(tmp_path, tmp_path.with_name("moved"))
    moved = open_run(tmp_path.with_name("moved") / "run")
    assert len(moved.training_scene()) == 24
    shutil.rmtree(tmp_path.with_name("moved") / "elsewhere")
    assert refusal(moved.open_scene).startswith("scene folder not found: ")
    shutil.move(tmp_path.with_name("moved"), tmp_path)


def test_the_python_interface_adds_a_scene(trained, tmp_path):
    walk = write_cambridge(tmp_path / "walk", seed=3)
    run = posenet.train(str(trained), add=str(walk), epochs=1)
    assert run.folder == trained
    assert [added.name for added in run.added] == ["walk"]


def test_a_walk_far_away_is_a_new_area(trained, tmp_path):
    walk = write_cambridge(tmp_path / "far", seed=3)
    for path in walk.glob("dataset_*.txt"):
        lines = path.read_text().splitlines()
        moved = [line.split() for line in lines[3:]]
        lines[3:] = [" ".join([n, str(float(x) + 500), *rest]) for n, x, *rest in moved]
        path.write_text("\n".join(lines) + "\n")
    before = open_run(trained)
    run = train(TrainConfig(trained, add=walk, epochs=1))
    assert len(run.areas) == 2
    np.testing.assert_allclose(run.areas.origins[0], before.areas.origins[0])
    training = open_scene(walk).split("train").poses.positions
    np.testing.assert_allclose(run.areas.centers[1], training.mean(axis=0), atol=1e-9)


def test_poses_in_another_frame_are_refused(plane_trained, second, monkeypatch):
    folder, _ = plane_trained
    monkeypatch.setattr("posenet.mapping.frame_check.MIN_MATCHES", 20)
    evaluate_run(open_run(folder))  # makes the map
    before = (folder / "config.json").read_text()
    for file in second.glob("transforms*.json"):
        values = json.loads(file.read_text())
        for frame in values["frames"]:
            frame["transform_matrix"][0][3] += 3
        file.write_text(json.dumps(values))
    assert refusal(train, TrainConfig(folder, add=second)).startswith(
        f"the poses of {second} must be in the world frame of {folder}: 8 of 8 images show it, "
    )
    assert (folder / "config.json").read_text() == before


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"scene": None}, "--add requires the run folder: posenet train RUN --add SCENE"),
        ({"backbone": "googlenet"}, "--add keeps the settings of the run: --backbone cannot be"),
        ({"output": "other"}, "--add and --output exclude each other, received both"),
        ({"resume": True}, "--add and --resume exclude each other, received both"),
        ({"scene": Path("nowhere")}, "run folder not found: nowhere"),
    ],
)
def test_wrong_settings_are_refused(trained, cambridge, options, message):
    with pytest.raises(PoseNetError) as refused:
        train(TrainConfig(**({"scene": trained, "add": cambridge} | options)))
    assert str(refused.value).startswith(message)


def test_runs_without_a_network_or_in_an_archive_are_refused(trained, cambridge, tmp_path):
    archive = tmp_path / "run.zip"
    archive.write_bytes(b"")
    assert refusal(train, TrainConfig(archive, add=cambridge)) == (
        f"--add requires a run folder, {archive} is a packed run"
    )
    (trained / "model.keras").unlink()
    assert refusal(train, TrainConfig(trained, add=cambridge)) == (
        f"--add requires a trained run, {trained} does not contain model.keras"
    )
