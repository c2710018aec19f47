"""Upload to and download from a local hub."""

import shutil
import sys
from pathlib import Path

import pytest

from posenet.cli.main import main
from posenet.io.hub import HubAddress
from posenet.run import open_run
from posenet.run_files import PACKED_FILES
from posenet.sharing.card import PackOptions
from posenet.sharing.upload import upload_run
from tests.helpers.errors import refusal
from tests.helpers.hub import use_hub

pytestmark = pytest.mark.slow


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """Return a local hub. An upload writes into its folder and records its arguments."""
    pytest.importorskip("huggingface_hub")
    import huggingface_hub

    (tmp_path / "remote").mkdir()
    with use_hub(tmp_path / "remote", monkeypatch) as hub:
        hub.calls = []

        def create_repo(self, repository, **options):
            hub.calls.append((repository, options))

        def upload_folder(self, *, folder_path, **options):
            hub.calls.append(options)
            shutil.copytree(folder_path, hub.folder, dirs_exist_ok=True)

        monkeypatch.setattr(huggingface_hub.HfApi, "create_repo", create_repo)
        monkeypatch.setattr(huggingface_hub.HfApi, "upload_folder", upload_folder)
        monkeypatch.setattr(huggingface_hub, "get_token", lambda: "hf_token")
        yield hub


def test_a_run_is_uploaded_and_used_from_there(packed, hub, capsys):
    assert main(["pack", str(packed.home / "run"), "hf://user/place"]) == 0
    assert hub.calls[0] == ("user/place", {"private": True, "exist_ok": True})
    assert hub.calls[1] == {
        "repo_id": "user/place",
        "commit_message": "Upload the run plane",
        "delete_patterns": sorted(PACKED_FILES),
    }
    assert set(hub.files()) <= PACKED_FILES
    assert "posenet predict hf://user/place photo.jpg" in (hub.folder / "README.md").read_text()
    (hub.folder / "evil.py").write_text("raise SystemExit")
    capsys.readouterr()
    image = str(packed.images[0])
    assert main(["predict", "hf://user/place@main", image, "--tta-views", "1"]) == 0
    position = capsys.readouterr().out.splitlines()[1].split()[1:4]
    assert [float(value) for value in position] == pytest.approx(
        packed.estimates.poses.positions[0], abs=1e-6
    )
    assert not (open_run("hf://user/place").folder / "evil.py").exists()


def test_a_public_repository(packed, hub):
    upload_run(packed.run, HubAddress("user/place"), PackOptions(), public=True)
    assert hub.calls[0] == ("user/place", {"private": False, "exist_ok": True})


def test_a_repository_without_a_run_is_refused(hub):
    (hub.folder / "config.json").write_text("{}")
    assert refusal(open_run, Path("hf://user/place")) == (
        "hf://user/place is not a packed run: it must contain model.keras"
    )


def test_uploads_require_a_token_and_the_main_branch(packed, hub, monkeypatch):
    address = HubAddress("user/place", "v1")
    assert refusal(upload_run, packed.run, address, PackOptions()) == (
        "a run is uploaded to the main branch, got hf://user/place@v1"
    )
    monkeypatch.setattr("huggingface_hub.get_token", lambda: None)
    assert refusal(upload_run, packed.run, HubAddress("user/place"), PackOptions()) == (
        "uploading to hf://user/place requires a token: hf auth login, or HF_TOKEN"
    )
    assert hub.calls == []


def test_the_missing_extra_is_named_before_the_work(packed, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    assert main(["pack", str(packed.home / "run"), "hf://user/place"]) == 1
    assert capsys.readouterr().err == (
        "error: hf://user/place requires the extra `hub`: pip install 'camera-posenet[hub]'\n"
    )
