"""Recognize the form of a pose file by its header and its numbers, and read its lines.

Lists of named poses have two forms without a header. Cambridge's is `name X Y Z W P Q R`, that of
hloc, ACE and visuallocalization.net `name qw qx qy qz tx ty tz`, world to camera. They differ in
which four numbers have unit length.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from posenet.datasets.formats.image_names import tidy_name
from posenet.datasets.formats.parsing import (
    LIST_HEADERS,
    count_name_columns,
    is_number,
    parse_floats,
    read_lines,
    read_list,
    read_text,
)
from posenet.datasets.formats.pose_columns import (
    HLOC_COLUMNS,
    LIST_COLUMNS,
    PoseColumns,
    check_columns,
    columns_missing,
    find_pose_columns,
    header_columns,
    is_header,
    median_length,
    quaternion_start,
    split_columns,
)
from posenet.datasets.formats.pose_conversion import CONJUGATE, from_camera_from_world
from posenet.errors import PoseNetError, count

log = logging.getLogger("posenet")

# First line of what `posenet predict` prints. Its quaternions are camera to world in any scene.
PREDICTION_HEADER = "# name x y z qw qx qy qz, camera to world"
# What a header may say about the rotations.
DIRECTIONS = {"camera to world": "world_from_camera", "world to camera": "camera_from_world"}
# Numbers in a line of a KITTI trajectory.
KITTI_NUMBERS = 12
# Median lengths of quaternions that are not normalized, as networks predict them.
MIN_LENGTH = 0.2
MAX_LENGTH = 5.0
FORMS = (
    "the forms are 'name X Y Z W P Q R', 'name qw qx qy qz tx ty tz' (world to camera), "
    "'timestamp x y z qx qy qz qw', 12 numbers (KITTI), and any order that a header names, like "
    "'# name x y z qx qy qz qw'"
)


@dataclass(frozen=True, eq=False)
class PoseLines:
    """The lines of a pose file.

    Attributes:
        keys: name of the image in each of n lines.
        positions: camera centers, shape (n, 3).
        quaternions: wxyz, world_from_camera, shape (n, 4).
        places: where each line is, "file:line".
    """

    keys: list[str]
    positions: np.ndarray
    quaternions: np.ndarray
    places: list[str]


class MatchedPoses(NamedTuple):
    """Poses of k lines and the images that they are of.

    Attributes:
        targets: index of the image of each line, -1 for none, shape (k,).
        positions: camera centers, shape (k, 3).
        quaternions: wxyz, world_from_camera, shape (k, 4).
    """

    targets: np.ndarray
    positions: np.ndarray
    quaternions: np.ndarray


def find_form(path: Path, names: tuple[str, ...]) -> str:
    """Return the form of a pose file.

    Args:
        path: the pose file.
        names: names of the images of the scene, which may be numbers.

    Returns:
        "kitti", "timed" for lines that start with a number, or "named".

    Raises:
        PoseNetError: the file cannot be read, contains no pose, or its columns are unknown.
    """
    lines = [line for line in read_lines(path) if not line[1].lower().startswith(LIST_HEADERS)]
    if lines and is_header(lines[0][1]):
        lines = lines[1:]
    if not lines:
        raise PoseNetError(f"{path}: a pose file must contain at least one pose, it is empty")
    place, line = lines[0]
    cells = split_columns(line)
    header = header_columns(read_text(path))
    if header is None and len(cells) == KITTI_NUMBERS and all(map(is_number, cells)):
        return "kitti"
    if is_comma_separated(line) and header is None:
        raise PoseNetError(
            f"{place}: a comma-separated file must name its columns in a header, like "
            "'timestamp,x,y,z,qw,qx,qy,qz' or 'image,x,y,z,qw,qx,qy,qz'"
        )
    key = header.key if header else 0
    first = cells[key] if key < len(cells) else cells[0]
    return "timed" if is_number(first) and first.lstrip("/") not in names else "named"


def read_named(path: Path, convention: str) -> PoseLines:
    """Read a list of named poses.

    Args:
        path: the list.
        convention: rotation in the scene's own files, "world_from_camera" or "camera_from_world".

    Returns:
        The lines.

    Raises:
        PoseNetError: a line is malformed, or the numbers are not a position and a quaternion.
    """
    text = read_text(path)
    header = header_columns(text)
    columns = header or LIST_COLUMNS
    if header:
        keys, table, places = _read_columns(path, header)
    else:
        rows = read_list(path)
        keys = [row.name for row in rows]
        table = np.array([row.numbers for row in rows], np.float64).reshape(-1, 7)
        places = [row.source for row in rows]
        if quaternion_start(table) == HLOC_COLUMNS.quaternion_start:
            columns = HLOC_COLUMNS
            log.info("%s: read as name qw qx qy qz tx ty tz, world to camera", path)
    check_columns(table, columns, places, "the columns must be those that the header names")
    poses = columns.pose_order(table)
    positions, quaternions = poses[:, :3], poses[:, 3:]
    length = median_length(quaternions)
    if not MIN_LENGTH <= length <= MAX_LENGTH:
        raise PoseNetError(
            f"{path}: the quaternions must have about unit length, received a median length of "
            f"{length:.3g}; {FORMS}"
        )
    is_table = is_comma_separated(read_lines(path)[-1][1])
    stated = _stated_convention(text) or ("world_from_camera" if is_table else convention)
    if columns.is_translation:
        positions, quaternions = from_camera_from_world(quaternions, positions)
    elif stated == "camera_from_world":
        quaternions = quaternions * CONJUGATE
    return PoseLines(keys, positions, quaternions, places)


def match_images(
    keys: list[str], images: dict[str, int], places: list[str], path: Path
) -> np.ndarray:
    """Match lines with the images of a scene. A warning counts those that are of no image.

    Args:
        keys: name or number of the image of each of k lines.
        images: index of each image by its name or number.
        places: where each line is, "file:line".
        path: the pose file, for messages.

    Returns:
        Index of the image of each line, -1 for none, shape (k,).

    Raises:
        PoseNetError: an image appears twice, or no line is of an image of the scene.
    """
    first_places: dict[str, str] = {}
    for key, place in zip(keys, places, strict=True):
        if key in first_places:
            raise PoseNetError(
                f"{place}: an image must appear once, {key} is already at {first_places[key]}"
            )
        first_places[key] = place
    targets = np.array([images.get(key, -1) for key in keys])
    unknown = int((targets < 0).sum())
    if unknown == len(keys):
        example = next(iter(images))
        raise PoseNetError(
            f"{path}: at least one pose must be of an image of the scene (names look like "
            f"{example}), received {keys[0]}"
        )
    if unknown:
        log.warning("%s: ignored %s of images outside the scene", path, count(unknown, "pose"))
    return targets


def _stated_convention(text: str) -> str | None:
    """Return the rotation that the comments with the names of the columns state, if any."""
    for line in text.split("\n"):
        if line.startswith("#") and find_pose_columns(line):
            for words, convention in DIRECTIONS.items():
                if words in line.lower():
                    return convention
    return None


def is_comma_separated(line: str) -> bool:
    """Return whether commas separate the columns of a line.

    Args:
        line: a line of a pose file.

    Returns:
        True if they do.
    """
    return split_columns(line) != line.split()


def _read_columns(path: Path, columns: PoseColumns) -> tuple[list[str], np.ndarray, list[str]]:
    """Return names, numbers in the order of the file (n, 7), and places of a file with a header."""
    keys: list[str] = []
    rows: list[tuple[float, ...]] = []
    places: list[str] = []
    for place, line in read_lines(path):
        if line.lower().startswith(LIST_HEADERS) or (not rows and is_header(line)):
            continue
        cells = split_columns(line)
        if columns.key == 0:
            # A name with spaces has several columns.
            end = count_name_columns(cells, 7)
            cells = [" ".join(cells[:end]), *cells[end:]]
        if columns.last >= len(cells):
            raise PoseNetError(columns_missing(place, line, len(cells)))
        numbers = [cells[index] for index in sorted(columns.indices)]
        rows.append(parse_floats(numbers, place, "a pose must be 7 numbers"))
        keys.append(tidy_name(cells[columns.key]))
        places.append(place)
    return keys, np.array(rows, np.float64).reshape(-1, 7), places
