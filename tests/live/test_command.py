"""The command `posenet live` in a process of its own."""

import json
import os
import shutil
import signal
import subprocess
import sys
import urllib.request
from contextlib import contextmanager
from pathlib import Path
from urllib.error import HTTPError

import pytest

from posenet.cli import live as command
from posenet.cli.main import main
from posenet.cli.startup import OncePerMessage
from posenet.live.server import listen

pytestmark = pytest.mark.slow

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "ask_live.py"


@pytest.fixture(scope="module")
def run(one_epoch, tmp_path_factory):
    """A copy of a run that does not refine."""
    folder = tmp_path_factory.mktemp("live") / "run"
    shutil.copytree(one_epoch / "run", folder)
    return folder


@contextmanager
def started(run, folder, *options):
    """Run the command; yield its process and the address that it prints."""
    environment = os.environ | {"TMPDIR": str(folder), "DISPLAY": ""}
    process = subprocess.Popen(
        [sys.executable, "-m", "posenet", "live", str(run), "--port", "0", *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        start_new_session=True,
    )
    try:
        yield process, process.stdout.readline().strip()
    finally:
        process.kill()
        process.communicate()


def test_a_request_to_the_command(run, one_epoch, tmp_path):
    image = one_epoch / "Square" / "seq3" / "frame00001.png"
    with started(run, tmp_path) as (process, url):
        assert url.startswith("http://127.0.0.1:")
        info = json.load(urllib.request.urlopen(f"{url}info"))
        assert info["scene"] == "Square"
        assert info["refines"] is False
        assert info["camera"] is None
        printed = subprocess.run(
            [sys.executable, str(EXAMPLE), str(image), url],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        assert printed.startswith("frame00001.png position [")
        assert "not certain" not in printed
        failed = subprocess.run(
            [sys.executable, str(EXAMPLE), str(EXAMPLE), url], capture_output=True, text=True
        )
        assert failed.returncode == 1
        assert failed.stderr.startswith("ask_live.py: file that is not an image (")
        process.send_signal(signal.SIGINT)
        output, log = process.communicate(timeout=10)
        assert process.returncode == 0
        assert output == ""
        lines = log.splitlines()
        assert lines[-1] == "stopped"
        assert any(line.startswith("frame00001.png: 200 in ") for line in lines)
        assert "Traceback" not in log
    assert list(tmp_path.iterdir()) == []


def test_an_address_for_others_needs_the_token(run, tmp_path):
    with started(run, tmp_path, "--host", "0.0.0.0") as (_, url):
        address, _, token = url.partition("?token=")
        assert len(token) == 32
        address = f"http://127.0.0.1:{address.rpartition(':')[2]}"
        with pytest.raises(HTTPError) as refused:
            urllib.request.urlopen(f"{address}info")
        assert refused.value.code == 401
        header = {"Authorization": f"Bearer {token}"}
        request = urllib.request.Request(f"{address}info", headers=header)
        assert json.load(urllib.request.urlopen(request))["scene"] == "Square"


def test_a_port_in_use_is_one_line(run, capsys):
    with listen("127.0.0.1", 0) as listener:
        port = str(listener.getsockname()[1])
        assert main(["live", str(run), "--port", port]) == 1
    assert capsys.readouterr().err.splitlines()[-1] == (
        f"error: cannot listen on 127.0.0.1, port {port} (Address already in use): "
        "choose another with --port"
    )


@pytest.mark.parametrize(
    ("display", "token", "opens", "expected"),
    [(":0", None, True, 1), ("", None, True, 0), (":0", "x", True, 0), (":0", None, False, 0)],
)
@pytest.mark.skipif(sys.platform != "linux", reason="other systems always have a display")
def test_the_page_is_opened_if_there_is_a_display(
    monkeypatch, capsys, display, token, opens, expected
):
    from posenet.live.access import Access

    opened = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    monkeypatch.setenv("DISPLAY", display)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    access = Access("127.0.0.1", "127.0.0.1", 1, token)
    command._announce(access, opens=opens)
    assert capsys.readouterr().out == f"{access.url}\n"
    assert opened == [access.url] * expected


def test_messages_of_each_image_are_logged_once(caplog):
    filtered = OncePerMessage()
    command.log.addFilter(filtered)
    try:
        for _ in range(3):
            command.log.warning("the focal length of %s is unknown", "1 image")
    finally:
        command.log.removeFilter(filtered)
    assert len(caplog.records) == 1
