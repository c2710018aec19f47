"""Read VisualSFM's NVM files, version 3 (http://ccwu.me/vsfm/doc.html#nvm).

A camera line is `name focal qw qx qy qz cx cy cz radial 0`: world-to-camera quaternion, camera
CENTER. A point line is `X Y Z R G B count (image feature x y) ...`, x and y in pixels from the
principal point, which is the image center. COLMAP and OpenSfM count from the upper left corner.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from posenet.datasets.formats.image_names import tidy_name
from posenet.datasets.formats.parsing import read_lines, shorten
from posenet.datasets.formats.pose_columns import HLOC_COLUMNS, check_columns
from posenet.datasets.formats.tracks import to_colors
from posenet.errors import PoseNetError

log = logging.getLogger("posenet")

# VisualSFM writes a space in a name as a quotation mark.
QUOTED_SPACE = '"'


@dataclass(frozen=True, eq=False)
class NVMModel:
    """n cameras and m points.

    Attributes:
        names: names of the n images.
        sources: where each camera is, "file:line".
        focals: focal lengths in pixels, shape (n,).
        camera_from_world_wxyz: quaternions, shape (n, 4).
        centers: camera centers in the world frame, shape (n, 3).
        radials: VisualSFM's radial coefficients, shape (n,).
        points: points in the world frame, shape (m, 3).
        colors: RGB of the points, shape (m, 3), uint8.
        observations: rows (camera index, point index), shape (k, 2), int.
        extents: largest distance of the measurements of each camera from the image center, in
            pixels along x and y, shape (n, 2); 0 if unknown.
    """

    names: list[str]
    sources: list[str]
    focals: np.ndarray
    camera_from_world_wxyz: np.ndarray
    centers: np.ndarray
    radials: np.ndarray
    points: np.ndarray
    colors: np.ndarray
    observations: np.ndarray
    extents: np.ndarray


def read_nvm(path: Path) -> NVMModel:
    """Read the model with the most cameras among those that have points.

    A file may contain several models, each in its own world frame, and at the end one without
    points, with the images that could not be registered. A fixed calibration in the first line is
    ignored with a warning; the focal lengths are those of the cameras.

    Args:
        path: the NVM file.

    Returns:
        The model.

    Raises:
        PoseNetError: a line is malformed, or the file ends early.
    """
    lines = _Lines(path)
    version, *calibration = lines.next("NVM_V3").split()
    if version != "NVM_V3":
        raise lines.error("an NVM file must start with NVM_V3")
    if calibration:
        log.warning("%s: ignores the fixed calibration %s", lines.source, " ".join(calibration))
    models = [_read_model(lines)]
    while lines.has_another_model():
        models.append(_read_model(lines))
    candidates = [model for model in models if len(model.points)] or models[:1]
    largest = max(candidates, key=lambda model: len(model.names))
    if len(candidates) > 1:
        sizes = " + ".join(str(len(model.names)) for model in candidates)
        log.warning(
            "%s: reads the largest model, of %d images; the models have %s images",
            path,
            len(largest.names),
            sizes,
        )
    if calibration:
        # Measurements may count from the principal point of the calibration. They do not show how
        # large the images were.
        return replace(largest, extents=np.zeros_like(largest.extents))
    return largest


class _Lines:
    """The lines of a file that are not empty, read one by one."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lines = read_lines(path)
        self.number = 0

    @property
    def source(self) -> str:
        """Where the last line is, "file:line"."""
        return self.lines[self.number - 1][0]

    @property
    def at_end(self) -> bool:
        """Whether all lines have been read."""
        return self.number >= len(self.lines)

    def next(self, what: str) -> str:
        """Return the next line. Raises PoseNetError at the end of the file."""
        if self.at_end:
            raise PoseNetError(f"{self.path}: {what} must follow, the file ends")
        self.number += 1
        return self.lines[self.number - 1][1]

    def error(self, wanted: str) -> PoseNetError:
        """Return an error about the last line."""
        source, line = self.lines[self.number - 1]
        return PoseNetError(f"{source}: {wanted}, received {shorten(line)}")

    def next_count(self, what: str) -> int:
        """Return the number in the next line. Raises PoseNetError if it contains none."""
        line = self.next(what)
        if not (line.isascii() and line.isdigit()):
            raise self.error(f"{what} must be a whole number")
        return int(line)

    def has_another_model(self) -> bool:
        """Return whether another model follows; a 0 ends the models, as does the file."""
        line = "0" if self.at_end else self.lines[self.number][1]
        return line.isascii() and line.isdigit() and int(line) > 0


class _Points(NamedTuple):
    """The points of a model; attributes as in `NVMModel`."""

    positions: np.ndarray
    colors: np.ndarray
    observations: np.ndarray
    extents: np.ndarray


def _read_model(lines: _Lines) -> NVMModel:
    """Return the next model of the file."""
    names: list[str] = []
    sources: list[str] = []
    cameras: list[tuple[float, ...]] = []
    for _ in range(lines.next_count("the number of cameras")):
        name, *columns = lines.next("a camera line").rsplit(maxsplit=10)
        try:
            numbers = tuple(float(column) for column in columns)
        except ValueError:
            numbers = ()
        if len(numbers) != 10:
            raise lines.error("a camera line must be a name and 10 numbers")
        names.append(tidy_name(name.replace(QUOTED_SPACE, " ")))
        sources.append(lines.source)
        cameras.append(numbers)
    points = _read_points(lines, len(names))
    table = np.array(cameras, np.float64).reshape(-1, 10)
    check_columns(table[:, 1:8], HLOC_COLUMNS, sources, "a camera line must have QW QX QY QZ X Y Z")
    return NVMModel(
        names=names,
        sources=sources,
        focals=table[:, 0],
        camera_from_world_wxyz=table[:, 1:5],
        centers=table[:, 5:8],
        radials=table[:, 8],
        points=points.positions,
        colors=points.colors,
        observations=points.observations,
        extents=points.extents,
    )


def _read_points(lines: _Lines, num_cameras: int) -> _Points:
    """Return the points of a model with num_cameras cameras."""
    positions: list[tuple[float, ...]] = []
    colors: list[tuple[float, ...]] = []
    cameras: list[int] = []
    counts: list[int] = []
    pixels: list[tuple[float, float]] = []
    for _ in range(0 if lines.at_end else lines.next_count("the number of points")):
        columns = lines.next("a point line").split()
        try:
            x, y, z = map(float, columns[:3])
            red, green, blue = map(float, columns[3:6])
            observers = [int(column) for column in columns[7::4]]
            measured = list(
                zip(map(float, columns[9::4]), map(float, columns[10::4]), strict=False)
            )
            complete = len(columns) == 7 + 4 * int(columns[6])
        except (ValueError, IndexError):
            complete = False
        if not complete:
            raise lines.error(
                "a point line must be X Y Z R G B, a count, and 4 numbers for each measurement"
            )
        if observers and not 0 <= min(observers) <= max(observers) < num_cameras:
            raise lines.error(f"a point must be observed by cameras 0 to {num_cameras - 1}")
        positions.append((x, y, z))
        colors.append((red, green, blue))
        cameras += observers
        counts.append(len(observers))
        pixels += measured
    observations = np.column_stack(
        [np.array(cameras, np.int64), np.repeat(np.arange(len(positions)), counts)]
    ).astype(np.int64)
    extents = _measure_extents(observations[:, 0], np.array(pixels).reshape(-1, 2), num_cameras)
    return _Points(
        positions=np.array(positions, np.float64).reshape(-1, 3),
        colors=to_colors(colors),
        observations=observations,
        extents=extents,
    )


def _measure_extents(cameras: np.ndarray, pixels: np.ndarray, num_cameras: int) -> np.ndarray:
    """Return how far the measurements (k, 2) of each camera are from the image center, (n, 2)."""
    extents = np.zeros((num_cameras, 2))
    # Without negative numbers, pixels count from the corner.
    if len(pixels) and pixels.min() >= 0:
        pixels = pixels / 2
    np.maximum.at(extents, cameras, np.abs(pixels))
    return extents
