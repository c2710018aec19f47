"""HEIC photos. The fixtures were encoded by pillow-heif; tests need only the decoder."""

import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from posenet.datasets.intrinsics import guess_camera
from posenet.datasets.registry import open_scene
from posenet.errors import PoseNetError
from posenet.io import heif
from posenet.io.image_headers import find_image_issue, image_size, stored_size
from posenet.io.images import read_image
from posenet.mapping.capture.images import collect_photos
from tests.helpers.errors import refusal
from tests.helpers.scenes import write_cambridge

FIXTURES = Path(__file__).resolve().parents[1] / "fixtures" / "heic"
ROTATED = FIXTURES / "rotated.heic"
EXTRA = "a HEIC image requires the extra `heic`: pip install 'camera-posenet[heic]'"


def encoded():
    """The image that both fixtures encode, shape (64, 96, 3)."""
    y, x = np.mgrid[:64, :96]
    return np.dstack([x * 2, y * 3, (x + y) % 128]).astype(np.uint8)


@pytest.fixture
def decoder():
    pytest.importorskip("pi_heif")


@pytest.fixture
def no_decoder(monkeypatch):
    monkeypatch.setitem(sys.modules, "pi_heif", None)
    heif.register_decoder.cache_clear()
    yield
    heif.register_decoder.cache_clear()


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", True),
        (b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic", True),
        (b"\0\0\0\x18ftypmif1\0\0\0\0mif1avif", False),
        (b"\0\0\0\x18ftypavif\0\0\0\0avifmif1", False),
        (b"\0\0\0\x18ftypisom\0\0\0\0mp42heic", False),
        (b"\xff\xd8\xff\xe0", False),
        (b"", False),
    ],
)
def test_heic_is_recognized_by_its_brand(head, expected):
    assert heif.is_heif(head) == expected


@pytest.mark.usefixtures("decoder")
def test_a_photo_is_upright_and_has_its_focal_length():
    # Orientation 6: viewers rotate it clockwise.
    assert image_size(ROTATED) == (64, 96)
    assert stored_size(ROTATED) == ((64, 96), 0)
    assert find_image_issue(ROTATED) is None
    image = read_image(ROTATED)
    assert image.dtype == np.uint8
    difference = np.abs(image.astype(int) - np.rot90(encoded(), -1))
    assert difference.mean() < 2
    camera = guess_camera(ROTATED)
    assert camera.source == "EXIF"
    # 26 mm on film of 43.267 mm diagonal, 115.378 pixels.
    assert camera.fx == pytest.approx(26 / 43.2666 * 115.3776, rel=1e-4)


@pytest.mark.usefixtures("decoder")
def test_ten_bits_become_eight():
    image = read_image(FIXTURES / "ten_bits.heic")
    assert np.abs(image.astype(int) - encoded()).mean() < 2


@pytest.mark.usefixtures("decoder")
@pytest.mark.parametrize("length", [1, 12, 27, 40, 200, 421, 600, 1000, 1400, 1517])
def test_a_truncated_photo_is_one_line(tmp_path, length):
    path = tmp_path / "a.heic"
    path.write_bytes(ROTATED.read_bytes()[:length])
    assert find_image_issue(path) in ("file that is not an image", "truncated image")
    with pytest.raises(PoseNetError) as raised:
        read_image(path)
    assert str(raised.value).startswith(f"{path}: ")
    assert "\n" not in str(raised.value)


@pytest.mark.usefixtures("decoder")
def test_garbage_after_the_brand_is_one_line(tmp_path):
    path = tmp_path / "a.heic"
    garbage = np.random.default_rng(0).integers(0, 256, 5000, np.uint8).tobytes()
    path.write_bytes(ROTATED.read_bytes()[:28] + garbage)
    assert find_image_issue(path) == "file that is not an image"
    assert refusal(read_image, path) == (f"{path}: not a valid image (could not decode 5028 bytes)")


def test_zeros_in_the_pixels_are_found_and_appended_ones_are_not():
    def box(kind, content):
        return (8 + len(content)).to_bytes(4, "big") + kind + content

    noise = b"\1" * 9000
    damaged = box(b"mdat", noise + bytes(5000) + noise)
    assert heif.has_zeros_in_pixels(box(b"ftyp", b"heic") + damaged)
    assert not heif.has_zeros_in_pixels(box(b"mdat", noise) + box(b"free", bytes(9000)))
    assert not heif.has_zeros_in_pixels(box(b"mdat", noise) + bytes(9000))


@pytest.mark.usefixtures("no_decoder")
def test_without_the_decoder_one_line_names_the_extra():
    assert refusal(image_size, ROTATED) == f"{ROTATED}: {EXTRA}"
    assert refusal(read_image, ROTATED) == f"{ROTATED}: {EXTRA}"
    assert find_image_issue(ROTATED) == EXTRA
    assert stored_size(ROTATED) == ((0, 0), 0)


@pytest.mark.usefixtures("no_decoder")
def test_a_folder_without_the_decoder_names_the_extra_once(tmp_path, caplog):
    (tmp_path / "in").mkdir()
    (tmp_path / "out").mkdir()
    shutil.copy(ROTATED, tmp_path / "in" / "IMG_1.HEIC")
    refusal(collect_photos, tmp_path / "in", tmp_path / "out")
    assert caplog.messages == [f"{tmp_path / 'in'}: 1 of 1 photos skipped: IMG_1.HEIC: {EXTRA}"]


@pytest.mark.usefixtures("decoder")
def test_photos_of_a_reconstruction_become_upright_jpeg(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "out").mkdir()
    shutil.copy(ROTATED, tmp_path / "in" / "IMG_1.HEIC")
    (tmp_path / "in" / "IMG_2.heic").write_bytes(ROTATED.read_bytes()[:900])
    assert collect_photos(tmp_path / "in", tmp_path / "out") == ["IMG_1.jpg"]
    with Image.open(tmp_path / "out" / "IMG_1.jpg") as written:
        assert (written.format, written.size) == ("JPEG", (64, 96))
        assert written.getexif().get(0x0112, 1) == 1
    camera = guess_camera(tmp_path / "out" / "IMG_1.jpg")
    assert (camera.source, camera.fx) == ("EXIF", guess_camera(ROTATED).fx)


@pytest.mark.usefixtures("decoder")
def test_a_scene_may_contain_heic_images(tmp_path):
    folder = write_cambridge(tmp_path / "Square")
    for path in sorted(folder.glob("seq3/*.png")):
        path.unlink()
        shutil.copy(ROTATED, path.with_suffix(".HEIC"))
    scene = open_scene(folder)
    assert len(scene) == 16
    assert [name.rpartition(".")[2] for name in scene.split("test").names] == ["HEIC"] * 4
