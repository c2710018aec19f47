"""A packed run localizes as the run folder did, without its scene and on any machine."""

import hashlib
import io
import json
import shutil
import zipfile
from dataclasses import replace

import numpy as np
import pytest

import posenet
from posenet.cli.main import main
from posenet.evaluation.report import FIGURES, VIEW
from posenet.geometry.poses import Poses
from posenet.io.user_folders import cache_folder
from posenet.localization.localizer import Localizer
from posenet.mapping.landmarks import ARRAYS, INFO, PACKED_ARRAYS
from posenet.run import open_run
from posenet.run_config import AddedScene
from posenet.run_files import EVALUATION_FILES, MAP_FILES, PACKED_FILES
from posenet.sharing.card import PackOptions
from posenet.sharing.pack import pack_run, portable_config
from tests.helpers.errors import refusal

pytestmark = pytest.mark.slow


def content(archive) -> dict[str, bytes]:
    with zipfile.ZipFile(archive) as opened:
        return {name: opened.read(name) for name in opened.namelist()}


def repack(archive, target, **changes):
    """Write an archive with some files replaced, or left out for None."""
    with zipfile.ZipFile(target, "w") as written:
        for name, value in (content(archive) | changes).items():
            if value is not None:
                written.writestr(name, value)
    return target


def assert_same(estimates, others):
    for name in ("positions", "quaternions_wxyz"):
        np.testing.assert_allclose(
            getattr(estimates.poses, name), getattr(others.poses, name), rtol=0, atol=1e-9
        )
    np.testing.assert_array_equal(estimates.refined, others.refined)
    np.testing.assert_allclose(estimates.position_std, others.position_std, rtol=1e-9)


def test_a_run_without_its_scene_gives_the_same_poses(packed):
    assert packed.estimates.refined.all()
    run = open_run(packed.home / "run")
    assert_same(Localizer(run, tta_views=1).localize_all(packed.images), packed.estimates)


def test_a_packed_run_gives_the_same_poses(packed):
    run = posenet.load(packed.archive)
    assert run.folder.is_relative_to(packed.home) is False
    assert_same(run.localizer(tta_views=1).localize_all(packed.images), packed.estimates)


def test_predict_takes_a_packed_run(packed, tmp_path, capsys):
    image = str(packed.images[0])
    plot = ["--plot", str(tmp_path / "path.png")]
    assert main(["predict", str(packed.archive), image, "--tta-views", "1", *plot]) == 0
    line = capsys.readouterr().out.splitlines()[1]
    position = np.array(line.split()[1:4], float)
    np.testing.assert_allclose(position, packed.estimates.poses.positions[0], atol=1e-6)
    assert (tmp_path / "path.png").is_file()


def test_what_a_packed_run_cannot_do_alone(packed, capsys, caplog, tmp_path):
    assert main(["animate", str(packed.archive)]) == 1
    line = f"error: animate draws the images of the scene, {packed.archive} contains none\n"
    assert line in capsys.readouterr().err
    assert main(["export", str(packed.archive), "--to", "onnx"]) == 1
    line = f"error: exporting the packed run {packed.archive} requires --output FILE\n"
    assert line in capsys.readouterr().err
    main(["pack", str(packed.archive), str(tmp_path / "copy.zip")])
    assert (
        f"the license that {packed.archive} states is not copied: use --license" in caplog.messages
    )


def test_evaluate_takes_a_packed_run_and_its_scene(packed, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("posenet.mapping.landmarks._build", None)  # the map is valid for it
    arguments = ["evaluate", str(packed.archive)]
    assert main(arguments) == 1
    assert capsys.readouterr().err == (
        f"error: evaluating a packed run requires its scene: posenet evaluate {packed.archive} SCENE\n"
    )
    assert not list(tmp_path.iterdir())
    options = ["--no-plot", "--json", "--tta-views", "1"]
    assert main([*arguments, str(packed.scene), *options]) == 0
    summary = json.loads(capsys.readouterr().out)
    assert summary["refined"]["fraction"] == 1.0
    assert summary["baselines"]["retrieval"]["median_position_error"] > 0
    assert (tmp_path / "plane_evaluation" / "summary.json").is_file()
    assert not (posenet.load(packed.archive).folder / "evaluation").exists()


def test_what_needs_images_says_so(packed, tmp_path):
    run = open_run(packed.home / "run")
    missing = f"scene folder not found: {packed.home / 'plane'}: its images are required"
    assert refusal(run.open_scene) == missing
    assert refusal(run.training_scene) == missing
    shutil.copytree(packed.home / "run", tmp_path / "run")
    shutil.rmtree(tmp_path / "run" / "landmarks")
    assert refusal(lambda: Localizer(open_run(tmp_path / "run")).refiner) == (
        "building the landmark map requires the images of the scene, "
        f"{packed.home / 'plane'} not found"
    )
    (tmp_path / "run" / "gallery.npz").unlink()
    assert refusal(lambda: Localizer(open_run(tmp_path / "run")).gallery) == (
        f"making {tmp_path / 'run' / 'gallery.npz'} requires the images of the scene, "
        f"{packed.home / 'plane'} not found"
    )


def test_validation_without_images_is_a_warning(packed, tmp_path, caplog):
    shutil.copytree(packed.home / "run", tmp_path / "run")
    (tmp_path / "run" / "blending.json").unlink()
    assert Localizer(open_run(tmp_path / "run")).blending is None
    assert caplog.messages[-1] == (
        f"poses are not calibrated: the validation images in {packed.home / 'plane'} not found"
    )


def test_resuming_without_images_is_refused(packed, capsys):
    assert main(["train", "--output", str(packed.home / "run"), "--resume"]) == 1
    message = f"error: scene folder not found: {packed.home / 'plane'}: its images are required\n"
    assert capsys.readouterr().err.endswith(message)


def test_changed_labels_of_the_scene_make_the_saved_ones_again(plane_trained):
    run = open_run(plane_trained[0])
    first = run.training_scene()
    run.save_training_scene(first)
    written = (run.folder / "training_scene.npz").stat().st_mtime_ns
    run.save_training_scene(first)
    assert (run.folder / "training_scene.npz").stat().st_mtime_ns == written
    moved = replace(first, poses=Poses(first.poses.positions + 1, first.poses.rotations))
    run.save_training_scene(moved)
    shutil.rmtree(plane_trained[1])
    saved = run.training_scene(need_images=False)
    np.testing.assert_array_equal(saved.poses.positions, first.poses.positions + 1)
    assert saved.names == first.names


def test_content_of_the_archive(packed):
    files = content(packed.archive)
    assert set(files) == {
        "README.md",
        "blending.json",
        "config.json",
        "gallery.npz",
        "history.csv",
        # The uncertainty is assumed, and points.npy is of maps of another version.
        *(f"landmarks/{name}" for name in {*MAP_FILES} - {"uncertainty.json", "points.npy"}),
        "model.keras",
        "training_scene.npz",
    }
    with zipfile.ZipFile(packed.archive) as archive:
        entries = archive.infolist()
    assert [entry.filename for entry in entries] == sorted(files)
    assert {entry.date_time for entry in entries} == {(1980, 1, 1, 0, 0, 0)}


def test_nothing_names_a_path_of_the_machine(packed):
    def search(name, data):
        assert str(packed.home).encode() not in data, name
        assert str(packed.home.parent).encode() not in data, name
        if zipfile.is_zipfile(io.BytesIO(data)):
            for inner, more in content(io.BytesIO(data)).items():
                search(f"{name}/{inner}", more)

    for name, data in content(packed.archive).items():
        search(name, data)
    config = json.loads(content(packed.archive)["config.json"])
    assert config["scene"] == config["settings"]["scene"] == "plane"
    assert config["settings"]["output"] is None
    assert "scene_from_run" not in config
    original = json.loads((packed.home / "run" / "config.json").read_text())
    for name in set(original) - {"scene", "settings", "scene_from_run"}:
        assert config[name] == original[name]


def test_added_scenes_are_packed_as_names(trained, tmp_path):
    added = AddedScene("walk", tmp_path / "walk", split=str(tmp_path / "lists" / "night.txt"))
    run = replace(open_run(trained), added=(added,))
    values = portable_config(run)
    assert str(tmp_path) not in json.dumps(values)
    assert values["added"] == [
        {"name": "walk", "scene": "walk", "split": "night.txt", "corrections": {}}
    ]


def test_the_scene_of_a_packed_run_is_not_searched_in_the_current_folder(
    packed, tmp_path, monkeypatch
):
    (tmp_path / "plane").mkdir()
    (tmp_path / "test.txt").write_text("")
    monkeypatch.chdir(tmp_path)
    run = open_run(packed.archive)
    assert run.scene == run.folder / "plane"


def test_the_same_run_gives_the_same_bytes_and_can_be_packed_again(packed, tmp_path):
    target = tmp_path / "plane.zip"
    pack_run(open_run(packed.home / "run"), target, PackOptions())
    assert target.read_bytes() == packed.archive.read_bytes()
    assert refusal(pack_run, packed.run, target, PackOptions()) == (
        f"output file already exists: {target} (use --overwrite to replace it)"
    )
    pack_run(open_run(packed.archive), target, PackOptions(), overwrite=True)
    assert target.read_bytes() == packed.archive.read_bytes()
    assert [path.name for path in tmp_path.iterdir()] == ["plane.zip"]
    assert refusal(pack_run, packed.run, tmp_path / "no" / "a.zip", PackOptions()) == (
        f"output folder not found: {tmp_path / 'no'}"
    )


def test_evaluation_and_list_of_test_images_are_packed(
    packed, tmp_path, caplog, capsys, monkeypatch
):
    caplog.set_level("INFO", "posenet")
    shutil.copytree(packed.home / "run", tmp_path / "run")
    (tmp_path / "run" / "evaluation").mkdir()
    for name in (*EVALUATION_FILES, "notes.txt"):
        (tmp_path / "run" / "evaluation" / name).write_text("{}")
    (tmp_path / "mine.txt").write_text("a.png\n")
    run = replace(open_run(tmp_path / "run"), split=str(tmp_path / "mine.txt"))
    target = tmp_path / "packed.zip"
    pack_run(run, target, PackOptions())
    files = content(target)
    assert files["test.txt"] == b"a.png\n"
    names = {name for name in files if name.startswith("evaluation/")}
    assert names == {f"evaluation/{name}" for name in EVALUATION_FILES}
    assert caplog.messages[-1] == (
        "evaluation/matches.png, evaluation/view.html, evaluation/worst_images.png show images of "
        "the scene (--no-figures)"
    )
    opened = open_run(target)
    assert opened.split == str(opened.folder / "test.txt")
    assert str(tmp_path).encode() not in files["config.json"]
    monkeypatch.setattr("webbrowser.open", None)  # a page of strangers is not opened
    assert main(["view", str(target)]) == 0
    assert capsys.readouterr().out == f"{opened.folder / 'evaluation' / 'view.html'}\n"
    pack_run(run, target, PackOptions(figures=False), overwrite=True)
    assert main(["view", str(target)]) == 1
    assert f"error: {target} contains no evaluation/view.html\n" in capsys.readouterr().err
    names = {name for name in content(target) if name.startswith("evaluation/")}
    assert names == {
        f"evaluation/{name}"
        for name in ("summary.json", "errors.csv", "estimate.tum", "groundtruth.tum")
    }


def test_a_run_without_map_and_gallery_is_packed_with_a_warning(packed, tmp_path, caplog):
    shutil.copytree(packed.home / "run", tmp_path / "run")
    for name in ("training_scene.npz", "gallery.npz", "blending.json"):
        (tmp_path / "run" / name).unlink()
    pack_run(open_run(tmp_path / "run"), tmp_path / "packed.zip", PackOptions())
    assert set(content(tmp_path / "packed.zip")) == {
        "README.md",
        "config.json",
        "history.csv",
        "model.keras",
    }
    assert caplog.messages[-1] == (
        "packed without retrieval and refinement: scene folder not found: "
        f"{packed.home / 'plane'}: its images are required"
    )


def test_command(packed, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    arguments = ["pack", str(packed.home / "run")]
    assert main([*arguments, "place.tar"]) == 1
    assert capsys.readouterr().err == (
        "error: a run is packed into FILE.zip or hf://USER/NAME, received place.tar\n"
    )
    assert main([*arguments, "place.zip", "--title", "A place", "--license", "cc-by-4.0"]) == 0
    card = content("place.zip")["README.md"].decode()
    assert "\n# A place\n" in card
    assert "license: cc-by-4.0\n" in card
    assert main([*arguments, "place.zip"]) == 1
    assert capsys.readouterr().err.endswith(
        "error: output file already exists: place.zip (use --overwrite to replace it)\n"
    )


def test_archives_of_strangers(packed, tmp_path):
    target = tmp_path / "other.zip"
    repack(packed.archive, target, **{"evil.py": b"print()"})
    assert refusal(open_run, target) == (
        f"{target} contains a file that is not part of a run: 'evil.py'"
    )
    repack(packed.archive, target, **{"model.keras": None})
    assert refusal(open_run, target) == (
        f"{target} is not a packed run: it must contain model.keras"
    )
    bomb = io.BytesIO()
    np.savez_compressed(bomb, zeros=np.zeros(10**6))
    repack(packed.archive, target, **{"gallery.npz": bomb.getvalue()})
    assert "contains a file that unpacks to more than 100 times its size" in refusal(
        open_run, target
    )
    # Nothing of it stays unpacked.
    digest = hashlib.sha256(target.read_bytes()).hexdigest()
    assert not (cache_folder() / "runs" / digest).exists()
    target.write_bytes(b"no archive")
    assert refusal(open_run, target) == f"{target} cannot be unpacked (File is not a zip file)"
    assert (
        refusal(open_run, tmp_path / "none.zip") == f"run folder not found: {tmp_path / 'none.zip'}"
    )


def test_code_in_a_model_is_not_executed(packed, tmp_path, monkeypatch):
    import keras

    inputs = keras.Input((8, 8, 3))
    model = keras.Model(inputs, keras.layers.Lambda(lambda x: x * 2)(inputs))
    model.save(tmp_path / "evil.keras")
    changes = {"model.keras": (tmp_path / "evil.keras").read_bytes()}
    run = open_run(repack(packed.archive, tmp_path / "other.zip", **changes))
    message = refusal(run.load_model)
    assert message.startswith(f"{run.folder / 'model.keras'} must be a model written by posenet")


def test_packed_files_are_those_that_runs_contain():
    assert set(MAP_FILES) == {
        *(f"{name}.npy" for name in (*ARRAYS, *PACKED_ARRAYS)),
        "points.npy",
        INFO,
        "vlad.npz",
        "uncertainty.json",
    }
    figures = {name.removesuffix(".png") for name in EVALUATION_FILES if name.endswith(".png")}
    assert figures == set(FIGURES)
    assert VIEW in EVALUATION_FILES
    assert not any(name.endswith((".py", ".pkl", ".pickle", ".so")) for name in PACKED_FILES)
