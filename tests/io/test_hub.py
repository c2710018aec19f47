import sys
from pathlib import Path

import pytest

from posenet.io.hub import (
    HubAddress,
    download_repository,
    hub_errors,
    import_hub,
    is_hub_address,
    parse_hub_address,
)
from tests.helpers.errors import refusal
from tests.helpers.hub import COMMIT, use_hub

PLACE = HubAddress("user/place")


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """Return a local hub with three files."""
    pytest.importorskip("huggingface_hub")
    (tmp_path / "remote" / "landmarks").mkdir(parents=True)
    for name in ("config.json", "landmarks/map.json", "evil.py"):
        (tmp_path / "remote" / name).write_text(f"content of {name}")
    with use_hub(tmp_path / "remote", monkeypatch) as hub:
        yield hub


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("hf://user/place", PLACE),
        (Path("hf://user/place"), PLACE),  # hf:/user/place
        ("hf://user/place/", PLACE),
        ("hf://my-user/place_1.0@v2", HubAddress("my-user/place_1.0", "v2")),
        ("hf://user/place@refs/pr/1", HubAddress("user/place", "refs/pr/1")),
    ],
)
def test_addresses(text, address):
    assert is_hub_address(text)
    assert parse_hub_address(text) == address
    assert parse_hub_address(str(address)) == address


@pytest.mark.parametrize(
    "text", ["hf://user", "hf://user/place/more", "hf://", "hf://u/p@", "hf://u/p q"]
)
def test_malformed_addresses(text):
    assert refusal(parse_hub_address, text) == (
        "an address on the Hugging Face Hub must be hf://USER/NAME or hf://USER/NAME@REVISION, "
        f"got {text}"
    )


@pytest.mark.parametrize("path", ["run", "/hf/run", "hf", "hfx://user/place", "./hf:/user/place"])
def test_paths_are_not_addresses(path):
    assert not is_hub_address(path)


def test_only_allowed_files_are_downloaded(hub):
    folder = download_repository(PLACE, {"config.json", "landmarks/map.json", "gallery.npz"})
    files = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.*"))
    assert files == ["config.json", "landmarks/map.json"]
    assert (folder / "landmarks/map.json").read_text() == "content of landmarks/map.json"
    assert not any("evil" in path for path in hub.requests if "/resolve/" in path)
    assert folder.name == COMMIT


def test_without_network_the_cache_is_used(hub):
    folder = download_repository(PLACE, {"config.json"})
    hub.shutdown()
    hub.server_close()
    assert download_repository(PLACE, {"config.json"}) == folder
    assert refusal(download_repository, HubAddress("user/other"), {"config.json"}) == (
        "hf://user/other is not in the cache and the Hugging Face Hub cannot be reached"
    )


def test_missing_repository_and_revision(hub):
    assert refusal(download_repository, HubAddress("user/nothing"), {"a"}) == (
        "hf://user/nothing not found, or it is private and needs a token: hf auth login"
    )
    assert refusal(download_repository, HubAddress("user/place", "missing"), {"a"}) == (
        "hf://user/place has no revision missing"
    )


@pytest.mark.parametrize(
    ("status", "code", "message"),
    [
        (403, "GatedRepo", "hf://user/place requires that you ask its owner for access"),
        (401, "", "hf://user/place requires a token with the right to do this: hf auth login"),
        (
            403,
            "",
            "hf://user/place is not in the cache and the Hugging Face Hub cannot be reached",
        ),
    ],
)
def test_refusals(hub, status, code, message):
    hub.refusal = (status, code)
    assert refusal(download_repository, PLACE, {"config.json"}) == message


def test_a_token_without_the_right_to_write(hub):
    from huggingface_hub import HfApi

    def create():
        with hub_errors(PLACE):
            HfApi(token="hf_x").create_repo("user/place")

    hub.refusal = (403, "")
    assert refusal(create) == (
        "hf://user/place requires a token with the right to do this: hf auth login"
    )
    hub.refusal = (500, "")
    assert refusal(create).startswith("hf://user/place: Server error '500")


def test_missing_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    assert refusal(import_hub, PLACE) == (
        "hf://user/place requires the extra `hub`: pip install 'camera-posenet[hub]'"
    )
