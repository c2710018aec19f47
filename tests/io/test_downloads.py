"""Fetching files, from a server of the test's own."""

import hashlib
import http.server
import threading

import pytest

from posenet.errors import PoseNetError
from posenet.io.downloads import fetch, kept

CONTENT = bytes(range(256)) * 5000
SHA1, MD5 = hashlib.sha1(CONTENT).hexdigest(), hashlib.md5(CONTENT).hexdigest()


@pytest.fixture(autouse=True)
def own_home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for name in (
        "http_proxy",
        "https_proxy",
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "all_proxy",
        "ALL_PROXY",
    ):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def server():
    """Serves CONTENT under any name; `requests` tells (address, range); `cut` ends answers after so many bytes."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            wanted = self.headers.get("Range")
            self.server.requests.append((self.path, wanted))
            start = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted else 0
            if self.path.endswith("gone"):
                return self.send_error(404)
            if start >= len(CONTENT):
                return self.send_error(416)
            partial = wanted and not self.path.endswith("norange")
            body = CONTENT[start:] if partial else CONTENT
            self.send_response(206 if partial else 200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[: self.server.cut])
            return None

        def log_message(self, *_):
            pass

    running = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    running.requests, running.cut = [], None
    running.url = f"http://127.0.0.1:{running.server_port}"
    threading.Thread(target=running.serve_forever, daemon=True).start()
    yield running
    running.shutdown()
    running.server_close()


@pytest.mark.parametrize("digest", [SHA1, MD5, hashlib.sha256(CONTENT).hexdigest(), None])
def test_fetched_once_and_kept(server, digest):
    path = fetch(f"{server.url}/w.h5", digest)
    assert path.read_bytes() == CONTENT
    assert fetch(f"{server.url}/w.h5", digest) == path
    assert len(server.requests) == 1
    assert [each.name for each in path.parent.iterdir()] == ["w.h5"]


@pytest.mark.parametrize(
    ("name", "second"), [("w.h5", len(CONTENT) - 1000), ("norange", len(CONTENT))]
)
def test_goes_on_where_it_broke_off(server, name, second):
    server.cut = 1000
    with pytest.raises(
        PoseNetError, match=f"the connection ended after 1000 of {len(CONTENT)} bytes, try again"
    ):
        fetch(f"{server.url}/{name}", SHA1)
    assert kept(f"{server.url}/{name}") is None
    server.cut = None
    assert fetch(f"{server.url}/{name}", SHA1).read_bytes() == CONTENT
    assert [wanted for _, wanted in server.requests] == [None, "bytes=1000-"]


def test_a_whole_part_needs_only_its_name(server):
    path = fetch(f"{server.url}/w.h5", SHA1)
    path.rename(path.with_name("w.h5.part"))
    assert fetch(f"{server.url}/w.h5", SHA1).read_bytes() == CONTENT
    assert server.requests[-1][1] == f"bytes={len(CONTENT)}-"


def test_another_files_digest_is_refused_and_nothing_kept(server):
    with pytest.raises(PoseNetError) as refusal:
        fetch(f"{server.url}/w.h5", "0" * 40)
    assert f"must be the file of {server.url}/w.h5, SHA1 {'0' * 40}, received {SHA1}" in str(
        refusal.value
    )
    assert kept(f"{server.url}/w.h5") is None
    assert fetch(f"{server.url}/w.h5", SHA1).read_bytes() == CONTENT


def test_a_file_put_there_by_hand_is_checked_and_taken(server, tmp_path):
    with pytest.raises(PoseNetError) as refusal:
        fetch(f"{server.url}/gone", SHA1)
    message = str(refusal.value)
    assert "\n" not in message
    assert f"{server.url}/gone cannot be fetched (Not Found): put the file at " in message
    target = message.partition("put the file at ")[2].removesuffix(" by other means")
    with open(target, "wb") as file:
        file.write(b"another")
    with pytest.raises(PoseNetError, match="must be the file of"):
        fetch(f"{server.url}/gone", SHA1)
    with open(target, "wb") as file:
        file.write(CONTENT)
    assert str(fetch(f"{server.url}/gone", SHA1)) == target


def test_offline_is_one_line():
    with pytest.raises(
        PoseNetError, match=r"^http://127\.0\.0\.1:9/w\.h5 cannot be fetched \(.*refused\): put the"
    ):
        fetch("http://127.0.0.1:9/w.h5", None)


def test_kerass_own_cache_is_looked_into(tmp_path):
    folder = tmp_path / "home" / ".keras" / "models"
    folder.mkdir(parents=True)
    (folder / "w.h5").write_bytes(CONTENT)
    assert fetch("http://127.0.0.1:9/w.h5", MD5) == folder / "w.h5"


def test_a_proxy_is_asked(server, monkeypatch):
    monkeypatch.setenv("http_proxy", server.url)
    assert fetch("http://weights.invalid/w.h5", SHA1).read_bytes() == CONTENT
    assert server.requests == [("http://weights.invalid/w.h5", None)]
