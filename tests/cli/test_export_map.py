"""The command `export-map`."""

import json
import shutil

import numpy as np
import pytest

from posenet.cli.main import main
from posenet.evaluation.map_export import collect_map
from posenet.mapping.landmarks import LANDMARKS, load_any_landmarks
from tests.helpers.errors import refusal

pytestmark = pytest.mark.slow


def failure(capsys, *arguments):
    assert main([str(argument) for argument in arguments]) == 1
    return capsys.readouterr().err.strip().splitlines()[-1]


def write_landmarks(folder, scene, points):
    """A map in which each training image observes the same points straight ahead."""
    folder.mkdir()
    total = len(scene) * len(points)
    arrays = {
        "starts": np.arange(len(scene) + 1) * len(points),
        "points": np.tile(points, (len(scene), 1)).astype(np.float32),
        "origin": np.zeros(3),
        "rays": np.zeros((total, 2), np.float32),
        "descriptors": np.zeros((total, 128), np.uint8),
        "pixels": np.full(len(scene), 0.01),
    }
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array)
    (folder / "map.json").write_text(json.dumps({"stamp": "of other images"}))


def test_a_run_is_exported_with_its_evaluation(trained, tmp_path, capsys):
    before = collect_map(trained)
    assert [group.name for group in before.exported.groups] == ["training images"]
    assert before.recording() is None
    scene = before.scene.split("train")
    write_landmarks(trained / LANDMARKS, scene, np.array([[1.0, 2, 3], [3, 2, 1]]))
    assert load_any_landmarks(trained / LANDMARKS) is not None
    assert main(["evaluate", str(trained), "--no-plot"]) == 0
    capsys.readouterr()
    target = tmp_path / "map.ply"
    assert main(["export-map", str(trained), str(target)]) == 0
    assert capsys.readouterr().out == f"written: {target}, 24 points, 20 cameras\n"
    collected = collect_map(trained)
    groups = {group.name: group for group in collected.exported.groups}
    assert {name: len(group.poses) for name, group in groups.items()} == {
        "training images": 12,
        "ground truth": 4,
        "estimated": 4,
    }
    truth = collected.scene.split("test").poses
    np.testing.assert_allclose(groups["ground truth"].poses.positions, truth.positions, atol=1e-9)
    rows = np.loadtxt(trained / "evaluation" / "estimate.tum")
    np.testing.assert_allclose(groups["estimated"].poses.positions, rows[:, 1:4], atol=1e-8)
    recording = collected.recording()
    assert len(recording.images) == 4
    assert all(image[:2] == b"\xff\xd8" for image in recording.images)


def test_points_are_gray_without_images(trained, cambridge, caplog):
    scene = collect_map(trained).scene.split("train")
    write_landmarks(trained / LANDMARKS, scene, np.array([[1.0, 2, 3], [3, 2, 1]]))
    for path in cambridge.rglob("*.png"):
        path.unlink()
    caplog.clear()
    exported = collect_map(trained).exported
    assert set(exported.colors.ravel().tolist()) == {128}
    assert len(exported.positions) == 24
    assert f"{cambridge}: images cannot be read, points are gray" in caplog.messages


def test_a_packed_run_is_exported_without_its_scene(trained, cambridge, tmp_path):
    before = collect_map(trained)
    write_landmarks(trained / LANDMARKS, before.scene.split("train"), np.array([[1.0, 2, 3]]))
    assert main(["pack", str(trained), str(tmp_path / "run.zip")]) == 0
    shutil.rmtree(cambridge)
    exported = collect_map(tmp_path / "run.zip").exported
    (group,) = exported.groups
    np.testing.assert_allclose(
        group.poses.positions, before.exported.groups[0].poses.positions, atol=1e-9
    )


def test_a_scene_is_exported(cambridge, tmp_path, capsys):
    target = tmp_path / "map.GLB"
    assert main(["export-map", str(cambridge), str(target)]) == 0
    assert capsys.readouterr().out == f"written: {target}, 0 points, 16 cameras\n"
    assert target.read_bytes()[:4] == b"glTF"


def test_wrong_inputs_are_one_line(trained, tmp_path, capsys):
    assert failure(capsys, "export-map", trained, "map.obj") == (
        "error: FILE must be a .ply, .glb or .rrd file, received map.obj"
    )
    line = failure(capsys, "export-map", tmp_path / "nowhere", "map.ply")
    assert line == f"error: scene folder not found: {tmp_path / 'nowhere'}"
    (trained / "evaluation").mkdir()
    path = trained / "evaluation" / "errors.csv"
    path.write_text("name,x\na.png,1\n")
    line = refusal(collect_map, trained)
    assert line.startswith(f"{path} must be written by an evaluation: ")
