"""transforms.json of NeRF, nerfstudio and instant-ngp."""

import json
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from posenet.datasets.formats import nerfstudio, nerfstudio_cameras, nerfstudio_frames
from posenet.datasets.registry import open_scene
from posenet.errors import PoseNetError
from posenet.geometry.camera import Camera
from tests.helpers.errors import refusal
from tests.helpers.images import write_image

# a camera at (1, 2, 3) facing world x with z up; OpenGL axes: right -y, up z, back -x
OPENGL = [[0, 0, -1, 1], [-1, 0, 0, 2], [0, 1, 0, 3], [0, 0, 0, 1]]
TOP = {
    "fl_x": 60,
    "fl_y": 62,
    "cx": 31,
    "cy": 25,
    "w": 64,
    "h": 48,
    "k1": 0.1,
    "k2": 0,
    "p1": 0,
    "p2": 0.02,
}


def write(folder, frames=None, name="transforms.json", top=TOP, **more):
    folder.mkdir(exist_ok=True)
    frames = frames or [
        {"file_path": f"images/{row}.png", "transform_matrix": OPENGL} for row in (10, 9)
    ]
    (folder / name).write_text(json.dumps(top | more | {"frames": frames}))
    for row in (9, 10):
        write_image(folder / f"images/{row}.png", (48, 64), seed=row)
    return folder


refused = partial(refusal, open_scene)


def test_pose_and_intrinsics(tmp_path):
    scene = open_scene(write(tmp_path / "scene"))
    assert nerfstudio.recognizes(tmp_path / "scene")
    assert scene.names == ("images/9.png", "images/10.png")
    np.testing.assert_allclose(scene.poses.positions, [[1, 2, 3]] * 2)
    np.testing.assert_allclose(
        scene.poses.rotations[0].apply([0, 0, 1]), [1, 0, 0], atol=1e-12
    )  # forward
    np.testing.assert_allclose(
        scene.poses.rotations[0].apply([0, 1, 0]), [0, 0, -1], atol=1e-12
    )  # down
    camera = scene.cameras[0]
    assert (camera.fx, camera.fy, camera.cx, camera.cy) == (60, 62, 31, 25)
    assert (camera.model, camera.distortion) == ("OPENCV", (0.1, 0, 0, 0.02))
    assert scene.unit == "scene units"


def test_frames_may_have_their_own_intrinsics_and_three_rows(tmp_path):
    frames = [
        {
            "file_path": "images/9",
            "transform_matrix": OPENGL[:3],
            "fl_x": 70,
            "camera_model": "OPENCV_FISHEYE",
        }
    ]
    camera = open_scene(write(tmp_path / "scene", frames)).cameras[0]
    assert (camera.fx, camera.model, camera.distortion) == (70, "OPENCV_FISHEYE", (0.1, 0, 0, 0))


def test_only_angle_of_view(tmp_path):
    camera = open_scene(write(tmp_path / "scene", top={"camera_angle_x": np.pi / 2})).cameras[0]
    assert (camera.fx, camera.fy, camera.model) == (pytest.approx(32), pytest.approx(32), "PINHOLE")
    assert open_scene(write(tmp_path / "other", top={})).cameras[0].source == "assumed"


@pytest.mark.parametrize(
    ("orientation", "right"), [(6, [0, 0, 1]), (3, [0, 1, 0]), (8, [0, 0, -1])]
)
def test_exif_orientation_rotates_poses_and_cameras(tmp_path, orientation, right):
    folder = write(
        tmp_path / "scene", top={"fl_x": 60, "fl_y": 62, "cx": 31, "cy": 25}
    )  # stored: right is world -y
    exif = Image.Exif()
    exif[0x0112] = orientation
    with Image.open(folder / "images/9.png") as image:
        image.load()
        image.save(folder / "images/9.png", exif=exif)
    scene = open_scene(folder)
    np.testing.assert_allclose(scene.poses.rotations[0].apply([1, 0, 0]), right, atol=1e-12)
    np.testing.assert_allclose(scene.poses.rotations[1].apply([1, 0, 0]), [0, -1, 0], atol=1e-12)
    camera = scene.cameras[0]
    expected = {
        6: (48, 64, 62, 60, 48 - 25, 31),
        3: (64, 48, 60, 62, 64 - 31, 48 - 25),
        8: (48, 64, 62, 60, 25, 64 - 31),
    }
    assert (camera.width, camera.height, camera.fx, camera.fy, camera.cx, camera.cy) == expected[
        orientation
    ]
    write(folder, unit="m")  # as convert writes it, for upright images
    write_image(folder / "images/9.png", (48, 64))
    with Image.open(folder / "images/9.png") as image:
        image.load()
        image.save(folder / "images/9.png", exif=exif)
    np.testing.assert_allclose(
        open_scene(folder).poses.rotations[0].apply([1, 0, 0]), [0, -1, 0], atol=1e-12
    )


def test_panoramas_are_not_pinholes(tmp_path):
    camera = open_scene(
        write(tmp_path / "scene", top={"camera_model": "EQUIRECTANGULAR", "w": 64, "h": 48})
    ).cameras[0]
    assert (camera.model, camera.fx, camera.fy) == ("EQUIRECTANGULAR", 64 / (2 * np.pi), 48 / np.pi)


def test_numbers_as_text(tmp_path):
    camera = open_scene(write(tmp_path / "scene", k1="0.0731", k2="-1e-3")).cameras[0]
    assert (camera.model, camera.distortion) == ("OPENCV", (0.0731, -0.001, 0, 0.02))


def test_aria_files_have_absolute_paths_and_their_own_camera_model(tmp_path):
    frames = [{"file_path": str(tmp_path / "scene/images/9.png"), "transform_matrix": OPENGL}]
    parameters = [0.01 * number for number in range(12)]
    scene = open_scene(
        write(tmp_path / "scene", frames, camera_model="FISHEYE624", distortion_params=parameters)
    )
    assert scene.names == ("images/9.png",)
    assert (scene.cameras[0].model, scene.cameras[0].distortion) == (
        "RAD_TAN_THIN_PRISM_FISHEYE",
        tuple(parameters),
    )
    line = refused(write(tmp_path / "other", camera_model="FISHEYE624", distortion_params=[1, 2]))
    assert (
        line
        == f"{tmp_path}/other/transforms.json: frame 1: distortion_params must be 12 numbers, received '[1, 2]'"
    )


@pytest.mark.parametrize(
    ("model", "written", "read_model", "read"),
    [
        ("SIMPLE_RADIAL_FISHEYE", (0.1,), "OPENCV_FISHEYE", (0.1, 0, 0, 0)),
        ("RADIAL_FISHEYE", (0.1, 0.2), "OPENCV_FISHEYE", (0.1, 0.2, 0, 0)),
        ("FISHEYE", (), "OPENCV_FISHEYE", (0, 0, 0, 0)),
        ("EQUIRECTANGULAR", (), "EQUIRECTANGULAR", ()),
        (
            "RAD_TAN_THIN_PRISM_FISHEYE",
            tuple(range(12)),
            "RAD_TAN_THIN_PRISM_FISHEYE",
            tuple(range(12)),
        ),
        ("SIMPLE_RADIAL", (0.1,), "OPENCV", (0.1, 0, 0, 0)),
    ],
)
def test_supported_camera_models_are_written(model, written, read_model, read):
    camera = Camera(64, 32, 60.0, 60.0, 30.0, 20.0, model, written)
    frame = nerfstudio_frames.Frame(
        nerfstudio_cameras.intrinsics_of_camera(camera),
        {"file_path": "a", "transform_matrix": OPENGL},
        "",
        "",
    )
    back = nerfstudio_cameras.camera_of_frame(frame, Path("a"))
    assert (back.model, back.distortion, back.width, back.height) == (read_model, read, 64, 32)
    if model != "EQUIRECTANGULAR":
        assert (back.fx, back.fy, back.cx, back.cy) == (60, 60, 30, 20)
    assert (
        nerfstudio_cameras.intrinsics_of_camera(
            Camera(64, 32, 60.0, 60.0, 30.0, 20.0, "FOV", (0.9,))
        )
        == {}
    )


def test_third_radial_coefficient(tmp_path):
    camera = open_scene(write(tmp_path / "scene", k3=0.3)).cameras[0]
    assert (camera.model, camera.distortion) == ("FULL_OPENCV", (0.1, 0, 0, 0.02, 0.3, 0, 0, 0))


def test_split_files(tmp_path):
    frames = {
        row: [{"file_path": f"images/{row}.png", "transform_matrix": OPENGL}] for row in (9, 10)
    }
    folder = write(tmp_path / "scene", frames[9], "transforms_train.json")
    write(folder, frames[10], "transforms_val.json")
    assert list(open_scene(folder).splits) == ["train", "test"]
    (folder / "transforms_val.json").rename(folder / "transforms_test.json")
    assert list(open_scene(folder).splits) == ["train", "test"]
    write_image(folder / "images/11.png")
    write(
        folder, [{"file_path": "images/11.png", "transform_matrix": OPENGL}], "transforms_val.json"
    )
    scene = open_scene(folder)
    assert dict(zip(scene.names, scene.splits, strict=True))["images/11.png"] == "train"


def test_split_lists_of_nerfstudio(tmp_path):
    lists = {
        "train_filenames": ["images/9.png"],
        "test_filenames": ["./images/10.png"],
        "val_filenames": [],
    }
    assert list(open_scene(write(tmp_path / "scene", **lists)).splits) == ["train", "test"]


def test_missing_images_and_broken_matrices_are_reported(tmp_path):
    mirrored = (np.array(OPENGL) * [[-1], [1], [1], [1]]).tolist()
    frames = [
        {"file_path": "images/9.png", "transform_matrix": OPENGL},
        {"file_path": "images/10.png", "transform_matrix": mirrored},
        {"file_path": "images/8.png", "transform_matrix": OPENGL},
    ]
    folder = write(tmp_path / "scene", frames)
    with pytest.raises(PoseNetError) as refusal:
        open_scene(folder, strict=True)
    assert "1 x mirrored rotation, dropped (first: " in str(refusal.value)
    assert "1 x missing image" in str(refusal.value)
    assert "frame 1 images/10.png" in str(refusal.value)


@pytest.mark.parametrize(
    ("frames", "message"),
    [
        (
            [3],
            "transforms.json: frame 0 must contain a file_path and a transform_matrix, received '3'",
        ),
        (
            [{"file_path": "a"}],
            "frame 0 must contain a transform_matrix of 4 x 4 numbers, a does not",
        ),
        (
            [{"file_path": "a", "transform_matrix": [[1, 2], [3]]}],
            "must contain a transform_matrix of 4 x 4 numbers",
        ),
        (
            [{"file_path": "a", "transform_matrix": OPENGL, "fl_x": "x"}],
            "frame 0: fl_x must be a number, received",
        ),
        (
            [{"file_path": "a", "transform_matrix": OPENGL, "fl_x": 10**400}],
            "transforms.json:1: the file must be JSON, a number of 401 digits is too large",
        ),
        (
            [{"file_path": "a", "transform_matrix": [[10**400] * 4] * 4}],
            "transforms.json:1: the file must be JSON, a number of 401 digits is too large",
        ),
        (
            [{"file_path": "../../etc/x", "transform_matrix": OPENGL}],
            "must stay inside the scene folder",
        ),
        (
            [{"file_path": "/etc/x", "transform_matrix": OPENGL}],
            "must stay inside the scene folder",
        ),
    ],
)
def test_malformed_frames(tmp_path, frames, message):
    assert message in refused(write(tmp_path / "scene", frames))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"frames": [\n{]}', "transforms.json:2: the file must be JSON"),
        ("[]", "the file must be an object with a list of frames"),
        ('{"frames": 3}', "the file must be an object with a list of frames"),
        ("[" * 100000, "the file must be JSON"),
        ('{"frames": []}', "must contain at least one usable image: no image is listed"),
    ],
)
def test_malformed_files(tmp_path, text, message):
    folder = write(tmp_path / "scene")
    (folder / "transforms.json").write_text(text)
    assert message in refused(folder)


def test_real_scenes(real_data):
    desk = open_scene(real_data / "gum_desk")
    assert (round(desk.cameras[0].fx), desk.cameras[0].width, desk.cameras[0].height) == (
        297,
        360,
        640,
    )
    assert ((desk.splits == "train").sum(), (desk.splits == "test").sum()) == (368, 124)
    with pytest.raises(PoseNetError, match=r"17 x missing image.*refused by --strict"):
        open_scene(real_data / "fox", strict=True)
    assert len(open_scene(real_data / "fox")) == 50
