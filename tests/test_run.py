import json
import os
import zipfile
from dataclasses import replace

import keras
import numpy as np
import pytest

from posenet.config import TrainConfig
from posenet.errors import PoseNetError
from posenet.geometry.cropping import Crop
from posenet.mapping.calibration import IntrinsicsCorrection
from posenet.run import Run, open_run
from tests.helpers.scenes import scene_of, walk


@pytest.fixture
def run(tmp_path):
    run = Run(
        folder=tmp_path,
        config=TrainConfig(tmp_path),
        scene=tmp_path / "scene",
        unit="m",
        crop=Crop((6, 8), (4, 4)),
        position_mean=(1.0, 2.0, 3.0),
        position_scale=2.5,
        validation_images=("a",),
        single_camera=True,
        origin=(4e5, 5e6, 0.0),
        training_images=("a", "b"),
        corrections={"file": IntrinsicsCorrection(0.9, 0.01, -0.02)},
    )
    run.save()
    return run


def test_round_trip(run, tmp_path):
    assert open_run(tmp_path) == run


def test_scene_moved_together_with_run_is_found(run, tmp_path):
    old, new = tmp_path / "old", tmp_path / "new"
    (old / "scenes" / "place").mkdir(parents=True)
    (old / "runs" / "place").mkdir(parents=True)
    split = str(old / "scenes" / "place" / "test.txt")
    replace(run, folder=old / "runs" / "place", scene=old / "scenes" / "place", split=split).save()
    old.rename(new)
    found = open_run(new / "runs" / "place")
    assert (found.scene, found.split) == (
        new / "scenes" / "place",
        str(new / "scenes" / "place" / "test.txt"),
    )


def test_run_opens_if_its_scene_is_not_accessible(run, tmp_path, monkeypatch):
    stat = os.stat

    def refusing(path, **options):
        if str(path).endswith("/scene"):
            raise PermissionError(13, "Permission denied", str(path))
        return stat(path, **options)

    monkeypatch.setattr("os.stat", refusing)
    assert open_run(tmp_path).scene == tmp_path / "scene"


def test_run_moved_alone_finds_its_scene(run, tmp_path):
    (tmp_path / "scenes" / "place").mkdir(parents=True)
    (tmp_path / "runs").mkdir()
    replace(
        run, folder=tmp_path / "runs", scene=tmp_path / "scenes" / "place", split="blocks"
    ).save()
    (tmp_path / "far" / "away").mkdir(parents=True)
    (tmp_path / "runs").rename(tmp_path / "far" / "away" / "run")
    found = open_run(tmp_path / "far" / "away" / "run")
    assert (found.scene, found.split) == (tmp_path / "scenes" / "place", "blocks")


def test_missing_folder_and_folder_without_config_raise(tmp_path):
    with pytest.raises(PoseNetError, match="run folder not found: .*missing"):
        open_run(tmp_path / "missing")
    with pytest.raises(PoseNetError, match=r"is not a run folder: it must contain config.json"):
        open_run(tmp_path)


@pytest.mark.parametrize(
    "text",
    ["{", "[]", "null", '{"format": 2}', '{"format": 9}', '{"format": 1, "stored": 3}', "\0\1"],
)
def test_corrupted_config_raises_one_line(run, tmp_path, text):
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(
        PoseNetError, match=r"config.json must be the configuration written by training"
    ) as error:
        open_run(tmp_path)
    assert "\n" not in str(error.value)


def test_unknown_setting_in_config_raises(run, tmp_path):
    values = json.loads((tmp_path / "config.json").read_text())
    values["settings"]["wings"] = 2
    (tmp_path / "config.json").write_text(json.dumps(values))
    with pytest.raises(PoseNetError, match="unknown setting 'wings'"):
        open_run(tmp_path)


def test_later_format_raises(run, tmp_path):
    values = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(values | {"format": 3}))
    with pytest.raises(
        PoseNetError, match=r"cannot read it \(format 3, this version reads formats 1 and 2\)"
    ):
        open_run(tmp_path)


def test_missing_or_corrupted_model_raises_one_line(run, tmp_path):
    with pytest.raises(
        PoseNetError, match=r"model.keras is missing: the run was not trained long enough"
    ):
        run.load_model()
    for content in (b"", b"PK\3\4 cut off", b"nonsense" * 100):
        (tmp_path / "model.keras").write_bytes(content)
        with pytest.raises(
            PoseNetError, match=r"model.keras must be a model written by posenet"
        ) as error:
            run.load_model()
        assert "\n" not in str(error.value)


def test_marshalled_code_in_a_model_is_never_executed(run, tmp_path):
    image = keras.Input((4, 4, 3))
    model = keras.Model(image, keras.layers.Lambda(lambda x: x)(image))
    model.save(tmp_path / "model.keras")
    with pytest.raises(PoseNetError, match=r"model.keras must be a model written by posenet"):
        run.load_model()


def test_model_is_saved_atomically(run, tmp_path):
    class Breaks:
        def save(self, path):
            with zipfile.ZipFile(path, "w") as archive:
                archive.writestr("half", "x")
            raise OSError(28, "No space left on device")

    (tmp_path / "model.keras").write_bytes(b"old")
    with pytest.raises(PoseNetError, match="cannot be written: No space left on device"):
        run.save_model(Breaks())
    assert (tmp_path / "model.keras").read_bytes() == b"old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["config.json", "model.keras"]


def test_test_list_outside_the_scene_is_copied_into_the_run(run, cambridge, tmp_path):
    names = [
        line.split()[0] for line in (cambridge / "dataset_train.txt").read_text().splitlines()[3:6]
    ]
    (tmp_path / "mine.txt").write_text("\n".join(names) + "\n")
    begun = replace(
        run,
        folder=tmp_path / "run",
        scene=cambridge.absolute(),
        split=str((tmp_path / "mine.txt").resolve()),
    )
    begun.folder.mkdir()
    begun.save()
    assert open_run(begun.folder).split == begun.split
    (tmp_path / "mine.txt").unlink()
    again = open_run(begun.folder)
    assert again.split == str((tmp_path / "run" / "test.txt").resolve())
    assert again.open_scene().split("test").names == tuple(names)


def test_test_list_in_the_scene_folder_moves_with_it(run, cambridge, tmp_path):
    names = [
        line.split()[0] for line in (cambridge / "dataset_train.txt").read_text().splitlines()[3:6]
    ]
    (cambridge / "mine.txt").write_text("\n".join(names) + "\n")
    moved = replace(run, scene=cambridge.absolute(), split=str((cambridge / "mine.txt").resolve()))
    cambridge.rename(tmp_path / "elsewhere")
    assert moved.open_scene(tmp_path / "elsewhere").split("test").names == tuple(names)


def test_test_images_of_a_moment_that_was_trained_on_are_excluded(run, caplog):
    names = ("a", "x", "y", "z")
    test = replace(scene_of(walk(4)), names=names, root="place")
    assert run.exclude_training_images(test).names == ("x", "y", "z")
    rig = replace(test, moments=np.array([5, 5, 6, 7]))
    caplog.clear()
    assert run.exclude_training_images(rig).names == ("y", "z")
    assert caplog.messages == ["place: excluded 2 test images that the run was trained on"]


@pytest.fixture
def opened(trained, monkeypatch):
    """Return a run whose training images were saved, and how often its scene was opened since."""
    from posenet import run as module

    run, count = open_run(trained), []
    monkeypatch.setattr(
        module,
        "open_scene",
        lambda *paths, real=module.open_scene, **options: (
            count.append(1) or real(*paths, **options)
        ),
    )
    run.training_scene(need_images=False)
    count.clear()
    return run, count


@pytest.mark.slow
def test_an_unchanged_scene_is_not_read_again(opened):
    run, count = opened
    saved, read = run.training_scene(need_images=False), run.training_scene()
    assert len(count) == 1  # the images were required once
    assert saved.names == read.names
    assert saved.digest() == read.digest()
    assert saved.files_digest() == read.files_digest()
    assert saved.has_images
    np.testing.assert_array_equal(saved.poses.quaternions_wxyz, read.poses.quaternions_wxyz)


@pytest.mark.slow
@pytest.mark.parametrize("change", ["labels", "image", "new", "config", "damaged", "other"])
def test_a_changed_scene_is_read_again(opened, change):
    run, count = opened
    labels = run.scene / "dataset_train.txt"
    image = run.scene / run.training_images[3]
    if change == "labels":
        text = labels.read_text().splitlines()
        text[3] = f"{text[3].split()[0]} 9.5 0 0 1 0 0 0"
        labels.write_text("\n".join(text) + "\n")
    elif change == "image":
        os.utime(image, ns=(0, 1))
    elif change == "new":
        (run.scene / "notes.txt").write_text("new")
    elif change == "config":
        run.save()
        os.utime(run.folder / "config.json", ns=(0, 1))
    elif change == "damaged":
        (run.folder / "training_scene.npz").write_bytes(b"damaged")
    else:  # as an evaluation may, of a copy of the scene
        run.save_training_scene(run.training_scene().subset(np.arange(5)))
    count.clear()
    found = run.training_scene(need_images=False)
    assert len(count) == 1
    assert len(found) == 12
    if change == "labels":
        assert found.poses.positions[:, 0].max() == 9.5
    assert run.training_scene(need_images=False).digest() == found.digest()
    assert len(count) == 1


@pytest.mark.slow
def test_missing_training_images_are_warned_of_every_time(opened, caplog):
    run, _ = opened
    (run.scene / run.training_images[0]).unlink()
    for number in (1, 2):
        assert len(run.training_scene(need_images=False)) == 11
        assert caplog.text.count("1 of 12 training images are missing") == number
