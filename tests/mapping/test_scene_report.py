"""The report of `scene info`."""

import json
import re

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from posenet.cli.main import main
from posenet.datasets.convert import convert
from posenet.datasets.courtyard.generate import make_courtyard
from posenet.datasets.registry import open_scene
from posenet.geometry.alignment import estimate_up
from posenet.geometry.camera import Camera
from posenet.geometry.poses import Poses
from posenet.mapping.convention_check import ConventionCheck
from posenet.mapping.scene_report import (
    _view_deg,
    create_report,
    nearest_training,
    path_length,
)
from tests.helpers.images import write_image
from tests.helpers.planes import claim_focal
from tests.helpers.rigs import write_rig
from tests.helpers.scenes import LEVEL, scene_of, walk

pytestmark = pytest.mark.slow


def test_up_direction_of_level_cameras():
    np.testing.assert_allclose(estimate_up(walk(pitch=10).rotations), [0, 0, 1], atol=1e-12)
    turn = Rotation.from_euler("xyz", [30, 40, 50], degrees=True)
    np.testing.assert_allclose(
        estimate_up(turn * walk().rotations), turn.apply([0, 0, 1]), atol=1e-12
    )


def test_path_length_is_within_sequences():
    scene = scene_of(
        Poses(np.array([[0.0, 0, 0], [3, 4, 0], [100, 0, 0], [100, 0, 2]]), Rotation.identity(4))
    )
    scene.sequences[2:] = "b"
    assert path_length(scene) == pytest.approx(5 + 2)
    # Two cameras whose images alternate: 100 m and from (3, 4, 0) to (100, 0, 2).
    scene.sequences[:] = ["a", "b", "a", "b"]
    assert path_length(scene) == pytest.approx(100 + np.sqrt(97**2 + 4**2 + 2**2))


def test_moments_of_a_rig_are_reported(tmp_path, capsys):
    write_rig(tmp_path / "rig")
    (tmp_path / "list.txt").write_text("pano_camera1/000003.jpg\n")
    assert main(["scene", "info", str(tmp_path / "rig"), "--no-plot"]) == 0
    assert "  moments      16, several cameras took images at once\n" in capsys.readouterr().out
    command = ["scene", "info", str(tmp_path / "rig"), "--no-plot", "--split"]
    assert main([*command, str(tmp_path / "list.txt")]) == 0
    assert (
        "  warning      another camera of the rig took training images at the same moments as 1 of "
        "1 test image: the test error looks better than it is\n"
    ) in capsys.readouterr().out


def test_field_of_view():
    cameras = {
        Camera(200, 100, 100.0, 100.0, 100.0, 50.0): 90,  # 2 atan(100 / 100)
        Camera(200, 100, 200 / np.pi, 200 / np.pi, 100.0, 50.0, "OPENCV_FISHEYE", (0.0,) * 4): 180,
        Camera(200, 100, 200 / (2 * np.pi), 100 / np.pi, 100.0, 50.0, "EQUIRECTANGULAR"): 360,
    }
    for camera, degrees in cameras.items():
        assert _view_deg(camera) == pytest.approx(degrees)


def test_nearest_training_camera():
    turned = Rotation.concatenate(
        [Rotation.identity(2), Rotation.from_euler("y", [30], degrees=True)]
    )
    scene = scene_of(Poses(np.array([[0.0, 0, 0], [10, 0, 0], [9, 0, 0]]), turned))
    assert nearest_training(scene) is None
    scene.splits[2] = "test"
    found = nearest_training(scene)
    assert found == pytest.approx({"median": 1.0, "p95": 1.0, "max": 1.0, "median_deg": 30.0})


def test_warning_about_collinear_positions():
    places = np.column_stack([np.linspace(0, 10, 50), 0.1 * np.sin(np.arange(50)), np.zeros(50)])
    check = ConventionCheck("inconclusive", "")
    options = {"format_name": "x", "split": "own", "convention": check}
    scene = scene_of(Poses(places, Rotation.concatenate([LEVEL] * 50)))
    assert create_report(scene, [], **options).warnings == [
        "the training positions are nearly collinear (lateral spread 2%): a pose regressor cannot "
        "leave the line (Sattler et al., 2019)"
    ]
    assert create_report(scene_of(walk()), [], **options).warnings == []


def test_warning_about_wrong_focal_length(plane, capsys):
    claim_focal(plane, 2)
    assert main(["scene", "info", str(plane), "--no-plot"]) == 0
    pattern = (
        r"warning +images and poses agree on a focal length of (\d+) pixels, "
        r"not (\d+) \(in its files\): training uses the estimate"
    )
    warning = re.search(pattern, capsys.readouterr().out)
    assert int(warning[1]) == pytest.approx(260, abs=5)
    assert int(warning[2]) == 520


def test_equal_positions_are_named():
    scene = scene_of(Poses(np.tile([1e6, 2, 3], (50, 1)), walk(50).rotations))
    check = ConventionCheck("inconclusive", "")
    report = create_report(scene, [], format_name="x", split="own", convention=check)
    assert report.warnings == ["all 50 positions are equal: there is no position to learn"]


def test_inverted_matrices_are_reported(tmp_path, capsys):
    make_courtyard(tmp_path / "yard", train=30, test=10, progress=False)
    convert(open_scene(tmp_path / "yard"), tmp_path / "wrong", "transforms")
    file = tmp_path / "wrong/transforms.json"
    content = json.loads(file.read_text())
    for frame in content["frames"]:
        frame["transform_matrix"] = np.linalg.inv(frame["transform_matrix"]).tolist()
    file.write_text(json.dumps(content))
    assert main(["scene", "info", str(tmp_path / "wrong"), "--no-plot"]) == 0
    assert re.search(
        r"rotations    INVERTED: the labels do not fit the images: measured relative rotations "
        r"differ from them by [0-9.]+ deg, by [0-2]\.[0-9] if the files contain camera_from_world "
        r"rotations with OpenGL axes\n",
        capsys.readouterr().out,
    )


def test_report_is_printed_if_the_map_cannot_be_written(cambridge, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    target = tmp_path / "file" / "map.png"
    assert main(["scene", "info", str(cambridge), "--plot-file", str(target)]) == 1
    printed = capsys.readouterr()
    assert "Square: 16 images (Cambridge Landmarks), in m" in printed.out
    assert "map.png cannot be written: Not a directory" in printed.err


def test_info_command(cambridge, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["scene", "info", str(cambridge)]) == 0
    printed = capsys.readouterr()
    assert "Square: 16 images (Cambridge Landmarks), in m" in printed.out
    assert "train        12 images in 2 sequences (seq1, seq2)" in printed.out
    assert "rotations    " in printed.out
    assert (tmp_path / "Square_map.png").stat().st_size > 5000
    assert main(["scene", "info", str(cambridge), "--json", "--no-plot"]) == 0
    report = json.loads(capsys.readouterr().out)
    positions = open_scene(cambridge).poses.positions
    assert report["images"] == {"train": 12, "test": 4}
    assert report["extent"] == pytest.approx(
        (positions.max(axis=0) - positions.min(axis=0)).tolist()
    )
    assert report["image_sizes"] == {"64 x 48": 16}
    assert report["intrinsics"] == {"assumed": 16}
    assert report["split"] == "own"
    assert report["convention"]["verdict"] == "inconclusive"


def test_info_without_images_checks_the_labels(cambridge, tmp_path, monkeypatch, capsys, caplog):
    monkeypatch.chdir(tmp_path)
    for path in cambridge.glob("seq*/*"):
        path.unlink()
    assert main(["scene", "info", str(cambridge), "--no-plot"]) == 0
    assert "Square: none of the listed images exists, only the labels are checked" in caplog.text
    assert "intrinsics   16 unknown" in capsys.readouterr().out


def test_info_names_the_far_camera_with_its_line(real_data, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["scene", "info", str(real_data / "cambridge_lists/GreatCourt"), "--no-plot"]) == 0
    out = capsys.readouterr().out
    assert "issue        1 x camera far outside the scene, dropped (first: " in out
    assert "dataset_train.txt:300 seq5/frame00297.png" in out
    assert re.search(r"^ +rotations +consistent: ", out, re.MULTILINE)


def test_info_of_one_image(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    write_image(tmp_path / "one/a.png")
    (tmp_path / "one/poses.csv").write_text("image,x,y,z,qw,qx,qy,qz\na.png,1,2,3,1,0,0,0\n")
    assert main(["scene", "info", str(tmp_path / "one")]) == 0
    out = capsys.readouterr().out
    assert "one: 1 image (" in out
    assert "train        1 image in 1 sequence (all)" in out
