"""Decode and resize images."""

import zlib

import cv2
import numpy as np
import pytest
from PIL import Image, ImageOps

from posenet.errors import PoseNetError
from posenet.geometry.cropping import cover_transform
from posenet.io.heif import HEIF_SUFFIXES
from posenet.io.image_headers import IMAGE_SUFFIXES, find_image_issue, image_size, stored_size
from posenet.io.images import load_image, normalize_exposure, read_image, resize_to_cover
from tests.helpers.errors import refusal

ORIENTATION = 0x0112


@pytest.fixture
def colors():
    """A smooth (48, 64, 3) image, different in all four corners and channels."""
    y, x = np.mgrid[:48, :64]
    return np.dstack([4 * x, 5 * y, 255 - 2 * x - 2 * y]).astype(np.uint8)


def test_rgb_is_read_as_rgb(tmp_path, colors):
    Image.fromarray(colors).save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), colors)


def test_sixteen_bits_become_eight(tmp_path, colors):
    cv2.imwrite(str(tmp_path / "a.png"), colors[..., ::-1].astype(np.uint16) * 257)
    image = read_image(tmp_path / "a.png")
    assert image.dtype == np.uint8
    np.testing.assert_array_equal(image, colors)


@pytest.mark.parametrize("bits", [10, 12, 14, 16])
def test_upper_eight_bits_of_cameras_with_more_are_used(tmp_path, colors, bits):
    gray = (
        colors[..., 0].astype(np.uint16) << (bits - 8)
    ) + 1  # up to 252: all of the camera's bits are in use
    for name in ("a.png", "a.tif"):
        cv2.imwrite(str(tmp_path / name), gray)
        np.testing.assert_array_equal(read_image(tmp_path / name)[..., 1], colors[..., 0])


def test_float_images_raise_error(tmp_path, colors):
    cv2.imwrite(str(tmp_path / "a.tif"), colors[..., ::-1].astype(np.float32))
    with pytest.raises(PoseNetError, match="not a valid image \\(could not decode"):
        read_image(tmp_path / "a.tif")


def test_gray_becomes_three_equal_channels(tmp_path, colors):
    Image.fromarray(colors[..., 0]).save(tmp_path / "a.png")
    np.testing.assert_array_equal(
        read_image(tmp_path / "a.png"), np.repeat(colors[..., :1], 3, axis=2)
    )


def test_alpha_is_dropped(tmp_path, colors):
    Image.fromarray(np.dstack([colors, np.full((48, 64), 255, np.uint8)])).save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), colors)


def test_palette_is_applied(tmp_path):
    red_and_blue = np.array([[[255, 0, 0], [0, 0, 255]]], np.uint8)
    Image.fromarray(red_and_blue).quantize(2).save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), red_and_blue)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(tmp_path, colors, orientation):
    path, exif = tmp_path / "a.jpg", Image.Exif()
    exif[ORIENTATION] = orientation
    Image.fromarray(colors).save(path, quality=95, exif=exif)
    expected = np.asarray(ImageOps.exif_transpose(Image.open(path)))
    image = read_image(path)
    assert (
        image_size(path)
        == (image.shape[1], image.shape[0])
        == (expected.shape[1], expected.shape[0])
    )
    assert np.abs(image.astype(int) - expected).max() <= 4
    reduced = read_image(path, at_least=(expected.shape[0] // 2, expected.shape[1] // 2))
    assert reduced.shape == (expected.shape[0] // 2, expected.shape[1] // 2, 3)


def test_exif_orientation_of_a_png_is_applied(tmp_path, colors):
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    Image.fromarray(colors).save(tmp_path / "a.png", exif=exif)
    assert image_size(tmp_path / "a.png") == (48, 64)
    assert read_image(tmp_path / "a.png").shape == (64, 48, 3)


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_exif_orientation_of_a_tiff_is_applied(tmp_path, colors, orientation):
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    Image.fromarray(colors).save(tmp_path / "a.tif", exif=exif)
    height, width = read_image(tmp_path / "a.tif").shape[:2]
    assert image_size(tmp_path / "a.tif") == (width, height)
    assert (width, height) == ((48, 64) if orientation > 4 else (64, 48))
    turns = {1: 0, 3: 2, 6: 3, 8: 1}[orientation]
    assert stored_size(tmp_path / "a.tif") == ((64, 48), turns)


def test_orientation_in_xmp_only_is_ignored(tmp_path, colors):
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'
    Image.fromarray(colors).save(tmp_path / "a.jpg", xmp=xmp)
    with Image.open(tmp_path / "a.jpg") as image:
        assert image.getexif()[ORIENTATION] == 6  # Pillow does
    height, width = read_image(tmp_path / "a.jpg").shape[:2]  # OpenCV does not
    assert image_size(tmp_path / "a.jpg") == (width, height) == (64, 48)


def test_orientation_in_xmp_with_other_exif_is_ignored(tmp_path, colors):
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'
    exif = Image.Exif()
    exif[0x010F] = "maker"
    Image.fromarray(colors).save(tmp_path / "a.jpg", xmp=xmp, exif=exif)
    data = (tmp_path / "a.jpg").read_bytes()
    jfif = data.index(
        b"\xff\xe0"
    )  # camera files have none, and Pillow then seeks the resolution in EXIF
    (tmp_path / "a.jpg").write_bytes(
        data[:jfif] + data[jfif + 2 + int.from_bytes(data[jfif + 2 : jfif + 4]) :]
    )
    assert read_image(tmp_path / "a.jpg").shape == (48, 64, 3)
    assert image_size(tmp_path / "a.jpg") == (64, 48)
    assert stored_size(tmp_path / "a.jpg") == ((64, 48), 0)


def test_broken_exif_is_ignored(tmp_path, colors):
    Image.fromarray(colors).save(tmp_path / "a.jpg", dpi=(72, 72), exif=b"Exif\0\0" + bytes(20))
    assert find_image_issue(tmp_path / "a.jpg") is None
    assert image_size(tmp_path / "a.jpg") == (64, 48)


@pytest.mark.parametrize("name", ["a.jpg", "a.png"])
def test_bytes_after_an_image_are_ignored(tmp_path, colors, name):
    Image.fromarray(colors).save(tmp_path / name)
    with open(tmp_path / name, "ab") as file:
        file.write(bytes(300_000))
    assert find_image_issue(tmp_path / name) is None
    assert read_image(tmp_path / name).shape == (48, 64, 3)


@pytest.mark.parametrize("name", ["a.jpg", "a.png"])
def test_truncated_image_is_not_filled_with_gray(tmp_path, name):
    noise = np.random.default_rng(0).integers(0, 255, (200, 300, 3), np.uint8)
    Image.fromarray(noise).save(tmp_path / name)
    data = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(data[: len(data) * 2 // 3])
    size = len(data) * 2 // 3
    assert refusal(read_image, tmp_path / name) in (
        f"{tmp_path / name}: truncated image ({size} bytes)",
        f"{tmp_path / name}: not a valid image (could not decode {size} bytes)",
    )


def test_image_of_200_megapixels_is_valid(tmp_path):
    Image.new("L", (16320, 12240)).save(tmp_path / "a.png", compress_level=1)
    assert image_size(tmp_path / "a.png") == (16320, 12240)


def test_images_with_too_many_pixels_are_not_decoded(tmp_path, colors):
    path = tmp_path / "a.png"
    Image.fromarray(colors).save(path)
    data = bytearray(path.read_bytes())
    data[16:24] = (20000).to_bytes(4, "big") * 2
    data[29:33] = zlib.crc32(data[12:29]).to_bytes(4, "big")
    path.write_bytes(data)
    line = f"{path}: an image must have at most 268435456 pixels, received 20000 x 20000"
    assert refusal(read_image, path) == line
    assert refusal(image_size, path) == line
    assert find_image_issue(path) == "image of more than 268435456 pixels"
    assert stored_size(path).size == (0, 0)


def test_size_of_a_png_is_read_without_decoding_it(tmp_path, colors):
    Image.fromarray(colors).save(tmp_path / "a.png")
    data = (tmp_path / "a.png").read_bytes()
    (tmp_path / "a.png").write_bytes(data[: len(data) // 2])
    assert image_size(tmp_path / "a.png") == (64, 48)


def test_reduced_jpeg_covers_and_is_close_to_the_whole(tmp_path, colors):
    path = tmp_path / "a.jpg"
    Image.fromarray(cv2.resize(colors, (1000, 760))).save(path, quality=95)
    for wanted, expected in (
        ((190, 250), (190, 250)),
        ((191, 250), (380, 500)),
        ((90, 120), (95, 125)),
    ):
        assert read_image(path, at_least=wanted).shape[:2] == expected
    reduced = load_image(path, 190, 250)
    whole = resize_to_cover(read_image(path), 190, 250)
    assert np.abs(reduced.astype(int) - whole).mean() < 1.5


def test_missing_image(tmp_path):
    with pytest.raises(PoseNetError) as refusal:
        read_image(tmp_path / "a.png")
    expected = f"{tmp_path / 'a.png'}: cannot read the image (No such file or directory)"
    assert str(refusal.value) == expected


@pytest.mark.parametrize("content", [b"", b"404 not found"])
def test_invalid_images_raise_error(tmp_path, content):
    path = tmp_path / "a.png"
    path.write_bytes(content)
    expected = f"{path}: not a valid image (could not decode {len(content)} bytes)"
    with pytest.raises(PoseNetError) as refusal:
        read_image(path)
    assert str(refusal.value) == expected


def test_header_of_an_impossible_size(tmp_path):
    path = tmp_path / "a.bmp"
    Image.new("RGB", (4, 4)).save(path)
    data = bytearray(path.read_bytes())
    data[18:22] = data[22:26] = (0x7FFFFFF0).to_bytes(4, "little")  # width and height
    path.write_bytes(data)
    with pytest.raises(PoseNetError, match="not a valid image \\(could not decode"):
        read_image(path)
    assert find_image_issue(path) == "file that is not an image"


def test_malformed_number_in_a_header(tmp_path):
    path = tmp_path / "a.ppm"
    path.write_bytes(b"P6\n2 2\n2Y5\n" + bytes(12))
    assert find_image_issue(path) == "file that is not an image"
    with pytest.raises(PoseNetError, match=r"a.ppm: not a valid image \("):
        image_size(path)


@pytest.mark.parametrize("name", ["a.jpg", "a.png"])
def test_size_of_no_image(tmp_path, name):
    path = tmp_path / name
    path.write_text("404 not found")
    for read in (
        image_size,
        lambda p: read_image(p, at_least=(2, 2)) if name == "a.jpg" else image_size(p),
    ):
        with pytest.raises(PoseNetError, match=r"not a valid image \(cannot identify") as refusal:
            read(path)
        assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("suffix", sorted({*IMAGE_SUFFIXES} - {*HEIF_SUFFIXES}))
def test_every_suffix_of_images_is_read(tmp_path, colors, suffix):
    path = tmp_path / f"a{suffix.upper()}"
    if suffix == ".hdr":
        cv2.imwrite(str(path), (colors[:, :, ::-1] / 255.0).astype(np.float32))
    elif suffix in (".ras", ".sr"):
        cv2.imwrite(str(path), colors[:, :, ::-1])
    else:
        mode = {".pbm": "1", ".pgm": "L"}.get(suffix, "RGB")
        Image.fromarray(colors).convert(mode).save(path)
    assert find_image_issue(path) is None
    assert image_size(path) == (64, 48)
    image = read_image(path)
    assert (image.shape, image.dtype) == ((48, 64, 3), np.uint8)
    if suffix in (".png", ".bmp", ".dib", ".tga", ".qoi", ".ras", ".sr", ".sgi", ".pcx", ".ppm"):
        np.testing.assert_array_equal(image, colors)


@pytest.mark.parametrize("suffix", ["jpg", "jfif", "png", "webp", "tif", "avif"])
def test_orientation_of_every_format(tmp_path, suffix):
    stored = np.zeros((32, 64, 3), np.uint8)
    stored[:16, :32] = 255  # the upper left, at the upper right of the image that viewers show
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(stored).save(tmp_path / f"a.{suffix}", exif=exif)
    image = read_image(tmp_path / f"a.{suffix}")
    assert image_size(tmp_path / f"a.{suffix}") == (32, 64)
    assert image.shape == (64, 32, 3)
    corners = [int(image[y, x].mean()) for y, x in ((8, 8), (8, 24), (48, 8), (48, 24))]
    np.testing.assert_allclose(corners, [0, 255, 0, 0], atol=8)


def test_radiance_images_are_encoded_for_screens(tmp_path):
    linear = np.full((50, 100, 3), 0.5, np.float32)
    linear[:, :20] = 1.0
    linear[:, 20:40] = 0.0
    cv2.imwrite(str(tmp_path / "a.hdr"), linear * 40)  # any exposure
    image = read_image(tmp_path / "a.hdr")
    assert image_size(tmp_path / "a.hdr") == (100, 50)
    # sRGB of 0.5: 1.055 * 0.5^(1/2.4) - 0.055 = 0.7354, times 255
    np.testing.assert_allclose(image[25, [10, 30, 70], 0], [255, 0, 187.5], atol=1)


def test_radiance_image_without_its_size(tmp_path):
    (tmp_path / "a.hdr").write_bytes(b"#?RADIANCE\n\n")
    assert refusal(image_size, tmp_path / "a.hdr") == (
        f"{tmp_path}/a.hdr: not a valid image (a Radiance HDR image without its size)"
    )
    assert find_image_issue(tmp_path / "a.hdr") == "file that is not an image"


def test_jpeg_with_trailing_bytes_has_no_issue(tmp_path, colors):
    path = tmp_path / "a.jpg"
    Image.fromarray(colors).save(path)
    path.write_bytes(path.read_bytes() + b"\0" * 100_000)
    assert find_image_issue(path) is None


def test_fill_bytes_between_jpeg_segments_are_no_issue(tmp_path, colors):
    path = tmp_path / "a.jpg"
    Image.fromarray(colors).save(path)
    data = path.read_bytes()
    path.write_bytes(data[:2] + b"\xff\xff" + data[2:])
    assert find_image_issue(path) is None


def test_jpeg_with_a_part_of_zeros_is_refused(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (240, 320, 3), np.uint8)
    path = tmp_path / "a.jpg"
    Image.fromarray(noise).save(path, quality=95)
    content = path.read_bytes()
    # 240 x 320 values in three channels are 3600 blocks, of at least 900 bytes; 256 for tables.
    for length, is_refused in ((1000, False), (1200, True), (20000, True)):
        path.write_bytes(content[:30000] + bytes(length) + content[30000 + length :])
        assert cv2.imread(str(path)) is not None
        if is_refused:
            assert refusal(read_image, path) == (
                f"{path}: damaged image (a part of its {len(content)} bytes is 0)"
            )
        else:
            read_image(path)


@pytest.mark.parametrize("size", [(8, 8), (33, 17), (1600, 1200)])
@pytest.mark.parametrize("mode", ["L", "RGB"])
@pytest.mark.parametrize(
    "options",
    [{"optimize": True}, {"progressive": True}, {"optimize": True, "subsampling": 0}],
)
def test_flat_jpegs_are_not_damaged(tmp_path, size, mode, options):
    # The 1600 x 1200 image in three channels without subsampling has 22500 zeros in a row.
    Image.new(mode, size).save(tmp_path / "a.jpg", **options)
    assert read_image(tmp_path / "a.jpg").shape == (size[1], size[0], 3)


@pytest.mark.parametrize("length", [30_000, 66_000, 100_000, 200_000])
def test_truncated_jpeg_with_thumbnail_is_detected(tmp_path, length):
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 255, (800, 900, 3), np.uint8))
    noise.resize((80, 60)).save(tmp_path / "thumbnail.jpg")
    noise.save(tmp_path / "a.jpg", quality=90)
    data, thumbnail = (tmp_path / "a.jpg").read_bytes(), (tmp_path / "thumbnail.jpg").read_bytes()
    application = b"\xff\xe1" + (len(thumbnail) + 8).to_bytes(2, "big") + b"Exif\0\0" + thumbnail
    whole = data[:2] + application + data[2:]
    assert len(whole) > 250_000
    (tmp_path / "a.jpg").write_bytes(whole)
    assert find_image_issue(tmp_path / "a.jpg") is None
    (tmp_path / "a.jpg").write_bytes(whole[:length])
    assert find_image_issue(tmp_path / "a.jpg") == "truncated image"


@pytest.mark.parametrize(
    ("height", "width"), [(24, 24), (24, 32), (20, 60), (96, 96), (48, 64), (47, 64)]
)
def test_cover_agrees_with_the_transform(colors, height, width):
    out = resize_to_cover(colors, height, width)
    assert out.shape == (height, width, 3)
    assert out.flags["C_CONTIGUOUS"]
    scaled, (left, top) = cover_transform(64, 48, width, height)
    scale = max(width / 64, height / 48)
    assert scaled == (max(width, round(64 * scale)), max(height, round(48 * scale)))
    # A smooth image's value at the place that the transform gives must be the value seen there.
    y, x = height // 2, width // 2
    source_x, source_y = (x + 0.5 + left) / scale - 0.5, (y + 0.5 + top) / scale - 0.5
    expected = [4 * source_x, 5 * source_y, 255 - 2 * source_x - 2 * source_y]
    np.testing.assert_allclose(out[y, x], expected, atol=4)


def test_cover_by_hand():
    # 64 x 48 to a square of 24: scaled by half to 32 x 24, then 4 columns are cut on either side.
    assert cover_transform(64, 48, 24, 24) == ((32, 24), (4, 0))
    columns = np.repeat(
        np.repeat(np.arange(32, dtype=np.uint8), 2)[None, :, None], 48, axis=0
    ).repeat(3, axis=2)
    np.testing.assert_array_equal(resize_to_cover(columns, 24, 24)[0, :, 0], np.arange(4, 28))


def test_image_of_the_right_size_is_unchanged(colors):
    np.testing.assert_array_equal(resize_to_cover(colors, 48, 64), colors)


def test_load_portrait_image(tmp_path, colors):
    Image.fromarray(colors.transpose(1, 0, 2)).save(tmp_path / "a.png")
    assert load_image(tmp_path / "a.png", 32, 32).shape == (32, 32, 3)


def test_dark_images_are_brightened(tmp_path):
    ramp = np.linspace(0, 100, 101).astype(np.uint8)  # 99 % of it lie below 99
    dark = np.broadcast_to(ramp[:, None, None], (101, 40, 3)).copy()
    np.testing.assert_allclose(
        normalize_exposure(dark)[:, 0, 0], ramp.astype(float) * 160 / 99, atol=2
    )
    assert normalize_exposure(dark + 61)[0, 0, 0] == 61  # bright enough: 99 % lie below 160
    black = np.full((8, 8, 3), 1, np.uint8)
    assert normalize_exposure(black).max() == 8  # no more than eight times as bright
    cv2.imwrite(str(tmp_path / "dark.png"), dark)
    np.testing.assert_array_equal(
        load_image(tmp_path / "dark.png", 101, 40), normalize_exposure(dark)
    )
