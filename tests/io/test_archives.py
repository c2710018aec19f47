import stat
import threading
import zipfile

import numpy as np
import pytest

from posenet.io import archives
from posenet.io.archives import check_nested, unpack
from tests.helpers.errors import refusal

ALLOWED = {"config.json", "model.keras", "landmarks/map.json"}


def write(path, *entries, method=zipfile.ZIP_DEFLATED):
    """Write a zip archive of (name or ZipInfo, content)."""
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in entries:
            archive.writestr(name, content)
    return path


@pytest.fixture
def archive(tmp_path):
    return tmp_path / "run.zip"


def refused(archive, *, target=None) -> str:
    """Return why an archive is refused, after a check that nothing was written."""
    folder = archive.parent / "unpacked"
    message = refusal(unpack, archive, target or folder / "run", ALLOWED)
    assert message.startswith(f"{archive} ")
    assert not list(folder.rglob("*"))
    assert not (archive.parent / "evil.txt").exists()
    return message.removeprefix(f"{archive} ")


def test_an_archive_is_unpacked_once(archive, tmp_path):
    write(archive, ("config.json", "{}"), ("landmarks/map.json", "[]"))
    target = tmp_path / "unpacked" / "run"
    unpack(archive, target, ALLOWED)
    files = sorted(path.relative_to(target).as_posix() for path in target.rglob("*.json"))
    assert files == ["config.json", "landmarks/map.json"]
    assert (target / "landmarks" / "map.json").read_text() == "[]"
    (target / "config.json").write_text("kept")
    unpack(archive, target, ALLOWED)
    assert (target / "config.json").read_text() == "kept"
    assert [path.name for path in target.parent.iterdir()] == ["run"]


@pytest.mark.parametrize(
    "name",
    [
        "/evil.txt",
        "../evil.txt",
        "landmarks/../../evil.txt",
        "..\\evil.txt",
        "C:\\evil.txt",
        "\\evil",
    ],
)
def test_paths_that_leave_the_folder_are_refused(archive, name):
    write(archive, ("config.json", "{}"), (name, "x"))
    assert refused(archive).startswith("contains a path that leaves its folder: '")


def test_symbolic_links_are_refused(archive):
    link = zipfile.ZipInfo("config.json")
    link.create_system = 3
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    write(archive, (link, "/etc/passwd"))
    assert refused(archive) == "contains a symbolic link: 'config.json'"


@pytest.mark.parametrize("name", ["evil.py", "landmarks/", "CONFIG.JSON", "model.keras/x", "a\nb"])
def test_unknown_files_are_refused(archive, name):
    write(archive, (name, ""))
    assert refused(archive) == f"contains a file that is not part of a run: {name!a}"


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_duplicate_names_are_refused(archive):
    write(archive, ("config.json", "{}"), ("config.json", "[]"))
    assert refused(archive) == "contains a file twice: 'config.json'"


def test_encrypted_files_are_refused(archive):
    write(archive, ("config.json", "{}"))
    content = bytearray(archive.read_bytes())
    content[content.index(b"PK\1\2") + 8] |= 1  # the flags in the directory
    archive.write_bytes(content)
    assert refused(archive) == "contains an encrypted file: 'config.json'"


def test_other_compression_methods_are_refused(archive):
    write(archive, ("config.json", "{}"), method=zipfile.ZIP_LZMA)
    assert refused(archive) == "must use deflate or no compression, not so 'config.json'"


def test_bombs_are_refused_by_their_ratio(archive):
    write(archive, ("model.keras", bytes(3 * 10**6)))
    assert refused(archive) == (
        "contains a file that unpacks to more than 100 times its size: 'model.keras'"
    )
    write(archive, ("model.keras", bytes(9 * 10**5)))  # small files may be anything
    unpack(archive, archive.parent / "small", ALLOWED)


def test_bombs_are_refused_by_their_total(archive, monkeypatch):
    monkeypatch.setattr(archives, "MAX_BYTES", 3_000_000)
    noise = np.random.default_rng(0).bytes(2_000_000)
    write(archive, ("model.keras", noise), ("config.json", noise))
    assert refused(archive) == "unpacks to 0.0 GB, 0 GB are allowed"


def test_bombs_are_refused_by_their_number_of_files(archive, monkeypatch):
    monkeypatch.setattr(archives, "MAX_FILES", 2)
    write(archive, *((name, "") for name in sorted(ALLOWED)))
    assert refused(archive) == "contains 3 files, 2 are allowed"


def test_a_declared_size_bounds_what_is_unpacked(archive):
    write(archive, ("model.keras", bytes(5000)))
    content = bytearray(archive.read_bytes())
    for signature, offset in ((b"PK\3\4", 22), (b"PK\1\2", 24)):  # 10 bytes, they say
        start = content.index(signature) + offset
        content[start : start + 4] = (10).to_bytes(4, "little")
    archive.write_bytes(content)
    assert refused(archive).startswith("cannot be unpacked (Bad CRC-32")


@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\3\4" + bytes(100)])
def test_other_files_are_refused(archive, content):
    archive.write_bytes(content)
    assert refused(archive) == "cannot be unpacked (File is not a zip file)"


def test_damaged_archives_are_refused(archive):
    write(archive, ("config.json", "{}" * 1000))
    content = bytearray(archive.read_bytes())
    content[45:50] = b"\xff" * 5
    archive.write_bytes(content)
    assert refused(archive).startswith("cannot be unpacked (")


def test_a_full_disk_is_reported(archive, tmp_path, monkeypatch):
    write(archive, ("config.json", "{}"))
    monkeypatch.setattr(
        "posenet.io.files.shutil.disk_usage", lambda _: type("Disk", (), {"free": 1})
    )
    assert refusal(unpack, archive, tmp_path / "a" / "b", ALLOWED) == (
        f"{tmp_path / 'a'} needs 0.00 GB of free space, its disk has 0.00 GB"
    )


def test_processes_may_unpack_at_the_same_time(archive, tmp_path):
    noise = np.random.default_rng(0).bytes(3_000_000)
    write(archive, ("model.keras", noise), ("config.json", "{}"))
    start, failures = threading.Barrier(8), []

    def work():
        start.wait()
        try:
            unpack(archive, tmp_path / "unpacked" / "run", ALLOWED)
            assert (tmp_path / "unpacked" / "run" / "model.keras").read_bytes() == noise
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert [path.name for path in (tmp_path / "unpacked").iterdir()] == ["run"]


def test_archives_within_are_checked(tmp_path):
    np.savez(tmp_path / "fine.npz", noise=np.zeros(10**6))  # not compressed
    (tmp_path / "damaged.npz").write_bytes(b"x")
    check_nested([tmp_path / "fine.npz", tmp_path / "damaged.npz", tmp_path / "missing.npz"])
    np.savez_compressed(tmp_path / "bomb.npz", zeros=np.zeros(10**6))
    assert refusal(check_nested, [tmp_path / "bomb.npz"]) == (
        f"{tmp_path / 'bomb.npz'} contains a file that unpacks to more than 100 times its size: "
        "'zeros.npy'"
    )
