"""A local server with the few endpoints of the Hugging Face Hub that downloads need."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha1
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

COMMIT = "c" * 40


class FakeHub(ThreadingHTTPServer):
    """Serves the files of a folder as the repository user/place."""

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.folder = folder
        self.requests: list[str] = []
        self.refusal: tuple[int, str] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def files(self) -> dict[str, Path]:
        paths = sorted(path for path in self.folder.rglob("*") if path.is_file())
        return {path.relative_to(self.folder).as_posix(): path for path in paths}


class Handler(BaseHTTPRequestHandler):
    """Answers requests for the repository's list of files, and for files."""

    server: FakeHub

    def log_message(self, *arguments) -> None:
        """Stay silent."""

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def do_POST(self) -> None:
        self._answer(with_body=True)

    def _answer(self, with_body: bool) -> None:
        path = unquote(urlsplit(self.path).path)
        self.server.requests.append(path)
        hub = self.server
        if hub.refusal is not None:
            status, code = hub.refusal
            return self._send(status, b"{}", {"X-Error-Code": code}, with_body)
        if "user/place" not in path:
            return self._send(404, b"{}", {"X-Error-Code": "RepoNotFound"}, with_body)
        if "missing" in path:
            return self._send(404, b"{}", {"X-Error-Code": "RevisionNotFound"}, with_body)
        if "/tree/" in path:
            listing = [
                {"type": "file", "path": name, "size": file.stat().st_size, "oid": etag(file)}
                for name, file in hub.files().items()
            ]
            return self._send_json(listing, with_body)
        if path.startswith("/api/models/user/place"):
            siblings = [{"rfilename": name} for name in hub.files()]
            info = {"id": "user/place", "sha": COMMIT, "siblings": siblings, "private": False}
            return self._send_json(info | {"downloads": 0, "likes": 0, "tags": []}, with_body)
        name = path.split("/resolve/")[1].split("/", 1)[1]
        file = hub.folder / name
        headers = {"ETag": f'"{etag(file)}"', "X-Repo-Commit": COMMIT}
        return self._send(200, file.read_bytes(), headers, with_body)

    def _send_json(self, value, with_body: bool) -> None:
        headers = {"Content-Type": "application/json", "X-Repo-Commit": COMMIT}
        self._send(200, json.dumps(value).encode(), headers, with_body)

    def _send(self, status: int, body: bytes, headers: dict[str, str], with_body: bool) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if with_body:
            self.wfile.write(body)


def etag(file: Path) -> str:
    """Return a fingerprint of a file, as Git gives."""
    return sha1(file.read_bytes()).hexdigest()


@contextmanager
def serve(folder: Path) -> Iterator[FakeHub]:
    """Serve a folder as user/place for the duration of a block."""
    hub = FakeHub(folder)
    thread = threading.Thread(target=hub.serve_forever, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        hub.shutdown()
        hub.server_close()
        thread.join()


@contextmanager
def use_hub(folder: Path, monkeypatch) -> Iterator[FakeHub]:
    """Serve a folder; huggingface_hub uses no other hub, an empty cache and no token."""
    from huggingface_hub import constants

    with serve(folder) as hub:
        template = hub.url + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr(constants, "ENDPOINT", hub.url)
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(folder.parent / "cache"))
        monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(folder.parent / "no token"))
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_PROGRESS_BARS", True)
        monkeypatch.delenv("HF_TOKEN", raising=False)
        yield hub
