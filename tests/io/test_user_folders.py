"""Home and cache folders, with and without a home."""

import os
import tempfile
from pathlib import Path

import pytest

from posenet.io import user_folders
from posenet.io.downloads import cached_file
from posenet.io.user_folders import cache_folder, home_folder


@pytest.fixture
def user(tmp_path, monkeypatch):
    """A user with a home folder, without variables of the cache."""
    for name in ("POSENET_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(tempfile, "gettempdir", lambda: "/temporary")
    user_folders._temporary_cache.cache_clear()
    yield tmp_path
    user_folders._temporary_cache.cache_clear()


def without_home(monkeypatch):
    def unknown():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", unknown)


def test_cache_folder_follows_the_variables(user, monkeypatch):
    assert cache_folder() == user / ".cache" / "posenet"
    monkeypatch.setenv("XDG_CACHE_HOME", str(user / "xdg"))
    assert cache_folder() == user / "xdg" / "posenet"
    monkeypatch.setenv("POSENET_CACHE", "/own")
    assert cache_folder() == Path("/own")


def test_cache_without_a_home_is_temporary(user, monkeypatch, caplog):
    without_home(monkeypatch)
    caplog.set_level("INFO")
    folder = Path(f"/temporary/posenet-{os.getuid()}")
    assert home_folder() is None
    assert cache_folder() == cache_folder() == folder
    assert caplog.messages == [
        f"there is no writable cache folder: using {folder} (POSENET_CACHE sets another)"
    ]
    monkeypatch.setenv("XDG_CACHE_HOME", str(user / "xdg"))
    assert cache_folder() == user / "xdg" / "posenet"


def test_cache_is_not_in_a_home_that_cannot_be_written(user, monkeypatch):
    writable = os.access
    monkeypatch.setattr(
        os, "access", lambda path, mode: Path(path) != user and writable(path, mode)
    )
    assert cache_folder() == Path(f"/temporary/posenet-{os.getuid()}")
    (user / ".cache").write_text("a file")
    assert cache_folder() == Path(f"/temporary/posenet-{os.getuid()}")


def test_files_of_keras_are_not_searched_without_a_home(user, monkeypatch):
    without_home(monkeypatch)
    assert cached_file("http://127.0.0.1:9/w.h5") is None
