"""A tracker's path before a painted plane, and a stand-in for its full search."""

from types import SimpleNamespace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from posenet.localization.estimates import PoseEstimate
from posenet.localization.refinement import PnPRefiner
from posenet.localization.retrieval import Gallery
from posenet.localization.uncertainty import UncertaintyModel
from posenet.mapping import landmarks
from posenet.mapping.landmarks import load_or_build_landmarks
from posenet.mapping.vlad import load_or_build_vlad
from tests.helpers.planes import CAMERA, image_of_plane, painting, plane_scene

# The camera moves to the right by 4 cm and turns by 1 degree per image.
PATH = [
    (np.array([-0.2 + 0.04 * step, 0.1, -2.0]), Rotation.from_rotvec([0, np.radians(step), 0]))
    for step in range(6)
]
ELSEWHERE = PoseEstimate(
    np.array([1.0, 2, 3]), np.array([1.0, 0, 0, 0]), 2.0, 0.3, 5.0, 0, False, True
)


def plane_refiner(folder):
    """Return the refiner of 14 images of a painting."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(landmarks, "MAX_KEYPOINTS", 700)
        scene = plane_scene(folder / "scene", 14)
        observed = load_or_build_landmarks(folder, scene)
        gallery = Gallery(scene, np.eye(14, dtype=np.float32))
        return PnPRefiner(gallery, observed, load_or_build_vlad(observed, folder))


class FullSearch:
    """Stands in for a localizer; its full search returns the given estimates in turns."""

    def __init__(self, refiner, estimates):
        self.refines = True
        self.run = SimpleNamespace(camera=CAMERA, corrections={})
        self.refiner = refiner
        self.uncertainty = UncertaintyModel(0.1, 3.0, 2.0)
        self.estimates = list(estimates)

    def localize(self, image, *, camera=None):
        """Return the next estimate."""
        assert isinstance(image, np.ndarray)
        return self.estimates.pop(0)


def at(pose) -> PoseEstimate:
    """Return a refined estimate of a pose."""
    position, rotation = pose
    quaternion = rotation.as_quat(canonical=True, scalar_first=True)
    return PoseEstimate(position, quaternion, 1.0, 0.01, 0.1, 50, True, True)


def shown(pose, seed=0) -> np.ndarray:
    """Return what a camera sees of a painting."""
    return image_of_plane(painting(seed), CAMERA, *pose)
