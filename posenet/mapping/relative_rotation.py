"""Measure the relative rotation of two images, and compare it with labels."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from scipy.spatial.transform import Rotation

from posenet.datasets.scene import Scene, order_by_sequence
from posenet.geometry.camera import Camera
from posenet.mapping.keypoints import detect_or_empty
from posenet.mapping.matching import match, root_sift

MAX_KEYPOINTS = 1500
LOWE_RATIO = 0.75
MIN_INLIERS = 30
# RANSAC for the essential matrix: confidence, and tolerance in pixels.
CONFIDENCE = 0.999
TOLERANCE_PIXELS = 1.5
# Fewest and most pairs that are measured.
MIN_PAIRS = 4
MAX_PAIRS = 12
# Pairs are up to 8 images apart and rotated by 3 to 30 degrees.
STEPS = (1, 2, 4, 8)
MIN_ROTATION_DEG = 3
MAX_ROTATION_DEG = 30


class MeasuredRotation(NamedTuple):
    """A measured relative rotation.

    Attributes:
        first: index of the first image.
        second: index of the second image.
        second_from_first: the rotation between their camera axes.
    """

    first: int
    second: int
    second_from_first: Rotation


def measure_rotation(paths: tuple[Path, Path], cameras: tuple[Camera, Camera]) -> Rotation | None:
    """Measure the relative rotation of two images by their essential matrix.

    Args:
        paths: two image files.
        cameras: their cameras.

    Returns:
        second_from_first, a rotation between camera axes; None if too few keypoints match.
    """
    first = detect_or_empty(paths[0], cameras[0], MAX_KEYPOINTS)
    second = detect_or_empty(paths[1], cameras[1], MAX_KEYPOINTS)
    matches = match(root_sift(first.descriptors), root_sift(second.descriptors), ratio=LOWE_RATIO)
    if len(matches.first) < MIN_INLIERS:
        return None
    first_rays = first.rays[matches.first]
    second_rays = second.rays[matches.second]
    tolerance = TOLERANCE_PIXELS * max(first.pixel, second.pixel)
    essential, mask = cv2.findEssentialMat(
        first_rays, second_rays, np.eye(3), cv2.RANSAC, CONFIDENCE, tolerance
    )
    if essential is None or essential.shape != (3, 3) or mask.sum() < MIN_INLIERS:
        return None
    _, rotation, _, _ = cv2.recoverPose(essential, first_rays, second_rays, np.eye(3), mask=mask)
    return Rotation.from_matrix(rotation)


def measure_rotations(scene: Scene) -> list[MeasuredRotation]:
    """Measure the relative rotations of up to 12 pairs of neighboring images.

    Args:
        scene: the scene.

    Returns:
        The measured rotations; none if fewer than 4 pairs can be measured.
    """
    pairs = np.random.default_rng(0).permutation(_rotated_pairs(scene, 3 * MAX_PAIRS)).tolist()
    measured: list[MeasuredRotation] = []
    paths = scene.paths
    for first, second in pairs:
        first_camera = scene.cameras[first]
        second_camera = scene.cameras[second]
        if first_camera is None or second_camera is None or len(measured) == MAX_PAIRS:
            continue
        rotation = measure_rotation((paths[first], paths[second]), (first_camera, second_camera))
        if rotation is not None:
            measured.append(MeasuredRotation(first, second, rotation))
    return measured if len(measured) >= MIN_PAIRS else []


def rotation_disagreements_deg(
    measured: Sequence[MeasuredRotation], rotations: Rotation
) -> np.ndarray:
    """Compare rotations with measured relative rotations.

    Args:
        measured: k measured rotations.
        rotations: the rotations of n images from camera axes to world axes.

    Returns:
        The angle between each measured and labeled relative rotation in degrees, shape (k,).
    """
    first = rotations[[pair.first for pair in measured]]
    second = rotations[[pair.second for pair in measured]]
    relative = Rotation.concatenate([pair.second_from_first for pair in measured])
    angles: np.ndarray = np.degrees(((second.inv() * first).inv() * relative).magnitude())
    return angles


def _rotated_pairs(scene: Scene, max_pairs: int) -> np.ndarray:
    """Return pairs of rows (k, 2) of one sequence with a suitable rotation, spread evenly."""
    order = order_by_sequence(scene.sequences)
    rotations = scene.poses.rotations[order]
    sequences = scene.sequences[order]
    pairs = [np.zeros((0, 2), int)]
    for step in STEPS:
        if len(scene) <= step:
            continue
        angles = np.degrees((rotations[:-step].inv() * rotations[step:]).magnitude())
        same_sequence = sequences[step:] == sequences[:-step]
        suitable = (angles > MIN_ROTATION_DEG) & (angles < MAX_ROTATION_DEG)
        rows = np.flatnonzero(same_sequence & suitable)
        pairs.append(np.stack([order[rows], order[rows + step]], axis=1))
    joined = np.concatenate(pairs)
    if len(joined) == 0:
        return joined
    return joined[np.unique(np.linspace(0, len(joined) - 1, max_pairs).astype(int))]
