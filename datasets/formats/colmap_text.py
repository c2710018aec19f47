"""Read the text files of a COLMAP model."""

from __future__ import annotations

from pathlib import Path

from posenet.datasets.formats.colmap_records import (
    FrameRecord,
    ImageRecord,
    PointRecord,
    make_camera,
)
from posenet.datasets.formats.image_names import tidy_name
from posenet.datasets.formats.parsing import parse_floats, raw_lines, shorten
from posenet.errors import PoseNetError
from posenet.geometry.camera import Camera

# Longest whole number that fits into 64 bits, in characters.
MAX_DIGITS = 19


def read_cameras(path: Path) -> dict[int, Camera]:
    """Read cameras.txt.

    Args:
        path: the file.

    Returns:
        The camera of each CAMERA_ID.

    Raises:
        PoseNetError: a line is malformed.
    """
    wanted = "a camera line must be CAMERA_ID MODEL WIDTH HEIGHT PARAMS..."
    cameras = {}
    for source, line in raw_lines(path):
        columns = line.split()
        if not columns:
            continue
        if len(columns) < 4:
            raise PoseNetError(f"{source}: {wanted}, received {shorten(line)}")
        width = _parse_int(columns[2], source, "WIDTH")
        height = _parse_int(columns[3], source, "HEIGHT")
        parameters = parse_floats(columns[4:], source, wanted)
        number = _parse_int(columns[0], source, "CAMERA_ID")
        cameras[number] = make_camera(columns[1], (width, height), parameters, source=source)
    return cameras


def read_images(path: Path) -> list[ImageRecord]:
    """Read images.txt: two lines per image. The second one contains keypoints and may be empty.

    Args:
        path: the file.

    Returns:
        The images in the order of the file.

    Raises:
        PoseNetError: a line is malformed.
    """
    wanted = "an image line must be IMAGE_ID QW QX QY QZ TX TY TZ CAMERA_ID NAME"
    images = []
    lines = iter(raw_lines(path))
    for source, line in lines:
        # An empty line before an image separates nothing.
        if not line:
            continue
        columns = line.split(maxsplit=9)
        if len(columns) != 10:
            raise PoseNetError(f"{source}: {wanted}, received {shorten(line)}")
        number = _parse_int(columns[0], source, "IMAGE_ID")
        camera = _parse_int(columns[8], source, "CAMERA_ID")
        pose = parse_floats(columns[1:8], source, wanted)
        keypoints_source, keypoints = next(lines, ("", ""))
        if len(keypoints.split()) % 3:
            raise PoseNetError(
                f"{keypoints_source}: the line after an image must contain X Y POINT3D_ID for each "
                f"keypoint or be empty, received {shorten(keypoints)}"
            )
        images.append(ImageRecord(number, pose, camera, tidy_name(columns[9]), source))
    return images


def read_frames(path: Path) -> list[FrameRecord]:
    """Read frames.txt, which COLMAP writes since 3.12.

    Args:
        path: the file.

    Returns:
        The frames in the order of the file.

    Raises:
        PoseNetError: a line is malformed.
    """
    wanted = (
        "a frame line must be FRAME_ID RIG_ID QW QX QY QZ TX TY TZ NUM_DATA_IDS and as many times "
        "SENSOR_TYPE SENSOR_ID DATA_ID"
    )
    frames = []
    for source, line in raw_lines(path):
        columns = line.split()
        if not columns:
            continue
        data = columns[10:]
        if len(columns) < 10 or len(data) != 3 * _parse_int(columns[9], source, "NUM_DATA_IDS"):
            raise PoseNetError(f"{source}: {wanted}, received {shorten(line)}")
        images = [
            _parse_int(image, source, "DATA_ID")
            for sensor_type, image in zip(data[::3], data[2::3], strict=True)
            if sensor_type == "CAMERA"
        ]
        frames.append(FrameRecord(_parse_int(columns[0], source, "FRAME_ID"), images, source))
    return frames


def read_points(path: Path) -> list[PointRecord]:
    """Read points3D.txt.

    Args:
        path: the file.

    Returns:
        The points in the order of the file.

    Raises:
        PoseNetError: a line is malformed.
    """
    wanted = "a point line must be POINT3D_ID X Y Z R G B ERROR and pairs IMAGE_ID POINT2D_IDX"
    points = []
    for source, line in raw_lines(path):
        columns = line.split()
        if not columns:
            continue
        if len(columns) < 8 or len(columns) % 2:
            raise PoseNetError(f"{source}: {wanted}, received {shorten(line)}")
        position = parse_floats(columns[1:4], source, wanted)
        color = parse_floats(columns[4:7], source, wanted)
        images = [_parse_int(column, source, "IMAGE_ID") for column in columns[8::2]]
        points.append(PointRecord(position, images, color))
    return points


def _parse_int(column: str, source: str, name: str) -> int:
    """Parse a whole number. Raises PoseNetError if it is not one."""
    is_whole = column.isascii() and column.lstrip("-").isdigit()
    if not is_whole or len(column) > MAX_DIGITS:
        raise PoseNetError(f"{source}: {name} must be a whole number, received {shorten(column)}")
    return int(column)
