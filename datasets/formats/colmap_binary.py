"""Read the binary files of a COLMAP model. They are little-endian."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

from posenet.datasets.formats.colmap_records import (
    FrameRecord,
    ImageRecord,
    PointRecord,
    make_camera,
)
from posenet.datasets.formats.image_names import tidy_name
from posenet.datasets.formats.parsing import shorten
from posenet.errors import PoseNetError
from posenet.geometry.camera import Camera
from posenet.geometry.camera_models import CAMERA_MODELS

MODEL_NAMES = {model.number: name for name, model in CAMERA_MODELS.items()}
# Smallest size of an entry in bytes.
MIN_CAMERA_BYTES = 24
MIN_IMAGE_BYTES = 73
MIN_FRAME_BYTES = 68
MIN_POINT_BYTES = 51
# Size of a keypoint (x, y, POINT3D_ID) and of an observation (IMAGE_ID, POINT2D_IDX) in bytes.
KEYPOINT_BYTES = 24
OBSERVATION_BYTES = 8
# Type of the sensors that take images; the others are IMUs.
CAMERA_SENSOR = 0


def read_cameras(path: Path) -> dict[int, Camera]:
    """Read cameras.bin.

    Args:
        path: the file.

    Returns:
        The camera of each CAMERA_ID.

    Raises:
        PoseNetError: the file is malformed or ends early.
    """
    file = _BinaryFile(path)
    cameras = {}
    for _ in range(file.read_count(MIN_CAMERA_BYTES)):
        source = file.source
        number, model_number, width, height = file.unpack("iiQQ")
        model = MODEL_NAMES.get(model_number)
        if model is None:
            raise PoseNetError(
                f"{source}: the camera model must be one of COLMAP's (0 to {max(MODEL_NAMES)}), "
                f"received {model_number}"
            )
        parameters = file.unpack(f"{CAMERA_MODELS[model].num_parameters}d")
        cameras[number] = make_camera(model, (width, height), parameters, source=source)
    return cameras


def read_images(path: Path) -> list[ImageRecord]:
    """Read images.bin.

    Args:
        path: the file.

    Returns:
        The images in the order of the file.

    Raises:
        PoseNetError: the file is malformed or ends early.
    """
    file = _BinaryFile(path)
    images = []
    for _ in range(file.read_count(MIN_IMAGE_BYTES)):
        source = file.source
        number, *pose, camera = file.unpack("i7di")
        name = tidy_name(file.read_name())
        file.skip(KEYPOINT_BYTES * file.read_count(KEYPOINT_BYTES))
        images.append(ImageRecord(number, tuple(pose), camera, name, source))
    return images


def read_frames(path: Path) -> list[FrameRecord]:
    """Read frames.bin, which COLMAP writes since 3.12.

    Args:
        path: the file.

    Returns:
        The frames in the order of the file.

    Raises:
        PoseNetError: the file is malformed or ends early.
    """
    file = _BinaryFile(path)
    frames = []
    for _ in range(file.read_count(MIN_FRAME_BYTES)):
        source = file.source
        number, _, *_, length = file.unpack("II7dI")
        data = [file.unpack("iIQ") for _ in range(length)]
        images = [image for sensor_type, _, image in data if sensor_type == CAMERA_SENSOR]
        frames.append(FrameRecord(number, images, source))
    return frames


def read_points(path: Path) -> list[PointRecord]:
    """Read points3D.bin.

    Args:
        path: the file.

    Returns:
        The points in the order of the file.

    Raises:
        PoseNetError: the file is malformed or ends early.
    """
    file = _BinaryFile(path)
    points = []
    for _ in range(file.read_count(MIN_POINT_BYTES)):
        _, x, y, z, *color, _ = file.unpack("Q3d3Bd")
        length = file.read_count(OBSERVATION_BYTES)
        images = list(file.unpack(f"{2 * length}i"))[::2]
        points.append(PointRecord((x, y, z), images, tuple(color)))
    return points


class _BinaryFile:
    """Reads a file piece by piece, never beyond its end."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self.data = path.read_bytes()
        except OSError as error:
            raise PoseNetError(f"{path}: the file cannot be read ({error.strerror})") from None
        self.offset = 0

    @property
    def source(self) -> str:
        """The current location, for messages."""
        return f"{self.path} at byte {self.offset}"

    def unpack(self, layout: str) -> tuple[Any, ...]:
        """Read values in a layout of `struct`, without padding."""
        size = struct.calcsize("<" + layout)
        self._require(size)
        values = struct.unpack_from("<" + layout, self.data, self.offset)
        self.offset += size
        return values

    def read_count(self, min_size: int) -> int:
        """Read how many entries follow, of `min_size` bytes each or more.

        A number that the file is too short for is refused before memory is allocated.
        """
        number: int = self.unpack("Q")[0]
        self._require(number * min_size)
        return number

    def read_name(self) -> str:
        """Read a text that ends with a zero byte."""
        end = self.data.find(b"\0", self.offset)
        if end < 0:
            raise PoseNetError(
                f"{self.path}: the name at byte {self.offset} must end with a zero byte, the file "
                "ends before"
            )
        name = self.data[self.offset : end]
        self.offset = end + 1
        try:
            return name.decode("utf-8")
        except UnicodeDecodeError:
            raise PoseNetError(
                f"{self.path}: the name before byte {end} must be UTF-8, "
                f"received {shorten(repr(name))}"
            ) from None

    def skip(self, size: int) -> None:
        """Skip bytes."""
        self._require(size)
        self.offset += size

    def _require(self, size: int) -> None:
        """Raise PoseNetError if fewer bytes are left."""
        left = len(self.data) - self.offset
        if size > left:
            raise PoseNetError(
                f"{self.path}: {size} more bytes are needed at byte {self.offset}, "
                f"only {left} follow"
            )
