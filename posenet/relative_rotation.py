"""How two pictures are turned against each other, measured from the pictures alone (SIFT, essential matrix)."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from scipy.spatial.transform import Rotation

from posenet.datasets.scene import Scene
from posenet.geometry.camera import Camera
from posenet.keypoints import detect_or_none, match, root_sift

KEYPOINTS, RATIO = 1500, 0.75
FEWEST_INLIERS, FEWEST_PAIRS = 30, 4


def measured_rotation(paths: list[Path], cameras: tuple[Camera, Camera]) -> Rotation | None:
    """second_from_first rotation of camera axes between two pictures; None where too little matches."""
    first, second = (detect_or_none(path, camera, KEYPOINTS) for path, camera in zip(paths, cameras, strict=True))
    rows, others = match(root_sift(first.descriptors), root_sift(second.descriptors), RATIO)
    if len(rows) < FEWEST_INLIERS:
        return None
    ours, theirs = first.rays[rows], second.rays[others]
    tolerance = 1.5 * max(first.pixel, second.pixel)
    essential, mask = cv2.findEssentialMat(ours, theirs, np.eye(3), cv2.RANSAC, 0.999, tolerance)
    if essential is None or essential.shape != (3, 3) or mask.sum() < FEWEST_INLIERS:
        return None
    _, turn, _, _ = cv2.recoverPose(essential, ours, theirs, np.eye(3), mask=mask)
    return Rotation.from_matrix(turn)


def rotation_agreement(scene: Scene, rotations: list[Rotation], most: int = 12) -> list[float] | None:
    """For each of several readings of the scene's rotations (camera to world), the median angle in degrees between
    the turns that it gives for neighbouring pictures and those measured; None where fewer than 4 pairs tell.

    Pairs are of one sequence, turned by 3 to 30 degrees, of pictures with intrinsics.
    """
    chosen = np.random.default_rng(0).permutation(_turned_pairs(scene, 3 * most)).tolist()
    errors: list[list[float]] = []
    paths = scene.paths
    for first, second in chosen:
        cameras = scene.cameras[first], scene.cameras[second]
        if cameras[0] is None or cameras[1] is None or len(errors) == most:
            continue
        found = measured_rotation([paths[first], paths[second]], (cameras[0], cameras[1]))
        if found is not None:
            turns = [each[second].inv() * each[first] for each in rotations]
            errors.append([float(np.degrees((turn.inv() * found).magnitude())) for turn in turns])
    return np.median(errors, axis=0).tolist() if len(errors) >= FEWEST_PAIRS else None


def _turned_pairs(scene: Scene, most: int) -> np.ndarray:
    """(k, 2) rows of pictures of one sequence, up to 8 apart, turned by 3 to 30 degrees, spread over the scene."""
    pairs: list[np.ndarray] = []
    for step in (1, 2, 4, 8):
        if len(scene) > step:
            rotations = scene.poses.rotations
            turned = np.degrees((rotations[:-step].inv() * rotations[step:]).magnitude())
            same = scene.sequences[step:] == scene.sequences[:-step]
            rows = np.flatnonzero(same & (turned > 3) & (turned < 30))
            pairs.append(np.stack([rows, rows + step], axis=1))
    joined = np.concatenate([np.zeros((0, 2), int), *pairs])
    return joined[np.unique(np.linspace(0, max(0, len(joined) - 1), most).astype(int))] if len(joined) else joined
