"""Folders elsewhere: copies in the cache, what is transferred, and every refusal."""

import json
import os
import re
import shutil
import threading
import time
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from posenet.cli.main import main
from posenet.datasets.courtyard.city import make_city
from posenet.datasets.registry import open_scene
from posenet.errors import PoseNetError
from posenet.io import remote
from posenet.io.addresses import address_of, copy_folder, is_address, local_path, parse_address
from posenet.io.files import file_stats
from posenet.io.remote import fetch_folder
from posenet.run_config import _locate_scene, _relative

fsspec = pytest.importorskip("fsspec")

FILES = {"poses.csv": b"table", "court1/a.jpg": b"12345", "court1/b.jpg": b"678"}


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("POSENET_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(remote, "FIRST_WAIT", 0.0)
    forget()
    return tmp_path / "cache"


def forget():
    """Behave as a new process does."""
    remote._fetched.clear()


@pytest.fixture
def store(monkeypatch):
    """A file system in memory with a folder, which counts what is transferred."""
    store = fsspec.filesystem("memory")
    store.store.clear()
    store.pseudo_dirs[:] = [""]
    for name, content in FILES.items():
        store.pipe_file(f"/bucket/scene/{name}", content)
    store.transferred = []
    get_file = type(store).get_file

    def counted(self, path, *arguments, **options):
        store.transferred.append(path.removeprefix("/bucket/scene/"))
        return get_file(self, path, *arguments, **options)

    monkeypatch.setattr(type(store), "get_file", counted)
    return store


ADDRESS = "memory://bucket/scene"


def contents(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def refusal(path=ADDRESS):
    with pytest.raises(PoseNetError) as caught:
        fetch_folder(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_addresses():
    for text in ("s3://bucket/scene", "gs:/bucket/scene", "memory:///a", "http://host:80/a/b"):
        assert is_address(text)
        assert is_address(Path(text))
    for text in ("scenes/courtyard", "/abs/s3:/x", "C:/scene", "c:\\scene", "a b:/x", "."):
        assert not is_address(text)
    assert parse_address(Path("s3://bucket/a/scene/")) == "s3://bucket/a/scene"
    folder = copy_folder("s3://bucket/a/scene")
    assert folder.name == "scene"
    assert address_of(folder) == "s3://bucket/a/scene"
    assert local_path(Path("s3:/bucket/a/scene")) == folder
    assert local_path(Path("scenes/courtyard")) == Path("scenes/courtyard")
    assert address_of(Path("scenes/courtyard")) is None
    assert address_of(folder / "seq1") is None


def test_a_local_folder_that_looks_like_an_address_is_local(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("s3:/bucket/scene").mkdir(parents=True)
    assert not is_address("s3:/bucket/scene")
    assert fetch_folder("s3:/bucket/scene") == Path("s3:/bucket/scene")


@pytest.mark.parametrize(
    ("address", "message"),
    [
        (
            "s3://me:hunter2@bucket/scene",
            "an address s3://... must not contain credentials or parameters: set them in the "
            "environment or in the files of the storage library",
        ),
        (
            "http://host/scene?token=hunter2",
            "an address http://... must not contain credentials or parameters: set them in the "
            "environment or in the files of the storage library",
        ),
        ("s3://", "an address must be SCHEME://BUCKET/FOLDER, received s3://"),
        ("s3://a/../b", "an address must be SCHEME://BUCKET/FOLDER, received s3://a/../b"),
        (
            "s3://" + "a" * 250,
            f"an address must have at most about 200 characters, received s3://{'a' * 250}",
        ),
    ],
)
def test_refused_addresses(address, message):
    assert refusal(address) == message
    assert "hunter2" not in message


def test_a_folder_is_copied_once(store, cache):
    store.pipe_file("/bucket/scene/.DS_Store", b"x")
    folder = fetch_folder(Path(ADDRESS))
    assert contents(folder) == FILES
    assert folder == cache / "remote" / "memory%3A%2F%2Fbucket%2Fscene" / "scene"
    assert sorted(store.transferred) == sorted(FILES)
    forget()
    assert fetch_folder(ADDRESS) == folder
    # The copy is fetched again by its own path too.
    forget()
    assert fetch_folder(folder) == folder
    assert len(store.transferred) == 3
    # Nothing else is left beside the copy and its index.
    assert sorted(os.listdir(folder.parent)) == ["files.jsonl", "scene"]


def test_times_depend_on_the_version_alone(store, cache):
    """Maps and caches are valid for files of the same size and time."""
    folder = fetch_folder(ADDRESS)
    before = file_stats([folder / name for name in FILES]).tolist()
    shutil.rmtree(cache)
    time.sleep(0.01)
    store.pipe_file("/bucket/scene/poses.csv", b"TABLE")
    forget()
    fetch_folder(ADDRESS)
    after = file_stats([folder / name for name in FILES]).tolist()
    assert after[1:] == before[1:]
    assert after[0] != before[0]


def test_only_changes_are_copied(store):
    folder = fetch_folder(ADDRESS)
    store.transferred.clear()
    time.sleep(0.01)
    store.pipe_file("/bucket/scene/poses.csv", b"TABLE")  # the same size, another time
    store.pipe_file("/bucket/scene/court2/c.jpg", b"9")
    store.rm_file("/bucket/scene/court1/b.jpg")
    (folder / "court1" / "a.jpg").unlink()
    forget()
    fetch_folder(ADDRESS)
    assert sorted(store.transferred) == ["court1/a.jpg", "court2/c.jpg", "poses.csv"]
    assert contents(folder) == {
        "poses.csv": b"TABLE", "court1/a.jpg": b"12345", "court2/c.jpg": b"9",
    }  # fmt: skip


def test_an_interrupted_copy_resumes(store, monkeypatch):
    get_file = type(store).get_file

    def interrupted(self, path, local, **options):
        if path.endswith("b.jpg"):
            Path(local).write_bytes(b"6")
            raise KeyboardInterrupt
        return get_file(self, path, local, **options)

    monkeypatch.setattr(remote, "NUM_THREADS", 1)
    with monkeypatch.context() as patch:
        patch.setattr(type(store), "get_file", interrupted)
        with pytest.raises(KeyboardInterrupt):
            fetch_folder(ADDRESS)
    folder = copy_folder(ADDRESS)
    assert "court1/b.jpg" not in contents(folder)
    # A killed process leaves an incomplete line.
    with open(folder.parent / "files.jsonl", "a") as index:
        index.write('["court1/b.')
    done = len(store.transferred)
    fetch_folder(ADDRESS)
    assert contents(folder) == FILES
    assert len(store.transferred) == 3
    assert done == 2


def test_lost_connections_are_tried_again(store, monkeypatch):
    get_file = type(store).get_file
    failures = []

    def unreliable(self, path, local, **options):
        if len(failures) < 3 and path.endswith("a.jpg"):
            failures.append(path)
            if len(failures) == 1:
                raise TimeoutError("timed out")
            Path(local).write_bytes(b"12")  # the connection ends early, without an error
            return None
        return get_file(self, path, local, **options)

    monkeypatch.setattr(type(store), "get_file", unreliable)
    assert contents(fetch_folder(ADDRESS)) == FILES
    assert len(failures) == 3

    def broken(self, path, local, **options):
        Path(local).write_bytes(b"12")

    monkeypatch.setattr(type(store), "get_file", broken)
    store.pipe_file("/bucket/scene/d.jpg", b"1234567")
    forget()
    assert refusal() == (
        f"{ADDRESS} cannot be read: the connection ended after 2 of 7 bytes; the same command resumes"
    )
    assert not (copy_folder(ADDRESS) / "d.jpg").exists()


def test_errors_of_the_store(store, monkeypatch):
    assert refusal("memory://bucket/other") == (
        "memory://bucket/other not found: no such bucket or folder, or it is empty"
    )
    assert refusal("nosuch://bucket/scene").startswith("nosuch://bucket/scene cannot be read: ")

    def fail(error):
        def ls(*arguments, **options):
            raise error

        monkeypatch.setattr(type(store), "ls", ls)

    fail(PermissionError("Access Denied"))
    assert refusal() == f"{ADDRESS} must not be read: Access Denied"
    fail(OSError("GET http://host/x?Signature=hunter2 by me:hunter2@host aws_secret=hunter2"))
    assert refusal() == (f"{ADDRESS} cannot be read: GET ... by ... ...; the same command resumes")


def test_a_part_that_cannot_be_listed_is_an_error(store, monkeypatch):
    listing = type(store).ls

    def partial_listing(self, path, detail=True, **options):
        if path.endswith("court1"):
            raise OSError("503 Slow Down")
        return listing(self, path, detail=detail, **options)

    monkeypatch.setattr(type(store), "ls", partial_listing)
    assert refusal() == (f"{ADDRESS} cannot be read: 503 Slow Down; the same command resumes")


def test_names_that_leave_the_folder_are_refused(store, monkeypatch):
    entries = [{"name": "/bucket/scene/../../x", "size": 1, "type": "file"}]
    monkeypatch.setattr(type(store), "ls", lambda *arguments, **options: entries)
    assert refusal() == f"{ADDRESS} lists a file outside the folder: '/bucket/scene/../../x'"


def test_a_missing_extra(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "fsspec", None)
    assert refusal() == (
        f"{ADDRESS} requires the extra `remote`: pip install 'camera-posenet[remote]'"
    )


def test_a_missing_package_of_a_store(monkeypatch):
    def missing(*arguments):
        raise ImportError("Install s3fs to access S3")

    monkeypatch.setattr(fsspec.core, "url_to_fs", missing)
    assert refusal("s3://bucket/scene") == (
        "s3://bucket/scene requires another package: Install s3fs to access S3"
    )


def test_the_cache_of_copies_is_bounded(store, monkeypatch, cache):
    store.pipe_file("/bucket/old/a.jpg", b"x" * 1000)
    old = fetch_folder("memory://bucket/old")
    monkeypatch.setenv("POSENET_REMOTE_GB", "0.000001")  # 1000 bytes
    # A copy that was used today stays.
    assert refusal() == (
        "copies of remote scenes would take 0.00 GB, POSENET_REMOTE_GB allows 0.00: set it higher, "
        f"or remove folders in {cache / 'remote'}"
    )
    os.utime(old.parent / "files.jsonl", (0, 0))
    fetch_folder(ADDRESS)
    assert not old.parent.exists()
    monkeypatch.setenv("POSENET_REMOTE_GB", "much")
    forget()
    assert refusal() == "POSENET_REMOTE_GB must be a number, received 'much'"


def test_the_cache_is_a_local_folder(monkeypatch):
    monkeypatch.setenv("POSENET_CACHE", "s3://bucket/cache")
    assert refusal() == "POSENET_CACHE must be a folder on this machine, it is an address"


def test_a_run_stores_the_address(tmp_path):
    copy = copy_folder("s3://bucket/scene")
    assert _relative(tmp_path / "run", copy) == {}
    assert _locate_scene(tmp_path, {"scene": "s3://bucket/scene"})[0] == copy


class _Handler(SimpleHTTPRequestHandler):
    def do_GET(self):
        self.server.requested.append(self.path)
        super().do_GET()

    def log_message(self, *arguments):
        pass


@pytest.mark.slow
def test_a_scene_on_a_web_server(tmp_path, monkeypatch, capsys):
    pytest.importorskip("aiohttp")
    made = tmp_path / "city"
    make_city(made, images=8, courtyards=1, size=(64, 48), processes=1, progress=False)
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, directory=str(tmp_path)))
    server.requested = []
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}/city"
    try:
        scene = open_scene(address)
        assert scene.names == open_scene(made).names
        assert main(["scene", "info", address, "--no-plot", "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["images"] == {"train": 6, "test": 2}
        assert main(["scene", "convert", address, str(tmp_path / "tum"), "--to", "tum"]) == 0
        images = [path for path in server.requested if re.search(r"\.jpg$", path)]
        # Each image is transferred once, whatever is done with it.
        assert sorted(images) == sorted(f"/city/{name}" for name in scene.names)
        assert refusal(f"{address}no").endswith(
            "not found: no such bucket or folder, or it is empty"
        )
    finally:
        server.shutdown()
        server.server_close()
    forget()
    assert refusal(address).startswith(f"{address} cannot be read: ")
