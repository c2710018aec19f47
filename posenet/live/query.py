"""One image to localize, and the parameters that a client may add to it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from posenet.errors import PoseNetError
from posenet.geometry.camera import Camera
from posenet.live.limits import MAX_NAME, MAX_TRACK_NAME

INTRINSICS = ("fx", "fy", "cx", "cy")
PARAMETERS = ("name", "track", *INTRINSICS, "fov_deg")
DEFAULT_NAME = "image"
# Focal lengths that are accepted, in larger sides of the image: fields of view of 3 to 157 degrees.
MIN_FOCAL = 0.1
MAX_FOCAL = 20.0


@dataclass(frozen=True)
class Query:
    """An image that a client has sent.

    Attributes:
        path: its file.
        width: width of the upright image in pixels.
        height: height of the upright image in pixels.
        name: the client's name of the image.
        track: the sequence that the image is the next of, None for a single image.
        camera: the camera that the client states, None if it states none.
    """

    path: Path
    width: int
    height: int
    name: str = DEFAULT_NAME
    track: str | None = None
    camera: Camera | None = None


def check_parameters(parameters: Mapping[str, str]) -> None:
    """Check the names and values of the parameters, before an image is received.

    Args:
        parameters: the query string of the request.

    Raises:
        PoseNetError: a parameter is unknown or out of range.
    """
    for name in parameters:
        if name not in PARAMETERS:
            raise PoseNetError(
                f"parameters must be among {', '.join(PARAMETERS)}, received {printable(name)}"
            )
    track = parameters.get("track")
    if track is not None and not 0 < len(track) <= MAX_TRACK_NAME:
        raise PoseNetError(
            f"track must have 1 to {MAX_TRACK_NAME} characters, received {len(track)}"
        )
    stated_camera(parameters, 1, 1)


def to_query(path: Path, size: tuple[int, int], parameters: Mapping[str, str]) -> Query:
    """Return the query of an image with checked parameters.

    Args:
        path: the image file.
        size: (width, height) of the upright image in pixels.
        parameters: the query string of the request.

    Returns:
        The query.
    """
    return Query(
        path,
        *size,
        name=printable(parameters.get("name") or DEFAULT_NAME),
        track=parameters.get("track"),
        camera=stated_camera(parameters, *size),
    )


def stated_camera(parameters: Mapping[str, str], width: int, height: int) -> Camera | None:
    """Return the camera that the parameters state.

    Args:
        parameters: fx and optionally fy, cx, cy in pixels; or fov_deg, the horizontal field of
            view in degrees.
        width: width of the upright image in pixels.
        height: height of the upright image in pixels.

    Returns:
        The camera; None if there are no such parameters.

    Raises:
        PoseNetError: a value is not a number in its range, or parameters contradict each other.
    """
    given = [name for name in INTRINSICS if name in parameters]
    if "fov_deg" in parameters:
        if given:
            raise PoseNetError(f"fov_deg must be given without {', '.join(given)}")
        degrees = _number(parameters, "fov_deg")
        if not 0 < degrees < 180:
            raise PoseNetError(f"fov_deg must be between 0 and 180, received {degrees:g}")
        focal = width / 2 / math.tan(math.radians(degrees) / 2)
        return _plausible(Camera(width, height, focal, focal, width / 2, height / 2))
    if not given:
        return None
    if "fx" not in parameters:
        raise PoseNetError(f"{', '.join(given)} must be given with fx")
    values = {name: _number(parameters, name) for name in given}
    for name in ("fx", "fy"):
        if values.get(name, 1.0) <= 0:
            raise PoseNetError(f"{name} must be greater than 0, received {values[name]:g}")
    fx = values["fx"]
    return _plausible(
        Camera(
            width,
            height,
            fx,
            values.get("fy", fx),
            values.get("cx", width / 2),
            values.get("cy", height / 2),
        )
    )


def _plausible(camera: Camera) -> Camera:
    """Return a camera whose images can be warped in bounded time and memory."""
    side = max(camera.width, camera.height)
    for name in ("fx", "fy"):
        focal = getattr(camera, name)
        if not MIN_FOCAL * side <= focal <= MAX_FOCAL * side:
            raise PoseNetError(
                f"{name} must be {MIN_FOCAL:g} to {MAX_FOCAL:g} times the larger side of the "
                f"image, {side} pixels, received {focal:g}"
            )
    for name, length in (("cx", camera.width), ("cy", camera.height)):
        place = getattr(camera, name)
        if not 0 <= place <= length:
            raise PoseNetError(f"{name} must be within the image, 0 to {length}, got {place:g}")
    return camera


def printable(text: str) -> str:
    """Return text from a client in a form that is safe in a log and in a message.

    Args:
        text: the text.

    Returns:
        At most 200 characters; those that cannot be printed are replaced by "?".
    """
    return "".join(each if each.isprintable() else "?" for each in text[:MAX_NAME])


def _number(parameters: Mapping[str, str], name: str) -> float:
    text = parameters[name]
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise PoseNetError(f"{name} must be a number, received {printable(text)}")
    return value
