"""Write trajectories as a ROS 2 bag, without ROS."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from posenet.environment import import_extra
from posenet.errors import PoseNetError
from posenet.geometry.poses import Poses
from posenet.interop.bag_reader import METADATA, NANOSECONDS

ESTIMATE_TOPIC = "/estimate"
GROUND_TRUTH_TOPIC = "/groundtruth"
# The world frame of the scene. Poses are those of the camera's optical frame in it.
FRAME = "map"
POSE_TYPE = "geometry_msgs/msg/PoseStamped"
COVARIANCE_TYPE = "geometry_msgs/msg/PoseWithCovarianceStamped"
# Version of the bag format that ROS 2 Jazzy writes.
BAG_VERSION = 8
# Time stamps in seconds that a message can contain.
MAX_SECONDS = 2**31
AXES = 3


@dataclass(frozen=True, eq=False)
class BagTrajectory:
    """A trajectory to write.

    Attributes:
        topic: the topic.
        stamps: times in nanoseconds, shape (n,), integers.
        poses: n poses, world_from_camera.
        position_std: standard deviations of the positions over all three axes, scene units, shape
            (n,), NaN if unknown; None for poses without covariance.
        rotation_std_deg: the same of the rotations, degrees.
    """

    topic: str
    stamps: np.ndarray
    poses: Poses
    position_std: np.ndarray | None = None
    rotation_std_deg: np.ndarray | None = None


def to_nanoseconds(timestamps: np.ndarray) -> np.ndarray:
    """Convert times to those of messages.

    Args:
        timestamps: seconds, shape (n,).

    Returns:
        Nanoseconds, shape (n,), integers.

    Raises:
        PoseNetError: a message cannot contain such a time.
    """
    timestamps = np.asarray(timestamps, float)
    possible = (timestamps >= 0) & (timestamps < MAX_SECONDS)
    if not possible.all():
        raise PoseNetError(
            f"time stamps in a bag must be from 0 to {MAX_SECONDS - 1} seconds, "
            f"received {timestamps[~possible][0]:g}"
        )
    return np.rint(timestamps * NANOSECONDS).astype(np.int64)


def require_bags(needed_by: str) -> None:
    """Check that bags can be written, before the work starts.

    Args:
        needed_by: the option.

    Raises:
        MissingExtraError: the extra `bags` is not installed.
    """
    import_extra("rosbags.rosbag2", "bags", needed_by)


def require_new_bag(folder: Path, needed_by: str) -> None:
    """Check that a bag can be written, before the work starts.

    Args:
        folder: the folder to write.
        needed_by: the option.

    Raises:
        PoseNetError: the folder exists, or the extra `bags` is not installed.
    """
    require_bags(needed_by)
    if folder.exists():
        raise PoseNetError(f"output folder already exists: {folder}")


def remove_bag(folder: Path) -> None:
    """Remove a bag of an earlier evaluation; any other folder stays.

    Args:
        folder: the folder, which need not exist.
    """
    if (folder / METADATA).is_file():
        shutil.rmtree(folder)


def write_bag(folder: Path, trajectories: Sequence[BagTrajectory]) -> None:
    """Write trajectories as a bag with MCAP storage.

    Those with standard deviations are PoseWithCovarianceStamped, others PoseStamped.

    Args:
        folder: the folder to write, which must not exist.
        trajectories: the trajectories.

    Raises:
        PoseNetError: the folder exists or cannot be written, or the extra `bags` is not installed.
    """
    require_new_bag(folder, "writing a bag")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(prefix=f".{folder.name}.", dir=folder.parent) as temporary:
            unfinished = Path(temporary) / folder.name
            _write(unfinished, trajectories)
            unfinished.rename(folder)
    except OSError as error:
        raise PoseNetError(f"{folder} cannot be written: {error.strerror or error}") from None


def covariance(position_std: float, rotation_std_deg: float) -> np.ndarray:
    """Return a covariance matrix with the same uncertainty along and about all axes.

    Args:
        position_std: standard deviation over all three axes, scene units; NaN if unknown.
        rotation_std_deg: the same of the rotation, degrees.

    Returns:
        Row by row, x y z and the rotations about x y z in radians, shape (36,). Zeros if unknown,
        as in ROS.
    """
    variances = np.repeat([position_std**2, np.radians(rotation_std_deg) ** 2], AXES) / AXES
    return np.diag(np.nan_to_num(variances)).ravel()


def _write(folder: Path, trajectories: Sequence[BagTrajectory]) -> None:
    rosbag2 = import_extra("rosbags.rosbag2", "bags", "writing a bag")
    typesys = import_extra("rosbags.typesys", "bags", "writing a bag")
    types = typesys.get_typestore(typesys.Stores.ROS2_HUMBLE)
    plugin = rosbag2.StoragePlugin.MCAP
    with rosbag2.Writer(folder, version=BAG_VERSION, storage_plugin=plugin) as writer:
        entries = []
        for number, trajectory in enumerate(trajectories):
            name = POSE_TYPE if trajectory.position_std is None else COVARIANCE_TYPE
            connection = writer.add_connection(trajectory.topic, name, typestore=types)
            for row, stamp in enumerate(trajectory.stamps.tolist()):
                entries.append((stamp, number, row, connection))
        for stamp, number, row, connection in sorted(entries, key=lambda entry: entry[:3]):
            message = _message(types, trajectories[number], row)
            data = types.serialize_cdr(message, connection.msgtype)
            writer.write(connection, stamp, data)


def _message(types: Any, trajectory: BagTrajectory, row: int) -> Any:
    """Return the message of a pose."""

    def new(name: str) -> Any:
        return types.types[name]

    stamp = int(trajectory.stamps[row])
    time = new("builtin_interfaces/msg/Time")(stamp // NANOSECONDS, stamp % NANOSECONDS)
    header = new("std_msgs/msg/Header")(time, FRAME)
    x, y, z = trajectory.poses.positions[row].tolist()
    qw, qx, qy, qz = trajectory.poses.quaternions_wxyz[row].tolist()
    pose = new("geometry_msgs/msg/Pose")(
        new("geometry_msgs/msg/Point")(x, y, z), new("geometry_msgs/msg/Quaternion")(qx, qy, qz, qw)
    )
    if trajectory.position_std is None or trajectory.rotation_std_deg is None:
        return new(POSE_TYPE)(header, pose)
    matrix = covariance(trajectory.position_std[row], trajectory.rotation_std_deg[row])
    return new(COVARIANCE_TYPE)(header, new("geometry_msgs/msg/PoseWithCovariance")(pose, matrix))
