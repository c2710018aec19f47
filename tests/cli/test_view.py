"""The command `view`."""

import os
import webbrowser

import pytest

from posenet.cli.main import main

pytestmark = pytest.mark.slow


@pytest.fixture
def opened(monkeypatch):
    """Return the addresses that would be opened in a browser."""
    addresses = []
    monkeypatch.setattr(webbrowser, "open", lambda address: addresses.append(address) or True)
    return addresses


def test_a_run_is_evaluated_once_and_again_after_training(trained, capsys, opened):
    page = trained / "evaluation" / "view.html"
    assert main(["view", str(trained)]) == 0
    assert capsys.readouterr().out == f"{page}\n"
    assert opened == [page.as_uri()]
    first = page.stat().st_mtime_ns
    assert main(["view", str(trained), "--no-open"]) == 0
    assert page.stat().st_mtime_ns == first
    assert len(opened) == 1
    later = page.stat().st_mtime + 10
    os.utime(trained / "model.keras", (later, later))
    assert main(["view", str(trained), "--no-open"]) == 0
    assert page.stat().st_mtime_ns > first


def test_a_scene_page_is_written_to_the_current_folder(
    cambridge, tmp_path, monkeypatch, capsys, opened
):
    monkeypatch.chdir(tmp_path)
    assert main(["view", str(cambridge)]) == 0
    assert capsys.readouterr().out == "Square_view.html\n"
    assert opened == [(tmp_path / "Square_view.html").as_uri()]
    assert main(["view", str(cambridge), "--output", "page.html", "--no-open"]) == 0
    assert (tmp_path / "page.html").read_text() == (tmp_path / "Square_view.html").read_text()


def test_poses_without_images(cambridge, tmp_path, monkeypatch, caplog):
    monkeypatch.chdir(tmp_path)
    for image in cambridge.rglob("*.png"):
        image.unlink()
    assert main(["view", str(cambridge), "--no-open"]) == 0
    assert "none of the listed images exists" in caplog.text
    assert (tmp_path / "Square_view.html").is_file()


def test_no_browser(cambridge, tmp_path, monkeypatch, caplog):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(webbrowser, "open", lambda address: False)
    assert main(["view", str(cambridge)]) == 0
    assert "no browser found: open the file yourself" in caplog.messages


def test_wrong_use(trained, cambridge, tmp_path, capsys):
    assert main(["view", str(trained), "--output", "page.html"]) == 1
    assert (
        f"error: --output requires a scene, received the run {trained}" in capsys.readouterr().err
    )
    assert main(["view", str(trained), "--split", "every:8"]) == 1
    assert f"error: --split requires a scene, received the run {trained}" in capsys.readouterr().err
    assert main(["view", str(cambridge), "--output", "page.png"]) == 1
    assert "error: --output must be an .html file, received page.png" in capsys.readouterr().err
    assert main(["view", str(tmp_path / "nothing")]) == 1
    assert f"error: scene folder not found: {tmp_path / 'nothing'}" in capsys.readouterr().err
