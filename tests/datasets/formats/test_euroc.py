"""EuRoC flights."""

from functools import partial

import numpy as np
import pytest

from posenet.datasets.formats import euroc
from posenet.datasets.registry import open_scene
from posenet.evaluation.pose_files import read_poses
from tests.helpers.errors import refusal
from tests.helpers.images import write_image

# the camera is 0.1 m along the body's x, rotated by 90 degrees about z: its x axis is the body's y
SENSOR = """#Default imu sensor yaml file
sensor_type: camera
comment: VI-Sensor cam0 (MT9M034)
T_BS:
  cols: 4
  rows: 4
  data: [0.0, -1.0, 0.0, 0.1,
         1.0, 0.0, 0.0, 0.0,
         0.0, 0.0, 1.0, 0.0,
         0.0, 0.0, 0.0, 1.0]
rate_hz: 20
resolution: [752, 480]
camera_model: pinhole
intrinsics: [458.654, 457.296, 367.215, 248.375] #fu, fv, cu, cv
distortion_model: radial-tangential
distortion_coefficients: [-0.28340811, 0.07395907, 0.00019359, 1.76187114e-05]
"""
TRUTH = """#timestamp, p_RS_R_x [m], p_RS_R_y [m], p_RS_R_z [m], q_RS_w [], q_RS_x [], q_RS_y [], q_RS_z [], v_RS_R_x
1403636579758555392,4.0,-1.0,0.5,0.70710678,0.70710678,0.0,0.0,0.1
1403636579858555392,5.0,-1.0,0.5,1.0,0.0,0.0,0.0,0.1
"""
IMAGES = """#timestamp [ns],filename
1403636579763555584,1403636579763555584.png
1403636579863555584,1403636579863555584.png\r
"""


def write(folder, images=IMAGES, truth=TRUTH, sensor=SENSOR):
    for place, text in {
        "cam0/data.csv": images,
        "cam0/sensor.yaml": sensor,
        "state_groundtruth_estimate0/data.csv": truth,
    }.items():
        path = folder / "mav0" / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    for timestamp in ("1403636579763555584", "1403636579863555584"):
        write_image(folder / f"mav0/cam0/data/{timestamp}.png", (240, 376))
    return folder


refused = partial(refusal, open_scene, strict=True)


def test_camera_pose_from_body_pose(tmp_path):
    folder = write(tmp_path / "MH_01")
    assert euroc.recognizes(folder)
    scene = open_scene(folder)
    assert scene.names[0] == "mav0/cam0/data/1403636579763555584.png"
    # body rotated by 90 degrees about x: its x axis is the world's x, its y axis the world's z
    np.testing.assert_allclose(scene.poses.positions, [[4.1, -1, 0.5], [5.1, -1, 0.5]], atol=1e-7)
    np.testing.assert_allclose(scene.poses.rotations[0].apply([1, 0, 0]), [0, 0, 1], atol=1e-7)
    np.testing.assert_allclose(scene.poses.rotations[1].apply([1, 0, 0]), [0, 1, 0], atol=1e-7)


def test_intrinsics(tmp_path):
    camera = open_scene(write(tmp_path / "MH_01")).cameras[0]  # images of half the size
    assert (camera.fx, camera.cx) == (pytest.approx(229.327), pytest.approx((367.215 + 0.5) / 2))
    assert (camera.model, camera.distortion[1]) == ("OPENCV", 0.07395907)
    fisheye = write(tmp_path / "fisheye", sensor=SENSOR.replace("radial-tangential", "equidistant"))
    assert open_scene(fisheye).cameras[0].model == "OPENCV_FISHEYE"


def test_mav0_folder_is_recognized(tmp_path):
    assert len(open_scene(write(tmp_path / "MH_01") / "mav0")) == 2


def test_images_without_ground_truth_are_reported(tmp_path):
    folder = write(tmp_path / "MH_01", truth="\n".join(TRUTH.split("\n")[:2]))
    assert "1 x pose that is missing or not finite" in refused(folder)
    assert "cam0/data.csv:3" in refused(folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"images": "1,2,3\n"},
            "data.csv:1: a line must be 'timestamp [ns],filename', received '1,2,3'",
        ),
        ({"images": "1403636579763555584,../../../x.png\n"}, "must stay inside the scene folder"),
        (
            {"truth": "1403636579758555392,1,2\n"},
            "data.csv:1: a line must be timestamp [ns], p x y z, q w x y z",
        ),
        ({"truth": TRUTH.replace("4.0", "four")}, "received 'four' where a number belongs"),
        (
            {"sensor": SENSOR.replace("T_BS", "T_XX")},
            "sensor.yaml: T_BS must be followed by 16 numbers in brackets",
        ),
        (
            {"sensor": SENSOR.replace("0.1,", "")},
            "T_BS must be followed by 16 numbers in brackets, received",
        ),
        (
            {"sensor": SENSOR.replace("[0.0, -1.0", "[0.0, -2.0")},
            "sensor.yaml: T_BS must be a rotation and a translation, received a rotation with shear or "
            "unequal scales",
        ),
        (
            {"sensor": SENSOR.replace("458.654", "0")},
            "resolution and focal lengths must be above 0",
        ),
        (
            {"sensor": SENSOR.replace("intrinsics:", "x:")},
            "intrinsics must be followed by 4 numbers in brackets",
        ),
    ],
)
def test_malformed(tmp_path, change, message):
    assert message in refused(write(tmp_path / "MH_01", **change))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("T_BS:", "T_BS:" * 100_000 + "T_XX:" + " " * 1000),
        ("T_BS:", "\n" * 1_000_000),
        ("intrinsics:", "intrinsics: [\n" * 100_000),
        ("resolution:", "resolution:" + " " * 1_000_000),
    ],
)
def test_long_malformed_files_are_refused_soon(tmp_path, old, new):
    # Searches whose time grew with the square of the length would take hours.
    assert "must be followed by" in refused(
        write(tmp_path / "MH_01", sensor=SENSOR.replace(old, new))
    )


def test_keys_of_the_sensor_with_a_meaning_are_named(tmp_path, caplog):
    sensor = SENSOR + "timeshift_cam_imu: 0.012\nline_delay_nanoseconds: 0\nrostopic: /cam0\n"
    folder = write(tmp_path / "MH_01", sensor=sensor)
    assert len(open_scene(folder)) == 2
    assert caplog.messages == [
        f"MH_01: {folder}/mav0/cam0/sensor.yaml: ignores what is not supported: timeshift_cam_imu"
    ]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "camera_model: pinhole",
            "camera_model: omni",
            "camera_model must be pinhole, received 'omni'",
        ),
        (
            "model: radial-tangential",
            "model: fov # omega",
            "distortion_model must be one of radial-tangential, radtan, plumb_bob, equidistant, "
            "received 'fov'",
        ),
    ],
)
def test_other_camera_models_are_refused(tmp_path, old, new, message):
    assert old in SENSOR
    folder = write(tmp_path / "MH_01", sensor=SENSOR.replace(old, new))
    assert refused(folder) == f"{folder}/mav0/cam0/sensor.yaml: {message}"


@pytest.mark.parametrize(
    ("name", "model"), [("radtan", "OPENCV"), ("equidistant", "OPENCV_FISHEYE")]
)
def test_names_of_distortion_models(tmp_path, name, model):
    sensor = SENSOR.replace("radial-tangential", name)
    assert open_scene(write(tmp_path / "MH_01", sensor=sensor)).cameras[0].model == model


def test_another_order_of_the_quaternion_is_refused(tmp_path):
    header = "#timestamp, p_x, p_y, p_z, q_x, q_y, q_z, q_w\n"
    folder = write(tmp_path / "MH_01", truth=header + TRUTH.split("\n", 1)[1])
    assert refused(folder) == (
        f"{folder}/mav0/state_groundtruth_estimate0/data.csv:1: the quaternion must be in columns "
        "w, x, y, z, received x, y, z, w"
    )


# The inverse of T_BS of SENSOR, as Kalibr writes it.
CAMCHAIN = """cam0:
  T_cam_imu:
  - [0.0, 1.0, 0.0, 0.0]
  - [-1.0, 0.0, 0.0, 0.1]
  - [0.0, 0.0, 1.0, -0.0]
  - [0.0, 0.0, 0.0, 1.0]
  cam_overlaps: [1]
  camera_model: pinhole
  distortion_coeffs: [0.0034, 0.0007, -0.0020, 0.0002]
  distortion_model: equidistant
  intrinsics: [190.97, 190.98, 254.93, 256.89]
  resolution: [752, 480]
  rostopic: /cam0/image_raw
cam1:
  T_cam_imu:
  - [1.0, 0.0, 0.0, 9.0]
  intrinsics: [1, 1, 1, 1]
"""


def write_tum_vi(folder, camchain=CAMCHAIN, truth=TRUTH):
    write(folder, truth=truth)
    (folder / "mav0/state_groundtruth_estimate0").rename(folder / "mav0/mocap0")
    (folder / "mav0/cam0/sensor.yaml").unlink()
    (folder / "dso").mkdir()
    (folder / "dso/camchain.yaml").write_text(camchain)
    return folder


@pytest.mark.parametrize("below", ["", "mav0"])
def test_tum_vi(tmp_path, below):
    """The same flight as EuRoC's, with motion capture and Kalibr's calibration."""
    euroc_scene = open_scene(write(tmp_path / "MH_01"))
    scene = open_scene(write_tum_vi(tmp_path / "room1") / below)
    np.testing.assert_allclose(scene.poses.matrices, euroc_scene.poses.matrices, atol=1e-12)
    np.testing.assert_array_equal(scene.times, euroc_scene.times)
    camera = scene.cameras[0]  # images of half the size
    assert (camera.model, camera.distortion) == (
        "OPENCV_FISHEYE",
        (0.0034, 0.0007, -0.0020, 0.0002),
    )
    assert (camera.fx, camera.cx) == (pytest.approx(190.97 / 2), pytest.approx(255.43 / 2))


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("cam0:", "camera:", "the file must contain cam0"),
        (
            "camera_model: pinhole",
            "camera_model: omni",
            "camera_model must be pinhole, received 'omni'",
        ),
        (
            "distortion_model: equidistant",
            "distortion_model: fov",
            "distortion_model must be one of radial-tangential, radtan, plumb_bob, equidistant, "
            "received 'fov'",
        ),
        (
            "  - [0.0, 0.0, 1.0, -0.0]\n",
            "",
            "T_cam_imu must be followed by 4 rows of 4 numbers in brackets",
        ),
        (
            "[0.0, 0.0, 1.0, -0.0]",
            "[0.0, 1.0, -0.0]",
            "T_cam_imu must be followed by 4 rows of 4 numbers in brackets, received '0.0 1.0 0.0 0.0 "
            "-1.0 0.0 0.0 0.1 0.0 1.0 -0.0 0.0 0.0 0.0...'",
        ),
        (
            "[0.0, 0.0, 1.0, -0.0]",
            "[0.0, 0.0, -1.0, -0.0]",
            "T_cam_imu must be a rotation and a translation, received a mirrored rotation",
        ),
        (
            "distortion_coeffs",
            "coeffs",
            "distortion_coeffs must be followed by 4 numbers in brackets",
        ),
    ],
)
def test_malformed_camchain(tmp_path, old, new, says):
    folder = write_tum_vi(tmp_path / "room1", CAMCHAIN.replace(old, new, 1))
    assert refused(folder) == f"{folder}/mav0/../dso/camchain.yaml: {says}"


def test_a_long_gap_in_a_camchain_is_refused_soon(tmp_path):
    text = CAMCHAIN.replace("T_cam_imu:", "T_cam_imu:" + " " * 1_000_000)
    assert "T_cam_imu must be followed by" in refused(write_tum_vi(tmp_path / "room1", text))


def test_keys_of_the_camchain_with_a_meaning_are_named(tmp_path, caplog):
    camchain = CAMCHAIN.replace("  rostopic", "  timeshift_cam_imu: 0.012\n  rostopic", 1)
    folder = write_tum_vi(tmp_path / "room1", camchain)
    assert len(open_scene(folder)) == 2
    assert caplog.messages == [
        f"room1: {folder}/mav0/../dso/camchain.yaml: ignores what is not supported: "
        "timeshift_cam_imu"
    ]


def test_timestamps_in_seconds(tmp_path):
    """Decimal timestamps of a plausible size are seconds; small whole ones stay nanoseconds."""
    in_nanoseconds = open_scene(write(tmp_path / "MH_01"))
    in_seconds = write(
        tmp_path / "seconds",
        images=IMAGES.replace("1403636579763555584,", "1403636579.763555584,").replace(
            "1403636579863555584,", "1403636579.863555584,"
        ),
    )
    scene = open_scene(in_seconds)
    np.testing.assert_allclose(scene.poses.matrices, in_nanoseconds.poses.matrices, atol=1e-12)
    np.testing.assert_allclose(scene.times, in_nanoseconds.times, atol=1e-6)
    since_start = write(
        tmp_path / "start",
        images="0,1403636579763555584.png\n100000000,1403636579863555584.png\n",
        truth="0,4.0,-1.0,0.5,1,0,0,0\n100000000,5.0,-1.0,0.5,1,0,0,0\n",
    )
    np.testing.assert_allclose(open_scene(since_start).times, [0, 0.1])


def test_poses_of_the_body_are_evaluated(tmp_path):
    """EuRoC's own file scores without error: T_BS converts its poses to those of the camera."""
    folder = write(tmp_path / "MH_01")
    scene = open_scene(folder)
    path = folder / "mav0/state_groundtruth_estimate0/data.csv"
    path.write_text(
        TRUTH.replace("q_RS_w []", "q_RS_w").replace(", v_RS_R_x", ", v_RS_R_x [m s^-1]")
    )
    poses, found = read_poses(path, scene)
    assert found.all()
    np.testing.assert_allclose(poses.matrices, scene.poses.matrices, atol=1e-9)


def test_quaternion_first_is_refused(tmp_path):
    folder = write(tmp_path / "MH_01", truth="1403636579758555392,0.5,0.5,0.5,0.5,4.0,-1.0,0.5\n")
    path = folder / "mav0/state_groundtruth_estimate0/data.csv"
    assert refused(folder) == (
        f"{path}:1: a line must be timestamp [ns], p x y z, q w x y z, and optionally velocities "
        "and biases, received poses whose first four numbers have unit length, not the last four"
    )
