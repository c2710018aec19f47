"""TUM RGB-D sequences."""

from functools import partial

import numpy as np
import pytest

from posenet.datasets.convert import convert
from posenet.datasets.formats import tum
from posenet.datasets.registry import open_scene
from posenet.evaluation.evaluate import evaluate_poses
from posenet.evaluation.report import write_evaluation
from tests.helpers.errors import refusal
from tests.helpers.images import write_image
from tests.helpers.scenes import make_scene

TRUTH = """# ground truth trajectory
# file: 'rgbd_dataset_freiburg2_desk.bag'
10.00 1 2 3 0 0 0 1
10.09 4 5 6 0 0 0.70710678 0.70710678
"""
IMAGES = "# color images\n10.08 rgb/b.png\n10.005 rgb/a.png\n"


def write(folder, images=IMAGES, truth=TRUTH):
    folder.mkdir()
    (folder / "rgb.txt").write_text(images)
    (folder / "groundtruth.txt").write_text(truth)
    for name in "abc":
        write_image(folder / f"rgb/{name}.png", (48, 64), seed=ord(name))
    return folder


refused = partial(refusal, open_scene, strict=True)


def test_nearest_pose_in_time(tmp_path):
    folder = write(tmp_path / "desk")
    assert tum.recognizes(folder)
    scene = open_scene(folder)
    assert scene.names == ("rgb/a.png", "rgb/b.png")  # in the order of time
    np.testing.assert_array_equal(scene.poses.positions, [[1, 2, 3], [4, 5, 6]])
    np.testing.assert_allclose(
        scene.poses.quaternions_wxyz[1], [0.70710678, 0, 0, 0.70710678]
    )  # about z, camera to world
    assert scene.unit == "m"


def test_own_ground_truth_as_a_pose_file_has_no_error(tmp_path):
    folder = write(tmp_path / "desk", IMAGES + "10.12 rgb/c.png\n", TRUTH + "10.12 7 8 9 0 0 0 1\n")
    (folder / "test.txt").write_text("rgb/b.png\nrgb/c.png\n")  # not the first lines of the file
    result = evaluate_poses(folder / "groundtruth.txt", folder)
    assert result.valid.all()
    assert result.errors.position.tolist() == [0, 0]
    assert result.scene.times.tolist() == [10.08, 10.12]
    write_evaluation(result, tmp_path / "out", plot=False)
    table = np.loadtxt(tmp_path / "out/estimate.tum")
    np.testing.assert_array_equal(table[:, :4], [[10.08, 4, 5, 6], [10.12, 7, 8, 9]])


def test_images_without_a_pose_are_reported(tmp_path):
    folder = write(tmp_path / "desk", IMAGES + "10.12 rgb/c.png\n")
    assert "1 x pose that is missing or not finite, dropped (first: " in refused(folder)
    assert "rgb.txt:4 rgb/c.png" in refused(folder)
    assert len(open_scene(folder)) == 2
    assert "2 x pose that is missing or not finite" in refused(
        write(tmp_path / "none", truth="# nothing\n")
    )


def test_calibrations(tmp_path):
    camera = open_scene(write(tmp_path / "desk")).cameras[
        0
    ]  # a comment contains freiburg2; 640 -> 64 pixels
    assert (camera.fx, camera.cx) == (pytest.approx(52.09), pytest.approx(32.56))
    assert camera.model == "FULL_OPENCV"
    assert camera.distortion[:5] == (0.2312, -0.7849, -0.0033, -0.0001, 0.9172)
    assert (
        open_scene(write(tmp_path / "mine", truth=TRUTH.replace("freiburg2", ""))).cameras[0].source
        == "assumed"
    )
    third = open_scene(
        write(tmp_path / "rgbd_dataset_freiburg3_x", truth=TRUTH.replace("freiburg2", ""))
    ).cameras[0]
    assert (third.fx, third.distortion) == (pytest.approx(53.54), ())


def test_own_calibration(tmp_path):
    folder = write(tmp_path / "desk")
    (folder / "calibration.txt").write_text("50 51 31.5 23.5 0.1 0.2 0.3 0.4\n")
    camera = open_scene(folder).cameras[0]
    assert (camera.fx, camera.fy, camera.cx, camera.cy) == (50, 51, 32, 24)
    assert (camera.model, camera.distortion) == ("OPENCV", (0.1, 0.2, 0.3, 0.4))
    (folder / "calibration.txt").write_text("# left\n50 51 31.5 23.5\n52 53 31.5 23.5\n")
    assert refused(folder) == (
        f"{folder}/calibration.txt:3: a calibration must be fx fy cx cy [k1 k2 p1 p2 [k3]] in one "
        "line, received '52 53 31.5 23.5'"
    )
    (folder / "calibration.txt").write_text("50 51 31.5\n")
    assert (
        "calibration.txt:1: a calibration must be fx fy cx cy [k1 k2 p1 p2 [k3]], received"
        in refused(folder)
    )


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("rgb.txt", "10.0\n", "rgb.txt:1: a line must be 'timestamp file', received '10.0'"),
        ("rgb.txt", "x rgb/a.png\n", "rgb.txt:1: a line must be 'timestamp file'"),
        ("rgb.txt", "10.0 ../a.png\n", "must stay inside the scene folder"),
        (
            "groundtruth.txt",
            "10 1 2 3 0 0 0\n",
            "groundtruth.txt:1: a TUM line must be 8 numbers, timestamp x y z",
        ),
        ("groundtruth.txt", "10 1 2 3 0 0 0 w\n", "received 'w' where a number belongs"),
        ("groundtruth.txt", "10 1 2 3 0 0 0 0\n", "1 x quaternion of length zero"),
    ],
)
def test_malformed(tmp_path, file, text, message):
    folder = write(tmp_path / "desk")
    (folder / file).write_text(text)
    assert message in refused(folder)


def test_real_sequence(real_data):
    scene = open_scene(real_data / "tum_fr1_rpy")
    assert len(scene) == 180
    assert ((scene.splits == "train").sum(), (scene.splits == "test").sum()) == (136, 44)
    assert scene.cameras[0].fx == 517.3


@pytest.mark.parametrize("file", ["rgb.txt", "groundtruth.txt", "both"])
def test_nanoseconds_since_1970(tmp_path, file):
    """Lists in nanoseconds, seconds or one of each have the same times."""
    convert(make_scene(tmp_path / "in"), tmp_path / "out", "tum", copy=True)
    before = open_scene(tmp_path / "out")
    for name in ("rgb.txt", "groundtruth.txt"):
        path = tmp_path / "out" / name
        lines = []
        for line in path.read_text().splitlines():
            stamp, rest = line.split(maxsplit=1)
            if stamp == "#":
                continue
            in_nanoseconds = file in (name, "both")
            seconds = 1403636579 + int(float(stamp))
            lines.append(f"{seconds * 10**9 if in_nanoseconds else seconds} {rest}")
        path.write_text("\n".join(lines) + "\n")
    after = open_scene(tmp_path / "out")
    np.testing.assert_allclose(after.poses.matrices, before.poses.matrices, atol=1e-12)
    np.testing.assert_allclose(after.times, 1403636579 + before.times, atol=1e-6)


def test_other_units_of_time_are_refused(tmp_path):
    convert(make_scene(tmp_path / "in"), tmp_path / "out", "tum", copy=True)
    path = tmp_path / "out/rgb.txt"
    path.write_text("1403636579763555 rgb/000000.png\n")
    assert refusal(open_scene, tmp_path / "out") == (
        f"{path}:1: a timestamp must be in seconds (below 1e11) or in nanoseconds since 1970 "
        "(above 1e17), received 1403636579763555"
    )


def test_warning_about_repeated_timestamps(tmp_path, caplog):
    """The same line twice is harmless; another pose at the same time is not."""
    convert(make_scene(tmp_path / "in"), tmp_path / "out", "tum", copy=True)
    before = open_scene(tmp_path / "out")
    path = tmp_path / "out/groundtruth.txt"
    text = path.read_text()
    first = text.split("\n")[0]
    caplog.clear()
    path.write_text(f"{text}{first}\n")
    open_scene(tmp_path / "out")
    assert caplog.messages == []
    path.write_text(f"{text}{first.split()[0]} 9 9 9 0 0 0 1\n")
    after = open_scene(tmp_path / "out")
    assert caplog.messages == [f"out: {path}:13: 1 timestamp of several poses, only one is used"]
    np.testing.assert_array_equal(after.poses.positions, before.poses.positions)
