"""Is the rotation of a scene's labels read the right way round? Evidence from images, 3-D points and the poses.

The images decide for certain: how two of them are turned against each other can be measured, and labels of either
reading say how they should be. So do 3-D points: they must lie in front of the cameras that see them, and inside their
images. Where there is neither, the cameras' level may tell.

A camera that people carry or drive stays level: its right axis lies in the plane that it moves in. Read the wrong way
round (world to camera taken for camera to world), the right axes tilt out of that plane. On the Cambridge lists the
tilt is 3 to 5 degrees (RMS) read rightly and 12 to 46 read wrongly. It cannot tell where world and camera axes nearly
agree, and where the camera is tilted or moves on no plane.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
from scipy.spatial.transform import Rotation

from posenet.datasets.scene import Scene
from posenet.geometry.alignment import principal_axes
from posenet.geometry.camera import Camera
from posenet.mapping.keypoints import detect_or_empty
from posenet.mapping.matching import match, root_sift

Verdict = Literal["right", "wrong", "cannot tell"]
LEVEL_DEG = 8.0  # more tilt than this is no level camera
TILTED_DEG = 10.0  # the other reading must tilt by more than this, and by twice as much
OPENGL = Rotation.from_euler("x", 180, degrees=True)  # camera axes x right, y up, z back
AGREES_DEG = 3.0  # measured turns of a right reading differ by less
FLAT = 0.5  # the spread out of the plane against the second spread in it


@dataclass(frozen=True)
class ConventionCheck:
    """verdict on the rotations as they were read, and why. The numbers come in pairs, as read and inverted, None where
    not measured. turn_deg: median disagreement with the turns measured between images. in_view: share of 3-D points
    inside the images that see them. tilt_deg: RMS angle of the cameras' right axes with the plane of motion.
    """

    verdict: Verdict
    reason: str
    turn_deg: tuple[float, float] | None = None
    in_view: tuple[float, float] | None = None
    tilt_deg: tuple[float, float] | None = None


def check_convention(scene: Scene, images: bool = True) -> ConventionCheck:
    """Judge the scene's rotations by its images, else by its 3-D points, else by the cameras' level.

    images=False leaves the image files unlooked at.
    """
    read, inverted = scene.poses.rotations, scene.poses.rotations.inv()
    turns = rotation_agreement(scene, [read, inverted, read * OPENGL]) if images else None
    if turns is not None and (found := _by_images(turns)):
        return found
    seen, seen_inverted = _in_view(scene, read), _in_view(scene, inverted)
    if seen is not None and seen_inverted is not None and max(seen, seen_inverted) > 0.8:
        told = f"{seen:.0%} of the 3-D points lie inside the images that see them, {seen_inverted:.0%} inverted"
        if abs(seen - seen_inverted) > 0.3:
            verdict: Verdict = "right" if seen > seen_inverted else "wrong"
            return ConventionCheck(verdict, told, in_view=(seen, seen_inverted))
    return _by_level(scene, read, inverted)


def _by_images(turns: list[float]) -> ConventionCheck | None:
    """The verdict of the turns measured between images, as read, inverted, with OpenGL axes; None for no verdict."""
    told = f"turns measured between images differ from the labels' by {turns[0]:.1f} deg, inverted by {turns[1]:.1f}"
    best, others = min(turns), min(turns[1:])
    verdict: Verdict = "right" if turns[0] == best else "wrong"
    if best > AGREES_DEG or max(turns[0], others) < 2 * best + 1:
        return None
    if turns[2] == best:
        told += f", with OpenGL axes (x right, y up, z back) by {best:.1f}"
    return ConventionCheck(verdict, told, turn_deg=(turns[0], turns[1]))


def _by_level(scene: Scene, read: Rotation, inverted: Rotation) -> ConventionCheck:
    positions = scene.poses.positions
    if len(scene) < 10:
        return ConventionCheck("cannot tell", f"{len(scene)} cameras are too few")
    tilts = _tilt(positions, read), _tilt(positions, inverted)
    told = f"camera-right axes tilt {tilts[0]:.1f} deg out of the plane of motion, {tilts[1]:.1f} deg inverted"
    verdict: Verdict = "cannot tell"
    if _flatness(positions) > FLAT:
        told = "the cameras do not move in one plane"
    elif min(tilts) > LEVEL_DEG:
        told += ": not level in either reading"
    elif max(tilts) < max(TILTED_DEG, 2 * min(tilts)):
        told += ": too alike, as where world and camera axes nearly agree"
    else:
        verdict = "right" if tilts[0] < tilts[1] else "wrong"
    return ConventionCheck(verdict, told, tilt_deg=tilts)


def _plane(positions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The spreads (3,) of the positions along their main axes, and the normal (3,) of the plane of the first two."""
    spreads, axes = principal_axes(positions - np.median(positions, axis=0))
    return spreads, axes[2]


def _flatness(positions: np.ndarray) -> float:
    spreads, _ = _plane(positions)
    return float(spreads[2] / max(spreads[1], 1e-12))


def _tilt(positions: np.ndarray, rotations: Rotation) -> float:
    """RMS angle in degrees between the cameras' right axes and the plane of their positions."""
    _, normal = _plane(positions)
    return float(
        np.degrees(
            np.sqrt(np.mean(np.arcsin(np.clip(rotations.apply([1, 0, 0]) @ normal, -1, 1)) ** 2))
        )
    )


def _in_view(scene: Scene, rotations: Rotation, most: int = 5000) -> float | None:
    """Share of observations whose point lies in front of the camera and inside its image; None without enough."""
    if scene.points is None:
        return None
    known = np.array([camera is not None for camera in scene.cameras], bool)
    seen = scene.points.observations[known[scene.points.observations[:, 0]]]
    if len(seen) < 100:
        return None
    seen = seen[:: max(1, len(seen) // most)]
    offsets = scene.points.positions[seen[:, 1]] - scene.poses.positions[seen[:, 0]]
    x, y, z = rotations[seen[:, 0]].inv().apply(offsets).T
    sizes = np.array(
        [(c.fx, c.fy, c.cx, c.cy, c.width, c.height) if c else (1,) * 6 for c in scene.cameras]
    )
    fx, fy, cx, cy, width, height = sizes[seen[:, 0]].T
    with np.errstate(divide="ignore", invalid="ignore"):
        u, v = fx * x / z + cx, fy * y / z + cy
    margin = 0.05 * np.maximum(width, height)  # for the lens distortion, which is left out
    inside = (u > -margin) & (u < width + margin) & (v > -margin) & (v < height + margin)
    return float(np.mean((z > 0) & inside))


KEYPOINTS, RATIO = 1500, 0.75
MIN_INLIERS, FEWEST_PAIRS = 30, 4


def measured_rotation(paths: list[Path], cameras: tuple[Camera, Camera]) -> Rotation | None:
    """second_from_first rotation of camera axes between two images; None where too little matches."""
    first, second = (
        detect_or_empty(path, camera, KEYPOINTS)
        for path, camera in zip(paths, cameras, strict=True)
    )
    rows, others = match(root_sift(first.descriptors), root_sift(second.descriptors), RATIO)
    if len(rows) < MIN_INLIERS:
        return None
    ours, theirs = first.rays[rows], second.rays[others]
    tolerance = 1.5 * max(first.pixel, second.pixel)
    essential, mask = cv2.findEssentialMat(ours, theirs, np.eye(3), cv2.RANSAC, 0.999, tolerance)
    if essential is None or essential.shape != (3, 3) or mask.sum() < MIN_INLIERS:
        return None
    _, turn, _, _ = cv2.recoverPose(essential, ours, theirs, np.eye(3), mask=mask)
    return Rotation.from_matrix(turn)


def rotation_agreement(
    scene: Scene, rotations: list[Rotation], most: int = 12
) -> list[float] | None:
    """For each of several readings of the scene's rotations (camera to world), the median angle in degrees between
    the turns that it gives for neighboring images and those measured; None where fewer than 4 pairs tell.

    Pairs are of one sequence, turned by 3 to 30 degrees, of images with intrinsics.
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
    """(k, 2) rows of images of one sequence, up to 8 apart, turned by 3 to 30 degrees, spread over the scene."""
    pairs: list[np.ndarray] = []
    for step in (1, 2, 4, 8):
        if len(scene) > step:
            rotations = scene.poses.rotations
            turned = np.degrees((rotations[:-step].inv() * rotations[step:]).magnitude())
            same = scene.sequences[step:] == scene.sequences[:-step]
            rows = np.flatnonzero(same & (turned > 3) & (turned < 30))
            pairs.append(np.stack([rows, rows + step], axis=1))
    joined = np.concatenate([np.zeros((0, 2), int), *pairs])
    return (
        joined[np.unique(np.linspace(0, max(0, len(joined) - 1), most).astype(int))]
        if len(joined)
        else joined
    )
