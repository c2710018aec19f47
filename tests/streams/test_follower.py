"""Follow a camera before a painted plane, whose poses are known exactly."""

from types import SimpleNamespace

import numpy as np
import pytest

from posenet.localization.estimates import PoseEstimate
from posenet.streams import follower as followers
from posenet.streams.follower import Follower, follow, tta_views
from posenet.streams.reader import StreamFrame
from tests.helpers.planes import CAMERA
from tests.helpers.tracking import ELSEWHERE, PATH, FullSearch, at, plane_refiner, shown
from tests.streams.test_reader import write_video

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def refiner(tmp_path_factory):
    return plane_refiner(tmp_path_factory.mktemp("plane"))


def stream(images):
    """Return images as a stream of ten per second."""
    return iter([StreamFrame(number, number / 10, image) for number, image in enumerate(images)])


def distances(frames):
    """Return the distance of each pose from the true one."""
    return [np.linalg.norm(frame.estimate.position - PATH[frame.number][0]) for frame in frames]


@pytest.mark.parametrize("smooth", [False, True])
def test_a_path_is_followed(refiner, smooth):
    localizer = FullSearch(refiner, [at(PATH[0])])
    frames = list(Follower(localizer, smooth=smooth).follow(stream(map(shown, PATH))))
    assert [frame.number for frame in frames] == list(range(6))
    assert not any(frame.is_lost for frame in frames)
    assert max(distances(frames)) < 0.02
    assert frames[0].hfov_deg == pytest.approx(np.degrees(2 * np.arctan(160 / 260)))


def test_black_images_are_lost_without_a_search_and_the_camera_is_found_again(refiner):
    images = [shown(pose) for pose in PATH]
    images[2] = np.zeros_like(images[2])
    images[3] = np.zeros_like(images[3])
    localizer = FullSearch(refiner, [at(PATH[0])])
    frames = list(Follower(localizer, smooth=True).follow(stream(images)))
    assert [frame.is_lost for frame in frames] == [False, False, True, True, False, False]
    assert np.isnan(frames[2].estimate.position).all()
    assert max(distances([frame for frame in frames if not frame.is_lost])) < 0.02
    assert not localizer.estimates  # only the first image was searched everywhere


def test_dropped_images_do_not_matter(refiner):
    kept = [0, 1, 3, 5]
    frames = iter([StreamFrame(number, number / 10, shown(PATH[number])) for number in kept])
    followed = list(Follower(FullSearch(refiner, [at(PATH[0])])).follow(frames))
    assert [frame.number for frame in followed] == kept
    assert max(distances(followed)) < 0.02


def test_a_pose_of_the_network_alone_is_not_trusted_if_poses_are_refined(refiner):
    localizer = FullSearch(refiner, [ELSEWHERE, at(PATH[1])])
    frames = list(Follower(localizer).follow(stream([shown(PATH[0], seed=9), shown(PATH[1])])))
    assert [frame.is_lost for frame in frames] == [True, False]


def test_without_refinement_the_network_alone_is_followed():
    pose = PoseEstimate(
        np.ones(3), np.array([1.0, 0, 0, 0]), np.nan, np.nan, np.nan, 0, False, True
    )
    localizer = SimpleNamespace(
        refines=False,
        run=SimpleNamespace(camera=CAMERA, corrections={}),
        localize=lambda image: pose,
    )
    images = [shown(PATH[0]), np.zeros((240, 320, 3), np.uint8)]
    frames = list(Follower(localizer).follow(stream(images)))
    assert [frame.is_lost for frame in frames] == [False, True]
    assert frames[0].estimate is pose


def test_follow_opens_the_stream_and_the_run(refiner, monkeypatch, tmp_path):
    made = []

    def localizer(run, **options):
        made.append((run, options))
        return FullSearch(refiner, [])

    monkeypatch.setattr(followers, "Localizer", localizer)
    path = write_video(tmp_path / "gray.avi", 3)
    frames = list(follow("run", path, refine=True))
    assert made == [("run", {"refine": True, "tta_views": 1})]
    assert [frame.is_lost for frame in frames] == [True] * 3  # nothing is in the images
    assert tta_views(5) == 5
