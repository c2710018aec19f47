"""The intrinsics that images of known pose agree on; a painted plane's are known exactly."""

from dataclasses import replace

import numpy as np
import pytest

from posenet.datasets.scene import ScenePoints
from posenet.mapping.calibration import apply_corrections, estimate_corrections, told
from tests.helpers.planes import CAMERA, plane_scene


def claiming(scene, factor, source="file"):
    """The scene with other focal lengths than its images have."""
    camera = replace(CAMERA, fx=CAMERA.fx * factor, fy=CAMERA.fy * factor, source=source)
    return replace(scene, cameras=(camera,) * len(scene))


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    return plane_scene(tmp_path_factory.mktemp("plane"), 24)


@pytest.mark.parametrize("wrong", [0.7, 1.12, 1.6])
def test_a_wrong_focal_length_is_found_and_mended(scene, wrong):
    claimed = claiming(scene, wrong)
    corrections = estimate_corrections(claimed)
    assert corrections == {"file": (pytest.approx(1 / wrong, rel=0.015), 0, 0, 0)}
    mended = apply_corrections(claimed, corrections).cameras[3]
    assert mended.fx == mended.fy == pytest.approx(CAMERA.fx, rel=0.015)
    assert (mended.source, mended.cx, mended.is_perspective) == ("measured", CAMERA.cx, True)
    assert told(claimed, corrections) == [
        f"images and poses agree on a focal length of {corrections['file'].factor * CAMERA.fx * wrong:.0f} pixels, "
        f"not {CAMERA.fx * wrong:.0f} as its files say: training uses it"
    ]


def test_a_right_one_is_kept_and_an_assumed_one_becomes_known(scene):
    assert estimate_corrections(scene) == {}
    assert apply_corrections(scene, {}) is scene
    corrections = estimate_corrections(claiming(scene, 1.0, "assumed"))
    assert corrections == {"assumed": (pytest.approx(1.0, rel=0.015), 0, 0, 0)}
    assert apply_corrections(claiming(scene, 1.0, "assumed"), corrections).cameras[0].is_perspective
    assert "as was assumed" in told(claiming(scene, 1.0, "assumed"), corrections)[0]


def test_each_source_has_its_own_factor(scene):
    half = len(scene) // 2
    cameras = claiming(scene, 1.3).cameras[:half] + claiming(scene, 0.8, "EXIF").cameras[half:]
    corrections = estimate_corrections(replace(scene, cameras=cameras))
    assert corrections == {
        "file": (pytest.approx(1 / 1.3, rel=0.03), 0, 0, 0), "EXIF": (pytest.approx(1 / 0.8, rel=0.03), 0, 0, 0)
    }  # fmt: skip


@pytest.mark.parametrize("wrong", [1.0, 1.3])
def test_a_wrong_principal_point_is_found_and_mended(scene, wrong):
    camera = replace(
        CAMERA, fx=CAMERA.fx * wrong, fy=CAMERA.fy * wrong, cx=CAMERA.cx - 6, cy=CAMERA.cy + 13
    )
    claimed = replace(scene, cameras=(camera,) * len(scene))
    corrections = estimate_corrections(claimed)
    assert set(corrections) == {"file"}
    mended = apply_corrections(claimed, corrections).cameras[0]
    assert mended.fx == pytest.approx(CAMERA.fx, rel=0.015)
    assert (mended.cx, mended.cy) == (
        pytest.approx(CAMERA.cx, abs=2),
        pytest.approx(CAMERA.cy, abs=2),
    )
    sentence = told(claimed, corrections)[0]
    assert (
        f"a principal point at {mended.cx:.0f}, {mended.cy:.0f}, not 154, 133 as its files say"
        in sentence
    )
    assert ("focal length" in sentence) == (wrong != 1)
    # a image that was held upright has another principal point: which one is not measured
    tall = replace(claimed, cameras=(camera.rotate90(), *claimed.cameras[1:]))
    moved = apply_corrections(tall, corrections).cameras[0]
    assert (moved.cx, moved.cy) == (tall.cameras[0].cx, tall.cameras[0].cy)
    # the sizes of the images differ: which way the point should move could differ too
    sizes = (camera, *(camera.resized(640, 480) for _ in range(len(scene) - 1)))
    assert estimate_corrections(replace(claimed, cameras=sizes)).get("file", (1, 0, 0, 0))[1:] == (
        0,
        0,
        0,
    )


def test_a_fisheye_beside_other_lenses_is_left_as_it_is(scene):
    wrong = claiming(scene, 1.3)
    fisheye = replace(
        CAMERA, lens="OPENCV_FISHEYE", distortion=(0.0, 0.0, 0.0, 0.0), fx=111.0, fy=111.0
    )
    mixed = replace(wrong, cameras=(fisheye, *wrong.cameras[1:]))
    corrections = estimate_corrections(mixed)
    assert corrections["file"].factor == pytest.approx(1 / 1.3, rel=0.02)
    mended = apply_corrections(mixed, corrections)
    assert mended.cameras[0] == fisheye
    assert mended.cameras[1].fx == pytest.approx(CAMERA.fx, rel=0.02)
    assert f"not {wrong.cameras[1].fx:.0f} as its files say" in told(mixed, corrections)[0]


def test_where_nothing_tells_nothing_is_changed(scene, tmp_path):
    wrong = claiming(scene, 1.4)
    bent = tuple(replace(each, lens="SIMPLE_FISHEYE") for each in wrong.cameras)
    assert estimate_corrections(replace(wrong, cameras=bent)) == {}
    own_points = ScenePoints(np.zeros((1, 3)), np.zeros((0, 2), int))
    assert estimate_corrections(replace(wrong, points=own_points)) == {}
    assert estimate_corrections(wrong.subset([0])) == {}
    assert estimate_corrections(replace(wrong, cameras=(None,) * len(wrong))) == {}
    assert estimate_corrections(replace(wrong, root=tmp_path)) == {}  # no images there
    still = replace(wrong.poses, positions=np.zeros_like(wrong.poses.positions))
    assert estimate_corrections(replace(wrong, poses=still)) == {}
