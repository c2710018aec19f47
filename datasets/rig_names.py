"""Recognize the images that several cameras took at the same moment by their names and poses.

Images of a rig have equal names in sibling folders (`cam0/000001.png`, `cam1/000001.png`) or names
that differ in one part (`000001_left.png`, `frame_00001_3.jpg`). So do images of several walks
(`seq-01/frame-000001.png`, `seq-02/frame-000001.png`). The poses distinguish them: the cameras of a
rig do not move relative to each other. If the poses do not decide, because the cameras hardly
rotate, the names must be those of cameras.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple

import numpy as np
from scipy.spatial.transform import Rotation

from posenet.datasets.formats.image_names import match_key
from posenet.geometry.poses import Poses, rotations_from_quaternions

# A part of a name that names a camera: cam0, pano_camera12, CAM_FRONT, left, rgb_right, image_2.
_CAMERA = re.compile(
    r"(?:\w+[-_])?cam(?:era)?(?:[-_]?\d+|[-_]\w+)|(?:\w+[-_])?(?:left|right)(?:[-_]\w+)?|image_0?[0-3]",
    re.IGNORECASE,
)
# Where the parts of a file name meet.
_JOINTS = re.compile(r"[-_.]|(?<=left)(?=\d)|(?<=right)(?=\d)|(?<=\d)(?=left|right)", re.IGNORECASE)
# More parts that differ are not compared by their poses.
MAX_CAMERAS = 32
# Fewest moments that two cameras must share for their poses to decide, and most that are compared.
MIN_SHARED = 3
MAX_SHARED = 200
# Cameras belong together if their relative rotation and position hardly vary: in degrees, and
# relative to how much one camera rotates and moves. They do not if the rotation varies by more.
MAX_RIG_DEG = 3.0
MIN_OTHER_DEG = 10.0
MAX_RIG_RATIO = 0.2
MIN_ROTATION_DEG = 10.0


class RigImage(NamedTuple):
    """An image as one of several cameras took it.

    Attributes:
        moment: what the names of all images of the moment have in common.
        camera: the part of the name that differs.
    """

    moment: str
    camera: str


def rig_from_names(
    names: Sequence[str], positions: np.ndarray, quaternions: np.ndarray
) -> list[RigImage] | None:
    """Find the moments of a rig by names and poses.

    Args:
        names: names of n images.
        positions: camera centers, shape (n, 3).
        quaternions: world_from_camera, wxyz, shape (n, 4).

    Returns:
        Moment and camera of each image; None if the images are not those of a rig.
    """
    rotations, valid = rotations_from_quaternions(quaternions)
    valid = valid & np.isfinite(positions).all(axis=1)
    poses = Poses(np.where(valid[:, None], positions, 0), rotations)
    for images in _divisions(names):
        rigs = _group_cameras(images, poses, valid)
        moments = [f"{image.moment} {rigs[image.camera]}" for image in images]
        if len(set(moments)) < len(moments):
            return [
                RigImage(moment, image.camera)
                for moment, image in zip(moments, images, strict=True)
            ]
    return None


def camera_word(name: str) -> str:
    """Return the part of a file name that names a camera.

    Args:
        name: name of an image.

    Returns:
        The part, such as "left"; "" if there is none.
    """
    words = _JOINTS.split(match_key(name.rpartition("/")[2]))
    return next((word for word in words if _CAMERA.fullmatch(word)), "")


def _divisions(names: Sequence[str]) -> Iterator[list[RigImage]]:
    """Divide names into moment and camera in every way that leaves several images of a moment."""
    split_names = [match_key(name).split("/") for name in names]
    depth = max(map(len, split_names), default=0)
    for place in range(2, depth + 1):
        yield from _distinct([_without(parts, -place, "/") for parts in split_names])
    words = [_JOINTS.split(parts[-1]) for parts in split_names]
    folders = ["/".join(parts[:-1]) for parts in split_names]
    for place in (-1, 0, *range(1, max(map(len, words), default=0) - 1)):
        files = [_without(each, place, "_") for each in words]
        yield from _distinct(
            [
                RigImage(f"{folder}/{file.moment}", file.camera)
                for folder, file in zip(folders, files, strict=True)
            ]
        )


def _without(parts: list[str], place: int, joint: str) -> RigImage:
    """Take one part of a name as the camera."""
    if not -len(parts) <= place < len(parts):
        return RigImage(joint.join(parts), "")
    place %= len(parts)
    return RigImage(joint.join([*parts[:place], "*", *parts[place + 1 :]]), parts[place])


def _distinct(images: list[RigImage]) -> Iterator[list[RigImage]]:
    """Yield the images if moments are shared, and no camera took two images of a moment."""
    if len(set(images)) == len(images) > len({image.moment for image in images}):
        yield images


def _group_cameras(images: list[RigImage], poses: Poses, valid: np.ndarray) -> dict[str, int]:
    """Return the number of the rig that each camera belongs to."""
    rows: dict[str, dict[str, int]] = {}
    for row, image in enumerate(images):
        rows.setdefault(image.camera, {})[image.moment] = row
    if len(rows) > MAX_CAMERAS:
        return {
            camera: 0 if _CAMERA.fullmatch(camera) else 1 + number
            for number, camera in enumerate(rows)
        }
    rigs: list[list[str]] = []
    for camera in rows:
        for rig in rigs:
            verdict = _compare(rows[rig[0]], rows[camera], poses, valid)
            is_named = bool(_CAMERA.fullmatch(camera) and _CAMERA.fullmatch(rig[0]))
            if verdict == "rig" or (verdict is None and is_named):
                rig.append(camera)
                break
        else:
            rigs.append([camera])
    return {camera: number for number, rig in enumerate(rigs) for camera in rig}


def _compare(
    first: dict[str, int], second: dict[str, int], poses: Poses, valid: np.ndarray
) -> Literal["rig", "other"] | None:
    """Return whether two cameras do not move relative to each other; None if that is unknown."""
    shared = [(first[moment], second[moment]) for moment in first if moment in second]
    pairs = np.array([pair for pair in shared if valid[list(pair)].all()], int).reshape(-1, 2)
    if len(pairs) < MIN_SHARED:
        return None
    pairs = pairs[np.unique(np.linspace(0, len(pairs) - 1, MAX_SHARED).astype(int))]
    one, other = poses[pairs[:, 0]], poses[pairs[:, 1]]
    varied_deg = _spread_deg(one.rotations.inv() * other.rotations)
    rotated_deg = _spread_deg(one.rotations)
    if varied_deg > MIN_OTHER_DEG:
        return "other"
    varied = _spread(one.rotations.inv().apply(other.positions - one.positions))
    is_constant = varied_deg < min(MAX_RIG_DEG, MAX_RIG_RATIO * rotated_deg)
    moves_along = varied <= MAX_RIG_RATIO * _spread(one.positions)
    return "rig" if rotated_deg > MIN_ROTATION_DEG and is_constant and moves_along else None


def _spread_deg(rotations: Rotation) -> float:
    """Return the median angle to the mean rotation in degrees."""
    return float(np.degrees(np.median((rotations.mean().inv() * rotations).magnitude())))


def _spread(positions: np.ndarray) -> float:
    """Return the median distance from the median position."""
    return float(np.median(np.linalg.norm(positions - np.median(positions, axis=0), axis=1)))
