"""A server in a thread, whose localizer is a function of the test."""

from __future__ import annotations

import http.client
import json
import socket
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass

import cv2
import numpy as np

from posenet.live.access import Access
from posenet.live.app import LiveApp, Page
from posenet.live.limits import Limits
from posenet.live.server import LiveServer, listen
from posenet.live.worker import Worker

PAGE = Page(b"<!doctype html><p>The page", "default-src 'none'")
TOKEN = "a-secret-token"


def png(width=64, height=48, seed=0) -> bytes:
    """Return the bytes of a random PNG image."""
    image = np.random.default_rng(seed).integers(0, 255, (height, width, 3), np.uint8)
    return cv2.imencode(".png", image)[1].tobytes()


def echo(query):
    """Answer a query with what the server knows about it."""
    return {
        "name": query.name,
        "size": [query.width, query.height],
        "bytes": query.path.stat().st_size,
        "suffix": query.path.suffix,
        "track": query.track,
        "fx": query.camera and query.camera.fx,
    }


@dataclass
class Served:
    """A server, and a client for it."""

    app: LiveApp
    server: LiveServer
    port: int
    access: Access

    def ask(self, method, path, body=None, headers=(), *, host=None):
        """Return status, headers and body of one request."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        headers = dict(headers)
        if host is not None:
            headers["Host"] = host
        if self.access.token and "Authorization" not in headers and headers.pop("login", True):
            headers["Authorization"] = f"Bearer {self.access.token}"
        try:
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            return response.status, response.headers, response.read()
        finally:
            connection.close()

    def localize(self, body, query="", **headers):
        """Return status and JSON of `POST /localize`."""
        status, _, content = self.ask("POST", f"/localize{query}", body, headers)
        return status, json.loads(content)

    def connect(self):
        """Return an open connection."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=20)

    def files(self):
        """Return the images that the server keeps."""
        return list(self.app.folder.iterdir())


@contextmanager
def serve(folder, localize=echo, *, token=None, page=PAGE, host="127.0.0.1", **limits):
    """Run a server for the duration of a block."""
    folder.mkdir(exist_ok=True)
    known = Limits(**limits)
    with listen("127.0.0.1", 0) as listener:
        port = listener.getsockname()[1]
        address = "0.0.0.0" if token else "127.0.0.1"
        access = Access(host if not token else address, address, port, token)
        app = LiveApp(Worker(localize), {"scene": "made"}, page, folder, known)
        server = LiveServer(app, access)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        try:
            yield Served(app, server, port, access)
        finally:
            server.should_exit = True
            thread.join(10)
            assert not thread.is_alive()


def wait_until(condition, seconds=5.0) -> None:
    """Wait until a condition holds."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not become true"
        time.sleep(0.01)
