"""Values of a config.json, checked: the file can come from anybody."""

from __future__ import annotations

import math
from typing import Any, cast, get_args

from posenet.config import FORMAT_1_HEADS, Head, TrainingPlan
from posenet.errors import quote
from posenet.geometry.camera import Camera
from posenet.geometry.camera_models import CAMERA_MODELS
from posenet.geometry.cropping import Crop
from posenet.mapping.calibration import Corrections, IntrinsicsCorrection
from posenet.typed_values import check_types

# Largest side of the network's input and largest side of a camera's images, pixels.
MAX_INPUT_SIDE = 4096
MAX_CAMERA_SIDE = 100_000
# Largest coordinate, in scene units: ten times the radius of the earth in millimeters.
MAX_COORDINATE = 1e11


def parse_number(value: Any, name: str, *, positive: bool = False) -> float:
    """Return a finite number.

    Args:
        value: the value.
        name: what it is, for the error.
        positive: whether it must be more than 0.

    Returns:
        The number.

    Raises:
        ValueError: it is not a number, not finite, out of range, or not positive.
    """
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not is_number or not math.isfinite(value) or abs(value) > MAX_COORDINATE:
        raise ValueError(f"{name} must be a number, received {quote(value)}")
    if positive and value <= 0:
        raise ValueError(f"{name} must be more than 0, received {value}")
    return float(value)


def parse_point(values: Any, name: str) -> tuple[float, ...]:
    """Return a point of three coordinates.

    Args:
        values: the coordinates. A fourth, of format 1, is left out.
        name: what it is, for the error.

    Returns:
        The coordinates.

    Raises:
        ValueError: they are not three finite numbers.
    """
    if not isinstance(values, (list, tuple)) or len(values) not in (3, 4):
        raise ValueError(f"{name} must be 3 numbers, received {quote(values)}")
    return tuple(parse_number(value, name) for value in values[:3])


def parse_names(values: Any, name: str) -> tuple[str, ...]:
    """Return names of images.

    Args:
        values: the names.
        name: what they are, for the error.

    Returns:
        The names.

    Raises:
        ValueError: they are not a list of texts.
    """
    if not isinstance(values, (list, tuple)) or not all(isinstance(v, str) for v in values):
        raise ValueError(f"{name} must be a list of names, received {quote(values)}")
    return tuple(values)


def parse_crop(resized: Any, crop: Any) -> Crop:
    """Return how images are resized and cropped.

    Args:
        resized: height and width of the resized image.
        crop: height and width of the crop.

    Returns:
        The crop.

    Raises:
        ValueError: a side is out of range, or the crop is larger than the image.
    """
    outer = _parse_sides(resized, "resized_hw")
    inner = _parse_sides(crop, "crop_hw")
    if inner[0] > outer[0] or inner[1] > outer[1]:
        raise ValueError(f"crop_hw must not be larger than resized_hw, received {crop}, {resized}")
    return Crop(outer, inner)


def parse_head(value: Any) -> Head:
    """Return the network's head; format 1 has other names.

    Args:
        value: its name.

    Returns:
        The head.

    Raises:
        ValueError: there is no such head.
    """
    named = FORMAT_1_HEADS.get(value, value) if isinstance(value, str) else value
    for head in get_args(Head):
        if named == head:
            return cast(Head, head)
    raise ValueError(f"head must be one of {get_args(Head)}, received {quote(value)}")


def parse_camera(values: Any) -> Camera | None:
    """Return a camera; config.json of format 1 calls the camera model "lens".

    Args:
        values: its fields, or None.

    Returns:
        The camera.

    Raises:
        ValueError: a value is out of range. Missing and unknown fields raise TypeError.
    """
    if not values:
        return None
    camera = Camera(**{"model" if name == "lens" else name: v for name, v in values.items()})
    for name in ("width", "height"):
        side = getattr(camera, name)
        if type(side) is not int or not 0 < side <= MAX_CAMERA_SIDE:
            raise ValueError(f"the camera's {name} must be pixels, received {quote(side)}")
    for name in ("fx", "fy"):
        parse_number(getattr(camera, name), f"the camera's {name}", positive=True)
    for value in (camera.cx, camera.cy, *camera.distortion):
        parse_number(value, "the camera's numbers")
    if camera.model not in CAMERA_MODELS:
        raise ValueError(f"unknown camera model {quote(camera.model)}")
    return camera


def parse_corrections(values: Any) -> Corrections:
    """Return corrections of intrinsics by their source.

    Args:
        values: up to four numbers of each.

    Returns:
        The corrections.

    Raises:
        ValueError: a number is not finite, or a factor not positive.
    """
    corrections = {}
    for source, numbers in values.items():
        checked = [parse_number(number, "corrections") for number in numbers]
        parse_number(checked[0] if checked else 1.0, "a factor in corrections", positive=True)
        corrections[source] = IntrinsicsCorrection(*checked)
    return corrections


def parse_plan(values: Any) -> TrainingPlan | None:
    """Return what the training did with its time.

    Args:
        values: the fields, or None.

    Returns:
        The plan.

    Raises:
        ValueError: a value has another type. Missing and unknown fields raise TypeError.
    """
    if not values:
        return None
    check_types(TrainingPlan, values)
    return TrainingPlan(**values)


def _parse_sides(values: Any, name: str) -> tuple[int, int]:
    is_pair = isinstance(values, (list, tuple)) and len(values) == 2
    if not is_pair or not all(type(v) is int and 0 < v <= MAX_INPUT_SIDE for v in values):
        raise ValueError(
            f"{name} must be a height and a width of at most {MAX_INPUT_SIDE} pixels, "
            f"received {quote(values)}"
        )
    return (values[0], values[1])
