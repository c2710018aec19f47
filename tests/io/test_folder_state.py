import os

import pytest

from posenet.io.folder_state import folder_state


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "scene" / "seq1").mkdir(parents=True)
    (tmp_path / "scene" / "poses.txt").write_text("1 2 3")
    (tmp_path / "scene" / "seq1" / "a.png").write_bytes(b"image")
    return tmp_path / "scene"


def grow(folder):
    (folder / "seq1" / "a.png").write_bytes(b"longer image")


def touch(folder):
    os.utime(folder / "poses.txt", ns=(0, 1))


def add(folder):
    (folder / "seq1" / "b.png").touch()


def remove(folder):
    (folder / "seq1" / "a.png").unlink()


def rename(folder):
    (folder / "seq1" / "a.png").rename(folder / "seq1" / "c.png")


def rename_folder(folder):
    (folder / "seq1").rename(folder / "seq2")


@pytest.mark.parametrize("change", [grow, touch, add, remove, rename, rename_folder])
def test_every_change_of_a_file_changes_the_state(folder, change):
    before = folder_state(folder, 10)
    assert folder_state(folder, 10) == before
    change(folder)
    assert folder_state(folder, 10) != before


def test_links_are_followed_once(folder, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "b.png").write_bytes(b"1")
    (folder / "linked").symlink_to(tmp_path / "elsewhere")
    (folder / "loop").symlink_to(folder)
    (folder / "broken").symlink_to(tmp_path / "nothing")
    before = folder_state(folder, 10)
    (tmp_path / "elsewhere" / "b.png").write_bytes(b"22")
    assert before is not None
    assert folder_state(folder, 10) != before


def test_there_is_none_for_too_many_files_or_no_folder(folder):
    # poses.txt, seq1 and seq1/a.png
    assert folder_state(folder, 3) is not None
    assert folder_state(folder, 2) is None
    assert folder_state(folder / "missing", 10) is None
