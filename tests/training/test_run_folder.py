from pathlib import Path

import pytest

from posenet.errors import PoseNetError
from posenet.training.run_folder import new_run_folder, resumed_run_folder
from tests.helpers.errors import refusal


@pytest.fixture
def run(tmp_path):
    """A folder that looks like a run."""
    (tmp_path / "config.json").write_text("{}")


def test_overwrite_replaces_a_run_only(run, tmp_path):
    (tmp_path / "model.keras").write_bytes(b"old")
    with new_run_folder(tmp_path, overwrite=True):
        assert list(tmp_path.iterdir()) == []
    assert list(tmp_path.iterdir()) == []


def test_a_folder_with_system_files_only_is_empty(tmp_path):
    (tmp_path / ".DS_Store").write_bytes(b"x")
    with new_run_folder(tmp_path, overwrite=False):
        (tmp_path / "config.json").write_text("{}")
    with pytest.raises(PoseNetError):
        new_run_folder(tmp_path, overwrite=False).__enter__()


def test_the_current_folder_is_not_replaced(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    line = refusal(new_run_folder(Path(), overwrite=True).__enter__)
    assert line == ". is the current folder, which cannot be replaced: give --output from outside"
    assert (tmp_path / "config.json").is_file()


@pytest.mark.parametrize(("kept", "left"), [(None, b"old"), ("checkpoint/state.npz", None)])
@pytest.mark.parametrize("stopped", [PoseNetError, KeyboardInterrupt])
def test_the_old_run_is_there_until_the_new_one_has_something(tmp_path, kept, left, stopped):
    folder = tmp_path / "run"
    (folder / "checkpoint").mkdir(parents=True)
    for name, content in (("config.json", b"{}"), ("model.keras", b"old")):
        (folder / name).write_bytes(content)
    replacing = new_run_folder(folder, overwrite=True)
    replacing.__enter__()
    if kept:
        (folder / "checkpoint").mkdir()
        (folder / kept).write_bytes(b"new")
    error = stopped("the cat on the keyboard")
    assert not replacing.__exit__(stopped, error, None)
    assert (folder / "model.keras").is_file() == (left is not None)
    assert (folder / "checkpoint" / "state.npz").is_file() == bool(kept)
    assert list(tmp_path.iterdir()) == [folder]


def test_an_old_run_that_cannot_be_put_back_is_kept(tmp_path, monkeypatch, caplog):
    folder, aside = tmp_path / "run", tmp_path / ".run.replaced"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    (folder / "model.keras").write_bytes(b"old")
    replacing = new_run_folder(folder, overwrite=True)
    replacing.__enter__()

    def busy(self, target):
        raise OSError(39, "Directory not empty")

    monkeypatch.setattr(Path, "rename", busy)
    assert not replacing.__exit__(KeyboardInterrupt, KeyboardInterrupt(), None)
    assert (
        f"the training saved nothing, and the earlier run is {aside}: Directory not empty"
        in caplog.text
    )
    assert (aside / "model.keras").read_bytes() == b"old"
    monkeypatch.undo()
    with pytest.raises(KeyboardInterrupt), new_run_folder(folder, overwrite=True):
        raise KeyboardInterrupt
    assert (folder / "model.keras").read_bytes() == b"old"


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
            line = refusal(new_run_folder(tmp_path / "run", overwrite=overwrite).__enter__)
            assert line == f"{tmp_path / 'run'} is in use: another process writes to it"
        assert (tmp_path / "run").is_dir()
        (tmp_path / "run" / "config.json").write_text("{}")
        line = refusal(new_run_folder(tmp_path / "run", overwrite=True).__enter__)
        assert line == f"{tmp_path / 'run'} is in use: another process writes to it"


def killed_before_it_kept_anything(folder):
    """What a training that replaced a run leaves when it is killed early: its own folder, and the
    run set aside.
    """
    for path, content in ((folder, b""), (folder.with_name(f".{folder.name}.replaced"), b"old")):
        path.mkdir()
        (path / "config.json").write_bytes(b"{}")
        if content:
            (path / "model.keras").write_bytes(content)


def test_the_old_run_outlives_a_killed_training_and_a_second_one_that_fails(tmp_path):
    folder = tmp_path / "run"
    killed_before_it_kept_anything(folder)
    replacing = new_run_folder(folder, overwrite=True)
    replacing.__enter__()
    assert list(folder.iterdir()) == []
    assert not replacing.__exit__(KeyboardInterrupt, KeyboardInterrupt(), None)
    assert (folder / "model.keras").read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [folder]


def test_a_second_training_that_is_refused_takes_nothing_away(tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    for name, content in (("config.json", b"{}"), ("model.keras", b"old")):
        (folder / name).write_bytes(content)
    first = new_run_folder(folder, overwrite=True)
    first.__enter__()
    (folder / "config.json").write_text("{}")
    assert refusal(new_run_folder(folder, overwrite=True).__enter__).endswith(
        "another process writes to it"
    )
    assert not first.__exit__(KeyboardInterrupt, KeyboardInterrupt(), None)
    assert (folder / "model.keras").read_bytes() == b"old"


def test_a_run_that_goes_on_drops_the_one_it_replaced_when_it_ends_well(tmp_path):
    folder = tmp_path / "run"
    killed_before_it_kept_anything(folder)
    with resumed_run_folder(folder):
        pass
    assert len(list(tmp_path.iterdir())) == 2  # nothing of its own yet
    with resumed_run_folder(folder):
        (folder / "model.keras").write_bytes(b"new")
    assert list(tmp_path.iterdir()) == [folder]
