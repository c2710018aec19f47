"""Scenes of ACE and DSAC*."""

from functools import partial

import numpy as np
import pytest

from posenet.datasets.formats import ace
from posenet.datasets.registry import open_scene
from tests.helpers.errors import refusal
from tests.helpers.images import write_image

POSE = "0 0 1 1\n-1 0 0 2\n0 -1 0 3\n0 0 0 1\n"  # at (1, 2, 3), facing x, z up


def write(folder, calibration="50\n"):
    for split, names in {
        "train": ("seq-01-frame-000010", "seq-01-frame-000009"),
        "test": ("seq1_frame00001",),
    }.items():
        for name in names:
            base = folder / split
            write_image(
                base / "rgb" / (f"{name}.color.png" if split == "train" else f"{name}.png"),
                (48, 64),
            )
            for kind, text in (("poses", POSE), ("calibration", calibration)):
                (base / kind).mkdir(exist_ok=True)
                middle = (
                    {"poses": ".pose", "calibration": ".calibration"}[kind]
                    if split == "train"
                    else ""
                )
                (base / kind / f"{name}{middle}.txt").write_text(text)
    return folder


refused = partial(refusal, open_scene, strict=True)


def test_both_splits(tmp_path):
    folder = write(tmp_path / "scene")
    assert ace.recognizes(folder)
    scene = open_scene(folder)
    assert scene.names[:2] == (
        "train/rgb/seq-01-frame-000009.color.png",
        "train/rgb/seq-01-frame-000010.color.png",
    )
    assert list(scene.splits) == ["train", "train", "test"]
    assert list(scene.sequences) == ["seq-01", "seq-01", "seq1"]
    np.testing.assert_allclose(scene.poses.positions, [[1, 2, 3]] * 3)
    np.testing.assert_allclose(scene.poses.rotations[0].apply([0, 0, 1]), [1, 0, 0], atol=1e-12)
    camera = scene.cameras[0]
    assert (camera.fx, camera.fy, camera.cx, camera.cy) == (50, 50, 32, 24)


def test_raw_images_are_named(tmp_path, caplog):
    folder = write(tmp_path / "scene")
    (folder / "train/rgb/seq-01-frame-000011.CR2").write_bytes(b"x")
    assert len(open_scene(folder)) == 3
    assert (
        f"scene: 1 file skipped, such as {folder}/train/rgb/seq-01-frame-000011.CR2: export JPEG"
        in caplog.messages
    )


def test_stems_are_compared_in_any_unicode_form(tmp_path):
    folder = write(tmp_path / "scene")
    (folder / "test/rgb/seq1_frame00001.png").rename(folder / "test/rgb/e\u0301.png")
    for kind in ("poses", "calibration"):
        (folder / f"test/{kind}/seq1_frame00001.txt").rename(folder / f"test/{kind}/\u00e9.txt")
    assert len(open_scene(folder, strict=True)) == 3


def test_calibration_may_be_a_matrix_or_missing(tmp_path):
    camera = open_scene(write(tmp_path / "scene", "50 0 30\n0 51 20\n0 0 1\n")).cameras[0]
    assert (camera.fx, camera.fy, camera.cx, camera.cy) == (50, 51, 30, 20)
    folder = write(tmp_path / "other")
    (folder / "test/calibration/seq1_frame00001.txt").unlink()
    assert open_scene(folder).cameras[2].source == "assumed"


def test_an_image_without_a_pose_is_reported(tmp_path):
    folder = write(tmp_path / "scene")
    (folder / "train/poses/seq-01-frame-000010.pose.txt").unlink()
    assert "1 x pose that is missing or not finite" in refused(folder)
    assert "seq-01-frame-000010.txt:1 train/rgb/seq-01-frame-000010.color.png" in refused(folder)


@pytest.mark.parametrize(
    ("calibration", "message"),
    [
        (
            "x\n",
            "seq-01-frame-000009.calibration.txt:1: a calibration must be a focal length or a 3 x 3 "
            "matrix",
        ),
        ("50 50\n", "3 lines of 3 numbers are needed"),
        ("-50\n", "focal lengths above 0, received -50.0 and -50.0"),
        ("", "3 lines of 3 numbers are needed, the file ends after 0"),
    ],
)
def test_malformed_calibration(tmp_path, calibration, message):
    assert message in refused(write(tmp_path / "scene", calibration))


def test_malformed_pose(tmp_path):
    folder = write(tmp_path / "scene")
    (folder / "test/poses/seq1_frame00001.txt").write_text("1 0 0\n")
    assert (
        "seq1_frame00001.txt:1: 4 lines of 4 numbers are needed, received '1 0 0' as line 1"
        in refused(folder)
    )
