"""Forms of pose files: which are recognized, and which are refused."""

import logging
from dataclasses import replace

import numpy as np
import pytest

from posenet.datasets.convert import convert
from posenet.datasets.registry import open_scene
from posenet.evaluation.evaluate import evaluate_poses
from posenet.evaluation.pose_files import read_poses
from posenet.geometry.metrics import position_errors, rotation_errors_deg
from tests.helpers.errors import refusal
from tests.helpers.scenes import make_scene

HLOC = "name qw qx qy qz tx ty tz"
FORMS = (
    "the forms are 'name X Y Z W P Q R', 'name qw qx qy qz tx ty tz' (world to camera), 'timestamp "
    "x y z qx qy qz qw', 12 numbers (KITTI), and any order that a header names, like '# name x y z "
    "qx qy qz qw'"
)
LIST = "a line must be a name and 7 numbers (X Y Z W P Q R), 8 columns"
# Reorders w x y z to x y z w.
XYZW = [1, 2, 3, 0]


@pytest.fixture
def scene(tmp_path):
    return make_scene(tmp_path / "in")


def rows(*columns):
    """Return lines of columns, which are names or rows of numbers."""
    lines = []
    for row in zip(*columns, strict=True):
        cells = [cell if isinstance(cell, str) else " ".join(map(repr, cell)) for cell in row]
        lines.append(" ".join(cells))
    return "\n".join(lines) + "\n"


def parts(scene):
    """Return names, positions and quaternions of the poses as lists."""
    poses = scene.poses
    return list(scene.names), poses.positions.tolist(), poses.quaternions_wxyz.tolist()


def hloc_text(scene, extra=""):
    inverse = scene.poses.inverse()
    lists = inverse.quaternions_wxyz.tolist(), inverse.positions.tolist()
    return rows(scene.names, *lists).replace("\n", f"{extra}\n")


def given(tmp_path, text, name="poses.txt"):
    (tmp_path / name).write_text(text)
    return tmp_path / name


def check_exact(path, scene):
    poses, found = read_poses(path, scene)
    assert found.all()
    assert position_errors(poses, scene.poses).max() < 1e-9
    assert rotation_errors_deg(poses, scene.poses).max() < 1e-5


@pytest.mark.parametrize("convention", ["world_from_camera", "camera_from_world"])
@pytest.mark.parametrize("extra", ["", " 0.02 0.01 1234"])
def test_hloc_list_is_recognized_by_its_quaternions(tmp_path, scene, convention, extra, caplog):
    """ACE writes errors and inliers behind the pose. The scene's convention does not matter."""
    path = given(tmp_path, hloc_text(scene, extra))
    with caplog.at_level(logging.INFO, "posenet"):
        check_exact(path, replace(scene, quaternion_convention=convention))
    assert caplog.messages == [f"{path}: read as {HLOC}, world to camera"]


def test_hloc_line_by_hand(tmp_path, scene):
    # Rotated by 90 degrees about z: R maps x to y, so the center -R^T (1 2 3) is (-2 1 -3).
    half = 0.5**0.5
    path = given(tmp_path, f"walk0/frame000.png {half} 0 0 {half} 1 2 3\n")
    poses, found = read_poses(path, scene)
    assert found.sum() == 1
    np.testing.assert_allclose(poses.positions[0], [-2, 1, -3])
    np.testing.assert_allclose(poses.rotations[0].apply([1, 0, 0]), [0, -1, 0], atol=1e-15)


def test_unnormalized_predictions_stay_cambridge_lists(tmp_path, scene):
    """Networks predict quaternions of about unit length."""
    names, positions, quaternions = parts(scene)
    lengths = np.linspace(0.8, 1.3, len(names))[:, None]
    path = given(tmp_path, rows(names, positions, (quaternions * lengths).tolist()))
    check_exact(path, scene)


@pytest.mark.parametrize(
    ("header", "order"),
    [
        ("# name x y z qx qy qz qw", "pq"),
        ("# image_name, qx, qy, qz, qw, x, y, z", "qp"),
        ("#name p_x [m] p_y [m] p_z [m] q_x [] q_y [] q_z [] q_w []", "pq"),
    ],
)
def test_header_names_the_order(tmp_path, scene, header, order):
    names, positions, quaternions = parts(scene)
    xyzw = np.array(quaternions)[:, XYZW].tolist()
    columns = [positions, xyzw] if order == "pq" else [xyzw, positions]
    check_exact(given(tmp_path, f"{header}\n{rows(names, *columns)}"), scene)


def test_header_states_the_direction(tmp_path, scene):
    names, positions, quaternions = parts(scene)
    inverse = scene.poses.inverse().quaternions_wxyz.tolist()
    header = "# name x y z qw qx qy qz, {} to {}\n"
    text = header.format("world", "camera") + rows(names, positions, inverse)
    check_exact(given(tmp_path, text), scene)
    text = header.format("camera", "world") + rows(names, positions, quaternions)
    inverted = replace(scene, quaternion_convention="camera_from_world")
    check_exact(given(tmp_path, text), inverted)
    # tx ty tz behind the quaternion are a translation.
    check_exact(given(tmp_path, f"# {HLOC}\n{hloc_text(scene)}"), inverted)


def test_comma_separated_table_is_camera_to_world(tmp_path, scene):
    """Any order of columns, as in poses.csv, in a scene of the other convention."""
    names, positions, quaternions = parts(scene)
    lines = ["split,qw,qx,qy,qz,image,x,y,z"]
    for name, position, quaternion in zip(names, positions, quaternions, strict=True):
        lines.append(",".join(["test", *map(repr, quaternion), name, *map(repr, position)]))
    path = given(tmp_path, "\n".join(lines) + "\n", "poses.csv")
    check_exact(path, replace(scene, quaternion_convention="camera_from_world"))


@pytest.mark.parametrize("separator", [",", ", "])
def test_comma_separated_trajectory(tmp_path, scene, separator):
    timed = replace(scene, times=1403636579.0 + np.arange(len(scene)))
    _, positions, quaternions = parts(scene)
    lines = [separator.join(["#timestamp [ns]", "x", "y", "z", "qw", "qx", "qy", "qz", "speed"])]
    for row, (position, quaternion) in enumerate(zip(positions, quaternions, strict=True)):
        stamp = 1403636579000000000 + row * 10**9
        lines.append(separator.join(map(repr, [stamp, *position, *quaternion, 0.1])))
    check_exact(given(tmp_path, "\n".join(lines) + "\n"), timed)


def test_nanoseconds_of_a_tum_trajectory(tmp_path, scene):
    """ORB-SLAM3 writes them with decimals."""
    timed = replace(scene, times=1403636579.5 + np.arange(len(scene)))
    _, positions, quaternions = parts(scene)
    stamps = [f"{1403636579500000000 + row * 10**9}.000000" for row in range(len(scene))]
    xyzw = np.array(quaternions)[:, XYZW].tolist()
    check_exact(given(tmp_path, rows(stamps, positions, xyzw)), timed)
    path = given(tmp_path, rows([stamp[:16] for stamp in stamps], positions, xyzw))
    assert refusal(read_poses, path, timed) == (
        f"{path}:1: a timestamp must be in seconds (below 1e11) or in nanoseconds since 1970 "
        "(above 1e17), received 1403636579500000"
    )


def kitti_text(scene):
    matrices = scene.poses.matrices[:, :3].reshape(-1, 12)
    return "".join(" ".join(map(repr, row)) + "\n" for row in matrices.tolist())


def test_kitti_trajectory_by_frame_number_or_image(tmp_path, scene):
    convert(scene, tmp_path / "kitti", "kitti", copy=True)
    whole = open_scene(tmp_path / "kitti")
    test = whole.split("test")
    assert [name[-10:-4] for name in test.names] == ["000008", "000009", "000010", "000011"]
    check_exact(given(tmp_path, kitti_text(whole)), test)
    check_exact(given(tmp_path, kitti_text(test)), test)
    path = given(tmp_path, kitti_text(whole.subset(range(5))))
    assert refusal(read_poses, path, test) == (
        f"{path}: a KITTI trajectory must have a line for each of 4 images, or for each frame from "
        "0 to 11 at least, received 5 lines"
    )


def test_kitti_trajectory_of_another_camera_and_scale(tmp_path, scene, caplog):
    """Poses are those of camera 0; image_2 is 0.1 m to its right. A scale of 2 is removed."""
    convert(scene, tmp_path / "kitti", "kitti", copy=True)
    camera0 = open_scene(tmp_path / "kitti")
    (tmp_path / "kitti" / "calib.txt").write_text("P2: 60 0 31.5 -6 0 60 23.5 0 0 0 1 0\n")
    camera2 = open_scene(tmp_path / "kitti")
    np.testing.assert_allclose(
        camera2.poses.positions - camera0.poses.positions,
        camera0.poses.rotations.apply([0.1, 0, 0]),
    )
    matrices = camera0.poses.matrices[:, :3]
    matrices[:, :, :3] *= 2
    lines = [" ".join(map(repr, row)) for row in matrices.reshape(-1, 12).tolist()]
    path = given(tmp_path, "\n".join(lines))
    caplog.clear()
    check_exact(path, camera2)
    assert caplog.messages == [f"{path}: 12 x rotation with a scale of 2, scale removed"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            "walk0/frame000.png 1 2 3 10 20 30 0.5\n",
            f": the quaternions must have about unit length, received a median length of 37.4; {FORMS}",
        ),
        (
            "1.5,0,0,0,1,0,0,0\n",
            ":1: a comma-separated file must name its columns in a header, like "
            "'timestamp,x,y,z,qw,qx,qy,qz' or 'image,x,y,z,qw,qx,qy,qz'",
        ),
        (
            "0 0.5 0.5 0.5 0.5 7 8 9\n",
            ":1: a TUM line must be 8 numbers, timestamp x y z qx qy qz qw, received poses whose "
            "first four numbers have unit length, not the last four",
        ),
        (
            "# name x y z qx qy qz qw\nwalk0/frame000.png 0.6 0.8 0 0 2 3 4\n",
            ":2: the columns must be those that the header names, received poses whose first four "
            "numbers have unit length, not the last four",
        ),
        (
            "# name x y z qx qy qz qw\nwalk0/frame000.png 1 2 3\n",
            ":2: a line must have the columns that the header names, received 4 columns: "
            "'walk0/frame000.png 1 2 3'",
        ),
        (
            "# timestamp x y z qw qx qy qz\n1 2 3\n",
            ":2: a line must have the columns that the header names, received 3 columns: '1 2 3'",
        ),
        (
            "#timestamp,p_RS_R_x,p_RS_R_y,p_RS_R_z,q_RS_w,q_RS_x,q_RS_y,q_RS_z\n0,1,2,3,1,0,0,0\n",
            ": the columns p_RS_R and q_RS are poses of the body, which need an EuRoC scene with "
            "T_BS; if they are of the camera, the header must be timestamp,x,y,z,qw,qx,qy,qz",
        ),
    ],
)
def test_refused(tmp_path, scene, text, says):
    path = given(tmp_path, text)
    assert refusal(read_poses, path, scene) == f"{path}{says}"


def written(tmp_path, scene):
    """Return a folder with the scene, whose test split has eight images."""
    splits = np.array(["train"] * 4 + ["test"] * 8)
    convert(replace(scene, splits=splits), tmp_path / "csv", "csv", copy=True)
    return tmp_path / "csv"


@pytest.mark.parametrize(
    ("order", "inverted", "words"),
    [
        (XYZW, False, "their order is x y z w"),
        ([0, 1, 2, 3], True, "they are inverted"),
        (XYZW, True, "their order is x y z w and they are inverted"),
    ],
)
def test_warning_about_order_and_direction(tmp_path, scene, caplog, order, inverted, words):
    folder = written(tmp_path, scene)
    test = open_scene(folder).split("test")
    poses = test.poses.inverse() if inverted else test.poses
    table = poses.quaternions_wxyz[:, order].tolist()
    path = given(tmp_path, rows(test.names, test.poses.positions.tolist(), table))
    caplog.clear()
    result = evaluate_poses(path, folder)
    assert np.median(result.errors.rotation_deg) > 20
    (message,) = caplog.messages
    assert message.startswith(f"{path}: the rotations differ by ")
    assert message.endswith(
        f" deg if {words}: a header like '# name x y z qx qy qz qw, camera to world' states order "
        "and direction"
    )


def test_no_warning_about_plainly_wrong_rotations(tmp_path, scene, caplog):
    folder = written(tmp_path, scene)
    test = open_scene(folder).split("test")
    shuffled = test.poses.quaternions_wxyz[::-1].tolist()
    path = given(tmp_path, rows(test.names, test.poses.positions.tolist(), shuffled))
    caplog.clear()
    assert np.median(evaluate_poses(path, folder).errors.rotation_deg) > 20
    assert caplog.messages == []


def test_the_lines_of_a_followed_stream(scene, tmp_path):
    """They have twelve numbers, as those of KITTI, and a header that names them."""
    test = scene.split("test")
    pose = np.hstack([test.poses.positions, test.poses.quaternions_wxyz]).tolist()
    numbers = [[row, row / 10] for row in range(len(test))]
    header = "# frame seconds x y z qw qx qy qz, camera to world; then rotation_spread_deg, num_inliers, position_std\n"
    file = tmp_path / "poses.txt"
    file.write_text(header + rows(numbers, pose, [[0.5, 30, 0.01]] * len(test)))
    poses, valid = read_poses(file, test)
    assert valid.all()
    assert position_errors(poses, test.poses).max() < 1e-9
    assert rotation_errors_deg(poses, test.poses).max() < 1e-6
