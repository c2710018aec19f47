"""Regressed poses made exact: each image is matched with the training images that should look like it.

The regressed pose stays where too little matches, or where a weak match contradicts it.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from posenet.datasets.scene import Scene
from posenet.geometry.camera import Camera
from posenet.geometry.poses import Poses
from posenet.localization.absolute_pose import AbsolutePose, locate
from posenet.localization.retrieval import Gallery
from posenet.localization.uncertainty import UncertaintyModel
from posenet.mapping.keypoints import detect_or_empty
from posenet.mapping.landmarks import KEYPOINTS, Landmarks
from posenet.mapping.parallel import in_parallel

log = logging.getLogger("posenet")

NEIGHBOURS, MORE_NEIGHBOURS = 10, 25
CERTAIN_INLIERS = 20  # fewer must agree with the regressed pose


@dataclass(frozen=True, eq=False)
class RefinementResult:
    """Refined poses of n images.

    poses: refined where that stood, the regressed ones elsewhere. located: what was found, None where it did not stand.
    neighbors: rows of the training images that see what each sees. training: these images. trust: how far both
    kinds of poses were trusted.
    """

    poses: Poses
    located: list[AbsolutePose | None]
    neighbors: np.ndarray
    training: Scene
    trust: UncertaintyModel

    @property
    def refined(self) -> np.ndarray:
        """(n,) True where the pose is a refined one."""
        return np.array([each is not None for each in self.located])

    @property
    def inliers(self) -> np.ndarray:
        """(n,) keypoints that agree with the refined pose, 0 without one."""
        return np.array([each.inliers if each else 0 for each in self.located])

    @property
    def deviations(self) -> np.ndarray:
        """(n, 2) standard deviations of the positions (scene's unit) and rotations (degrees): of refined poses by their
        keypoints, of regressed ones all alike, by those of held-out training images."""
        return np.array([self.trust.deviations(each) for each in self.located]).reshape(-1, 2)


class PnPRefiner:
    """Refines the poses of images against a gallery of training images and their landmarks."""

    def __init__(self, gallery: Gallery, landmarks: Landmarks):
        self.gallery, self.landmarks = gallery, landmarks
        self.poses = gallery.scene.poses
        self.forward = self.poses.rotations.apply([0.0, 0, 1])
        self.depth = _median_depth(self.poses, landmarks)

    def refine(
        self,
        paths: Sequence[Path],
        cameras: Sequence[Camera | None],
        first: Poses,
        descriptors: np.ndarray,
        trust: UncertaintyModel,
        answered: np.ndarray | None = None,
    ) -> RefinementResult:
        """Refine regressed poses. cameras: of the images as they lie on the disk. descriptors: by the network.
        answered: (n,) False where the regressed pose is meaningless; all are meant where it is not given.

        Where a image's focal length is only assumed, it is found together with the pose, if the image tells it.
        """
        if unknown := sum(
            camera is not None and not camera.has_known_focal_length for camera in cameras
        ):
            log.warning(
                "the focal length of %d images is not known, it is sought together with their pose",
                unknown,
            )
        located = self.locate(paths, cameras, first, descriptors)
        positions, quaternions = first.positions.copy(), first.quaternions_wxyz.copy()
        for row, each in enumerate(located):
            regressed = first.positions[row], first.rotations[row]
            if each is None or not _stands(
                each, regressed if answered is None or answered[row] else None, trust
            ):
                located[row] = None
            else:
                positions[row] = each.position
                quaternions[row] = each.rotation.as_quat(canonical=True, scalar_first=True)
        poses = Poses.from_quaternions(positions, quaternions)
        best = np.array([self.nearby(poses, row)[0] for row in range(len(poses))], int)
        return RefinementResult(poses, located, best, self.gallery.scene, trust)

    def locate(
        self,
        paths: Sequence[Path],
        cameras: Sequence[Camera | None],
        first: Poses,
        descriptors: np.ndarray,
        excluded: np.ndarray | None = None,
    ) -> list[AbsolutePose | None]:
        """What is found for each image by matching alone. excluded: training images not to be used."""
        usable = np.ones(len(self.poses), bool)
        if excluded is not None:
            usable[excluded] = False
        alike = self.gallery.nearest(descriptors, MORE_NEIGHBOURS + int((~usable).sum()))

        def work(row: int) -> AbsolutePose | None:
            nearby, similar = (
                each[usable[each]][:MORE_NEIGHBOURS]
                for each in (self.nearby(first, row), alike[row])
            )
            return self._one(paths[row], cameras[row], _merged(similar, nearby))

        return in_parallel(work, range(len(paths)), "refining")

    def nearby(self, poses: Poses, row: int) -> np.ndarray:
        """Rows of the training images that see what a pose should see, the nearest first."""
        turned = np.arccos(np.clip(self.forward @ poses.rotations[row].apply([0.0, 0, 1]), -1, 1))
        away = np.linalg.norm(self.poses.positions - poses.positions[row], axis=1) / self.depth
        return np.argsort(away + turned, kind="stable")

    def _one(self, path: Path, camera: Camera | None, neighbors: np.ndarray) -> AbsolutePose | None:
        if camera is None:
            return None
        keypoints = detect_or_empty(path, camera, KEYPOINTS)
        for tried in (neighbors[:NEIGHBOURS], neighbors[NEIGHBOURS:]):
            seen = [self.landmarks.seen(each) for each in tried]
            found = locate(keypoints, seen, camera.has_known_focal_length)
            if found is not None:
                return found
        return None


def _stands(
    found: AbsolutePose, regressed: tuple[np.ndarray, Rotation] | None, trust: UncertaintyModel
) -> bool:
    """Whether a refined pose is believed: by its keypoints alone, or because the regressed one agrees."""
    return found.inliers >= CERTAIN_INLIERS or (
        regressed is not None and trust.allows(*regressed, found)
    )


def _merged(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Both lists in turns, each row once."""
    turns = np.stack([first[: len(second)], second[: len(first)]], axis=1).ravel()
    return np.array(list(dict.fromkeys(turns.tolist())))


def _median_depth(poses: Poses, landmarks: Landmarks) -> float:
    """How far the landmarks lie from the images that see them, in the scene's unit."""
    rows = np.repeat(np.arange(len(poses)), np.diff(landmarks.starts))
    step = max(1, len(rows) // 20000)
    rows, points = rows[::step], landmarks.origin + landmarks.points[::step]
    return max(float(np.median(np.linalg.norm(points - poses.positions[rows], axis=1))), 1e-9)
