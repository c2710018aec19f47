"""What the text and the binary files of a COLMAP model have in common: their entries."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from posenet.datasets.formats.parsing import shorten
from posenet.errors import PoseNetError
from posenet.geometry.camera import Camera
from posenet.geometry.camera_models import camera_from_colmap


class ImageRecord(NamedTuple):
    """One image of a model.

    Attributes:
        number: IMAGE_ID.
        pose: camera_from_world: quaternion wxyz and translation, 7 numbers.
        camera: CAMERA_ID.
        name: name of the image.
        source: where the entry is, "file:line" or "file at byte".
    """

    number: int
    pose: tuple[float, ...]
    camera: int
    name: str
    source: str


class FrameRecord(NamedTuple):
    """What the sensors of a rig recorded at one moment.

    Attributes:
        number: FRAME_ID.
        images: IMAGE_ID of each image.
        source: where the entry is, "file:line" or "file at byte".
    """

    number: int
    images: list[int]
    source: str


class PointRecord(NamedTuple):
    """One 3-D point of a model.

    Attributes:
        position: x, y and z in the world frame.
        images: IMAGE_ID of each observation.
        color: red, green and blue, 0 to 255.
    """

    position: tuple[float, ...]
    images: list[int]
    color: tuple[float, ...]


def make_camera(
    model: str, size: tuple[int, int], parameters: tuple[float, ...], *, source: str
) -> Camera:
    """Return the camera of an entry.

    Args:
        model: name of the camera model.
        size: (width, height) in pixels.
        parameters: the parameters of the model.
        source: where the entry is, for messages.

    Returns:
        The camera.

    Raises:
        PoseNetError: the model is unknown, or a number is missing or invalid.
    """
    width, height = size
    try:
        camera = camera_from_colmap(model, width, height, parameters)
    except KeyError:
        raise PoseNetError(
            f"{source}: the camera model must be one of COLMAP's, received {shorten(model)}"
        ) from None
    except ValueError as error:
        raise PoseNetError(f"{source}: {error}") from None
    valid = min(size) > 0 and np.isfinite(parameters).all() and min(camera.fx, camera.fy) > 0
    if not valid:
        raise PoseNetError(
            f"{source}: size and focal length must be finite and above 0, received {camera}"
        )
    return camera
