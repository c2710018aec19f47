"""Read pose files: trajectories of TUM and KITTI, and lists of named poses."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np

from posenet.datasets.formats.image_names import is_absolute, match_key, name_below
from posenet.datasets.formats.name_index import NameIndex, describe_moved
from posenet.datasets.formats.tum_trajectory import read_tum_table, write_tum
from posenet.datasets.scene import Scene
from posenet.errors import PoseNetError, count
from posenet.evaluation.pose_forms import (
    PREDICTION_HEADER,
    MatchedPoses,
    find_form,
    match_images,
    read_named,
)
from posenet.evaluation.trajectory_files import read_kitti, read_timed
from posenet.geometry.poses import Poses, is_valid_quaternion

__all__ = ["PREDICTION_HEADER", "read_poses", "read_tum", "write_tum"]

log = logging.getLogger("posenet")


def read_tum(path: Path) -> tuple[Poses, np.ndarray]:
    """Read a TUM trajectory.

    Args:
        path: a file of lines `timestamp x y z qx qy qz qw`.

    Returns:
        n poses, world_from_camera, and their timestamps, shape (n,).

    Raises:
        PoseNetError: a line does not have 8 finite numbers, or its quaternion is zero.
    """
    table, places = read_tum_table(path)
    valid = _is_valid(table[:, 1:4], table[:, 4:])
    if not valid.all():
        place = places[int(np.argmin(valid))]
        raise PoseNetError(f"{place}: a pose must be finite and its quaternion non-zero")
    return Poses.from_quaternions(table[:, 1:4], np.roll(table[:, 4:], 1, axis=1)), table[:, 0]


def read_poses(path: Path, scene: Scene) -> tuple[Poses, np.ndarray]:
    """Read the poses of a scene's images from a file. Header and numbers determine its form.

    - TUM, `timestamp x y z qx qy qz qw`, world_from_camera. The timestamp is the number of the
      image in `scene` from 0. If the scene has times, it is a time in seconds or nanoseconds, and
      each image takes the nearest line.
    - `name X Y Z W P Q R`, with or without the Cambridge header; further columns are ignored. X Y Z
      is the camera center, W P Q R has the scene's own convention. What `posenet predict` printed
      is camera to world. The name may be a path to the image, or its unique end; a leading slash is
      ignored, and so is the suffix if only that differs.
    - `name qw qx qy qz tx ty tz`, world to camera, as hloc and ACE write it.
    - KITTI, 12 numbers, world_from_camera. A line is a frame of the sequence, or an image of the
      split.
    - Columns in any order that a header names. Comma-separated tables need one, and are
      world_from_camera. EuRoC's own names are those of the body, which T_BS of the scene converts.

    Named lines for other images are ignored. Invalid poses count as missing. The log states how
    many.

    Args:
        path: the pose file.
        scene: n images, usually one split of a scene.

    Returns:
        n poses, the identity for images without one, and a mask (n,) of those with one.

    Raises:
        PoseNetError: a line is malformed, an image appears twice, or no line matches.
    """
    form = find_form(path, scene.names)
    if form == "kitti":
        found = read_kitti(path, scene)
    elif form == "timed":
        found = read_timed(path, scene)
    else:
        found = _read_named(path, scene)
    return _in_scene_order(found, len(scene), path)


def _read_named(path: Path, scene: Scene) -> MatchedPoses:
    """Return the poses of a list of names."""
    found = read_named(path, scene.quaternion_convention)
    images = {name: number for number, name in enumerate(scene.names)}
    keys = _scene_names(found.keys, scene, path)
    targets = match_images(keys, images, found.places, path)
    return MatchedPoses(targets, found.positions, found.quaternions)


def _scene_names(written: list[str], scene: Scene, path: Path) -> list[str]:
    """Return the images of the scene that names in a pose file mean; other names are unchanged."""
    index = NameIndex(scene.names)
    known = set(scene.names)
    names = [_scene_name(name, scene.root, index) for name in written]
    moved = {
        name: found
        for name, found in zip(written, names, strict=True)
        if is_absolute(name)
        and found in known
        and match_key(name.lstrip("/")) != match_key(found)
        and not name_below(scene.root, name)
    }
    if moved:
        log.warning("%s: %s", path, describe_moved(list(moved), list(moved.values())))
    return names


def _scene_name(written: str, root: Path, index: NameIndex) -> str:
    """Return the image that a name means, as a name in the scene or from the current folder."""
    below = name_below(root, written)
    short = written.lstrip("/")
    found = (index.find(below) if below else None) or index.find(short) or index.find(written)
    ends = [found] if found else index.find_ending(short)
    return ends[0] if len(ends) == 1 else short


def _in_scene_order(found: MatchedPoses, total: int, path: Path) -> tuple[Poses, np.ndarray]:
    """Return the poses in the order of the scene, and the mask of those found."""
    targets, positions, quaternions = found
    valid = _is_valid(positions, quaternions)
    broken = int((~valid & (targets >= 0)).sum())
    if broken:
        log.warning(
            "%s: %s without finite numbers or rotation counted as missing",
            path,
            count(broken, "pose"),
        )
    used = valid & (targets >= 0)
    ordered_positions = np.zeros((total, 3))
    ordered_quaternions = np.tile([1.0, 0, 0, 0], (total, 1))
    ordered_positions[targets[used]] = positions[used]
    ordered_quaternions[targets[used]] = quaternions[used]
    mask = np.zeros(total, bool)
    mask[targets[used]] = True
    return Poses.from_quaternions(ordered_positions, ordered_quaternions), mask


def _is_valid(positions: np.ndarray, quaternions: np.ndarray) -> np.ndarray:
    """Return a mask of the poses that are finite and have a rotation."""
    return np.isfinite(positions).all(axis=1) & is_valid_quaternion(quaternions)
