"""A real server on a free port, with a localizer that is a function of the test."""

import json
import socket
import struct
import threading
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import cv2
import numpy as np
import pytest

from posenet.errors import PoseNetError
from posenet.live.app import Page
from posenet.live.server import listen
from tests.helpers.errors import refusal
from tests.helpers.live import PAGE, TOKEN, echo, png, serve, wait_until


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """A server whose images have at most 20000 bytes and 10000 pixels."""
    with serve(tmp_path_factory.mktemp("live"), max_bytes=20_000, max_pixels=10_000) as running:
        yield running


@pytest.fixture(scope="module")
def guarded(tmp_path_factory):
    """A server that requires a token."""
    with serve(tmp_path_factory.mktemp("live"), token=TOKEN) as running:
        yield running


class Slow:
    """Answers as `echo` does, when it is opened."""

    def __init__(self):
        self.open, self.entered, self.names = threading.Event(), threading.Event(), []

    def __call__(self, query):
        self.entered.set()
        self.open.wait(20)
        self.names.append(query.name)
        return echo(query)


def test_an_image_is_localized(served):
    body = png(64, 48)
    status, answer = served.localize(body, "?name=a.png&track=t&fov_deg=90")
    assert status == 200
    assert answer == {
        "name": "a.png",
        "size": [64, 48],
        "bytes": len(body),
        "suffix": "",
        "track": "t",
        "fx": pytest.approx(32),
    }
    assert served.files() == []


def test_a_jpeg_has_its_suffix_and_is_upright(served):
    jpeg = cv2.imencode(".jpg", np.zeros((30, 40, 3), np.uint8))[1].tobytes()
    # EXIF, big endian, with one tag: orientation 6, a quarter turn.
    exif = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"
    turned = jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + jpeg[2:]
    status, answer = served.localize(turned)
    assert status == 200
    assert answer["suffix"] == ".jpg"
    assert answer["size"] == [30, 40]


def test_page_info_and_health(served):
    status, headers, body = served.ask("GET", "/")
    assert status == 200
    assert headers["Content-Type"] == "text/html; charset=utf-8"
    assert body == PAGE.html
    assert headers["Content-Security-Policy"] == "default-src 'none'; frame-ancestors 'none'"
    assert json.loads(served.ask("GET", "/info")[2]) == {"scene": "made"}
    assert json.loads(served.ask("GET", "/health")[2]) == {"status": "ok", "waiting": 0}


@pytest.mark.parametrize("path", ["/", "/info", "/nothing"])
def test_every_response_has_headers_of_security(served, path):
    headers = served.ask("GET", path)[1]
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["Cache-Control"] == "no-store"
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert not [name for name in headers if name.lower().startswith("access-control")]
    assert "Server" not in headers
    assert "Set-Cookie" not in headers


def damaged_png() -> bytes:
    return png()[:-20]


def png_header(width, height) -> bytes:
    """A PNG whose header states a size, without such an image."""
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = b"IDAT" + zlib.compress(b"")
    chunks = [header, data, b"IEND"]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk))
        for chunk in chunks
    )


@pytest.mark.parametrize(
    ("body", "query", "headers", "status", "message"),
    [
        (b"", "", {}, 400, "the body must be the bytes of one image, received none"),
        (b"no image", "?name=x.jpg", {}, 400, "x.jpg: file that is not an image (8 bytes)"),
        (damaged_png(), "", {}, 400, rf"image: truncated image ({len(damaged_png())} bytes)"),
        (png(), "?fov_deg=200", {}, 400, "fov_deg must be between 0 and 180, received 200"),
        (
            png(),
            "?zoom=2",
            {},
            400,
            "parameters must be among name, track, fx, fy, cx, cy, fov_deg, received zoom",
        ),
        (b"x" * 20_001, "", {}, 413, "an image must have at most 20000 bytes, received 20001"),
        (
            png_header(101, 100),
            "",
            {},
            413,
            "image: an image must have at most 10000 pixels, received 101 x 100",
        ),
        (
            png_header(2**31 - 1, 2**31 - 1),
            "",
            {},
            400,
            "image: file that is not an image (65 bytes)",
        ),
        (
            png(),
            "",
            {"Content-Type": "multipart/form-data; boundary=x"},
            415,
            "the body must be the bytes of one image, received multipart/form-data",
        ),
        (
            png(),
            "",
            {"Content-Type": "application/json"},
            415,
            "the body must be the bytes of one image, received application/json",
        ),
    ],
)
def test_wrong_requests_are_one_line(served, body, query, headers, status, message):
    assert served.localize(body, query, **headers) == (status, {"error": message})
    assert served.files() == []


def test_the_length_is_required(served):
    status, _, body = served.ask("POST", "/localize", iter([png()]))  # sent in chunks
    assert status == 411
    assert json.loads(body) == {"error": "the header Content-Length is required"}


def test_other_paths_and_methods(served):
    status, _, body = served.ask("GET", "/nothing")
    assert (status, json.loads(body)) == (404, {"error": "Not Found: /nothing"})
    status, headers, body = served.ask("GET", "/localize")
    assert (status, headers["Allow"]) == (405, "POST")
    assert json.loads(body) == {"error": "Method Not Allowed: /localize"}
    assert served.ask("POST", "/info", b"")[0] == 405
    assert served.ask("GET", "/../etc/passwd")[0] == 404


@pytest.mark.parametrize("host", ["evil.example", "evil.example:{}", "127.0.0.1:1", "127.0.0.1"])
def test_another_host_is_refused(served, host):
    host = host.format(served.port)
    for method, path in (("GET", "/"), ("GET", "/info"), ("POST", "/localize")):
        status, _, body = served.ask(method, path, host=host)
        assert status == 403
        assert json.loads(body) == {
            "error": f"the Host header must name this server, received {host}"
        }


def test_localhost_is_this_server(served):
    assert served.ask("GET", "/health", host=f"localhost:{served.port}")[0] == 200


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "https://127.0.0.1:{}", "http://127.0.0.1:1"]
)
def test_requests_of_other_sites_are_refused(served, origin):
    origin = origin.format(served.port)
    status, answer = served.localize(png(), Origin=origin)
    assert status == 403
    assert answer == {"error": f"requests of other sites are refused, received {origin}"}


def test_requests_of_the_page_are_answered(served):
    assert served.localize(png(), Origin=f"http://127.0.0.1:{served.port}")[0] == 200


def test_without_the_token_all_is_refused(guarded):
    for method, path in (
        ("GET", "/"),
        ("GET", "/health"),
        ("GET", "/nothing"),
        ("POST", "/localize"),
        ("GET", "/?token="),
        ("GET", "/?token=wrong"),
        ("GET", f"/info?token={TOKEN}"),  # only in the address of the page
        ("POST", f"/localize?token={TOKEN}"),
    ):
        status, headers, body = guarded.ask(method, path, headers={"login": False})
        assert status == 401, (method, path)
        assert headers["WWW-Authenticate"] == "Bearer"
        assert json.loads(body)["error"].startswith("a token is required: open the address")
        assert "Set-Cookie" not in headers


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": "Bearer wrong"},
        {"Authorization": f"Basic {TOKEN}"},
        {"Authorization": f"Bearer {TOKEN}x"},
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer \u00fc"},
        {"Cookie": f"other={TOKEN}"},
        {"Cookie": "{cookie}=wrong"},
    ],
)
def test_a_wrong_token_is_refused(guarded, headers):
    headers = {
        name: value.replace("{cookie}", guarded.access.cookie) for name, value in headers.items()
    }
    assert guarded.ask("GET", "/info", headers=headers | {"login": False})[0] == 401


def test_the_token_opens_the_page_and_becomes_a_cookie(guarded):
    status, headers, _ = guarded.ask("GET", f"/?token={TOKEN}", headers={"login": False})
    assert status == 200
    cookie = f"posenet_live_{guarded.port}={TOKEN}"
    assert headers["Set-Cookie"] == f"{cookie}; Path=/; HttpOnly; SameSite=Strict"
    # Cookies of other servers on this computer are sent too.
    headers = {"login": False, "Cookie": f'a="{{; {cookie}; b=2'}
    assert guarded.ask("GET", "/info", headers=headers)[0] == 200
    assert guarded.ask("POST", "/localize", png(), headers=headers)[0] == 200


def test_the_token_may_be_a_header(guarded):
    assert guarded.localize(png(), Authorization=f"Bearer {TOKEN}")[0] == 200
    assert guarded.localize(png(), Authorization=f"bearer {TOKEN}")[0] == 200


def test_a_hundred_requests_at_once_have_their_own_answers(tmp_path):
    def localize(query):
        time.sleep(0.005)
        return echo(query)

    bodies = [png(20 + row % 7, 10 + row, seed=row) for row in range(100)]
    with serve(tmp_path / "live", localize) as running, ThreadPoolExecutor(100) as pool:
        answers = list(
            pool.map(lambda row: running.localize(bodies[row], f"?name={row}"), range(100))
        )
        for row, (status, answer) in enumerate(answers):
            assert status == 200
            assert answer["name"] == str(row)
            assert answer["size"] == [20 + row % 7, 10 + row]
            assert answer["bytes"] == len(bodies[row])
        assert running.files() == []
        assert running.app.places.requests == running.app.places.bytes == 0


def test_too_many_requests_are_told_to_try_again(tmp_path):
    slow = Slow()
    with serve(tmp_path / "live", slow, max_waiting=3) as running, ThreadPoolExecutor(3) as pool:
        waiting = [pool.submit(running.localize, png()) for _ in range(3)]
        wait_until(lambda: running.app.places.requests == 3)
        status, headers, body = running.ask("POST", "/localize", png())
        assert status == 503
        assert headers["Retry-After"] == "2"
        assert json.loads(body) == {"error": "3 requests wait: try again later"}
        assert json.loads(running.ask("GET", "/health")[2])["waiting"] == 3
        slow.open.set()
        assert [each.result()[0] for each in waiting] == [200] * 3
        assert running.localize(png())[0] == 200


def test_the_bytes_of_waiting_requests_are_bounded(tmp_path):
    slow, body = Slow(), png()
    limit = len(body) + 100
    with (
        serve(tmp_path / "live", slow, max_waiting_bytes=limit) as running,
        ThreadPoolExecutor(1) as pool,
    ):
        waiting = pool.submit(running.localize, body)
        assert slow.entered.wait(5)
        assert running.localize(body)[0] == 503
        slow.open.set()
        assert waiting.result()[0] == 200


def request_head(length, path="/localize", port=0) -> bytes:
    return (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Length: {length}\r\n\r\n"
    ).encode()


def test_a_client_that_goes_away_frees_its_place(tmp_path):
    slow, body = Slow(), png()
    with serve(tmp_path / "live", slow) as running:
        first = running.connect()
        first.sendall(request_head(len(body), "/localize?name=first", running.port) + body)
        assert slow.entered.wait(5)
        second = running.connect()
        second.sendall(request_head(len(body), "/localize?name=second", running.port) + body)
        wait_until(lambda: len(running.files()) == 2 and running.app.places.requests == 2)
        second.close()
        wait_until(lambda: running.app.places.requests == 1)
        first.close()
        wait_until(lambda: running.app.places.requests == 0)
        assert len(running.files()) == 1  # of the first image, which is being localized
        slow.open.set()
        wait_until(lambda: running.files() == [])
        assert running.localize(body, "?name=third")[0] == 200
        assert slow.names == ["first", "third"]


def test_a_client_that_goes_away_in_an_upload_leaves_nothing(served):
    connection = served.connect()
    connection.sendall(request_head(1000, port=served.port) + b"x" * 500)
    wait_until(lambda: served.app.places.requests == 1)
    connection.close()
    wait_until(lambda: served.app.places.requests == 0 and served.files() == [])


def closes(connection) -> bytes:
    """Return what a connection receives until the server ends it."""
    received = b""
    with suppress(ConnectionResetError):
        while more := connection.recv(65536):
            received += more
    return received


@pytest.fixture(scope="module")
def impatient(tmp_path_factory):
    """A server with short time limits."""
    with serve(
        tmp_path_factory.mktemp("live"), header_seconds=0.5, pause_seconds=0.3, upload_seconds=0.8
    ) as running:
        yield running


def test_a_pause_in_an_upload_ends_it(impatient):
    with impatient.connect() as connection:
        connection.sendall(request_head(1000, port=impatient.port) + b"x")
        start = time.monotonic()
        received = closes(connection)
    assert received.startswith(b"HTTP/1.1 408 ")
    assert received.endswith(
        b'{"error":"the image must arrive within 0.8 s, without a pause of 0.3 s"}'
    )
    assert time.monotonic() - start < 3
    assert impatient.files() == []


def test_a_slow_upload_ends(impatient):
    with impatient.connect() as connection:
        connection.sendall(request_head(1000, port=impatient.port))
        start = time.monotonic()
        connection.settimeout(0.1)
        received = b""
        while not received and time.monotonic() - start < 5:
            connection.sendall(b"x")
            with suppress(TimeoutError):
                received = connection.recv(4096)
    assert received.startswith(b"HTTP/1.1 408 ")


@pytest.mark.parametrize("sent", [b"", b"GET / HTTP/1.1\r\nHost: x"])
def test_a_client_without_a_request_is_disconnected(impatient, sent):
    with impatient.connect() as connection:
        start = time.monotonic()
        connection.sendall(sent)
        assert closes(connection) == b""
        assert 0.3 < time.monotonic() - start < 3


def test_headers_that_arrive_slowly_are_disconnected(impatient):
    with impatient.connect() as connection:
        start = time.monotonic()
        try:
            while time.monotonic() - start < 5:
                connection.sendall(b"G")
                time.sleep(0.05)
        except OSError:
            pass
        assert time.monotonic() - start < 3


def test_an_idle_connection_ends(impatient):
    with impatient.connect() as connection:
        connection.sendall(
            f"GET /health HTTP/1.1\r\nHost: 127.0.0.1:{impatient.port}\r\n\r\n".encode()
        )
        start = time.monotonic()
        assert closes(connection).startswith(b"HTTP/1.1 200 ")
        assert time.monotonic() - start < 3


def test_a_refused_body_that_never_ends_is_disconnected(impatient):
    with impatient.connect() as connection:
        connection.sendall(request_head(10**12, port=impatient.port))
        start = time.monotonic()
        try:
            while time.monotonic() - start < 5:
                connection.sendall(b"x" * 1000)
                time.sleep(0.02)
        except OSError:
            pass
        assert time.monotonic() - start < 3


def test_a_localization_may_take_longer_than_the_time_limits(tmp_path):
    def localize(query):
        time.sleep(0.6)
        return echo(query)

    limits = {"header_seconds": 0.2, "pause_seconds": 0.2, "upload_seconds": 0.2}
    with serve(tmp_path / "live", localize, **limits) as running:
        assert running.localize(png())[0] == 200


def test_a_client_that_does_not_read_is_disconnected(tmp_path):
    page = Page(b"x" * 20_000_000, "default-src 'none'")
    with serve(tmp_path / "live", page=page, upload_seconds=0.5) as running:
        connection = running.connect()
        connection.sendall(f"GET / HTTP/1.1\r\nHost: 127.0.0.1:{running.port}\r\n\r\n".encode())
        wait_until(lambda: len(running.server.server_state.connections) == 1)
        wait_until(lambda: len(running.server.server_state.connections) == 0)
        connection.close()


def test_more_connections_than_allowed_are_closed(tmp_path):
    with serve(tmp_path / "live", max_connections=2) as running:
        connections = [running.connect() for _ in range(2)]
        wait_until(lambda: len(running.server.server_state.connections) == 2)
        third = running.connect()
        assert closes(third) == b""
        for connection in (*connections, third):
            connection.close()


def test_an_error_of_an_image_and_a_failure_of_the_server(tmp_path, caplog):
    def localize(query):
        if query.name == "bug":
            raise ZeroDivisionError("secret detail")
        raise PoseNetError(f"{query.name}: not localized")

    with serve(tmp_path / "live", localize) as running:
        assert running.localize(png(), "?name=a") == (400, {"error": "a: not localized"})
        status, headers, body = running.ask("POST", "/localize?name=bug", png())
        assert (status, json.loads(body)) == (500, {"error": "the server failed, see its log"})
        assert headers["X-Frame-Options"] == "DENY"
        wait_until(lambda: "ZeroDivisionError: secret detail" in caplog.text)
        assert running.files() == []


def test_a_server_that_stops_answers_those_that_wait(tmp_path):
    slow = Slow()
    with serve(tmp_path / "live", slow) as running, ThreadPoolExecutor(2) as pool:
        waiting = [pool.submit(running.localize, png()) for _ in range(2)]
        wait_until(lambda: running.app.places.requests == 2)
        start = time.monotonic()
        running.server.should_exit = True
        stopping = (503, {"error": "the server is stopping"})
        assert [each.result() for each in waiting] == [stopping, stopping]
        assert time.monotonic() - start < 2
        slow.open.set()


def test_a_stream_of_requests_on_one_connection(served):
    body = png()
    with served.connect() as connection:
        for name in ("a", "b", "c"):
            head = request_head(len(body), f"/localize?name={name}", served.port)
            connection.sendall(head + body)
            received = b""
            while not received.endswith(b"}"):
                received += connection.recv(4096)
            assert json.loads(received.split(b"\r\n\r\n")[1])["name"] == name


def test_errors_of_the_address():
    with listen("127.0.0.1", 0) as listener:
        port = listener.getsockname()[1]
        assert refusal(listen, "127.0.0.1", port) == (
            f"cannot listen on 127.0.0.1, port {port} (Address already in use): "
            "choose another with --port"
        )
    assert refusal(listen, "127.0.0.1", 70000) == (
        "--port must be between 0 and 65535, received 70000"
    )
    assert refusal(listen, "no address", 1) == (
        "--host must be an address of this computer, received no address"
    )
    assert refusal(listen, "192.0.2.1", 1).startswith("cannot listen on 192.0.2.1, port 1 (")


def test_a_port_is_free_again_at_once():
    with listen("127.0.0.1", 0) as listener:
        port = listener.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)):
            listener.accept()[0].close()
    listen("127.0.0.1", port).close()
