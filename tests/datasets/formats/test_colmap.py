"""COLMAP models, text and binary. pycolmap is the independent reader and writer."""

import shutil
import struct
from functools import partial
from pathlib import Path

import numpy as np
import pycolmap
import pytest
from PIL import Image
from scipy.spatial.transform import Rotation

from posenet.datasets.formats import colmap
from posenet.datasets.formats.colmap_model import read_model
from posenet.datasets.registry import open_scene
from posenet.errors import PoseNetError
from posenet.io.images import read_image
from tests.helpers.errors import refusal
from tests.helpers.images import write_image

CAMERAS = """# Camera list
1 OPENCV 64 48 60 61 32 24 0.1 0.01 0 0
2 SIMPLE_RADIAL 128 96 120 64 48 0.05
"""
# frame2 faces world x from (1, 2, 3): camera_from_world rows are right (-y), down (-z),
# forward (x)
ROTATION = Rotation.from_matrix([[0, -1, 0], [0, 0, -1], [1, 0, 0]])
IMAGES = """# Image list with two lines of data per image:
7 {q2} {t2} 2 walk/frame2.jpg

3 1 0 0 0 0 0 0 1 walk/frame10.jpg
10 20 1 30 40 -1
"""
POINTS = """# 3D point list
1 4 5 6 255 0 0 0.5 3 0
2 7 8 9 0 255 0 0.5
"""


def write_text_model(folder: Path, images=None, cameras=CAMERAS, points=POINTS):
    q2 = " ".join(map(str, ROTATION.as_quat(scalar_first=True)))
    t2 = " ".join(map(str, -ROTATION.apply([1.0, 2, 3])))
    (folder / "sparse/0").mkdir(parents=True)
    (folder / "sparse/0/cameras.txt").write_text(cameras)
    (folder / "sparse/0/images.txt").write_text((images or IMAGES).format(q2=q2, t2=t2))
    (folder / "sparse/0/points3D.txt").write_text(points)
    for name in ("frame2", "frame10"):
        write_image(folder / f"images/walk/{name}.jpg", (48, 64))
    return folder


@pytest.fixture
def model(tmp_path):
    return write_text_model(tmp_path / "scene")


refused = partial(refusal, open_scene)


def test_files_beside_a_model_change_nothing(model, caplog):
    before = open_scene(model)
    (model / "sparse/0/rigs.txt").write_text("# RIG_ID NUM_SENSORS REF_SENSOR_TYPE\n1 1 CAMERA 1\n")
    (model / "sparse/0/frames.txt").write_text("# FRAME_ID RIG_ID RIG_FROM_WORLD\n")
    (model / "sparse/0/project.ini").write_text("log_level=2\n")
    (model / "sparse/._0").write_bytes(b"x")
    after = open_scene(model)
    np.testing.assert_array_equal(after.poses.matrices, before.poses.matrices)
    assert (after.names, after.cameras) == (before.names, before.cameras)
    assert caplog.messages == []


def check(scene):
    assert scene.names == ("images/walk/frame2.jpg", "images/walk/frame10.jpg")
    np.testing.assert_allclose(scene.poses.positions, [[1, 2, 3], [0, 0, 0]], atol=1e-12)
    np.testing.assert_allclose(
        scene.poses.rotations[0].apply([0, 0, 1]), [1, 0, 0], atol=1e-12
    )  # forward
    first, second = scene.cameras
    assert (first.fx, first.width, first.model, first.distortion) == (
        60,
        64,
        "SIMPLE_RADIAL",
        (0.05,),
    )  # halved
    assert (second.fy, second.model, second.distortion) == (61, "OPENCV", (0.1, 0.01, 0, 0))
    assert (scene.unit, list(scene.sequences)) == ("scene units", ["walk", "walk"])
    np.testing.assert_array_equal(scene.points.positions, [[4, 5, 6], [7, 8, 9]])
    np.testing.assert_array_equal(scene.points.observations, [[1, 0]])
    np.testing.assert_array_equal(scene.points.colors, [[255, 0, 0], [0, 255, 0]])


def test_text_model(model):
    assert colmap.recognizes(model)
    check(open_scene(model))


def test_binary_model_written_by_colmap(model):
    sparse = model / "sparse/0"
    pycolmap.Reconstruction(sparse).write_binary(sparse)
    for file in sparse.glob("*.txt"):
        file.unlink()
    check(open_scene(model))


def test_pycolmap_reads_the_written_model(model, tmp_path):
    from posenet.datasets.convert import convert

    scene = open_scene(model, split="every:2")
    convert(scene, tmp_path / "out", "colmap")
    theirs = pycolmap.Reconstruction(tmp_path / "out/sparse/0")
    images = {image.name: image for image in theirs.images.values()}
    assert set(images) == {"walk/frame2.jpg", "walk/frame10.jpg"}
    np.testing.assert_allclose(images["walk/frame2.jpg"].projection_center(), [1, 2, 3], atol=1e-12)
    assert images["walk/frame10.jpg"].camera.model_name == "OPENCV"
    assert (tmp_path / "out/test.txt").read_text() == "walk/frame10.jpg\n"
    check(open_scene(tmp_path / "out"))


@pytest.mark.parametrize("place", ["sparse", "colmap/sparse/0", "."])
def test_other_folders_of_the_model(model, place):
    target = model / place
    target.mkdir(parents=True, exist_ok=True)
    for file in (model / "sparse/0").glob("*.txt"):
        file.rename(target / file.name)
    assert len(open_scene(model)) == 2


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (
            "1 1 0 0 0 0 0 1 a.jpg\n\n",
            "images.txt:1: an image line must be IMAGE_ID QW QX QY QZ TX TY TZ",
        ),
        (
            "1 1 0 0 0 0 0 0 9 a.jpg\n\n",
            "images.txt:1: cameras.txt must contain the camera of the image, received CAMERA_ID 9",
        ),
        (
            "x 1 0 0 0 0 0 0 1 a.jpg\n\n",
            "images.txt:1: IMAGE_ID must be a whole number, received 'x'",
        ),
        ("1 1 0 y 0 0 0 0 1 a.jpg\n\n", "received 'y' where a number belongs"),
        (
            "1 1 0 0 0 0 0 0 1 a.jpg\n10 20\n",
            "images.txt:2: the line after an image must contain X Y POINT3D_ID",
        ),
        (
            "1 1 0 0 0 0 0 0 1 ../a.jpg\n\n",
            "the name of an image must stay inside the scene folder",
        ),
    ],
)
def test_malformed_images(tmp_path, images, message):
    assert message in refused(write_text_model(tmp_path / "scene", images))


@pytest.mark.parametrize(
    ("cameras", "message"),
    [
        (
            "1 PINHOLE 64\n",
            "cameras.txt:1: a camera line must be CAMERA_ID MODEL WIDTH HEIGHT PARAMS...",
        ),
        ("1 LENSBABY 64 48 1\n", "the camera model must be one of COLMAP's, received 'LENSBABY'"),
        ("1 PINHOLE 64 48 60 61\n", "PINHOLE has 4 parameters. Received: 2"),
        ("1 PINHOLE 64 48 -60 61 32 24\n", "size and focal length must be finite and above 0"),
        ("1 PINHOLE 64 48 nan 61 32 24\n", "size and focal length must be finite and above 0"),
    ],
)
def test_malformed_cameras(tmp_path, cameras, message):
    assert message in refused(write_text_model(tmp_path / "scene", cameras=cameras))


def test_malformed_points(tmp_path):
    message = refused(write_text_model(tmp_path / "scene", points="1 2 3\n"))
    assert "points3D.txt:1: a point line must be POINT3D_ID X Y Z R G B ERROR and pairs" in message


def test_crlf_byte_order_mark_and_comments(tmp_path):
    folder = write_text_model(tmp_path / "scene")
    for file in (folder / "sparse/0").glob("*.txt"):
        file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes().replace(b"\n", b"\r\n"))
    check(open_scene(folder))


def test_zero_quaternion_is_reported(tmp_path):
    folder = write_text_model(tmp_path / "scene", IMAGES.replace("3 1 0 0 0 0", "3 0 0 0 0 0"))
    with pytest.raises(
        PoseNetError, match=r"1 x quaternion of length zero.*images.txt:4 images/walk/frame10.jpg"
    ):
        open_scene(folder, strict=True)


@pytest.fixture
def binary(model):
    sparse = model / "sparse/0"
    pycolmap.Reconstruction(sparse).write_binary(sparse)
    for file in sparse.glob("*.txt"):
        file.unlink()
    return sparse


@pytest.mark.parametrize("name", ["cameras", "images", "points3D"])
def test_truncated_file_is_refused(binary, name):
    whole = (binary / f"{name}.bin").read_bytes()
    for length in range(0, len(whole), 7):
        (binary / f"{name}.bin").write_bytes(whole[:length])
        with pytest.raises(PoseNetError, match=rf"{name}.bin: .*(needed at byte|must end)"):
            read_model(binary)


@pytest.mark.parametrize("name", ["cameras", "images", "points3D"])
def test_wrong_counts_allocate_no_memory(binary, name):
    whole = (binary / f"{name}.bin").read_bytes()
    (binary / f"{name}.bin").write_bytes(struct.pack("<Q", 10**15) + whole[8:])
    with pytest.raises(
        PoseNetError, match=rf"{name}.bin: \d+ more bytes are needed at byte 8, only \d+ follow"
    ):
        read_model(binary)


def test_folder_without_a_model(tmp_path):
    (tmp_path / "cameras.txt").write_text(CAMERAS)
    assert (
        refusal(read_model, tmp_path) == f"{tmp_path} must contain cameras and images, .bin or .txt"
    )


def test_unknown_binary_camera_model(binary):
    (binary / "cameras.bin").write_bytes(struct.pack("<QiiQQ4d", 1, 1, 99, 64, 48, 1, 1, 1, 1))
    with pytest.raises(
        PoseNetError, match=r"the camera model must be one of COLMAP's \(0 to 17\), received 99"
    ):
        read_model(binary)


def test_binary_name_that_is_not_utf8(binary):
    whole = (binary / "images.bin").read_bytes()
    (binary / "images.bin").write_bytes(whole.replace(b"frame2", b"fr\xe4me2"))
    with pytest.raises(PoseNetError, match=r"images.bin: the name before byte \d+ must be UTF-8"):
        read_model(binary)


def test_unit_of_a_capture(model):
    (model / "capture.json").write_text('{"unit": "m"}')
    assert open_scene(model).unit == "m"
    (model / "capture.json").write_text("no json")
    assert open_scene(model).unit == "scene units"


@pytest.mark.parametrize(("orientation", "quarter_turns"), [(1, 0), (6, 3), (8, 1), (3, 2), (5, 0)])
def test_exif_orientation_rotates_camera_and_pose(tmp_path, orientation, quarter_turns):
    """A point must project to the same spot of the upright image as of the stored one."""
    images = "1 {q2} {t2} 2 walk/frame2.jpg\n\n"
    cameras = "2 PINHOLE 64 48 60 61 30 25\n"
    folder = write_text_model(tmp_path / "scene", images, cameras)
    stored = np.zeros((48, 64, 3), np.uint8)
    stored[8:12, 44:50] = 255  # about x = 47, y = 10
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(stored).save(folder / "images/walk/frame2.jpg", quality=100, exif=exif)
    scene = open_scene(folder)
    point = Rotation.inv(ROTATION).apply([(47 - 30) / 60, (10 - 25) / 61, 1.0]) + [
        1,
        2,
        3,
    ]  # of the stored pose
    camera, pose = scene.cameras[0], scene.poses
    if orientation == 5:  # mirrored: no rotation describes it
        assert camera.source == "assumed"
        return
    local = pose.rotations[0].inv().apply(point - pose.positions[0])
    x, y = camera.fx * local[0] / local[2] + camera.cx, camera.fy * local[1] / local[2] + camera.cy
    shown = read_image(folder / "images/walk/frame2.jpg")
    assert (camera.height, camera.width) == shown.shape[:2]
    rows, columns = np.nonzero(shown[..., 0] > 128)
    np.testing.assert_allclose([x, y], [columns.mean() + 0.5, rows.mean() + 0.5], atol=1e-6)
    np.testing.assert_allclose(pose.positions[0], [1, 2, 3], atol=1e-12)
    assert quarter_turns % 2 == (camera.width == 48)


def test_largest_of_several_models_is_read(tmp_path, caplog):
    folder = write_text_model(tmp_path / "scene")
    (folder / "sparse/0").rename(folder / "sparse/1")
    (folder / "sparse/0").mkdir()
    for name in ("cameras.txt", "images.txt", "points3D.txt"):
        (folder / "sparse/0" / name).write_text("# a model without images\n")
    assert len(open_scene(folder)) == 2
    assert "scene: reads the largest model, 1; ignores 0" in caplog.text
    shutil.rmtree(folder / "sparse/0")
    caplog.clear()
    assert len(open_scene(folder)) == 2
    assert "largest" not in caplog.text


def test_models_written_by_posenet_are_of_upright_images(tmp_path):
    folder = write_text_model(tmp_path / "scene")
    before = open_scene(folder).poses
    exif = Image.Exif()
    exif[0x0112] = 3
    with Image.open(folder / "images/walk/frame2.jpg") as image:
        image.load()
        image.save(folder / "images/walk/frame2.jpg", exif=exif)
    assert (
        open_scene(folder).poses.rotations * before.rotations.inv()
    ).magnitude().max() == pytest.approx(np.pi)
    (folder / "scene.json").write_text('{"unit": "m"}')  # a user's
    assert (
        open_scene(folder).poses.rotations * before.rotations.inv()
    ).magnitude().max() == pytest.approx(np.pi)
    assert open_scene(folder).unit == "m"
    (folder / "scene.json").write_text('{"unit": "m", "upright": true}')
    assert (open_scene(folder).poses.rotations * before.rotations.inv()).magnitude().max() < 1e-9


def test_images_may_be_beside_an_empty_images_folder(tmp_path):
    folder = write_text_model(tmp_path / "scene")
    (folder / "images/walk").rename(folder / "walk")  # and an empty images/
    assert open_scene(folder).names == ("walk/frame2.jpg", "walk/frame10.jpg")


def test_model_without_points(tmp_path):
    assert open_scene(write_text_model(tmp_path / "scene", points="")).points is None
