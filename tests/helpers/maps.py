"""Maps in memory: what training images observe of points that a test invents."""

from collections.abc import Sequence

import numpy as np
from scipy.spatial.transform import Rotation

from posenet.geometry.poses import Poses
from posenet.localization.covisibility import Covisibility
from posenet.mapping.keypoints import Keypoints
from posenet.mapping.landmarks import Landmarks
from posenet.mapping.triangulation import Observations

PIXEL = 1 / 500


def random_descriptors(rng, count) -> np.ndarray:
    """Return descriptors (count, 128) that hardly resemble each other."""
    return (rng.integers(0, 256, (count, 128)) * (rng.random((count, 128)) < 0.2)).astype(np.uint8)


def view_of(points, descriptors, position=(0.0, 0, 0), rotation=None, pixel=PIXEL) -> Keypoints:
    """Return the keypoints of a camera that sees points (n, 3) exactly."""
    rotation = rotation or Rotation.identity()
    local = rotation.inv().apply(np.asarray(points) - position)
    assert (local[:, 2] > 0).all()
    return Keypoints(local[:, :2] / local[:, 2:], descriptors, pixel)


def as_poses(poses) -> Poses:
    """Return (position, rotation) pairs as poses."""
    positions, rotations = zip(*poses, strict=True)
    return Poses(np.array(positions, float), Rotation.concatenate(rotations))


def landmarks_of(observations: Sequence[Observations]) -> Landmarks:
    """Return the map of images that observe this."""
    keypoints = [each.keypoints for each in observations]
    return Landmarks(
        starts=np.cumsum([0, *map(len, keypoints)]),
        points=np.concatenate([each.points for each in observations]).astype(np.float32),
        origin=np.zeros(3),
        rays=np.concatenate([each.rays for each in keypoints]).astype(np.float32),
        descriptors=np.concatenate([each.descriptors for each in keypoints]),
        pixels=np.array([each.pixel for each in keypoints]),
    )


def covisibility_of(observations: Sequence[Observations], poses) -> Covisibility:
    """Return the covisibility of images at (position, rotation) pairs."""
    return Covisibility(as_poses(poses), landmarks_of(observations))
