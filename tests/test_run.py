import json
import zipfile
from dataclasses import replace
from pathlib import Path

import keras
import pytest

from posenet.calibration import Correction
from posenet.config import TrainConfig
from posenet.errors import PoseNetError
from posenet.framing import Framing
from posenet.run import Run, new_run_folder, open_run
from tests.conftest import refusal


@pytest.fixture
def run(tmp_path):
    run = Run(
        tmp_path, TrainConfig(tmp_path), tmp_path / "scene", "m", Framing((6, 8), (4, 4)), (1.0, 2.0, 3.0), 2.5, ("a",),
        one_camera=True, origin=(4e5, 5e6, 0.0), trained_on=("a", "b"),
        corrections={"file": Correction(0.9, 0.01, -0.02)},
    )  # fmt: skip
    run.save()
    return run


def test_round_trip(run, tmp_path):
    assert open_run(tmp_path) == run


def test_no_such_folder_and_no_run(tmp_path):
    with pytest.raises(PoseNetError, match="missing: no such run folder"):
        open_run(tmp_path / "missing")
    with pytest.raises(PoseNetError, match=r"must be a run folder, it holds no config.json"):
        open_run(tmp_path)


@pytest.mark.parametrize(
    "text", ["{", "[]", "null", '{"format": 1}', '{"format": 9}', '{"format": 1, "stored": 3}', "\0\1"]
)
def test_a_corrupted_configuration_is_one_line(run, tmp_path, text):
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(PoseNetError, match=r"config.json must be the configuration that training wrote") as error:
        open_run(tmp_path)
    assert "\n" not in str(error.value)


def test_unknown_settings_in_the_configuration_are_one_line(run, tmp_path):
    values = json.loads((tmp_path / "config.json").read_text())
    values["settings"]["wings"] = 2
    (tmp_path / "config.json").write_text(json.dumps(values))
    with pytest.raises(PoseNetError, match="unknown setting 'wings'"):
        open_run(tmp_path)


def test_missing_and_corrupted_models_are_one_line(run, tmp_path):
    with pytest.raises(PoseNetError, match=r"model.keras is missing"):
        run.load_model()
    for content in (b"", b"PK\3\4 cut off", b"nonsense" * 100):
        (tmp_path / "model.keras").write_bytes(content)
        with pytest.raises(PoseNetError, match=r"model.keras must be a model written by posenet") as error:
            run.load_model()
        assert "\n" not in str(error.value)


def test_marshalled_code_in_a_model_is_never_run(run, tmp_path):
    image = keras.Input((4, 4, 3))
    model = keras.Model(image, keras.layers.Lambda(lambda x: x)(image))
    model.save(tmp_path / "model.keras")
    with pytest.raises(PoseNetError, match=r"model.keras must be a model written by posenet"):
        run.load_model()


def test_a_model_is_saved_whole_or_not_at_all(run, tmp_path):
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


def test_overwrite_replaces_a_run_only(run, tmp_path):
    (tmp_path / "model.keras").write_bytes(b"old")
    with new_run_folder(tmp_path, overwrite=True):
        assert list(tmp_path.iterdir()) == []
    assert list(tmp_path.iterdir()) == []


def test_the_current_folder_is_not_replaced(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    line = refusal(new_run_folder(Path(), overwrite=True).__enter__)
    assert line == ". is the current folder, which cannot be replaced: give --output from outside it"
    assert (tmp_path / "config.json").is_file()


@pytest.mark.parametrize(("kept", "left"), [(None, b"old"), ("backup/state.npz", None)])
@pytest.mark.parametrize("stopped", [PoseNetError, KeyboardInterrupt])
def test_the_old_run_is_there_until_the_new_one_has_something(tmp_path, kept, left, stopped):
    folder = tmp_path / "run"
    (folder / "backup").mkdir(parents=True)
    for name, content in (("config.json", b"{}"), ("model.keras", b"old")):
        (folder / name).write_bytes(content)
    replacing = new_run_folder(folder, overwrite=True)
    replacing.__enter__()
    if kept:
        (folder / "backup").mkdir()
        (folder / kept).write_bytes(b"new")
    error = stopped("the cat on the keyboard")
    assert not replacing.__exit__(stopped, error, None)
    assert (folder / "model.keras").is_file() == (left is not None)
    assert (folder / "backup" / "state.npz").is_file() == bool(kept)
    assert list(tmp_path.iterdir()) == [folder]


def test_a_link_to_a_run_stays_a_link(tmp_path):
    (tmp_path / "disk" / "run").mkdir(parents=True)
    (tmp_path / "disk" / "run" / "config.json").write_text("{}")
    (tmp_path / "link").symlink_to(tmp_path / "disk" / "run")
    for _ in range(2):
        with new_run_folder(tmp_path / "link", overwrite=True):
            (tmp_path / "link" / "config.json").write_text("new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "disk" / "run" / "config.json").read_text() == "new"
    assert len(list(tmp_path.iterdir())) == 2
    assert len(list((tmp_path / "disk").iterdir())) == 1


def test_a_folder_that_cannot_be_renamed_is_one_line(run, tmp_path, monkeypatch):
    def busy(self, target):
        raise OSError(16, "Device or resource busy")

    monkeypatch.setattr(Path, "rename", busy)
    line = refusal(new_run_folder(tmp_path, overwrite=True).__enter__)
    assert line == f"{tmp_path} cannot be replaced: Device or resource busy"
    assert (tmp_path / "config.json").is_file()


def test_a_folder_that_another_training_prepares_is_left_alone(tmp_path):
    with new_run_folder(tmp_path / "run", overwrite=False):
        for overwrite in (False, True):
            line = refusal(new_run_folder(tmp_path / "run", overwrite).__enter__)
            assert line == f"{tmp_path / 'run'} is in use: another training writes to it"
        assert (tmp_path / "run").is_dir()
        (tmp_path / "run" / "config.json").write_text("{}")
        line = refusal(new_run_folder(tmp_path / "run", overwrite=True).__enter__)
        assert line == f"{tmp_path / 'run'} is in use: another training writes to it"


def test_a_list_in_the_scenes_folder_moves_with_it(run, cambridge, tmp_path):
    names = [line.split()[0] for line in (cambridge / "dataset_train.txt").read_text().splitlines()[3:6]]
    (cambridge / "mine.txt").write_text("\n".join(names) + "\n")
    moved = replace(run, scene=cambridge.absolute(), split=str((cambridge / "mine.txt").resolve()))
    cambridge.rename(tmp_path / "elsewhere")
    assert moved.open_scene(tmp_path / "elsewhere").split("test").names == tuple(names)
