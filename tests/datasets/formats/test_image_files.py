"""Image files of a dataset."""

import numpy as np
import pytest

from posenet.datasets.formats.image_files import (
    fit_camera,
    fit_cameras,
    sequence_from_name,
)
from posenet.datasets.formats.timestamps import match_timestamps
from posenet.geometry.camera import Camera
from tests.helpers.images import write_image

CAMERA = Camera(720, 1280, 595.0, 593.0, 359.0, 646.0, "OPENCV", (0.1, 0, 0, 0))


def test_intrinsics_are_scaled_to_the_image(tmp_path):
    write_image(tmp_path / "a.png", (640, 360))
    camera = fit_camera(CAMERA, tmp_path / "a.png")
    assert (camera.width, camera.height) == (360, 640)
    assert (camera.fx, camera.fy, camera.cx, camera.cy) == (297.5, 296.5, 179.5, 323.0)
    assert (camera.model, camera.distortion) == (CAMERA.model, CAMERA.distortion)
    assert fit_camera(CAMERA, tmp_path / "none.png") == CAMERA


def test_intrinsics_of_another_aspect_ratio_are_left_out_and_reported(tmp_path):
    write_image(tmp_path / "a.png", (360, 640))
    write_image(tmp_path / "b.png", (640, 360))
    cameras, issues = fit_cameras([CAMERA, CAMERA, None], tmp_path, ["a.png", "b.png", "a.png"])
    assert [camera is None for camera in cameras] == [True, False, True]
    assert [(issue.count, issue.first, issue.action) for issue in issues] == [
        (1, "a.png", "intrinsics left out")
    ]


def test_sequence():
    assert [sequence_from_name(name) for name in ("a/b/c.png", "c.png")] == ["a/b", "all"]


def test_match_timestamps():
    known = [3.0, 1.0, 2.0]
    np.testing.assert_array_equal(
        match_timestamps([0.9, 1.5, 2.6, 9.0], known, max_difference=0.5), [1, 1, 0, -1]
    )
    np.testing.assert_array_equal(match_timestamps([1.0], [], max_difference=1), [-1])
    np.testing.assert_array_equal(match_timestamps([1.0, 5.0], [1.2], max_difference=0.3), [0, -1])
    assert match_timestamps([1.02], [1.0], max_difference=0.02 + 1e-9) == pytest.approx(0)
