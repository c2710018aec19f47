"""Keys of transforms.json that change which images, poses or intrinsics are meant."""

from functools import partial

import numpy as np
import pytest

from posenet.datasets.registry import open_scene, read_scene
from tests.datasets.formats.test_nerfstudio import OPENGL, write
from tests.helpers.errors import refusal
from tests.helpers.images import write_image

refused = partial(refusal, open_scene)
SIZE = {"w": 64, "h": 48}
K = [[60, 0, 31], [0, 62, 25], [0, 0, 1]]


def frame(row, **more):
    return {"file_path": f"images/{row}.png", "transform_matrix": OPENGL} | more


def splits(folder):
    scene = open_scene(folder)
    return dict(zip((name[7:-4] for name in scene.names), map(str, scene.splits), strict=True))


def four(folder, frames=None, **more):
    """A scene of the images 1 to 4."""
    for row in range(1, 5):
        write_image(folder / f"images/{row}.png", (48, 64), seed=row)
    return write(folder, frames or [frame(row) for row in range(1, 5)], **more)


def test_scannetpp(tmp_path, caplog):
    folder = four(
        tmp_path / "scene",
        [frame(1, is_bad=False, mask_path="1.png"), frame(2, is_bad=True), frame(3)],
        test_frames=[frame(4, is_bad=False)],
        has_mask=True,
        camera_model="OPENCV_FISHEYE",
        k4=0.5,
    )
    assert splits(folder) == {"1": "train", "3": "train", "4": "test"}
    assert caplog.messages == [
        f"scene: {folder}/transforms.json: ignores what is not supported: mask_path",
        "scene: 1 x frame marked as bad in the file (is_bad), dropped (first: "
        f"{folder}/transforms.json: frame 1 images/2.png)",
    ]
    assert open_scene(folder).cameras[0].distortion == (0.1, 0, 0, 0.5)


def test_malformed_test_frames(tmp_path):
    folder = four(tmp_path / "scene", test_frames="4.png")
    assert refused(folder) == (
        f"{folder}/transforms.json: test_frames must be a list of frames, received \"'4.png'\""
    )
    folder = four(tmp_path / "scene", test_frames=[{"file_path": "a"}])
    assert refused(folder) == (
        f"{folder}/transforms.json: test_frames 0 must contain a transform_matrix of 4 x 4 numbers, "
        "a does not"
    )


@pytest.mark.parametrize(
    ("lists", "test", "notes"),
    [
        ({"test": ["images/2.png"]}, "2", []),
        ({"test": ["/ws/images/2.jpg", "3.png"]}, "23", []),
        ({"val": ["images/2.png"]}, "2", []),
        (
            {"train": ["images/1.png"], "val": ["images/2.png"], "test": ["images/3.png"]},
            "3",
            ["1 frame in no split list used for training, such as images/4.png"],
        ),
        (
            {"train": ["images/1.png", "images/3.png"]},
            "24",
            ["2 frames in no split list used for the test, such as images/2.png"],
        ),
        (
            {"test": ["images/2.png", "images/5.png", "images/6.png"]},
            "2",
            ["2 names in the split lists without a frame, such as images/5.png"],
        ),
    ],
)
def test_lists(tmp_path, caplog, lists, test, notes):
    folder = four(tmp_path / "scene", **{f"{key}_filenames": names for key, names in lists.items()})
    assert "".join(row for row, split in splits(folder).items() if split == "test") == test
    assert caplog.messages == [f"scene: {folder}/transforms.json: {note}" for note in notes]


def test_lists_that_set_no_split(tmp_path):
    names = [f"images/{row}.png" for row in range(1, 5)]
    assert read_scene(four(tmp_path / "a", train_filenames=names)).splits is None
    folder = four(tmp_path / "b", train_filenames=names, test_filenames=[])
    assert set(splits(folder).values()) == {"train"}


def test_malformed_list(tmp_path):
    folder = four(tmp_path / "scene", test_filenames="test.txt")
    assert refused(folder) == (
        f"{folder}/transforms.json: test_filenames must be a list of names, received \"'test.txt'\""
    )


def test_split_of_each_frame(tmp_path):
    values = ("train", "val", "test", None)
    frames = [
        frame(row, split=value) if value else frame(row) for row, value in enumerate(values, 1)
    ]
    folder = four(tmp_path / "scene", frames)
    assert splits(folder) == {"1": "train", "2": "train", "3": "test", "4": "train"}
    frames[2]["split"] = "train"
    assert splits(four(tmp_path / "scene", frames))["2"] == "test"
    frames[2]["split"] = "dev"
    assert refused(four(tmp_path / "scene", frames)) == (
        f"{folder}/transforms.json: frame 2: split must be train, val or test, received \"'dev'\""
    )


def test_split_files_without_training_file(tmp_path, caplog):
    folder = four(tmp_path / "scene")
    (folder / "transforms_test.json").write_text("{}")
    open_scene(folder)
    assert caplog.messages == [
        "scene: transforms_test.json not read: transforms_train.json is not there"
    ]


@pytest.mark.parametrize(
    "values",
    [
        {"fx": 60, "fy": 62, "cx": 31, "cy": 25} | SIZE,
        {"fx": "60", "fy": 62.0, "cx": 31, "cy": 25, "width": 64, "height": 48},
        {"K": K} | SIZE,
        {"intrinsic_matrix": [number for row in K for number in row]} | SIZE,
        {"camera_matrix": [[*row, 0] for row in K]} | SIZE,
        {"intrinsics": [*([*row, 0] for row in K), [0, 0, 0, 1]]} | SIZE,
        {"intrinsics": {"fx": 60, "fy": 62, "cx": 31, "cy": 25, "width": 64, "height": 48}},
        {"intrinsics": [60, 62, 31, 25]} | SIZE,
        {"K": K, "fl_x": 60.1} | SIZE,
    ],
)
@pytest.mark.parametrize("place", ["top", "frame"])
def test_intrinsics_by_other_names(tmp_path, caplog, values, place):
    frames = [frame(9, **(values if place == "frame" else {}))]
    folder = write(tmp_path / "scene", frames, top=values if place == "top" else {})
    camera = open_scene(folder).cameras[0]
    expected = 60.1 if "fl_x" in values else 60
    assert (camera.fx, camera.fy, camera.cx, camera.cy) == (expected, 62, 31, 25)
    assert (camera.width, camera.height, camera.model) == (64, 48, "PINHOLE")
    assert caplog.messages == []


def test_a_frame_replaces_the_top_under_any_name(tmp_path):
    frames = [
        frame(9, K=[[70, 0, 30], [0, 71, 20], [0, 0, 1]]),
        frame(10, camera_angle_x=np.pi / 2),
    ]
    matrix, angle = open_scene(write(tmp_path / "scene", frames)).cameras
    assert (matrix.fx, matrix.fy, matrix.cx, matrix.cy) == (70, 71, 30, 20)
    # 64 / 2 / tan(45 degrees)
    assert (angle.fx, angle.fy, angle.cx) == (pytest.approx(32), pytest.approx(32), 31)


def test_focal_is_in_pixels(tmp_path):
    camera = open_scene(write(tmp_path / "scene", top=SIZE | {"focal": 60})).cameras[0]
    assert (camera.fx, camera.fy, camera.cx) == (60, 60, 32)
    folder = write(tmp_path / "scene", top=SIZE | {"focal": 8})
    assert refused(folder) == (
        f"{folder}/transforms.json: frame 1: focal must be in pixels, 0.2 to 20 times the longer "
        "side of the image, received 8"
    )


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"fl_x": 60, "fx": 70}, "fl_x and fx must agree, received 60 and 70"),
        ({"K": K, "cx": 40}, "cx and K must agree, received 40 and 31.0"),
        (
            {"K": [60, 62, 31, 25]},
            "K must be a matrix of 3 x 3 numbers, received '[60, 62, 31, 25]'",
        ),
        ({"K": "a"}, "K must be a matrix of 3 x 3 numbers, received \"'a'\""),
    ],
)
def test_intrinsics_that_are_refused(tmp_path, values, message):
    folder = write(tmp_path / "scene", top=values | SIZE)
    assert refused(folder) == f"{folder}/transforms.json: {message}"
    folder = write(tmp_path / "scene", [frame(9, **values)], top=SIZE)
    assert refused(folder) == f"{folder}/transforms.json: frame 0: {message}"


def test_all_coefficients_of_full_opencv(tmp_path):
    more = {"camera_model": "FULL_OPENCV", "k3": 0.3, "k4": 0.4, "k5": 0.5, "k6": 0.6}
    camera = open_scene(write(tmp_path / "scene", **more)).cameras[0]
    assert camera.distortion == (0.1, 0, 0, 0.02, 0.3, 0.4, 0.5, 0.6)


@pytest.mark.parametrize("model", ["ORTHOPHOTO", "vr180_l", "THIN_PRISM_FISHEYE", "FOV"])
def test_other_camera_models_have_no_intrinsics(tmp_path, caplog, model):
    folder = write(tmp_path / "scene", camera_model=model)
    assert open_scene(folder).cameras[0].source == "assumed"
    assert caplog.messages[0] == (
        f"scene: {folder}/transforms.json: ignores what is not supported: "
        f"camera_model {model.upper()}"
    )


@pytest.mark.parametrize(
    ("key", "axes", "right", "forward"),
    [
        ("from_na", "OpenCV", [0, -1, 0], [-1, 0, 0]),
        ("from_mitsuba", "Mitsuba", [0, 1, 0], [-1, 0, 0]),  # x left, y up, z forward
    ],
)
def test_camera_axes_of_instant_ngp(tmp_path, key, axes, right, forward):
    scene = open_scene(write(tmp_path / "scene", **{key: True}))
    np.testing.assert_allclose(scene.poses.rotations[0].apply([1, 0, 0]), right, atol=1e-12)
    np.testing.assert_allclose(scene.poses.rotations[0].apply([0, 0, 1]), forward, atol=1e-12)
    usual = open_scene(write(tmp_path / "scene", **{key: False}))
    assert (scene.camera_axes, usual.camera_axes) == (axes, "OpenGL")
    np.testing.assert_allclose(usual.poses.rotations[0].apply([0, 0, 1]), [1, 0, 0], atol=1e-12)


def test_keys_with_a_meaning_are_named_in_one_line(tmp_path, caplog):
    more = {"rolling_shutter": [0, 0, 0.02, 0], "ftheta_p0": 3.1, "crop": [0, 0, 32, 48], "k4": 0.2}
    frames = [frame(9, mask_path="9.png"), frame(10, rolling_shutter_time=0.02, mask_path="10.png")]
    folder = write(tmp_path / "scene", frames, distortion=[0.1, 0, 0, 0], **more)
    open_scene(folder)
    assert caplog.messages == [
        f"scene: {folder}/transforms.json: ignores what is not supported: distortion, "
        "rolling_shutter, ftheta_p0, crop, k4, mask_path, rolling_shutter_time"
    ]


def test_intrinsics_of_another_form_are_named(tmp_path, caplog):
    folder = write(tmp_path / "scene", intrinsics="camera.txt")
    assert open_scene(folder).cameras[0].fx == 60
    assert caplog.messages == [
        f"scene: {folder}/transforms.json: ignores what is not supported: intrinsics"
    ]


def test_keys_without_a_meaning_are_not_named(tmp_path, caplog):
    top = {
        "applied_transform": OPENGL[:3],
        "applied_scale": 0.3,
        "orientation_override": "none",
        "ply_file_path": "sparse_pc.ply",
        "aabb_scale": 16,
        "crop": {"center": [0, 0, 0], "scale": [1, 1, 1]},
        "rolling_shutter": [0.0, 0.0, 0.0, 0.0],
        "k4": "0.0",
        "distortion_params": [0, 0],
        "mask_path": None,
    }
    frames = [
        frame(9, colmap_im_id=1, depth_file_path="9.npy", sharpness=31.0, rolling_shutter_time=0)
    ]
    open_scene(write(tmp_path / "scene", frames, **top))
    assert caplog.messages == []
