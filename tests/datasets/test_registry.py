"""Opening a scene, whatever its format."""

from functools import partial
from pathlib import Path

import pytest

from posenet.datasets import registry
from posenet.datasets.formats import cambridge as cambridge_adapter
from posenet.datasets.formats import kendall_7scenes, seven_scenes, tum
from posenet.datasets.formats import nerfstudio as transforms
from posenet.datasets.formats.image_names import natural_key, tidy_name
from posenet.datasets.formats.parsing import shorten
from posenet.datasets.registry import ADAPTERS, open_scene, open_scene_with_issues
from posenet.datasets.validation import RawScene
from posenet.errors import PoseNetError
from tests.helpers.errors import refusal

refused = partial(refusal, open_scene)


@pytest.mark.parametrize("adapter", ADAPTERS)
def test_every_adapter_keeps_the_contract(adapter, tmp_path):
    assert adapter.NAME
    assert adapter.LOOKS_FOR
    assert adapter.__doc__
    assert adapter.recognizes(tmp_path) is False


def test_scene_is_opened_by_path_or_text(cambridge):
    assert open_scene(str(cambridge)).names == open_scene(cambridge).names
    assert len(open_scene(cambridge)) == 16


def test_faults_are_returned_and_refused_when_strict(cambridge):
    image = cambridge / open_scene(cambridge).names[0]
    image.write_bytes(b"")
    scene, issues = open_scene_with_issues(cambridge)
    assert len(scene) == 15
    assert [issue.kind for issue in issues] == ["empty image file"]
    assert len(open_scene(cambridge, need_images=False)) == 16
    with pytest.raises(PoseNetError, match=r"1 x empty image file.*\(refused by --strict\)"):
        open_scene(cambridge, strict=True)


def test_folder_that_does_not_exist(tmp_path):
    assert refused(tmp_path / "none") == f"scene folder not found: {tmp_path / 'none'}"


def test_file_instead_of_a_folder(tmp_path):
    (tmp_path / "scene.zip").write_bytes(b"")
    assert (
        refused(tmp_path / "scene.zip")
        == f"{tmp_path / 'scene.zip'} must be a scene folder, it is a file"
    )


def test_unknown_folder_says_what_was_looked_for(tmp_path):
    message = refused(tmp_path)
    assert message.startswith(
        f"{tmp_path} is not a scene that posenet recognizes; looked for poses.csv with"
    )
    for adapter in ADAPTERS:
        assert f"{adapter.LOOKS_FOR} ({adapter.NAME})" in message


@pytest.mark.parametrize("name", ["a.JPG", "a.HEIC", "a.jfif"])
def test_the_error_about_a_photo_folder_names_the_command(tmp_path, name):
    (tmp_path / name).write_bytes(b"a photograph")
    assert refused(tmp_path).startswith(
        f"{tmp_path} contains images without poses: `posenet scene reconstruct` estimates them;"
    )


def test_system_files_are_no_photos(tmp_path):
    (tmp_path / "._a.JPG").write_bytes(b"x")
    assert refused(tmp_path).startswith(f"{tmp_path} is not a scene that posenet recognizes;")


def test_adapters_recognize_only_their_own_real_scenes(real_data):
    folders = {
        "cambridge_lists/ShopFacade": cambridge_adapter,
        "kendall_7scenes": kendall_7scenes,
        "redkitchen": seven_scenes,
        "tum_fr1_rpy": tum,
        "fox": transforms,
        "gum_desk": transforms,
    }
    for folder, right in folders.items():
        assert [adapter for adapter in ADAPTERS if adapter.recognizes(real_data / folder)] == [
            right
        ]


def test_adapters_read_raw_scenes(cambridge):
    raw = cambridge_adapter.read(Path(cambridge))
    assert isinstance(raw, RawScene)


def test_natural_order():
    names = ["f10", "f9", "f009b", "f1/2", "f1/10", "a"]
    assert sorted(names, key=natural_key) == ["a", "f1/2", "f1/10", "f9", "f009b", "f10"]


def test_names_and_messages_are_tidied():
    assert tidy_name("./a//b\\c.png") == "a/b/c.png"
    assert tidy_name("/a/../b.png") == "/a/../b.png"
    assert shorten("x" * 61) == "'" + "x" * 57 + "...'"
    assert shorten("a\nb") == "'a\\nb'"


def test_links_in_a_circle_and_names_that_no_text_holds(cambridge):
    names = open_scene(cambridge).names
    (cambridge / names[0]).unlink()
    (cambridge / names[0]).symlink_to(cambridge / names[0])
    (cambridge / names[1]).unlink()
    (cambridge / names[1]).symlink_to(cambridge)  # a folder, and the scene itself
    scene, issues = open_scene_with_issues(cambridge)
    assert len(scene) == 14
    assert {issue.kind for issue in issues} <= {
        "missing image",
        "image that is not a file",
    }
    listed = cambridge / "dataset_train.txt"
    listed.write_bytes(listed.read_bytes().replace(b"frame00003", b"fr\xe4me00003"))
    assert "dataset_train.txt:6: the file must be text in UTF-8, received other bytes" in refused(
        cambridge
    )


def test_labels_that_were_read_are_not_read_again(cambridge, monkeypatch):
    raw = registry.read_scene(cambridge)
    expected, _ = registry.open_scene_with_issues(cambridge)
    monkeypatch.setattr(registry, "read_scene", None)
    scene, _ = registry.open_scene_with_issues(cambridge, raw=raw)
    assert scene.digest() == expected.digest()
    assert registry.resolve_split(cambridge, raw=raw) == "own"
