"""The focal length that pictures of known pose agree on; a painted plane's is known exactly."""

from dataclasses import replace

import numpy as np
import pytest

from posenet.focal import measured_focals, told, with_focals
from posenet.scene import ScenePoints
from tests.planes import CAMERA, plane_scene


def claiming(scene, factor, source="file"):
    """The scene with other focal lengths than its pictures have."""
    camera = replace(CAMERA, fx=CAMERA.fx * factor, fy=CAMERA.fy * factor, source=source)
    return replace(scene, cameras=(camera,) * len(scene))


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    return plane_scene(tmp_path_factory.mktemp("plane"), 14)


@pytest.mark.parametrize("wrong", [0.7, 1.12, 1.6])
def test_a_wrong_focal_length_is_found_and_mended(scene, wrong):
    claimed = claiming(scene, wrong)
    factors = measured_focals(claimed)
    assert factors == {"file": pytest.approx(1 / wrong, rel=0.015)}
    mended = with_focals(claimed, factors).cameras[3]
    assert mended.fx == mended.fy == pytest.approx(CAMERA.fx, rel=0.015)
    assert (mended.source, mended.cx, mended.turns_by_homography) == ("measured", CAMERA.cx, True)
    assert told(claimed, factors) == [
        f"pictures and poses agree on a focal length of {factors['file'] * CAMERA.fx * wrong:.0f} pixels, "
        f"not {CAMERA.fx * wrong:.0f} as its files say: training uses it"
    ]


def test_a_right_one_is_kept_and_an_assumed_one_becomes_known(scene):
    assert measured_focals(scene) == {}
    assert with_focals(scene, {}) is scene
    factors = measured_focals(claiming(scene, 1.0, "assumed"))
    assert factors == {"assumed": pytest.approx(1.0, rel=0.015)}
    assert with_focals(claiming(scene, 1.0, "assumed"), factors).cameras[0].turns_by_homography
    assert "as was assumed" in told(claiming(scene, 1.0, "assumed"), factors)[0]


def test_each_source_has_its_own_factor(scene):
    half = len(scene) // 2
    cameras = claiming(scene, 1.3).cameras[:half] + claiming(scene, 0.8, "EXIF").cameras[half:]
    factors = measured_focals(replace(scene, cameras=cameras))
    assert factors == {"file": pytest.approx(1 / 1.3, rel=0.03), "EXIF": pytest.approx(1 / 0.8, rel=0.03)}


def test_where_nothing_tells_nothing_is_changed(scene, tmp_path):
    wrong = claiming(scene, 1.4)
    own_points = ScenePoints(np.zeros((1, 3)), np.zeros((0, 2), int))
    assert measured_focals(replace(wrong, points=own_points)) == {}
    assert measured_focals(wrong.subset([0])) == {}
    assert measured_focals(replace(wrong, cameras=(None,) * len(wrong))) == {}
    assert measured_focals(replace(wrong, root=tmp_path)) == {}  # no pictures there
    still = replace(wrong.poses, positions=np.zeros_like(wrong.poses.positions))
    assert measured_focals(replace(wrong, poses=still)) == {}
