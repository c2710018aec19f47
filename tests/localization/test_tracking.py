"""Images along a path before a painted plane, whose poses are known exactly."""

from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from PIL import Image
from scipy.spatial.transform import Rotation

from posenet.errors import PoseNetError
from posenet.localization.pnp import CameraPose
from posenet.localization.tracking import PoseTracker, _continue_motion
from tests.helpers.tracking import ELSEWHERE, PATH, FullSearch, at, plane_refiner, shown

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def refiner(tmp_path_factory):
    return plane_refiner(tmp_path_factory.mktemp("plane"))


def errors(estimate, pose) -> tuple[float, float]:
    """Return the distance and the angle in degrees between an estimate and a pose."""
    found = Rotation.from_quat(estimate.quaternion_wxyz, scalar_first=True)
    angle = np.degrees((found.inv() * pose[1]).magnitude())
    return float(np.linalg.norm(estimate.position - pose[0])), float(angle)


def test_only_the_first_image_of_a_path_is_searched_everywhere(refiner):
    localizer = FullSearch(refiner, [at(PATH[0])])
    tracker = PoseTracker(localizer)
    estimates = [tracker.track(shown(pose)) for pose in PATH]
    assert not localizer.estimates
    for estimate, pose in zip(estimates[1:], PATH[1:], strict=True):
        meters, degrees = errors(estimate, pose)
        assert meters < 0.01
        assert degrees < 0.2
        assert estimate.refined
        assert estimate.valid
        assert estimate.num_inliers >= 15
        assert 0 < estimate.position_std < 0.05
        assert 0 < estimate.rotation_std_deg < 2
        assert np.isnan(estimate.rotation_spread_deg)  # the network was not used
        assert estimate.quaternion_wxyz[0] >= 0


def test_an_image_of_another_place_is_searched_everywhere_and_the_next_one_too(refiner):
    localizer = FullSearch(refiner, [at(PATH[0]), ELSEWHERE, at(PATH[3])])
    tracker = PoseTracker(localizer)
    tracker.track(shown(PATH[0]))
    assert errors(tracker.track(shown(PATH[1])), PATH[1])[0] < 0.01
    assert tracker.track(shown(PATH[2], seed=9)) is ELSEWHERE
    assert tracker.track(shown(PATH[3])).num_inliers == 50  # by the full search
    assert errors(tracker.track(shown(PATH[4])), PATH[4])[0] < 0.01
    assert not localizer.estimates


def test_a_pose_far_from_the_last_one_is_not_accepted_without_a_full_search(refiner):
    localizer = FullSearch(refiner, [ELSEWHERE])
    tracker = PoseTracker(localizer)
    # The same training images show both, but they are 12 degrees apart.
    position, rotation = PATH[0]
    tracker._last = CameraPose(position, rotation * Rotation.from_rotvec([0, 0, np.radians(12)]))
    assert tracker.track(shown(PATH[0])) is ELSEWHERE


def test_a_fast_turn_is_followed_if_the_motion_predicts_it(refiner):
    # 12 degrees per image are more than those up to which poses are near, 10.
    path = [
        (PATH[0][0], Rotation.from_rotvec([0, np.radians(12 * step - 14), 0])) for step in range(3)
    ]
    localizer = FullSearch(refiner, [at(path[0]), at(path[1])])
    tracker = PoseTracker(localizer)
    tracker.track(shown(path[0]))
    tracker._before, tracker._last = CameraPose(*path[0]), CameraPose(*path[1])
    estimate = tracker.track(shown(path[2]))
    assert len(localizer.estimates) == 1  # without a full search
    assert errors(estimate, path[2])[0] < 0.02


def test_the_predicted_pose_repeats_the_last_motion():
    quarter = Rotation.from_rotvec([0, 0, np.pi / 2])
    before = CameraPose(np.array([1.0, 0, 0]), Rotation.identity())
    last = CameraPose(np.array([1.5, 2, 0]), quarter)
    predicted = _continue_motion(before, last)
    np.testing.assert_allclose(predicted.position, [2, 4, 0])
    np.testing.assert_allclose(predicted.rotation.as_rotvec(), [0, 0, np.pi], atol=1e-12)
    assert _continue_motion(None, last) is last


def test_reset_forgets_the_last_pose(refiner):
    localizer = FullSearch(refiner, [at(PATH[0]), at(PATH[1])])
    tracker = PoseTracker(localizer)
    tracker.track(shown(PATH[0]))
    tracker.reset()
    assert tracker.track(shown(PATH[1])).num_inliers == 50
    assert not localizer.estimates


def test_a_file_an_array_and_a_pil_image_give_the_same_pose(refiner, tmp_path):
    image = shown(PATH[1])
    cv2.imwrite(str(tmp_path / "image.png"), image[..., ::-1])
    found = []
    for query in (image, Image.fromarray(image), tmp_path / "image.png"):
        tracker = PoseTracker(FullSearch(refiner, []))
        tracker._last = CameraPose(*PATH[0])
        found.append(tracker.track(query).position)
    np.testing.assert_array_equal(found[1:], found[:1] * 2)


def test_an_unreadable_image_is_refused(refiner, tmp_path):
    (tmp_path / "broken.png").write_bytes(b"no image")
    tracker = PoseTracker(FullSearch(refiner, []))
    tracker._last = CameraPose(*PATH[0])
    with pytest.raises(PoseNetError, match="broken.png"):
        tracker.track(tmp_path / "broken.png")


def test_a_localizer_must_refine():
    localizer = SimpleNamespace(refines=False)
    with pytest.raises(PoseNetError, match="requires a localizer with refine=True, received False"):
        PoseTracker(localizer)
