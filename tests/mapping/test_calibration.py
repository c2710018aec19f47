"""Estimate intrinsics from images of known pose; those of a textured plane are known exactly."""

from dataclasses import replace

import numpy as np
import pytest

from posenet.datasets.scene import ScenePoints
from posenet.geometry.poses import Poses
from posenet.mapping import intrinsics_fit
from posenet.mapping.calibration import (
    apply_corrections,
    describe_corrections,
    estimate_corrections,
)
from posenet.mapping.intrinsics_fit import PairMatches, Shift
from tests.helpers.planes import CAMERA, plane_scene

pytestmark = pytest.mark.slow


def with_focal_factor(scene, factor, source="file"):
    """Return the scene with focal lengths multiplied by a factor."""
    camera = replace(CAMERA, fx=CAMERA.fx * factor, fy=CAMERA.fy * factor, source=source)
    return replace(scene, cameras=(camera,) * len(scene))


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    return plane_scene(tmp_path_factory.mktemp("plane"), 24)


@pytest.mark.parametrize("wrong", [0.7, 1.12, 1.6])
def test_wrong_focal_length_is_corrected(scene, wrong):
    claimed = with_focal_factor(scene, wrong)
    corrections = estimate_corrections(claimed)
    assert corrections == {"file": (pytest.approx(1 / wrong, rel=0.015), 0, 0, 0)}
    corrected = apply_corrections(claimed, corrections).cameras[3]
    assert corrected.fx == corrected.fy == pytest.approx(CAMERA.fx, rel=0.015)
    assert (corrected.source, corrected.cx, corrected.is_perspective) == (
        "measured",
        CAMERA.cx,
        True,
    )
    focal = corrections["file"].factor * CAMERA.fx * wrong
    assert describe_corrections(claimed, corrections) == [
        f"images and poses agree on a focal length of {focal:.0f} pixels, "
        f"not {CAMERA.fx * wrong:.0f} (in its files): training uses the estimate"
    ]


def test_correct_focal_length_is_kept_and_assumed_one_becomes_known(scene):
    assert estimate_corrections(scene) == {}
    assert apply_corrections(scene, {}) is scene
    assumed = with_focal_factor(scene, 1.0, "assumed")
    corrections = estimate_corrections(assumed)
    assert corrections == {"assumed": (pytest.approx(1.0, rel=0.015), 0, 0, 0)}
    assert apply_corrections(assumed, corrections).cameras[0].is_perspective
    focal = corrections["assumed"].factor * CAMERA.fx
    assert describe_corrections(assumed, corrections) == [
        f"images and poses agree on a focal length of {focal:.0f} pixels, "
        f"not {CAMERA.fx:.0f} (assumed): training uses the estimate"
    ]


def test_every_source_has_its_own_factor(scene):
    half = len(scene) // 2
    cameras = (
        with_focal_factor(scene, 1.3).cameras[:half]
        + with_focal_factor(scene, 0.8, "EXIF").cameras[half:]
    )
    corrections = estimate_corrections(replace(scene, cameras=cameras))
    assert corrections == {
        "file": (pytest.approx(1 / 1.3, rel=0.03), 0, 0, 0),
        "EXIF": (pytest.approx(1 / 0.8, rel=0.03), 0, 0, 0),
    }


@pytest.mark.parametrize("wrong", [1.0, 1.3])
def test_wrong_principal_point_is_corrected(scene, wrong):
    camera = replace(
        CAMERA, fx=CAMERA.fx * wrong, fy=CAMERA.fy * wrong, cx=CAMERA.cx - 6, cy=CAMERA.cy + 13
    )
    claimed = replace(scene, cameras=(camera,) * len(scene))
    corrections = estimate_corrections(claimed)
    assert set(corrections) == {"file"}
    corrected = apply_corrections(claimed, corrections).cameras[0]
    assert corrected.fx == pytest.approx(CAMERA.fx, rel=0.015)
    assert (corrected.cx, corrected.cy) == (
        pytest.approx(CAMERA.cx, abs=2),
        pytest.approx(CAMERA.cy, abs=2),
    )
    sentence = describe_corrections(claimed, corrections)[0]
    assert (
        f"a principal point at {corrected.cx:.0f}, {corrected.cy:.0f}, not 154, 133 (in its files)"
        in sentence
    )
    assert ("focal length" in sentence) == (wrong != 1)
    # A portrait image has another principal point, which is not estimated.
    tall = replace(claimed, cameras=(camera.rotate90(), *claimed.cameras[1:]))
    moved = apply_corrections(tall, corrections).cameras[0]
    assert (moved.cx, moved.cy) == (tall.cameras[0].cx, tall.cameras[0].cy)
    # If the image sizes differ, the direction of the shift could differ too.
    sizes = (camera, *(camera.resized(640, 480) for _ in range(len(scene) - 1)))
    estimated = estimate_corrections(replace(claimed, cameras=sizes))
    assert estimated.get("file", (1, 0, 0, 0))[1:] == (0, 0, 0)


def test_fisheye_among_other_cameras_is_unchanged(scene):
    wrong = with_focal_factor(scene, 1.3)
    fisheye = replace(
        CAMERA, model="OPENCV_FISHEYE", distortion=(0.0, 0.0, 0.0, 0.0), fx=111.0, fy=111.0
    )
    mixed = replace(wrong, cameras=(fisheye, *wrong.cameras[1:]))
    corrections = estimate_corrections(mixed)
    assert corrections["file"].factor == pytest.approx(1 / 1.3, rel=0.02)
    corrected = apply_corrections(mixed, corrections)
    assert corrected.cameras[0] == fisheye
    assert corrected.cameras[1].fx == pytest.approx(CAMERA.fx, rel=0.02)
    sentence = describe_corrections(mixed, corrections)[0]
    assert f"not {wrong.cameras[1].fx:.0f} (in its files)" in sentence


def test_no_correction_without_evidence(scene, tmp_path):
    wrong = with_focal_factor(scene, 1.4)
    fisheyes = tuple(replace(each, model="SIMPLE_FISHEYE") for each in wrong.cameras)
    assert estimate_corrections(replace(wrong, cameras=fisheyes)) == {}
    own_points = ScenePoints(np.zeros((1, 3)), np.zeros((0, 2), int))
    assert estimate_corrections(replace(wrong, points=own_points)) == {}
    assert estimate_corrections(wrong.subset([0])) == {}
    assert estimate_corrections(replace(wrong, cameras=(None,) * len(wrong))) == {}
    assert estimate_corrections(replace(wrong, root=tmp_path)) == {}  # no images there
    still = replace(wrong.poses, positions=np.zeros_like(wrong.poses.positions))
    assert estimate_corrections(replace(wrong, poses=still)) == {}


def test_the_halves_of_a_verification_divide_moments(monkeypatch):
    # Two cameras took eight moments, which are eight blocks of time.
    moments = np.array([*range(8)] * 2)
    rays = np.zeros((1, 2))
    matches = [
        PairMatches(row, other, rays, rays, 0.01)
        for row in range(16)
        for other in range(row, 16)
        if (row - other) % 8 in (0, 2)
    ]
    halves = []

    def fit_shift(half, *_args, **_options):
        halves.append(sorted({row for pair in half for row in (pair.first, pair.second)}))
        return Shift(0.0, 0.0)

    monkeypatch.setattr(intrinsics_fit, "fit_shift", fit_shift)
    monkeypatch.setattr(intrinsics_fit, "_errors", lambda *_args: np.ones(1))
    poses = Poses.from_quaternions(np.zeros((16, 3)), np.tile([1.0, 0, 0, 0], (16, 1)))
    assert intrinsics_fit.verify_shift(matches, poses, 1.0, moments=moments) is None
    assert halves == [[0, 2, 4, 6, 8, 10, 12, 14], [1, 3, 5, 7, 9, 11, 13, 15]]
