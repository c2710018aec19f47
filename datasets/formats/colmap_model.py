"""Read a COLMAP model, text or binary: cameras, images, points3D.

Layout: colmap.github.io/format.html and COLMAP's src/colmap/scene/reconstruction_io*.cc. An image
contains cam_from_world: a Hamilton quaternion, w first, and a translation. Frames (COLMAP 3.12)
state which images the cameras of a rig took at one moment. Rigs are not needed, because every image
also contains its own pose.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from posenet.datasets.formats import colmap_binary, colmap_text
from posenet.datasets.formats.colmap_records import FrameRecord, ImageRecord, PointRecord
from posenet.datasets.formats.pose_columns import HLOC_COLUMNS, check_columns
from posenet.datasets.formats.tracks import to_colors
from posenet.datasets.rig_names import RigImage
from posenet.errors import PoseNetError
from posenet.geometry.camera import Camera


@dataclass(frozen=True, eq=False)
class ColmapModel:
    """n images and m points, in the order of the files.

    Attributes:
        names: names of the n images.
        sources: where each image is in the file, "file:line" or "file at byte".
        quaternions_wxyz: camera_from_world, shape (n, 4).
        translations: camera_from_world, shape (n, 3).
        cameras: n cameras.
        rig_images: frame and camera of each image; None without a file of frames, or if it does not
            contain every image.
        points: points in the world frame, shape (m, 3).
        observations: rows (image index, point index), shape (k, 2), int.
        colors: RGB of the points, shape (m, 3), uint8.
    """

    names: list[str]
    sources: list[str]
    quaternions_wxyz: np.ndarray
    translations: np.ndarray
    cameras: list[Camera | None]
    rig_images: list[RigImage] | None
    points: np.ndarray
    observations: np.ndarray
    colors: np.ndarray


def model_suffix(folder: Path) -> str | None:
    """Return the suffix of the files of a model.

    Args:
        folder: any folder.

    Returns:
        ".bin" or ".txt" if the folder contains cameras and images with it, else None.
    """
    for suffix in (".bin", ".txt"):
        if all((folder / (name + suffix)).is_file() for name in ("cameras", "images")):
            return suffix
    return None


def read_model(folder: Path) -> ColmapModel:
    """Read the model in a folder. The points are optional.

    Args:
        folder: the folder of the model.

    Returns:
        The model.

    Raises:
        PoseNetError: there is no model, or a file is malformed.
    """
    suffix = model_suffix(folder)
    if suffix is None:
        raise PoseNetError(f"{folder} must contain cameras and images, .bin or .txt")
    reader = colmap_binary if suffix == ".bin" else colmap_text
    cameras = reader.read_cameras(folder / f"cameras{suffix}")
    images = reader.read_images(folder / f"images{suffix}")
    for image in images:
        if image.camera not in cameras:
            raise PoseNetError(
                f"{image.source}: cameras{suffix} must contain the camera of the image, "
                f"received CAMERA_ID {image.camera}"
            )
    frames_file = folder / f"frames{suffix}"
    frames = reader.read_frames(frames_file) if frames_file.is_file() else []
    points_file = folder / f"points3D{suffix}"
    points = reader.read_points(points_file) if points_file.is_file() else []
    poses = np.array([image.pose for image in images], np.float64).reshape(-1, 7)
    sources = [image.source for image in images]
    check_columns(poses, HLOC_COLUMNS, sources, "an image must have QW QX QY QZ TX TY TZ")
    return ColmapModel(
        names=[image.name for image in images],
        sources=sources,
        quaternions_wxyz=poses[:, :4],
        translations=poses[:, 4:],
        cameras=[cameras[image.camera] for image in images],
        rig_images=_rig_images(images, frames),
        points=np.array([point.position for point in points], np.float64).reshape(-1, 3),
        observations=_observations(images, points),
        colors=to_colors([point.color for point in points]),
    )


def _rig_images(
    images: Sequence[ImageRecord], frames: Sequence[FrameRecord]
) -> list[RigImage] | None:
    """Return frame and camera of each image. Raises PoseNetError if an image is in two frames."""
    frame_of: dict[int, int] = {}
    for frame in frames:
        for image in frame.images:
            if frame_of.setdefault(image, frame.number) != frame.number:
                raise PoseNetError(
                    f"{frame.source}: an image must be in one frame, received IMAGE_ID {image} in "
                    f"the frames {frame_of[image]} and {frame.number}"
                )
    if not all(image.number in frame_of for image in images):
        return None
    return [RigImage(str(frame_of[image.number]), str(image.camera)) for image in images]


def _observations(images: Sequence[ImageRecord], points: Sequence[PointRecord]) -> np.ndarray:
    """Return the distinct rows (image index, point index), without images that are not listed."""
    row_of = {image.number: row for row, image in enumerate(images)}
    rows = [row_of.get(number, -1) for point in points for number in point.images]
    counts = [len(point.images) for point in points]
    observations = np.stack(
        [np.array(rows, np.int64), np.repeat(np.arange(len(points)), counts)], axis=1
    )
    return np.unique(observations[observations[:, 0] >= 0], axis=0)
