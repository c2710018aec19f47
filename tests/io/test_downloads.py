"""Download files from a local server."""

import hashlib
import http.server
import threading

import pytest

from posenet.errors import PoseNetError
from posenet.io.downloads import cached_file, fetch

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
    """Serve CONTENT under any name.

    `requests` lists (path, range); responses end after `cut` bytes.
    """

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
def test_file_is_downloaded_once(server, digest):
    path = fetch(f"{server.url}/w.h5", digest)
    assert path.read_bytes() == CONTENT
    assert fetch(f"{server.url}/w.h5", digest) == path
    assert len(server.requests) == 1
    assert [each.name for each in path.parent.iterdir()] == ["w.h5"]


@pytest.mark.parametrize(
    ("name", "second"), [("w.h5", len(CONTENT) - 1000), ("norange", len(CONTENT))]
)
def test_interrupted_download_resumes(server, name, second):
    server.cut = 1000
    with pytest.raises(
        PoseNetError,
        match=f"the connection ended after 1000 of {len(CONTENT)} bytes, try again to resume",
    ):
        fetch(f"{server.url}/{name}", SHA1)
    assert cached_file(f"{server.url}/{name}") is None
    server.cut = None
    assert fetch(f"{server.url}/{name}", SHA1).read_bytes() == CONTENT
    assert [wanted for _, wanted in server.requests] == [None, "bytes=1000-"]


def test_complete_part_is_only_renamed(server):
    path = fetch(f"{server.url}/w.h5", SHA1)
    path.rename(path.with_name("w.h5.part"))
    assert fetch(f"{server.url}/w.h5", SHA1).read_bytes() == CONTENT
    assert server.requests[-1][1] == f"bytes={len(CONTENT)}-"


def test_wrong_digest_raises_error_and_removes_the_file(server):
    with pytest.raises(PoseNetError) as refusal:
        fetch(f"{server.url}/w.h5", "0" * 40)
    assert f"must be the file of {server.url}/w.h5, SHA1 {'0' * 40}, received {SHA1}" in str(
        refusal.value
    )
    assert cached_file(f"{server.url}/w.h5") is None
    assert fetch(f"{server.url}/w.h5", SHA1).read_bytes() == CONTENT


def test_file_copied_by_hand_is_verified_and_used(server, tmp_path):
    with pytest.raises(PoseNetError) as refusal:
        fetch(f"{server.url}/gone", SHA1)
    message = str(refusal.value)
    assert "\n" not in message
    assert f"{server.url}/gone cannot be downloaded (Not Found): put the file at " in message
    target = message.partition("put the file at ")[2].removesuffix(" by other means")
    with open(target, "wb") as file:
        file.write(b"another")
    with pytest.raises(PoseNetError, match="must be the file of"):
        fetch(f"{server.url}/gone", SHA1)
    with open(target, "wb") as file:
        file.write(CONTENT)
    assert str(fetch(f"{server.url}/gone", SHA1)) == target


def test_offline_raises_error():
    with pytest.raises(
        PoseNetError,
        match=r"^http://127\.0\.0\.1:9/w\.h5 cannot be downloaded \(.*refused\): put the",
    ):
        fetch("http://127.0.0.1:9/w.h5", None)


def test_keras_cache_is_searched(tmp_path):
    folder = tmp_path / "home" / ".keras" / "models"
    folder.mkdir(parents=True)
    (folder / "w.h5").write_bytes(CONTENT)
    assert fetch("http://127.0.0.1:9/w.h5", MD5) == folder / "w.h5"


def test_proxy_is_used(server, monkeypatch):
    monkeypatch.setenv("http_proxy", server.url)
    assert fetch("http://weights.invalid/w.h5", SHA1).read_bytes() == CONTENT
    assert server.requests == [("http://weights.invalid/w.h5", None)]
