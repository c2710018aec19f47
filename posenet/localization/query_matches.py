"""Matches of a query image with training images, each pair matched once."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from posenet.localization.pnp import Matches
from posenet.mapping.keypoints import Keypoints
from posenet.mapping.matching import match, root_sift
from posenet.mapping.parallel import in_threads
from posenet.mapping.triangulation import Observations

# Training images whose landmarks are kept for the next query: up to 130 MB with 2500 each, usually
# a quarter. A video returns to the same few, a query matches 10 to 42.
CACHED_IMAGES = 100


class JoinedLandmarks(NamedTuple):
    """The landmarks that several training images observe.

    Attributes:
        points: in the world frame, shape (m, 3).
        descriptors: RootSIFT, shape (m, 128).
        images: index of the observing image, shape (m,).
    """

    points: np.ndarray
    descriptors: np.ndarray
    images: np.ndarray


class QueryMatcher:
    """Matches the keypoints of a query image with training images."""

    def __init__(
        self, keypoints: Keypoints, observe: Callable[[int], JoinedLandmarks], *, threads: int = 1
    ) -> None:
        """Prepare the descriptors of the query.

        Args:
            keypoints: keypoints of the query image.
            observe: returns the landmarks of a training image.
            threads: number of threads that match.
        """
        self.keypoints = keypoints
        self.descriptors = root_sift(keypoints.descriptors)
        self.threads = threads
        self._observe = observe
        self._landmarks: dict[int, JoinedLandmarks] = {}
        self._matches: dict[int, Matches] = {}

    def prepare(self, images: Sequence[int]) -> None:
        """Match with several training images at the same time.

        Args:
            images: indices of the training images.
        """
        in_threads(self.matches, images, self.threads)

    def matches(self, image: int) -> Matches:
        """Match with one training image: mutual nearest neighbors with Lowe's ratio.

        Args:
            image: index of the training image.

        Returns:
            The matches.
        """
        if image not in self._matches:
            landmarks = self._landmarks_of(image)
            rows, columns = match(self.descriptors, landmarks.descriptors)
            self._matches[image] = Matches(
                rows, landmarks.points[columns], landmarks.images[columns]
            )
        return self._matches[image]

    def joined_matches(self, images: Sequence[int]) -> Matches:
        """Match with several training images, each by itself.

        Args:
            images: at least one index of a training image.

        Returns:
            The matches with all of them. A keypoint may have several.
        """
        found = [self.matches(image) for image in images]
        return Matches(*(np.concatenate(arrays) for arrays in zip(*found, strict=True)))

    def joined_landmarks(self, images: Sequence[int]) -> JoinedLandmarks:
        """Return the landmarks of several training images.

        Args:
            images: at least one index of a training image.

        Returns:
            All that they observe.
        """
        found = [self._landmarks_of(image) for image in images]
        return JoinedLandmarks(*(np.concatenate(arrays) for arrays in zip(*found, strict=True)))

    def zoomed(self, factor: float) -> QueryMatcher:
        """Return the matcher for another focal length of the query; all matches are shared.

        Args:
            factor: factor of the focal length.

        Returns:
            The matcher with zoomed keypoints.
        """
        other = copy.copy(self)
        other.keypoints = self.keypoints.zoomed(factor)
        return other

    def _landmarks_of(self, image: int) -> JoinedLandmarks:
        if image not in self._landmarks:
            self._landmarks[image] = self._observe(image)
        return self._landmarks[image]


def cached_landmarks(
    observe: Callable[[int], Observations], *, capacity: int = CACHED_IMAGES
) -> Callable[[int], JoinedLandmarks]:
    """Return a function that gives the landmarks of training images, as matching needs them.

    Args:
        observe: returns what a training image observes.
        capacity: number of training images, those used last, whose landmarks are kept.

    Returns:
        The function, from the index of a training image to its landmarks.
    """

    @lru_cache(maxsize=capacity)
    def landmarks(image: int) -> JoinedLandmarks:
        observed = observe(image)
        descriptors = root_sift(observed.keypoints.descriptors)
        images = np.full(len(observed.points), image)
        return JoinedLandmarks(observed.points, descriptors, images)

    return landmarks
