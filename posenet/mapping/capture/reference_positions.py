"""Known camera positions: a file in meters or in degrees, or the GPS data of photos."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from posenet.datasets.formats.image_names import match_key, replace_spaces, tidy_name
from posenet.datasets.formats.parsing import (
    count_name_columns,
    is_number,
    parse_floats,
    read_lines,
    read_text,
    shorten,
)
from posenet.errors import PoseNetError, count
from posenet.geometry.geodesy import enu_from_geodetic
from posenet.io.image_headers import read_exif_block

log = logging.getLogger("posenet")

# Position of each image in meters, by its name without suffix.
Positions = dict[str, tuple[float, ...]]

# The value of --reference-positions for the GPS data of the photos.
EXIF = Path("exif")
# Names of the columns of a file, in lower case.
METRIC = (("x",), ("y",), ("z",))
GEODETIC = (
    ("lat", "latitude", "gps_latitude", "gpslatitude"),
    ("lon", "long", "lng", "longitude", "gps_longitude", "gpslongitude"),
    ("alt", "altitude", "height", "elevation", "ele", "gps_altitude", "gpsaltitude"),
)
MAX_DEGREES = np.array([90.0, 180.0])
# Numbers without a header look like degrees if they are within this distance of each other, 11 km
# on the ground, and this many times as far from zero. A metric scene is never so small and so far.
MAX_DEGREES_EXTENT = 0.1
MIN_DEGREES_RATIO = 200.0
# EXIF 2.3: the GPS block and its tags. The reference of a height below the sea is 1.
GPS_IFD = 0x8825
LATITUDE_REF, LATITUDE = 1, 2
LONGITUDE_REF, LONGITUDE = 3, 4
ALTITUDE_REF, ALTITUDE = 5, 6
BELOW_SEA = b"\x01"
_UNIT = re.compile(r"\[[^\]]{0,40}\]|\([^)]{0,40}\)")


class _Columns(NamedTuple):
    """The columns of the three coordinates and of the name."""

    coordinates: tuple[int, ...]
    name: int
    is_geodetic: bool


def read_positions(file: Path) -> Positions:
    """Read lines `name X Y Z`, separated by spaces or commas; further columns are ignored.

    A header may name the columns in any order: x y z in meters, or lat lon alt in degrees and
    meters. Degrees become east, north and up in meters.

    Args:
        file: a text file.

    Returns:
        Position of each image in meters, by its name without suffix.

    Raises:
        PoseNetError: a line is malformed, or its numbers are like degrees and there is no header.
    """
    header = _read_header(file)
    columns = header or _Columns((1, 2, 3), 0, False)
    wanted = "a line must be a name and X Y Z in meters"
    if columns.is_geodetic:
        wanted = "a line must have latitude and longitude in degrees, and height in meters"
    known: Positions = {}
    for place, line in read_lines(file):
        if header and not known and _find_columns(line):
            continue
        cells = _split_cells(line, columns)
        if len(cells) <= max(columns.name, *columns.coordinates):
            raise PoseNetError(f"{place}: {wanted}, received {shorten(line)}")
        position = parse_floats([cells[index] for index in columns.coordinates], place, wanted)
        is_valid = np.isfinite(position).all()
        if columns.is_geodetic:
            is_valid &= bool((np.abs(position[:2]) <= MAX_DEGREES).all())
        if not is_valid:
            raise PoseNetError(f"{place}: {wanted}, received {shorten(line)}")
        known[reconstruction_stem(cells[columns.name])] = position
    if columns.is_geodetic:
        return to_meters(known, str(file))
    if header is None and _look_like_degrees(known):
        raise PoseNetError(
            f"{file}: X Y Z must be in meters, received numbers like latitude and longitude: a "
            "first line must name the columns, '# name lat lon alt' or '# name x y z'"
        )
    return known


def read_exif_positions(folder: Path, names: Sequence[str]) -> Positions:
    """Read the GPS data of photos.

    Args:
        folder: the folder of the images.
        names: names of the images below it.

    Returns:
        East, north and up in meters of each image with GPS data, by its name without suffix.

    Raises:
        PoseNetError: no image has a latitude, a longitude and a height.
    """
    found = {name: _gps_position(folder / name) for name in names}
    missing = [name for name, position in found.items() if position is None]
    if len(missing) == len(names):
        raise PoseNetError(
            "--reference-positions exif needs photos with latitude, longitude and height in their "
            f"EXIF data, none of {count(len(names), 'image')} has them"
        )
    if missing:
        log.warning("%s without GPS data, such as %s", count(len(missing), "image"), missing[0])
    known = {match_key(name): place for name, place in found.items() if place is not None}
    return to_meters(known, "EXIF")


def to_meters(geodetic: Positions, source: str) -> Positions:
    """Convert positions to east, north and up about their mean.

    Args:
        geodetic: latitude and longitude in degrees, and height in meters, of each image.
        source: where they are from, for the log.

    Returns:
        Positions in meters.
    """
    if not geodetic:
        return {}
    table = np.array(list(geodetic.values()))
    # A scene may be on both sides of longitude 180.
    table[:, 1] -= 360 * np.round((table[:, 1] - table[0, 1]) / 360)
    origin = table.mean(axis=0)
    log.info(
        "%s: positions are east, north and up in meters from latitude %.7f, longitude %.7f, height "
        "%.2f m",
        source,
        *origin,
    )
    local = enu_from_geodetic(table, origin).tolist()
    return {name: tuple(position) for name, position in zip(geodetic, local, strict=True)}


def reconstruction_stem(name: str) -> str:
    """Return the name that a user's image has in a reconstruction, without its suffix.

    Args:
        name: the name as a user writes it.

    Returns:
        The name.
    """
    return replace_spaces(match_key(tidy_name(name)))


def _read_header(file: Path) -> _Columns | None:
    """Return the columns that a comment before the first line, or that line, names."""
    found = None
    for line in read_text(file).split("\n"):
        found = _find_columns(line) or found
        if line.strip() and not line.lstrip().startswith("#"):
            break
    return found


def _find_columns(line: str) -> _Columns | None:
    """Return the columns that a line names; None if it does not name three coordinates."""
    cells = re.split(r"[\s,;]+", _UNIT.sub("", line).strip("# \t\r").lower())
    for is_geodetic, known in ((True, GEODETIC), (False, METRIC)):
        found = [[row for row, cell in enumerate(cells) if cell in names] for names in known]
        if all(len(rows) == 1 for rows in found):
            coordinates = tuple(rows[0] for rows in found)
            others = [row for row in range(len(cells)) if row not in coordinates]
            return _Columns(coordinates, others[0], is_geodetic) if others else None
    return None


def _split_cells(line: str, columns: _Columns) -> list[str]:
    """Split at commas, or at spaces if commas do not separate the numbers.

    A name with spaces is one cell.
    """
    cells = [cell.strip() for cell in line.split(",")]
    last = max(columns.name, *columns.coordinates)
    if len(cells) > last and all(is_number(cells[index]) for index in columns.coordinates):
        return cells
    cells = [cell.rstrip(",") for cell in line.split()]
    if columns.name > 0:
        return cells
    end = count_name_columns(cells, 3)
    return [" ".join(cells[:end]), *cells[end:]]


def _look_like_degrees(known: Positions) -> bool:
    """Return whether the first two numbers of positions can be latitude and longitude only."""
    if len(known) < 2:
        return False
    table = np.array(list(known.values()))[:, :2]
    low, high = np.sort(np.abs(table).max(axis=0))
    extent = float(np.ptp(table, axis=0).max())
    is_far = np.abs(table).max() >= MIN_DEGREES_RATIO * extent
    in_range = low <= MAX_DEGREES[0] and high <= MAX_DEGREES[1]
    return bool(in_range and 0 < extent < MAX_DEGREES_EXTENT and is_far)


def _gps_position(path: Path) -> tuple[float, ...] | None:
    """Return latitude, longitude and height of a photo; None without all three."""
    tags = read_exif_block(path, GPS_IFD)
    try:
        latitude = _degrees(tags[LATITUDE], tags.get(LATITUDE_REF), "S")
        longitude = _degrees(tags[LONGITUDE], tags.get(LONGITUDE_REF), "W")
        sign = -1.0 if tags.get(ALTITUDE_REF) in (BELOW_SEA, 1) else 1.0
        height = sign * float(tags[ALTITUDE])
    except (KeyError, TypeError, ValueError, ArithmeticError):
        return None
    place = (latitude, longitude, height)
    in_range = abs(latitude) <= MAX_DEGREES[0] and abs(longitude) <= MAX_DEGREES[1]
    # Cameras without reception write zeros.
    return place if np.isfinite(place).all() and in_range and (latitude or longitude) else None


def _degrees(value: Any, reference: Any, negative: str) -> float:
    """Return an angle of degrees, minutes and seconds."""
    degrees, minutes, seconds = (float(number) for number in value)
    angle = degrees + minutes / 60 + seconds / 3600
    return -angle if str(reference).upper().startswith(negative) else angle
