"""Two rooms of random points, seen exactly: which groups of images give which poses."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from posenet.localization.hypotheses import (
    Hypothesis,
    group_images,
    solve_groups,
    strongest_rival,
)
from posenet.localization.pnp import CameraPose
from posenet.localization.query_matches import QueryMatcher, cached_landmarks
from posenet.mapping.keypoints import Keypoints
from posenet.mapping.triangulation import Observations
from tests.helpers.maps import PIXEL, covisibility_of, random_descriptors, view_of

AHEAD = Rotation.identity()
# The second room is 20 m right of the first.
BESIDE = np.array([20.0, 0, 0])
# Where the query image was taken, in the room that it shows.
POSITION, ROTATION = np.array([0.3, -0.2, 0.1]), Rotation.from_rotvec([0.05, -0.1, 0.2])


def room(seed, count):
    """Return points of a room before the world's zero, and their descriptors."""
    rng = np.random.default_rng(seed)
    return rng.uniform((-1.5, -1.5, 4), (1.5, 1.5, 7), (count, 3)), random_descriptors(rng, count)


def training_images(points, descriptors, positions):
    """Return what images at these positions observe of points, and their poses."""
    views = [view_of(points, descriptors, position) for position in positions]
    return [Observations(view, points) for view in views], [(at, AHEAD) for at in positions]


class Map:
    """Training images 0 and 1 of a room, 2 and 3 of the room beside it."""

    def __init__(self, first, second):
        near = np.array([[0, 0, 0], [0.4, 0, 0]])
        points, descriptors = second
        self.observations, poses = training_images(*first, near)
        others, other_poses = training_images(points + BESIDE, descriptors, near + BESIDE)
        self.observations += others
        self.covisibility = covisibility_of(self.observations, poses + other_poses)

    def matcher(self, keypoints):
        return QueryMatcher(keypoints, cached_landmarks(self.observations.__getitem__))


def joined(*views):
    """Return the keypoints of several views as those of one image."""
    rays, descriptors = zip(*((view.rays, view.descriptors) for view in views), strict=True)
    return Keypoints(np.concatenate(rays), np.concatenate(descriptors), PIXEL)


def assert_pose(pose, position, rotation, *, meters=1e-3, degrees=0.02):
    np.testing.assert_allclose(pose.position, position, atol=meters)
    assert np.degrees((pose.rotation.inv() * rotation).magnitude()) < degrees


@pytest.fixture(scope="module")
def two_places():
    """Return a map of two rooms, and the matcher of an image that shows things of both."""
    first, second = room(1, 60), room(2, 40)
    both = joined(view_of(*first, POSITION, ROTATION), view_of(*second, -POSITION, ROTATION.inv()))
    known = Map(first, second)
    return known, known.matcher(both)


def test_each_place_is_a_group_with_its_own_pose(two_places):
    known, matcher = two_places
    groups = group_images(matcher, [3, 1, 2, 0], known.covisibility)
    assert [set(group) for group in groups] == [{0, 1}, {2, 3}]
    first, second = solve_groups(matcher, groups[::-1])
    assert (first.num_inliers, second.num_inliers) == (60, 40)
    assert (set(first.images), set(second.images)) == ({0, 1}, {2, 3})
    assert_pose(first.pose, POSITION, ROTATION)
    assert_pose(second.pose, BESIDE - POSITION, ROTATION.inv())
    assert strongest_rival([first, second], 5.5) is second


def test_a_scene_that_exists_twice_has_a_rival_with_as_many_inliers():
    known = Map(room(1, 60), room(1, 60))
    matcher = known.matcher(view_of(*room(1, 60), POSITION, ROTATION))
    hypotheses = solve_groups(matcher, group_images(matcher, range(4), known.covisibility))
    assert [each.num_inliers for each in hypotheses] == [60, 60]
    rival = strongest_rival(hypotheses, 5.5)
    assert rival is hypotheses[1]
    offset = rival.pose.position - hypotheses[0].pose.position
    np.testing.assert_allclose(np.abs(offset), BESIDE, atol=2e-3)


def test_the_same_image_gives_the_same_hypotheses(two_places):
    known, matcher = two_places
    fresh = known.matcher(matcher.keypoints)
    first, second = (
        solve_groups(each, group_images(each, range(4), known.covisibility))
        for each in (matcher, fresh)
    )
    assert [each.images for each in first] == [each.images for each in second]
    for ours, theirs in zip(first, second, strict=True):
        np.testing.assert_array_equal(ours.pose.position, theirs.pose.position)
        np.testing.assert_array_equal(ours.pose.rotation.as_quat(), theirs.pose.rotation.as_quat())


def test_images_with_fewer_than_five_matches_are_in_no_group():
    points, descriptors = room(1, 60)
    known = Map((points, descriptors), room(2, 40))
    query = view_of(points, descriptors, POSITION, ROTATION)
    assert group_images(known.matcher(query[:4]), range(4), known.covisibility) == []
    (group,) = group_images(known.matcher(query[:5]), range(4), known.covisibility)
    assert set(group) == {0, 1}
    assert solve_groups(known.matcher(query[:11]), [group]) == []
    (solved,) = solve_groups(known.matcher(query[:12]), [group])
    assert solved.num_inliers == 12


def test_a_group_starts_with_the_most_matches_and_has_at_most_eight_images():
    # Image k observes the first 20 + k points, all from the same place.
    points, descriptors = room(1, 60)
    observations = [
        Observations(view_of(points[:count], descriptors[:count]), points[:count])
        for count in range(20, 30)
    ]
    covisibility = covisibility_of(observations, [(np.zeros(3), AHEAD)] * 10)
    matcher = QueryMatcher(
        view_of(points, descriptors, POSITION, ROTATION), cached_landmarks(observations.__getitem__)
    )
    groups = group_images(matcher, range(10), covisibility)
    # Images 1 and 0 are in no group before and start their own.
    assert groups[1:] == [(1, 9, 8, 7, 6, 5, 4, 3), (0, 9, 8, 7, 6, 5, 4, 3)]


def test_at_most_five_groups():
    observations, poses, views = [], [], []
    for number in range(7):
        points, descriptors = room(number, 20 + number)
        place = number * BESIDE
        seen, at = training_images(points + place, descriptors, [place])
        observations += seen
        poses += at
        views.append(view_of(points, descriptors, POSITION, ROTATION))
    matcher = QueryMatcher(joined(*views), cached_landmarks(observations.__getitem__))
    groups = group_images(matcher, range(7), covisibility_of(observations, poses))
    assert groups == [(6,), (5,), (4,), (3,), (2,)]


def posed(distance, degrees, num_inliers=20):
    rotation = Rotation.from_euler("y", degrees, degrees=True)
    return Hypothesis(CameraPose(np.array([0, distance, 0.0]), rotation), (0,), num_inliers)


@pytest.mark.parametrize(
    ("distance", "degrees", "is_rival"),
    [
        (0.0, 0.0, False),
        (0.9, 9.5, False),  # a quarter of the depth, 4, is 1
        (1.1, 0.0, True),
        (0.0, 10.5, True),
        (0.0, -10.5, True),
    ],
)
def test_only_distant_poses_are_rivals(distance, degrees, is_rival):
    first, other = posed(0, 0, 30), posed(distance, degrees)
    assert (strongest_rival([first, other], 4.0) is other) == is_rival


def test_the_rival_is_the_first_that_contradicts():
    first, near, far, farther = posed(0, 0), posed(0.1, 1), posed(3, 0), posed(5, 0)
    assert strongest_rival([first, near, far, farther], 4.0) is far
    assert strongest_rival([first, near], 4.0) is None
    assert strongest_rival([first], 4.0) is None


@pytest.mark.parametrize("seed", range(12))
def test_a_pose_is_found_among_nine_of_ten_wrong_matches(seed):
    # The keypoints of one image have the descriptors of 300 landmarks, 270 of them shuffled.
    rng = np.random.default_rng(seed)
    points, descriptors = room(seed, 300)
    position, rotation = rng.uniform(-0.5, 0.5, 3), Rotation.from_rotvec(rng.normal(0, 0.1, 3))
    shuffled = np.concatenate([np.arange(30), rng.permutation(np.arange(30, 300))])
    query = view_of(points, descriptors[shuffled], position, rotation)
    observations, poses = training_images(points, descriptors, [np.zeros(3)])
    matcher = QueryMatcher(query, cached_landmarks(observations.__getitem__))
    assert len(matcher.matches(0).rows) > 290  # the right ones and the wrong ones
    groups = group_images(matcher, [0], covisibility_of(observations, poses))
    (found,) = solve_groups(matcher, groups)
    assert 30 <= found.num_inliers < 45
    # A few wrong matches agree by chance, to within eight pixels.
    assert_pose(found.pose, position, rotation, meters=0.01, degrees=0.2)
