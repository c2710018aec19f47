import os
from pathlib import Path

import pytest

from posenet.errors import PoseNetError
from posenet.io.files import (
    atomic_path,
    best_effort_write,
    exclusive_lock,
    file_stats,
    fingerprint_content,
    fingerprint_files,
    fingerprint_stats,
    load_stamped,
    save_stamped,
    staged_files,
    write_text,
)
from tests.helpers.errors import refusal


def test_failed_write_keeps_the_old_file(tmp_path):
    target = tmp_path / "a.txt"
    write_text(target, "old")

    def fail():
        with atomic_path(target) as temporary:
            temporary.write_text("half")
            raise OSError(28, "No space left on device")

    with pytest.raises(PoseNetError, match=r"a.txt cannot be written: No space left on device"):
        fail()
    assert target.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


def test_new_file_replaces_the_old_one(tmp_path):
    write_text(tmp_path / "a.txt", "old")
    write_text(tmp_path / "a.txt", "new")
    assert (tmp_path / "a.txt").read_text() == "new"
    assert len(list(tmp_path.iterdir())) == 1


def test_concurrent_writers_have_separate_temporary_files(tmp_path):
    target = tmp_path / "a.npy"  # process numbers may be equal: two containers with one folder
    with atomic_path(target) as first, atomic_path(target) as second:
        first.write_text("first")
        second.write_text("second")
        assert (first.read_text(), first.suffix) == ("first", ".npy")
    assert target.read_text() == "first"


def test_fingerprint_changes_with_names_sizes_and_presence(tmp_path):
    paths = [tmp_path / "a", tmp_path / "b"]
    paths[0].write_bytes(b"12")
    first = fingerprint_files(paths)  # the second is not there
    assert fingerprint_files(paths) == first
    assert fingerprint_files(paths[::-1]) != first
    paths[1].write_bytes(b"3")
    second = fingerprint_files(paths)
    assert second != first
    paths[1].write_bytes(b"34")
    assert fingerprint_files(paths) not in (first, second)


def test_recorded_sizes_and_times_give_the_same_fingerprint(tmp_path):
    paths = [tmp_path / "a", tmp_path / "b"]
    paths[0].write_bytes(b"12")
    os.utime(paths[0], ns=(0, 5_000_000_123))
    stats, fingerprint = file_stats(paths), fingerprint_files(paths)
    assert stats.tolist() == [[2, 5_000_000_123], [0, 0]]
    paths[0].unlink()
    assert fingerprint_stats([path.name for path in paths], stats) == fingerprint
    assert fingerprint_files(paths) != fingerprint


def test_content_has_the_same_fingerprint_in_a_copy(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")
    (tmp_path / "copy").write_bytes(b"abc")
    expected = "ba7816bf8f01cfea414140de5dae2223"  # FIPS 180-2, example B.1
    assert fingerprint_content(tmp_path / "a") == fingerprint_content(tmp_path / "copy") == expected
    (tmp_path / "copy").write_bytes(b"abd")
    assert fingerprint_content(tmp_path / "copy") != expected
    assert fingerprint_content(tmp_path / "missing") == "e3b0c44298fc1c149afbf4c8996fb924"


def test_failed_best_effort_write_is_a_warning(tmp_path, caplog):
    (tmp_path / "a.npz").mkdir()
    with best_effort_write(tmp_path / "a.npz") as temporary:
        temporary.write_text("much")
    assert caplog.messages == [
        f"{tmp_path / 'a.npz'} cannot be written: Is a directory: it will be made again"
    ]
    with best_effort_write(tmp_path / "b.npz") as temporary:
        temporary.write_text("much")
    assert (tmp_path / "b.npz").read_text() == "much"


def test_best_effort_write_on_read_only_file_system(tmp_path, caplog, monkeypatch):
    def read_only(self, *_, **__):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(Path, "unlink", read_only)
    monkeypatch.setattr(Path, "write_text", read_only)
    with best_effort_write(tmp_path / "a.npz") as temporary:
        temporary.write_text("much")
    assert caplog.messages == [
        f"{tmp_path / 'a.npz'} cannot be written: Read-only file system: it will be made again"
    ]


def test_lock_is_exclusive(tmp_path):
    with exclusive_lock(tmp_path):
        line = refusal(exclusive_lock(tmp_path).__enter__)
        assert line == f"{tmp_path} is in use: another process writes to it"
    with exclusive_lock(tmp_path):
        assert list(tmp_path.iterdir()) == []


def test_stamped_values_are_read_back_for_the_same_stamp_only(tmp_path):
    path = tmp_path / "a.json"
    assert load_stamped(path, "1") is None
    save_stamped(path, "1", {"x": 0.5})
    assert load_stamped(path, "1") == {"x": 0.5}
    assert load_stamped(path, "2") is None


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b'{"x": 1}', b"\xff", b"null"])
def test_damaged_stamped_files_are_as_none(tmp_path, content):
    path = tmp_path / "a.json"
    path.write_bytes(content)
    assert load_stamped(path, "1") is None


def test_a_set_of_files_is_old_or_new(tmp_path):
    folder = tmp_path / "evaluation"
    folder.mkdir()
    for name in ("a", "b", "other"):
        (folder / name).write_text("old")

    def interrupt():
        with staged_files(folder) as staged:
            (staged / "a").write_text("new")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupt()
    assert {path.read_text() for path in folder.iterdir()} == {"old"}
    with staged_files(folder) as staged:
        for name in ("a", "b"):
            (staged / name).write_text("new")
    assert {path.name: path.read_text() for path in folder.iterdir()} == {
        "a": "new",
        "b": "new",
        "other": "old",
    }
    assert [path.name for path in tmp_path.iterdir()] == ["evaluation"]


def test_a_set_of_files_of_the_current_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with staged_files(Path(".")) as staged:
        (staged / "a").write_text("new")
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_a_set_of_files_that_cannot_be_written_is_an_error(tmp_path):
    def write():
        with staged_files(tmp_path):
            raise OSError(28, "No space left on device")

    assert refusal(write) == f"{tmp_path} cannot be written: No space left on device"
