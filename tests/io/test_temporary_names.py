"""What killed processes leave under temporary names is removed by the next writer."""

import os
import signal
import subprocess
import sys

import pytest

from posenet.io import temporary_names
from posenet.io.files import atomic_directory, write_text
from posenet.io.temporary_names import remove_abandoned, temporary_path

KILLED = """
import os, signal, sys
from pathlib import Path
from posenet.io.files import atomic_directory, atomic_path
folder = Path(sys.argv[1])
with atomic_path(folder / "a.txt") as file, atomic_directory(folder / "scene") as made:
    file.write_text("half")
    (made / "b.txt").write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture(autouse=True)
def as_a_new_process():
    remove_abandoned.cache_clear()


def kill_a_writer(folder):
    done = subprocess.run([sys.executable, "-c", KILLED, str(folder)], check=False)
    assert done.returncode == -signal.SIGKILL
    assert len(list(folder.iterdir())) == 2


def test_the_next_writer_of_the_folder_removes_it(tmp_path):
    kill_a_writer(tmp_path)
    write_text(tmp_path / "a.txt", "whole")
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]
    remove_abandoned.cache_clear()
    kill = tmp_path / "other"
    kill.mkdir()
    kill_a_writer(kill)
    with atomic_directory(kill / "scene"):
        pass
    assert [path.name for path in kill.iterdir()] == ["scene"]


def test_files_of_living_processes_and_other_machines_stay(tmp_path, monkeypatch):
    own = temporary_path(tmp_path / "a.txt")
    own.write_text("half")
    place = own.name[1:9]
    other = tmp_path / ".0123abcd-99999999-0123456789ab-a.txt"
    dead = tmp_path / f".{place}-99999999-0123456789ab-a.txt"  # above the largest number of Linux
    older = tmp_path / ".0123456789ab-a.txt"
    for path in (other, dead, older):
        path.write_text("half")
    remove_abandoned.cache_clear()
    remove_abandoned(tmp_path)
    assert sorted(tmp_path.iterdir()) == sorted([own, other, older])
    dead.write_text("half")
    monkeypatch.setattr(temporary_names.os, "name", "nt")  # where asking would end the process
    remove_abandoned.cache_clear()
    remove_abandoned(tmp_path)
    assert dead.exists()


def test_names_are_new_beside_the_target_and_keep_its_suffix(tmp_path):
    names = [temporary_path(tmp_path / "a.npz") for _ in range(3)]
    assert len(set(names)) == 3
    assert {(path.parent, path.suffix) for path in names} == {(tmp_path, ".npz")}
    assert f"-{os.getpid()}-" in names[0].name
    assert temporary_path(tmp_path / "scene", ".unfinished").name.endswith("-scene.unfinished")
