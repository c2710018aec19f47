"""Matches of a query with training images whose descriptors are known."""

import numpy as np
import pytest

from posenet.localization import query_matches
from posenet.localization.query_matches import QueryMatcher, cached_landmarks
from posenet.mapping.keypoints import Keypoints
from posenet.mapping.triangulation import Observations
from tests.helpers.maps import random_descriptors

DESCRIPTORS = random_descriptors(np.random.default_rng(0), 10)


def observing(landmarks):
    """Return what an image observes: landmarks by number, each at (number, 0, 0)."""
    points = np.array([[number, 0.0, 0] for number in landmarks]).reshape(-1, 3)
    rays = np.zeros((len(points), 2))
    return Observations(Keypoints(rays, DESCRIPTORS[list(landmarks)], 0.01), points)


IMAGES = {5: observing([0, 1, 2, 3]), 8: observing([3, 2, 9]), 9: observing([])}


@pytest.fixture
def matcher():
    """Return a query that shows landmarks 4, 3, 2 and 1, in this order."""
    rays = np.array([[0.1, 0.2], [0.3, 0.4], [0.5, 0.6], [0.7, 0.8]])
    return QueryMatcher(
        Keypoints(rays, DESCRIPTORS[[4, 3, 2, 1]], 0.01), cached_landmarks(IMAGES.__getitem__)
    )


def pairs(matches):
    """Return (keypoint, landmark, training image) of each match."""
    return sorted(
        zip(matches.rows.tolist(), matches.points[:, 0], matches.images.tolist(), strict=True)
    )


def test_matches_with_one_image(matcher):
    assert pairs(matcher.matches(5)) == [(1, 3, 5), (2, 2, 5), (3, 1, 5)]
    assert pairs(matcher.matches(8)) == [(1, 3, 8), (2, 2, 8)]
    assert pairs(matcher.matches(9)) == []


def test_joined_matches_are_those_of_each_image(matcher):
    # A landmark that both observe would fail the ratio test if they were matched together.
    joined = matcher.joined_matches([8, 9, 5])
    assert pairs(joined) == [(1, 3, 5), (1, 3, 8), (2, 2, 5), (2, 2, 8), (3, 1, 5)]
    assert joined.images.tolist() == [8, 8, 5, 5, 5]
    assert pairs(joined.select(joined.images == 8)) == [(1, 3, 8), (2, 2, 8)]


def test_joined_landmarks_are_all_that_the_images_observe(matcher):
    joined = matcher.joined_landmarks([8, 5])
    assert joined.points[:, 0].tolist() == [3, 2, 9, 0, 1, 2, 3]
    assert joined.images.tolist() == [8, 8, 8, 5, 5, 5, 5]
    # The root of SIFT, normalized: the squares are proportional to the descriptor.
    sift = DESCRIPTORS[[3, 2, 9, 0, 1, 2, 3]].astype(float)
    np.testing.assert_allclose(
        joined.descriptors**2, sift / sift.sum(axis=1, keepdims=True), atol=1e-6
    )


def test_a_zoomed_matcher_shares_all_matches(matcher, monkeypatch):
    before = matcher.joined_matches([5, 8])
    monkeypatch.setattr(query_matches, "match", None)  # not needed again
    zoomed = matcher.zoomed(2.0)
    assert pairs(zoomed.joined_matches([5, 8])) == pairs(before)
    # Rays are half as long at twice the focal length, and so is a pixel.
    np.testing.assert_allclose(zoomed.keypoints.rays[0], [0.05, 0.1])
    assert zoomed.keypoints.pixel == 0.005
    np.testing.assert_allclose(matcher.keypoints.rays[0], [0.1, 0.2])


def test_an_image_matched_by_a_zoomed_matcher_is_not_matched_again(matcher, monkeypatch):
    found = matcher.zoomed(2.0).matches(5)
    monkeypatch.setattr(query_matches, "match", None)
    assert matcher.matches(5) is found


def test_a_query_without_keypoints_has_no_matches():
    empty = Keypoints(np.zeros((0, 2)), np.zeros((0, 128), np.uint8), 0.01)
    assert (
        pairs(QueryMatcher(empty, cached_landmarks(IMAGES.__getitem__)).joined_matches([5, 8]))
        == []
    )


def test_landmarks_of_the_training_images_used_last_are_kept():
    observed = []

    def observe(image):
        observed.append(image)
        return IMAGES[image]

    landmarks = cached_landmarks(observe, capacity=2)
    for image in (5, 8, 5, 9, 5, 8):  # 9 displaces 8, which was used before 5
        assert landmarks(image).images.tolist() == [image] * len(IMAGES[image].points)
    assert observed == [5, 8, 9, 8]


def test_several_threads_find_the_same_matches():
    rays = np.zeros((4, 2))
    keypoints = Keypoints(rays, DESCRIPTORS[[4, 3, 2, 1]], 0.01)
    matcher = QueryMatcher(keypoints, cached_landmarks(IMAGES.__getitem__), threads=2)
    matcher.prepare([5, 8, 9])
    assert pairs(matcher.matches(5)) == [(1, 3, 5), (2, 2, 5), (3, 1, 5)]
    assert pairs(matcher.joined_matches([8, 9])) == [(1, 3, 8), (2, 2, 8)]
