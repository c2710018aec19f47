"""Pose files: the TUM form, which evo reads, and lists of named poses."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from posenet.datasets.formats.image_files import nearest
from posenet.datasets.formats.parsing import (
    HEADERS,
    below,
    is_number,
    path_suffixes,
    read_lines,
    read_list,
    read_text,
    without_suffix,
)
from posenet.datasets.formats.tum import tum_table, write_tum
from posenet.datasets.scene import Scene
from posenet.errors import PoseNetError
from posenet.geometry.poses import Poses, is_valid_quaternion

__all__ = ["read_poses", "read_tum", "write_tum"]

log = logging.getLogger("posenet")

PREDICTED = "# name x y z qw qx qy qz, camera to world"  # heads what `posenet predict` prints
_CONJUGATE = np.array([1.0, -1.0, -1.0, -1.0])


def read_tum(path: Path) -> tuple[Poses, np.ndarray]:
    """The poses (world_from_camera) of a TUM file and their stamps (n,).

    Raises PoseNetError "file:line: ..." for a line that is not 8 numbers, not finite, or has no rotation.
    """
    table, places = tum_table(path)
    usable = _usable(table[:, 1:4], table[:, 4:])
    if not usable.all():
        raise PoseNetError(
            f"{places[int(np.argmin(usable))]}: a pose must be finite and its quaternion not zero"
        )
    return Poses.from_quaternions(table[:, 1:4], np.roll(table[:, 4:], 1, axis=1)), table[:, 0]


def read_poses(path: Path, scene: Scene) -> tuple[Poses, np.ndarray]:
    """Poses for the images of a scene (usually one split of it), and a mask (n,) of those that are in the file.

    The file holds either of two forms, told apart by the first line:
    - TUM, `stamp x y z qx qy qz qw`, world_from_camera: the stamp is the number of the image in `scene`, from 0, or,
      where the scene knows when its images were taken, the time in seconds: each takes the line nearest to it;
    - `name X Y Z W P Q R` with or without the Cambridge header, further columns ignored: X Y Z is the camera
      center and W P Q R has the scene's own convention (`scene.quaternion_convention`). The name may be a path to
      the image, or its end where that is the only one; a leading slash is ignored, and the suffix where only that
      differs. What `posenet predict` printed
      is camera to world.

    Named lines for images outside the scene are ignored, poses that are not finite or have no rotation count as
    missing; the log says how many. Rows where the mask is False hold the identity.
    Raises PoseNetError for a malformed line, a image given twice, and when no line fits the scene.
    """
    lines = read_lines(path)
    rows = [line for _, line in lines if not line.lower().startswith(HEADERS)]
    if not rows:
        raise PoseNetError(f"{path}: a pose file must hold at least one pose, it is empty")
    named = rows[0].split()[0]
    if is_number(named) and named.lstrip("/") not in scene.names:
        if scene.times is not None:
            return _timed(path, scene.times)
        keys, positions, quaternions, places = _numbered(path, len(scene))
        images = {str(number): number for number in range(len(scene))}
    else:
        keys, positions, quaternions, places = _named(path, scene)
        images = {name: number for number, name in enumerate(scene.names)}
        by_end = _alone(
            (end, name) for name in scene.names for end in path_suffixes(without_suffix(name))
        )
        by_end |= {without_suffix(name): name for name in scene.names}
        keys = [key if key in images else by_end.get(without_suffix(key), key) for key in keys]
    targets = _match(keys, images, places, path)
    return _poses_in_order(targets, positions, quaternions, len(scene), path)


def _timed(path: Path, times: np.ndarray) -> tuple[Poses, np.ndarray]:
    """The poses (world_from_camera) nearest in time to the images, and the mask of those found."""
    table, places = tum_table(path)
    lines = nearest(times, np.where(np.isfinite(table[:, 0]), table[:, 0], np.inf))
    if (lines < 0).all():
        raise PoseNetError(
            f"{places[0]}: a stamp must be a image's time, here {times.min():.6f} to {times.max():.6f} seconds, "
            f"received {table[0, 0]:.6f}"
        )
    images = np.arange(len(times))
    if np.array_equal(np.sort(table[:, 0]), images) and not np.array_equal(times, images):
        log.warning(
            "%s: its stamps are taken for times in seconds, not for the test images' numbers", path
        )
    table = table[lines]
    targets = np.where(lines >= 0, images, -1)
    return _poses_in_order(
        targets, table[:, 1:4], np.roll(table[:, 4:], 1, axis=1), len(times), path
    )


def _numbered(path: Path, count: int) -> tuple[list[str], np.ndarray, np.ndarray, list[str]]:
    """Image numbers as text, positions, quaternions (wxyz, world_from_camera) and places of a TUM file."""
    table, places = tum_table(path)
    for stamp, place in zip(table[:, 0], places, strict=True):
        if not (0 <= stamp < count and stamp == round(stamp)):
            wanted = f"the stamp must be the image's number in the split, 0 to {count - 1}"
            raise PoseNetError(f"{place}: {wanted}, received {stamp:.15g}")
    keys = [str(int(stamp)) for stamp in table[:, 0]]
    return keys, table[:, 1:4], np.roll(table[:, 4:], 1, axis=1), places


def _named(path: Path, scene: Scene) -> tuple[list[str], np.ndarray, np.ndarray, list[str]]:
    """Names, positions, quaternions (wxyz, world_from_camera) and places of a list."""
    rows = read_list(path)
    table = np.array([row.numbers for row in rows], np.float64).reshape(-1, 7)
    predicted = any(line.startswith(PREDICTED) for line in read_text(path).split("\n"))
    sign = (
        _CONJUGATE if scene.quaternion_convention == "camera_from_world" and not predicted else 1.0
    )
    known = set(map(without_suffix, scene.names))
    names = [_name(row.name, scene.root, known) for row in rows]
    return names, table[:, :3], table[:, 3:] * sign, [row.source for row in rows]


def _name(written: str, root: Path, known: set[str]) -> str:
    """The image's name below the root: as it is written, or what that path leads to from the current folder."""
    inside = below(root, written)
    return inside if inside and without_suffix(inside) in known else written.lstrip("/")


def _alone(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """The pairs whose first is there once only."""
    values: dict[str, list[str]] = {}
    for key, value in pairs:
        values.setdefault(key, []).append(value)
    return {key: found[0] for key, found in values.items() if len(found) == 1}


def _match(keys: list[str], images: dict[str, int], places: list[str], path: Path) -> np.ndarray:
    """(k,) the image that each line is for, -1 for none."""
    first_places: dict[str, str] = {}
    for key, place in zip(keys, places, strict=True):
        if key in first_places:
            raise PoseNetError(
                f"{place}: a image must be given once, {key} is already at {first_places[key]}"
            )
        first_places[key] = place
    targets = np.array([images.get(key, -1) for key in keys])
    unknown = int((targets < 0).sum())
    if unknown == len(keys):
        example = next(iter(images))
        raise PoseNetError(
            f"{path}: a pose for a image of the scene is needed (names like {example}), received {keys[0]}"
        )
    if unknown:
        log.warning("%s: %d poses for images outside the scene are ignored", path, unknown)
    return targets


def _poses_in_order(
    targets: np.ndarray, positions: np.ndarray, quaternions: np.ndarray, count: int, path: Path
) -> tuple[Poses, np.ndarray]:
    """The poses in the scene's order, and the mask of those found."""
    usable = _usable(positions, quaternions)
    broken = int((~usable & (targets >= 0)).sum())
    if broken:
        log.warning(
            "%s: %d poses that are not finite or have no rotation count as missing", path, broken
        )
    kept = usable & (targets >= 0)
    ordered_positions, ordered_quaternions = (
        np.zeros((count, 3)),
        np.tile([1.0, 0, 0, 0], (count, 1)),
    )
    ordered_positions[targets[kept]] = positions[kept]
    ordered_quaternions[targets[kept]] = quaternions[kept]
    found = np.zeros(count, bool)
    found[targets[kept]] = True
    return Poses.from_quaternions(ordered_positions, ordered_quaternions), found


def _usable(positions: np.ndarray, quaternions: np.ndarray) -> np.ndarray:
    """(n,) whether a pose is finite and its quaternion is not zero."""
    return np.isfinite(positions).all(axis=1) & is_valid_quaternion(quaternions)
