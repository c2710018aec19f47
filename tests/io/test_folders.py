"""Folders as operating systems leave them."""

from posenet.io.folders import is_system_name, list_below, list_folder


def touch(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def test_system_files_and_folders_are_not_listed(tmp_path):
    touch(
        tmp_path,
        *("b.jpg", "a/c.jpg", "._b.jpg", ".DS_Store", "Thumbs.db", "desktop.ini", "a/._c.jpg"),
        *("__MACOSX/b.jpg", "@eaDir/b.jpg/SYNOPHOTO_THUMB.jpg", ".ipynb_checkpoints/b.jpg"),
        *(".thumbnails/b.jpg", "lost+found/b.jpg", "$RECYCLE.BIN/b.jpg"),
    )
    assert [path.name for path in list_folder(tmp_path)] == ["a", "b.jpg"]
    assert list_below(tmp_path) == [tmp_path / "b.jpg", tmp_path / "a/c.jpg"]
    assert [is_system_name(name) for name in ("THUMBS.DB", "thumbs", "_a.jpg")] == [
        True,
        False,
        False,
    ]


def test_a_folder_that_is_hidden_itself_is_listed(tmp_path):
    touch(tmp_path, ".cache/a.jpg")
    assert list_below(tmp_path / ".cache") == [tmp_path / ".cache/a.jpg"]


def test_links_to_folders_are_followed_once(tmp_path):
    touch(tmp_path, "disk/a.jpg")
    (tmp_path / "scene").mkdir()
    (tmp_path / "scene/images").symlink_to(tmp_path / "disk")
    (tmp_path / "disk/loop").symlink_to(tmp_path / "scene")
    assert list_below(tmp_path / "scene") == [tmp_path / "scene/images/a.jpg"]
