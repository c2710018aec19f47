import os
import shutil
import time

import numpy as np
import pytest

from posenet.errors import PoseNetError
from posenet.io import image_cache as cache
from posenet.io.image_cache import cache_folder, load_images
from posenet.io.images import load_image, read_image, resize_to_cover
from tests.helpers.errors import refusal
from tests.helpers.images import write_image

pytestmark = pytest.mark.slow


@pytest.fixture
def paths(tmp_path):
    paths = [tmp_path / f"{i}.png" for i in range(5)]
    for i, path in enumerate(paths):
        write_image(path, seed=i)
    return paths


def test_memory_and_disk_have_the_same_images(paths):
    memory = load_images(paths, (24, 32))
    disk = load_images(paths, (24, 32), in_memory_bytes=0)
    assert isinstance(disk.array, np.memmap)
    assert not isinstance(memory.array, np.memmap)
    for row, path in enumerate(paths):
        expected = load_image(path, 24, 32)
        np.testing.assert_array_equal(memory[row], expected)
        np.testing.assert_array_equal(disk[row], expected)
    disk.release()
    np.testing.assert_array_equal(disk[np.array([3, 1])], memory[np.array([3, 1])])


def test_rotated_images_have_their_own_cache(paths):
    paths[0] = paths[0].with_suffix(".jpg")
    write_image(paths[0], (512, 384))  # large enough to be decoded at a smaller scale
    load_images(paths, (24, 32), in_memory_bytes=0)
    rotated = load_images(paths, (24, 32), in_memory_bytes=0, quarter_turns=1)
    for row, path in enumerate(paths):
        expected = resize_to_cover(np.rot90(read_image(path)), 24, 32)
        assert np.abs(rotated[row].astype(int) - expected).mean() < 3


def test_disk_cache_is_used_while_images_are_unchanged(paths, monkeypatch):
    load_images(paths, (24, 32), in_memory_bytes=0)
    decoded = []
    monkeypatch.setattr(
        cache,
        "load_image",
        lambda path, *size, **how: decoded.append(path) or load_image(path, *size, **how),
    )
    load_images(paths, (24, 32), in_memory_bytes=0)
    assert decoded == []
    write_image(paths[2], seed=99)
    os.utime(paths[2], ns=(1, 1))
    changed = load_images(paths, (24, 32), in_memory_bytes=0)
    assert len(decoded) == 5
    np.testing.assert_array_equal(changed[2], load_image(paths[2], 24, 32))
    load_images(paths, (12, 16), in_memory_bytes=0)
    assert len(decoded) == 10  # another size is another cache


def test_damaged_cache_is_made_again(paths):
    first = load_images(paths, (24, 32), in_memory_bytes=0)
    expected = np.array(first.array)
    (file,) = cache_folder().glob("*.npy")
    file.write_bytes(file.read_bytes()[:300])
    np.testing.assert_array_equal(load_images(paths, (24, 32), in_memory_bytes=0).array, expected)


def test_unused_files_are_removed(paths):
    now, day = time.time(), 86400
    load_images(paths, (24, 32), in_memory_bytes=0)
    (read,) = cache_folder().glob("*.npy")
    others = {"unread.npy": 31, "fresh.npy": 29, ".123-killed.npy": 3, ".123-busy.npy": 1}
    for name, days in others.items():
        (cache_folder() / name).write_bytes(b"x")
        (cache_folder() / name).with_suffix(".json").write_bytes(b"x")
        os.utime(cache_folder() / name, (now, now - days * day))
    os.utime(read, (now, now - 40 * day))
    load_images(paths, (24, 32), in_memory_bytes=0)  # read
    load_images(paths, (12, 16), in_memory_bytes=0)  # a new one is made
    left = {path.name for path in cache_folder().iterdir()}
    assert len(left) == 8
    assert {read.name, read.with_suffix(".json").name, "fresh.npy", ".123-busy.npy"} < left
    assert not left & {"unread.npy", "unread.json", ".123-killed.npy", ".123-killed.json"}


@pytest.mark.parametrize("limit", [0, 10**9])
def test_damaged_images_are_dropped(paths, limit, caplog):
    paths[1].write_bytes(b"no image")
    for _ in range(2):  # the second time from the disk cache
        images = load_images(paths, (24, 32), in_memory_bytes=limit)
        np.testing.assert_array_equal(images.scene_rows, [0, 2, 3, 4])
        assert len(images) == 4
        np.testing.assert_array_equal(images[1], load_image(paths[2], 24, 32))
        np.testing.assert_array_equal(images.subset(np.array([3]))[0], load_image(paths[4], 24, 32))
    message = f"1 of 5 images dropped: {paths[1]}: not a valid image (could not decode 8 bytes)"
    assert [text for text in caplog.messages if "dropped" in text] == [message] * 2


def test_dropped_images_are_one_message(paths, caplog):
    for path in paths[:4]:
        path.write_bytes(b"no image")
    load_images(paths, (24, 32))
    named = "; ".join(f"{path}: not a valid image (could not decode 8 bytes)" for path in paths[:3])
    assert caplog.messages == [f"4 of 5 images dropped: {named}; and 1 more"]


def test_broken_link_is_dropped(paths, caplog):
    paths[1].unlink()
    paths[1].symlink_to(paths[1].with_name("gone.png"))
    images = load_images(paths, (24, 32), in_memory_bytes=0)
    np.testing.assert_array_equal(images.scene_rows, [0, 2, 3, 4])
    assert "1.png: cannot read the image (No such file or directory)" in caplog.text


def test_no_valid_image_raises_error(paths):
    for path in paths:
        path.write_bytes(b"no image")
    with pytest.raises(PoseNetError, match="at least one image must decode: .*0.png"):
        load_images(paths, (24, 32))


def test_full_disk_leaves_no_files(paths, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: shutil._ntuple_diskusage(100, 100, 10))
    with pytest.raises(PoseNetError, match=r"needs 0.00 GB of free space, its disk has 0.00 GB"):
        load_images(paths, (24, 32), in_memory_bytes=0)
    monkeypatch.undo()

    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np.memmap, "flush", full)
    with pytest.raises(PoseNetError, match="cannot be written: No space left on device"):
        load_images(paths, (24, 32), in_memory_bytes=0)
    assert list(cache_folder().glob("*.npy")) == []


def test_cache_that_cannot_be_made_raises_error(paths, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("POSENET_CACHE", str(tmp_path / "file" / "cache"))
    line = refusal(load_images, paths, (24, 32), in_memory_bytes=0)
    folder = tmp_path / "file" / "cache"
    assert line == f"{folder} cannot be made (Not a directory): set POSENET_CACHE to a folder"


@pytest.mark.parametrize("has_fallocate", [True, False])
def test_disk_space_is_taken_before_images_are_written(paths, monkeypatch, has_fallocate):
    if not has_fallocate:
        monkeypatch.delattr(os, "posix_fallocate", raising=False)
    decode_all, taken = cache._decode_all, []

    def check(paths, array, *rest):
        taken.append(os.stat(array.filename).st_blocks * 512)
        return decode_all(paths, array, *rest)

    monkeypatch.setattr(cache, "_decode_all", check)
    images = load_images(paths, (600, 400), in_memory_bytes=0)  # 3.6 MB
    assert taken[0] >= images.array.nbytes
    for row, path in enumerate(paths):
        np.testing.assert_array_equal(images[row], load_image(path, 600, 400))


def test_images_get_their_name_after_their_issues(paths, monkeypatch):
    replaced = []
    replace = os.replace

    def note(source, target):
        replaced.append(target.suffix)
        replace(source, target)

    monkeypatch.setattr(os, "replace", note)
    load_images(paths, (24, 32), in_memory_bytes=0)
    assert replaced == [".json", ".npy"]  # whoever finds the images finds their issues too


def test_issues_that_cannot_be_parsed_are_made_again(paths):
    load_images(paths, (24, 32), in_memory_bytes=0)
    (issues,) = cache_folder().glob("*.json")
    issues.write_text("[" * 100_000)
    assert len(load_images(paths, (24, 32), in_memory_bytes=0)) == 5
    assert issues.read_text() == "{}"
