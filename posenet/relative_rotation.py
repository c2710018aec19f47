"""How two pictures are turned against each other, measured from the pictures alone (SIFT, essential matrix)."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from scipy.spatial.transform import Rotation

from posenet.errors import PoseNetError
from posenet.images import read_image
from posenet.scene import Camera, Scene

LONG_SIDE = 640
FEWEST_INLIERS, FEWEST_PAIRS = 30, 4


def measured_rotation(paths: list[Path], cameras: tuple[Camera, Camera]) -> Rotation | None:
    """second_from_first rotation of camera axes between two pictures; None where too little matches."""
    views = [_view(path, camera) for path, camera in zip(paths, cameras, strict=True)]
    if any(view is None for view in views):
        return None
    (first, first_found), (second, second_found) = views
    pairs = [
        pair[0]
        for pair in cv2.BFMatcher().knnMatch(first_found, second_found, k=2)
        if len(pair) == 2 and pair[0].distance < 0.75 * pair[1].distance
    ]
    if len(pairs) < FEWEST_INLIERS:
        return None
    ours = first[[pair.queryIdx for pair in pairs]]
    theirs = second[[pair.trainIdx for pair in pairs]]
    essential, mask = cv2.findEssentialMat(ours, theirs, np.eye(3), cv2.RANSAC, 0.999, 1.5 / LONG_SIDE)
    if essential is None or essential.shape != (3, 3) or mask.sum() < FEWEST_INLIERS:
        return None
    _, turn, _, _ = cv2.recoverPose(essential, ours, theirs, np.eye(3), mask=mask)
    return Rotation.from_matrix(turn)


def _view(path: Path, camera: Camera):
    """Keypoints on the plane z = 1 of the camera (n, 2), and their descriptors (n, 128)."""
    try:
        picture = read_image(path)
    except PoseNetError:
        return None
    height, width = picture.shape[:2]
    scale = min(1.0, LONG_SIDE / max(height, width))
    small = cv2.resize(picture, (round(width * scale), round(height * scale)), interpolation=cv2.INTER_AREA)
    keypoints, found = cv2.SIFT.create(1500).detectAndCompute(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY), None)
    if found is None or len(keypoints) < FEWEST_INLIERS:
        return None
    camera = camera.resized(small.shape[1], small.shape[0])
    pixels = np.array([keypoint.pt for keypoint in keypoints]) + 0.5
    return (pixels - (camera.cx, camera.cy)) / (camera.fx, camera.fy), found


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
