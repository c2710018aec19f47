"""Focal lengths from EXIF, and the guess without."""

import math

import pytest
from PIL import Image

from posenet.datasets.intrinsics import focal_from_exif, guess_camera
from tests.helpers.images import photo, write_image


def test_equivalent_focal_length(tmp_path):
    path = photo(tmp_path / "a.jpg", xA405=26)
    # the diagonal of 36 x 24 mm is 43.27 mm, that of the image 500 pixels
    assert focal_from_exif(path, 400, 300) == pytest.approx(26 / 43.2666 * 500, rel=1e-4)
    camera = guess_camera(path)
    assert (camera.source, camera.cx, camera.cy) == ("EXIF", 200, 150)
    assert camera.fx == camera.fy == focal_from_exif(path, 400, 300)


def test_focal_length_and_sensor_resolution(tmp_path):
    # 5 mm, 2000 pixels per centimeter: 1000 pixels
    tags = {"x920A": 5.0, "xA20E": 2000.0, "xA210": 3, "xA002": 400, "xA003": 300}
    assert focal_from_exif(photo(tmp_path / "a.jpg", **tags), 400, 300) == pytest.approx(1000)
    shrunk = photo(tmp_path / "b.jpg", size=(200, 150), **tags)
    assert focal_from_exif(shrunk, 200, 150) is None


def test_exif_behind_the_pixels_of_a_png(tmp_path):
    path = photo(tmp_path / "a.png", xA405=26)
    data = path.read_bytes()
    at = data.index(b"eXIf") - 4
    end = at + 12 + int.from_bytes(data[at : at + 4], "big")
    last = data.rindex(b"IEND") - 4
    path.write_bytes(data[:at] + data[end:last] + data[at:end] + data[last:])
    assert focal_from_exif(path, 400, 300) == pytest.approx(26 / 43.2666 * 500, rel=1e-4)


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.webp"])
def test_a_broken_exif_block_is_ignored(tmp_path, name):
    Image.new("RGB", (40, 30)).save(tmp_path / name, dpi=(72, 72), exif=b"Exif\0\0II*\0")
    assert focal_from_exif(tmp_path / name, 40, 30) is None


def test_without_exif_a_typical_view_is_assumed(tmp_path):
    write_image(tmp_path / "a.png", (300, 400))
    camera = guess_camera(tmp_path / "a.png")
    assert camera.source == "assumed"
    assert 2 * math.degrees(math.atan(200 / camera.fx)) == pytest.approx(60)
    assert focal_from_exif(tmp_path / "none.png", 4, 3) is None
