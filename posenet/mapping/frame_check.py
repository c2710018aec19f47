"""Check whether poses of new images are in the world frame of a landmark map."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from posenet.datasets.scene import Scene
from posenet.errors import count
from posenet.mapping.keypoints import Keypoints, detect_or_empty
from posenet.mapping.landmarks import MAX_KEYPOINTS, Landmarks
from posenet.mapping.matching import match, root_sift
from posenet.mapping.parallel import in_parallel
from posenet.mapping.vlad import load_or_build_vlad

# Images that are checked, and mapped images that each is matched with.
CHECKED_IMAGES = 24
NEIGHBORS = 3
# Fewest matches with one mapped image of an image that shows the same place.
MIN_MATCHES = 60
# Largest angle between a keypoint's ray and its landmark as the pose sees it, radians: 2 degrees.
MAX_ANGLE = np.radians(2.0)
# The frame is wrong if fewer matches agree, of at least this fraction of the checked images.
MIN_AGREEMENT = 0.2
MIN_RECOGNIZED = 0.25


@dataclass(frozen=True)
class FrameCheck:
    """How well new poses agree with a map.

    Attributes:
        num_images: number of images that were checked.
        num_recognized: how many of them show the mapped place.
        agreement: fraction of their matches that agree with their poses; NaN without matches.
    """

    num_images: int
    num_recognized: int
    agreement: float

    @property
    def is_wrong(self) -> bool:
        """Whether the images show the mapped place from elsewhere than their poses state."""
        is_known = self.num_recognized >= max(2, MIN_RECOGNIZED * self.num_images)
        return is_known and self.agreement < MIN_AGREEMENT

    def __str__(self) -> str:
        """Return the result in one line."""
        images = count(self.num_images, "image")
        if not self.num_recognized:
            return f"none of {images} shows the mapped place"
        return (
            f"{self.num_recognized} of {images} show the mapped place, {self.agreement:.0%} of "
            "their matches agree with the poses"
        )


def check_world_frame(scene: Scene, landmarks: Landmarks, folder: Path) -> FrameCheck:
    """Match some images with a map by appearance, and compare the landmarks with their poses.

    Wrong matches agree with a right pose as rarely as all do with a wrong one.

    Args:
        scene: new images with their poses.
        landmarks: the map.
        folder: its folder.

    Returns:
        The result.
    """
    vlad = load_or_build_vlad(landmarks, folder)
    rows = np.unique(np.linspace(0, len(scene) - 1, CHECKED_IMAGES).round().astype(int)).tolist()

    def count_row(row: int) -> tuple[int, int]:
        found = detect_or_empty(scene.paths[row], scene.cameras[row], MAX_KEYPOINTS)
        descriptors = root_sift(found.descriptors)
        counts = [
            _count_matches(scene, row, found, descriptors, landmarks, int(neighbor))
            for neighbor in vlad.rank(descriptors, NEIGHBORS)
        ]
        return max(counts, default=(0, 0))

    counts = [pair for pair in in_parallel(count_row, rows, "comparing") if pair[0] >= MIN_MATCHES]
    matches = sum(total for total, _ in counts)
    agreement = sum(agreeing for _, agreeing in counts) / matches if matches else float("nan")
    return FrameCheck(len(rows), len(counts), agreement)


def _count_matches(
    scene: Scene,
    row: int,
    found: Keypoints,
    descriptors: np.ndarray,
    landmarks: Landmarks,
    neighbor: int,
) -> tuple[int, int]:
    """Return the number of matches with a mapped image, and of those that agree with the pose."""
    observed = landmarks.observations(neighbor)
    matches = match(descriptors, root_sift(observed.keypoints.descriptors))
    offsets = observed.points[matches.second] - scene.poses.positions[row]
    local = scene.poses.rotations[row].inv().apply(offsets) if len(offsets) else offsets
    rays = np.column_stack([found.rays[matches.first], np.ones(len(local))])
    sines = np.linalg.norm(np.cross(local, rays), axis=1)
    angles = np.arctan2(sines, (local * rays).sum(axis=1))
    return len(matches.first), int((angles < MAX_ANGLE).sum())
