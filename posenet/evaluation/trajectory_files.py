"""Match the poses of TUM and KITTI trajectories with the images of a scene."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np

from posenet.datasets.formats import euroc, kitti
from posenet.datasets.formats.kitti_poses import read_trajectory
from posenet.datasets.formats.parsing import read_text
from posenet.datasets.formats.pose_columns import header_columns
from posenet.datasets.formats.pose_matrices import from_matrices
from posenet.datasets.formats.timestamps import describe_repeated, match_timestamps
from posenet.datasets.formats.tum_trajectory import read_tum_table
from posenet.datasets.scene import Scene
from posenet.errors import PoseNetError, count
from posenet.evaluation.pose_forms import MatchedPoses, match_images

log = logging.getLogger("posenet")


def read_kitti(path: Path, scene: Scene) -> MatchedPoses:
    """Read a KITTI trajectory. A line is a frame of a KITTI scene, or an image of the split.

    Args:
        path: the file.
        scene: n images.

    Returns:
        A pose for each image.

    Raises:
        PoseNetError: a line is not 12 numbers, or the number of lines fits neither.
    """
    matrices, places = read_trajectory(path)
    in_kitti = kitti.recognizes(scene.root)
    frames = [int(Path(name).stem) for name in scene.names] if in_kitti else []
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
    poses = kitti.camera_poses(scene.root, matrices) if in_kitti else from_matrices(matrices)
    for issue in poses.issues:
        log.warning("%s: %d x %s, %s", path, int(issue.rows.sum()), issue.kind, issue.action)
    images = np.arange(len(scene))
    return MatchedPoses(images, poses.positions[rows], poses.quaternions_wxyz[rows])


def read_timed(path: Path, scene: Scene) -> MatchedPoses:
    """Read lines with a time, or with the number of an image if the scene has no times.

    Args:
        path: a file that `read_tum_table` reads.
        scene: n images.

    Returns:
        The poses of those nearest in time, or of the numbered images.

    Raises:
        PoseNetError: a line is malformed, no time or number is of an image, or the poses are those
            of a body whose camera is unknown.
    """
    table, places = read_tum_table(path)
    header = header_columns(read_text(path))
    if header and header.is_body:
        table = _camera_table(path, table, scene)
    if scene.times is not None:
        for sentence in describe_repeated(table, places):
            log.warning("%s", sentence)
        return _match_by_time(path, table, places, scene.times)
    keys = _image_numbers(table, places, len(scene))
    images = {str(number): number for number in range(len(scene))}
    targets = match_images(keys, images, places, path)
    return MatchedPoses(targets, table[:, 1:4], np.roll(table[:, 4:], 1, axis=1))


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
) -> MatchedPoses:
    """Return the poses nearest in time to the images."""
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
    return MatchedPoses(targets, table[:, 1:4], quaternions)


def _image_numbers(table: np.ndarray, places: list[str], total: int) -> list[str]:
    """Return the timestamps of a TUM table, which must be numbers of images."""
    for timestamp, place in zip(table[:, 0], places, strict=True):
        if not (0 <= timestamp < total and timestamp == round(timestamp)):
            raise PoseNetError(
                f"{place}: the timestamp must be the number of an image of the split, 0 to "
                f"{total - 1}, received {timestamp:.15g}"
            )
    return [str(int(timestamp)) for timestamp in table[:, 0]]
