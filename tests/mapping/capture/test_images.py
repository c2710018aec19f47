"""Images from photos and videos."""

import os

import cv2
import numpy as np
import pytest
from PIL import Image

from posenet.datasets.formats.photos import list_photos
from posenet.errors import PoseNetError
from posenet.io.image_headers import UNSUPPORTED_SUFFIXES
from posenet.mapping.capture.images import (
    collect_images,
    collect_photos,
    is_video,
    sync_folder,
)
from tests.helpers.images import texture, write_image


def test_photos_are_linked_in_natural_order(tmp_path):
    for number in (10, 9, 1):
        write_image(tmp_path / "in" / f"shot {number}.jpg", seed=number)
    (tmp_path / "in" / "notes.txt").write_text("not an image")
    (tmp_path / "in" / "broken.jpg").write_bytes(b"")
    (tmp_path / "out").mkdir()
    names = collect_photos(tmp_path / "in", tmp_path / "out")
    assert names == ["shot_1.jpg", "shot_9.jpg", "shot_10.jpg"]
    assert (tmp_path / "out" / "shot_9.jpg").read_bytes() == (
        tmp_path / "in" / "shot 9.jpg"
    ).read_bytes()


def test_rotated_photos_become_upright_and_keep_their_exif(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "out").mkdir()
    exif = Image.Exif()
    exif[0x0112] = 6
    exif.get_ifd(0x8769)[0xA405] = 28
    Image.fromarray(texture(64, 48)).save(tmp_path / "in" / "a.jpg", exif=exif)
    collect_photos(tmp_path / "in", tmp_path / "out")
    with Image.open(tmp_path / "out" / "a.jpg") as upright:
        assert upright.size == (48, 64)
        assert upright.getexif().get(0x0112, 1) == 1
        assert upright.getexif().get_ifd(0x8769)[0xA405] == 28


def test_files_that_other_tools_misread_are_converted(tmp_path):
    """A WebP named .jpg, as browsers save it, and a name that starts like a comment."""
    for folder in ("in", "out"):
        (tmp_path / folder).mkdir()
    Image.fromarray(texture(64, 48)).save(tmp_path / "in" / "a.jpg", format="WEBP")
    write_image(tmp_path / "in" / "#2.jpg")
    assert collect_photos(tmp_path / "in", tmp_path / "out") == ["_2.jpg", "a.jpg"]
    with Image.open(tmp_path / "out" / "a.jpg") as written:
        assert (written.format, written.size) == ("JPEG", (64, 48))
    assert (tmp_path / "out" / "_2.jpg").read_bytes() == (tmp_path / "in" / "#2.jpg").read_bytes()


def test_photos_whose_names_differ_by_a_space_stay_separate(tmp_path):
    for number, name in enumerate(("a b.jpg", "a_b.jpg")):
        write_image(tmp_path / "in" / name, seed=number)
    (tmp_path / "out").mkdir()
    assert sorted(collect_photos(tmp_path / "in", tmp_path / "out")) == ["a_b.jpg", "a_b_.jpg"]
    for name, photo in (("a_b.jpg", "a_b.jpg"), ("a_b_.jpg", "a b.jpg")):
        assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "in" / photo).read_bytes()


def test_damaged_image_is_skipped(tmp_path, caplog):
    (tmp_path / "in").mkdir()
    exif = Image.Exif()
    exif[0x0112] = 6
    for name in ("a.jpg", "b.png"):
        Image.fromarray(texture(640, 480)).save(tmp_path / "in" / name, exif=exif)
    data = bytearray((tmp_path / "in" / "b.png").read_bytes())
    data[len(data) // 2 : len(data) // 2 + 999] = bytes(999)
    (tmp_path / "in" / "b.png").write_bytes(data)
    (tmp_path / "out").mkdir()
    for name, content in (("c.jpg", b""), ("d.jpg", b"text"), ("e.jpg", b"text")):
        (tmp_path / "in" / name).write_bytes(content)
    webp = tmp_path / "in" / "b.webp"
    Image.fromarray(texture(64, 48)).save(webp, lossless=True)
    webp.write_bytes(webp.read_bytes()[:200] + bytes(webp.stat().st_size - 200))
    assert collect_photos(tmp_path / "in", tmp_path / "out") == ["a.jpg"]
    assert caplog.messages == [
        f"{tmp_path}/in: 5 of 6 photos skipped: "
        f"b.png: not a valid image (could not decode {len(data)} bytes); "
        f"b.webp: not a valid image (could not decode {webp.stat().st_size} bytes); "
        "c.jpg: empty image file; and 2 more"
    ]


@pytest.mark.parametrize("is_old_record", [False, True])
def test_images_that_the_inputs_no_longer_have_are_removed(tmp_path, is_old_record):
    images, database = tmp_path / "images", tmp_path / "database.db"
    for name in ("a/1.jpg", "a/2.jpg", "3.jpg"):
        write_image(images / name)
    database.touch()  # computed from unknown images
    sync_folder(images, ["a/1.jpg", "a/2.jpg"], tmp_path, outdated=database)
    assert not database.exists()
    database.touch()
    write_image(images / "b.jpg")
    if is_old_record:
        (tmp_path / "images.json").rename(tmp_path / "pictures.json")
    sync_folder(images, ["a/1.jpg", "a/2.jpg", "b.jpg"], tmp_path, outdated=database)
    assert database.exists()  # additional images do not make it outdated
    sync_folder(images, ["a/1.jpg", "b.jpg"], tmp_path, outdated=database)
    assert not database.exists()
    assert sorted(path.name for path in images.rglob("*.jpg")) == ["1.jpg", "b.jpg"]


@pytest.mark.parametrize("orientation", [1, 6])  # linked, and rotated
@pytest.mark.parametrize("days", [-1, 1])
def test_replaced_photo_is_copied_again(tmp_path, orientation, days):
    photos, images = tmp_path / "in", tmp_path / "out"
    database = tmp_path / "database.db"
    photos.mkdir()
    images.mkdir()
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(texture(64, 48, seed=1)).save(photos / "a.png", exif=exif)
    names = collect_photos(photos, images)
    sync_folder(images, names, tmp_path, outdated=database)
    database.touch()
    assert collect_photos(photos, images) == names
    sync_folder(images, names, tmp_path, outdated=database)
    assert database.exists()
    other = texture(64, 48, seed=2)
    Image.fromarray(other).save(tmp_path / "other.png", exif=exif)
    taken = (photos / "a.png").stat().st_mtime + days * 86400
    os.utime(tmp_path / "other.png", (taken, taken))
    (tmp_path / "other.png").replace(photos / "a.png")
    assert collect_photos(photos, images) == names
    sync_folder(images, names, tmp_path, outdated=database)
    assert not database.exists()
    with Image.open(images / "a.png") as placed:
        np.testing.assert_array_equal(placed, other if orientation == 1 else np.rot90(other, -1))


def test_several_inputs_become_folders(tmp_path):
    for walk in ("a b", "c"):
        write_image(tmp_path / walk / "1.jpg")
    names = collect_images((tmp_path / "a b", tmp_path / "c"), tmp_path / "out", 10)
    assert names == ["a_b/1.jpg", "c/1.jpg"]
    assert all((tmp_path / "out" / name).is_file() for name in names)


def test_inputs_with_the_same_name_stay_separate(tmp_path):
    inputs = [tmp_path / name for name in ("a/walk", "b/walk", "walk_1", "c/Walk")]
    for row, folder in enumerate(inputs):
        write_image(folder / "1.jpg", seed=row)
    names = collect_images(tuple(inputs), tmp_path / "out", 10)
    assert names == ["walk_2/1.jpg", "walk_3/1.jpg", "walk_1/1.jpg", "Walk_4/1.jpg"]
    for name, folder in zip(names, inputs, strict=True):
        assert (tmp_path / "out" / name).read_bytes() == (folder / "1.jpg").read_bytes()


def test_warnings_about_skipped_files_and_subfolders(tmp_path, caplog):
    write_image(tmp_path / "in" / "a.jpg")
    write_image(tmp_path / "in" / "DCIM" / "b.jpg")
    for name in ("IMG_1.DNG", "IMG_2.dng", "walk.mp4", "notes.txt", ".DS_Store", "._a.jpg"):
        (tmp_path / "in" / name).write_bytes(b"x")
    write_image(tmp_path / "in" / "@eaDir" / "thumbnail.jpg")
    (tmp_path / "out").mkdir()
    assert collect_photos(tmp_path / "in", tmp_path / "out") == ["a.jpg"]
    assert caplog.messages == [
        f"{tmp_path / 'in'}: 3 files skipped, such as IMG_1.DNG: export JPEG",
        f"{tmp_path / 'in'}: 1 subfolder skipped, such as DCIM: pass each",
    ]
    caplog.clear()
    assert len(list_photos(tmp_path / "in", below=True)) == 2
    assert len(caplog.messages) == 1


@pytest.mark.parametrize("suffix", UNSUPPORTED_SUFFIXES)
def test_images_that_cannot_be_decoded_are_named(tmp_path, suffix, caplog):
    (tmp_path / f"a{suffix.upper()}").write_bytes(b"x")
    assert list_photos(tmp_path) == []
    assert caplog.messages == [
        f"{tmp_path}: 1 file skipped, such as a{suffix.upper()}: export JPEG"
    ]


@pytest.mark.parametrize("suffix", ["jfif", "avif", "gif", "tga", "pgm", "hdr", "WEBP"])
def test_formats_that_structure_from_motion_cannot_read_become_jpeg(tmp_path, suffix):
    image = texture(64, 48)
    (tmp_path / "in").mkdir()
    if suffix == "hdr":
        cv2.imwrite(str(tmp_path / "in/a.hdr"), image[:, :, ::-1].astype(np.float32) / 255)
    else:
        Image.fromarray(image).save(tmp_path / f"in/a.{suffix}")
    (tmp_path / "out").mkdir()
    assert collect_photos(tmp_path / "in", tmp_path / "out") == ["a.jpg"]
    with Image.open(tmp_path / "out/a.jpg") as placed:
        assert (placed.format, placed.size) == ("JPEG", (64, 48))


def test_wrong_inputs_raise_errors(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.mp4").write_text("no video")
    (tmp_path / "list.txt").write_text("x")
    (tmp_path / "out").mkdir()
    with pytest.raises(PoseNetError, match=r"empty must contain photos \(.*\), none is usable"):
        collect_photos(tmp_path / "empty", tmp_path / "out")
    with pytest.raises(
        PoseNetError, match=r"list.txt must be a folder of photos or a video \(.*\)"
    ):
        collect_images((tmp_path / "list.txt",), tmp_path / "out", 5)
    assert is_video(tmp_path / "text.mp4")
    assert not is_video(tmp_path / "empty")


def test_webp_becomes_jpeg_and_orientation_0_is_removed(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "out").mkdir()
    exif = Image.Exif()
    exif[0x0112] = 0
    for name in ("a.webp", "B.webp", "B.jpg", "c.JPG"):
        Image.fromarray(texture(64, 48)).save(tmp_path / "in" / name, exif=exif)
    names = collect_photos(tmp_path / "in", tmp_path / "out")
    assert sorted(names) == ["B.jpg", "B_.jpg", "a.jpg", "c.JPG"]
    for name in names:
        with Image.open(tmp_path / "out" / name) as placed:
            assert (placed.format, placed.size, placed.getexif().get(0x0112)) == (
                "JPEG",
                (64, 48),
                None,
            )
