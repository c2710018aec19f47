"""Pose files: TUM trajectories, which evo reads too, and lists of named poses."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np

from posenet.datasets.formats import euroc, kitti
from posenet.datasets.formats.image_names import is_absolute, match_key, name_below
from posenet.datasets.formats.name_index import NameIndex, describe_moved
from posenet.datasets.formats.parsing import read_text
from posenet.datasets.formats.pose_columns import header_columns
from posenet.datasets.formats.pose_matrices import from_matrices
from posenet.datasets.formats.timestamps import match_timestamps
from posenet.datasets.formats.tum_trajectory import read_tum_table, write_tum
from posenet.datasets.scene import Scene
from posenet.errors import PoseNetError, count
from posenet.evaluation.pose_forms import PREDICTION_HEADER, PoseLines, find_form, read_named
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
        return _read_kitti(path, scene)
    if form == "timed":
        return _read_timed(path, scene)
    found = read_named(path, scene.quaternion_convention)
    images = {name: number for number, name in enumerate(scene.names)}
    keys = _scene_names(found.keys, scene, path)
    targets = _match_images(keys, images, found.places, path)
    return _in_scene_order(targets, found.positions, found.quaternions, len(scene), path)


def _read_kitti(path: Path, scene: Scene) -> tuple[Poses, np.ndarray]:
    """Return the poses of a KITTI trajectory, by frame numbers or by the order of the images."""
    matrices, places = kitti.read_trajectory(path)
    stems = [Path(name).stem for name in scene.names]
    frames = [int(stem) for stem in stems] if all(map(str.isdigit, stems)) else []
    if frames and len(places) > max(frames):
        rows = np.array(frames)
    elif len(places) == len(scene):
        rows = np.arange(len(scene))
    else:
        every = f", or for each frame from 0 to {max(frames)} at least" if frames else ""
        raise PoseNetError(
            f"{path}: a KITTI trajectory must have a line for each of "
            f"{count(len(scene), 'image')}{every}, received {count(len(places), 'line')}"
        )
    in_kitti = kitti.recognizes(scene.root)
    poses = kitti.camera_poses(scene.root, matrices) if in_kitti else from_matrices(matrices)
    for issue in poses.issues:
        log.warning("%s: %d x %s, %s", path, int(issue.rows.sum()), issue.kind, issue.action)
    images = np.arange(len(scene))
    return _in_scene_order(
        images, poses.positions[rows], poses.quaternions_wxyz[rows], len(scene), path
    )


def _read_timed(path: Path, scene: Scene) -> tuple[Poses, np.ndarray]:
    """Return the poses of lines with a time, or with the number of an image."""
    table, places = read_tum_table(path)
    header = header_columns(read_text(path))
    if header and header.is_body:
        table = _camera_table(path, table, scene)
    if scene.times is not None:
        return _match_by_time(path, table, places, scene.times)
    found = _check_numbers(table, places, len(scene))
    images = {str(number): number for number in range(len(scene))}
    targets = _match_images(found.keys, images, places, path)
    return _in_scene_order(targets, found.positions, found.quaternions, len(scene), path)


def _camera_table(path: Path, table: np.ndarray, scene: Scene) -> np.ndarray:
    """Return a TUM table of the camera for one of the body."""
    if not euroc.recognizes(scene.root):
        raise PoseNetError(
            f"{path}: the columns p_RS_R and q_RS are poses of the body, which need an EuRoC scene "
            "with T_BS; if they are of the camera, the header must be timestamp,x,y,z,qw,qx,qy,qz"
        )
    quaternions = np.roll(table[:, 4:], 1, axis=1)
    positions, quaternions = euroc.camera_from_body_poses(scene.root, table[:, 1:4], quaternions)
    return np.column_stack([table[:, 0], positions, np.roll(quaternions, -1, axis=1)])


def _match_by_time(
    path: Path, table: np.ndarray, places: list[str], times: np.ndarray
) -> tuple[Poses, np.ndarray]:
    """Return the poses nearest in time to the images, and the mask of those found."""
    timestamps = table[:, 0]
    lines = match_timestamps(times, np.where(np.isfinite(timestamps), timestamps, np.inf))
    if (lines < 0).all():
        raise PoseNetError(
            f"{places[0]}: a timestamp must be the time of an image, {times.min():.6f} to "
            f"{times.max():.6f} seconds, received {timestamps[0]:.6f}"
        )
    images = np.arange(len(times))
    looks_numbered = np.array_equal(np.sort(timestamps), images)
    if looks_numbered and not np.array_equal(times, images):
        log.warning("%s: timestamps are read as seconds, not as numbers of test images", path)
    table = table[lines]
    targets = np.where(lines >= 0, images, -1)
    quaternions = np.roll(table[:, 4:], 1, axis=1)
    return _in_scene_order(targets, table[:, 1:4], quaternions, len(times), path)


def _check_numbers(table: np.ndarray, places: list[str], total: int) -> PoseLines:
    """Return the lines of a TUM table whose timestamps are numbers of images."""
    for timestamp, place in zip(table[:, 0], places, strict=True):
        if not (0 <= timestamp < total and timestamp == round(timestamp)):
            raise PoseNetError(
                f"{place}: the timestamp must be the number of an image of the split, 0 to "
                f"{total - 1}, received {timestamp:.15g}"
            )
    keys = [str(int(timestamp)) for timestamp in table[:, 0]]
    return PoseLines(keys, table[:, 1:4], np.roll(table[:, 4:], 1, axis=1), places)


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


def _match_images(
    keys: list[str], images: dict[str, int], places: list[str], path: Path
) -> np.ndarray:
    """Return the image of each line, -1 for none, shape (k,)."""
    first_places: dict[str, str] = {}
    for key, place in zip(keys, places, strict=True):
        if key in first_places:
            raise PoseNetError(
                f"{place}: an image must appear once, {key} is already at {first_places[key]}"
            )
        first_places[key] = place
    targets = np.array([images.get(key, -1) for key in keys])
    unknown = int((targets < 0).sum())
    if unknown == len(keys):
        example = next(iter(images))
        raise PoseNetError(
            f"{path}: at least one pose must be of an image of the scene (names look like "
            f"{example}), received {keys[0]}"
        )
    if unknown:
        log.warning("%s: ignored %s of images outside the scene", path, count(unknown, "pose"))
    return targets


def _in_scene_order(
    targets: np.ndarray, positions: np.ndarray, quaternions: np.ndarray, total: int, path: Path
) -> tuple[Poses, np.ndarray]:
    """Return the poses in the order of the scene, and the mask of those found."""
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
    found = np.zeros(total, bool)
    found[targets[used]] = True
    return Poses.from_quaternions(ordered_positions, ordered_quaternions), found


def _is_valid(positions: np.ndarray, quaternions: np.ndarray) -> np.ndarray:
    """Return a mask of the poses that are finite and have a rotation."""
    return np.isfinite(positions).all(axis=1) & is_valid_quaternion(quaternions)
