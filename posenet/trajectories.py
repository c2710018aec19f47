"""Pose files: TUM trajectories, which evo reads, and PoseNet's `name X Y Z W P Q R` lists."""

from __future__ import annotations

import logging
from pathlib import Path, PurePosixPath

import numpy as np

from posenet.errors import PoseNetError
from posenet.poses import Poses
from posenet.scene import Scene
from posenet.storage import write_text

log = logging.getLogger("posenet")


def write_tum(path: Path, poses: Poses, stamps: np.ndarray) -> None:
    """Write `stamp x y z qx qy qz qw` lines, camera-to-world. stamps: (n,) seconds, or picture numbers."""
    quaternions = np.roll(poses.quaternions_wxyz, -1, axis=1)
    lines = [
        " ".join([f"{stamp:.6f}", *(f"{value:.9f}" for value in (*position, *quaternion))])
        for stamp, position, quaternion in zip(stamps, poses.positions, quaternions, strict=True)
    ]
    write_text(path, "\n".join(lines) + "\n")


def read_poses(path: Path, scene: Scene) -> tuple[Poses, np.ndarray]:
    """Poses for a scene's pictures from a TUM file (stamp = picture number 0, 1, 2 ... in the scene) or from lines
    `name X Y Z W P Q R`, whose quaternion is in the scene's own convention and whose further columns are ignored.

    Returns n poses and a mask (n,) of the pictures that the file holds a usable pose for.
    Raises PoseNetError (file:line) for a malformed line, or a picture twice, and when no line fits the scene.
    """
    if not path.is_file():
        raise PoseNetError(f"{path}: no such pose file")
    table, sources = (_tum_rows if _is_tum(path) else _named_rows)(path, scene)
    positions, quaternions = np.zeros((len(scene), 3)), np.tile([1.0, 0, 0, 0], (len(scene), 1))
    found, listed = np.zeros(len(scene), bool), np.zeros(len(scene), bool)
    unknown = 0
    for (row, values), source in zip(table, sources, strict=True):
        if row is None:
            unknown += 1
            continue
        if listed[row]:
            raise PoseNetError(f"{source}: a picture must be listed once, {scene.names[row]} is listed again")
        listed[row] = True
        if np.isfinite(values).all() and np.linalg.norm(values[3:]) > 1e-6:
            positions[row], quaternions[row], found[row] = values[:3], values[3:], True
    if not listed.any():
        raise PoseNetError(f"{path} must hold poses of the scene's {len(scene)} pictures, none of its lines fits one")
    if unknown:
        log.warning("%s: %d lines are of no picture in the scene", path, unknown)
    return Poses.from_quaternions(positions, quaternions), found


def _is_tum(path: Path) -> bool:
    """Whether the first line that is no comment consists of eight numbers."""
    with open(path, encoding="utf-8", errors="replace") as file:
        for line in file:
            if line.strip() and not line.startswith("#"):
                try:
                    return len([float(word) for word in line.split()]) == 8
                except ValueError:
                    return False
    return False


def _tum_rows(path: Path, scene: Scene):
    """[(row or None, [x y z qw qx qy qz])] and the "file:line" of each."""
    rows, sources = [], []
    for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        try:
            stamp, *values = (float(word) for word in line.split())
        except ValueError:
            values = []
        if len(values) != 7:
            raise PoseNetError(f"{path}:{number}: a TUM line must be 8 numbers, received {line[:60]!r}")
        row = round(stamp) if np.isfinite(stamp) and 0 <= round(stamp) < len(scene) else None
        rows.append((row, np.array([*values[:3], values[6], *values[3:6]])))
        sources.append(f"{path}:{number}")
    return rows, sources


def _named_rows(path: Path, scene: Scene):
    from posenet.datasets.cambridge import read_list

    row_of = {_key(name): row for row, name in enumerate(scene.names)}
    sign = np.array([1, 1, 1, 1, -1, -1, -1]) if scene.quaternion_convention == "camera_from_world" else np.ones(7)
    listed = read_list(path)
    return [(row_of.get(_key(row.name)), np.array(row.pose) * sign) for row in listed], [row.source for row in listed]


def _key(name: str) -> str:
    """Names are compared without a leading slash and without their suffix."""
    return str(PurePosixPath(name.lstrip("/")).with_suffix(""))
