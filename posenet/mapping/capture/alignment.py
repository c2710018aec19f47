"""The world frame of a reconstruction: leveled, scaled, or aligned to reference positions."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from scipy.spatial.transform import Rotation

from posenet.datasets.formats.image_names import (
    match_key,
    natural_key,
    replace_spaces,
    tidy_name,
)
from posenet.datasets.formats.parsing import (
    count_name_columns,
    is_number,
    parse_floats,
    read_lines,
    shorten,
)
from posenet.errors import PoseNetError, count
from posenet.geometry.alignment import (
    COLLINEAR_RATIO,
    Sim3,
    align_similarity,
    estimate_up,
    lateral_spread,
)
from posenet.geometry.metrics import position_errors
from posenet.geometry.poses import Poses
from posenet.mapping.capture.colmap import require_pycolmap

log = logging.getLogger("posenet")

# Fewest reference positions.
MIN_POSITIONS = 3
# A reference position is suspicious if it is this many times the median away, and this fraction of
# the extent of all.
OUTLIER_RATIO = 5.0
OUTLIER_EXTENT = 0.05


class PlacedImages(NamedTuple):
    """The images of a reconstruction that have a pose.

    Attributes:
        names: their names, in natural order.
        poses: their poses.
    """

    names: list[str]
    poses: Poses


def level_world(model: Any) -> None:
    """Rotate the world so that z points up, with the mean camera at the origin.

    Args:
        model: a pycolmap reconstruction, modified in place.
    """
    poses = placed_images(model).poses
    up = estimate_up(poses.rotations)
    rotation, _ = Rotation.align_vectors([[0.0, 0, 1]], [up])
    _transform(model, Sim3(1.0, rotation, -rotation.apply(poses.positions.mean(axis=0))))


def rescale(model: Any, first: str, second: str, meters: float) -> None:
    """Scale the world so that two cameras have a known distance.

    Args:
        model: a pycolmap reconstruction, modified in place.
        first: name of an image.
        second: name of another image.
        meters: distance between their cameras.

    Raises:
        PoseNetError: an image is not placed, or both cameras have the same position.
    """
    names, poses = placed_images(model)
    rows = find_images(names, (first, second), "--scale-bar")
    distance = float(np.linalg.norm(np.subtract(*poses.positions[rows])))
    if not (np.isfinite(meters) and meters > 0 and distance > 0):
        raise PoseNetError(
            "--scale-bar needs two different positions and a positive distance, received "
            f"{first} {second} {meters}"
        )
    _transform(model, Sim3(meters / distance, Rotation.identity(), np.zeros(3)))


def align_to(model: Any, known: dict[str, tuple[float, ...]], file: Path) -> None:
    """Move the world so that cameras match reference positions by least squares; log how well.

    Args:
        model: a pycolmap reconstruction, modified in place.
        known: position of each image in meters, by its name without suffix.
        file: where they are from, for messages.

    Raises:
        PoseNetError: fewer than three images are placed, or all are on a line.
    """
    names, poses = placed_images(model)
    rows = [row for row, name in enumerate(names) if match_key(name) in known]
    if len(rows) < MIN_POSITIONS:
        raise PoseNetError(
            f"{file} must have positions of at least {MIN_POSITIONS} placed images, "
            f"like {names[0]}, it has {len(rows)}"
        )
    positions = np.array([known[match_key(names[row])] for row in rows])
    target = Poses(positions, Rotation.identity(len(rows)))
    placed = poses[np.array(rows)]
    try:
        similarity = align_similarity(placed, target)
    except PoseNetError as error:
        raise PoseNetError(f"{file}: {error}") from None
    _transform(model, similarity)
    errors = position_errors(similarity.apply(placed), target)
    _log_agreement(file, [names[row] for row in rows], positions, errors)
    if unknown := len(known) - len(rows):
        log.warning("%s: %s without a placed image", file, count(unknown, "position"))


def _log_agreement(
    file: Path, names: Sequence[str], positions: np.ndarray, errors: np.ndarray
) -> None:
    """Log how well the cameras match the reference positions."""
    median = np.median(errors)
    worst = int(np.argmax(errors))
    extent = np.ptp(positions, axis=0).max()
    agreeing = count(len(names), "position")
    log.info("%s: %s, median difference %.3g m", file, agreeing, median)
    if errors[worst] > OUTLIER_RATIO * median and errors[worst] > OUTLIER_EXTENT * extent:
        log.warning(
            "%s: %s differs by %.3g m, its position may be wrong", file, names[worst], errors[worst]
        )
    if lateral_spread(positions) < COLLINEAR_RATIO:
        log.warning(
            "%s: the positions are almost on a line, so the rotation about it is uncertain", file
        )


def read_positions(file: Path) -> dict[str, tuple[float, ...]]:
    """Read lines `name X Y Z`, separated by spaces or commas; further columns are ignored.

    Args:
        file: a text file.

    Returns:
        Position of each image in meters, by its name without suffix.

    Raises:
        PoseNetError: a line is malformed.
    """
    wanted = "a line must be a name and X Y Z in meters"
    known = {}
    for place, line in read_lines(file):
        columns = _split_columns(line)
        if len(columns) < 4:
            raise PoseNetError(f"{place}: {wanted}, received {shorten(line)}")
        end = count_name_columns(columns, 3)
        position = parse_floats(columns[end : end + 3], place, wanted)
        if not np.isfinite(position).all():
            raise PoseNetError(f"{place}: {wanted}, received {shorten(line)}")
        known[_reconstruction_stem(" ".join(columns[:end]))] = position
    return known


def _split_columns(line: str) -> list[str]:
    """Split at commas, or at spaces if commas do not separate three numbers from a name."""
    columns = [column.strip() for column in line.split(",")]
    if len(columns) >= 4 and all(map(is_number, columns[1:4])):
        return columns
    return [column.rstrip(",") for column in line.split()]


def find_images(names: list[str], wanted: Sequence[str], option: str) -> list[int]:
    """Find images by their names; suffixes are ignored.

    Args:
        names: names of the images of a reconstruction.
        wanted: names as the user wrote them.
        option: the option that names them, for messages.

    Returns:
        The index of each.

    Raises:
        PoseNetError: an image does not exist.
    """
    stems = {match_key(name): row for row, name in enumerate(names)}
    rows = []
    for name in wanted:
        row = stems.get(_reconstruction_stem(name))
        if row is None:
            raise PoseNetError(
                f"{option} needs names of placed images, like {names[0]}, received {name}"
            )
        rows.append(row)
    return rows


def placed_images(model: Any) -> PlacedImages:
    """Return the images of a reconstruction that have a pose.

    Args:
        model: a pycolmap reconstruction.

    Returns:
        Names and poses.
    """
    placed = [image for image in model.images.values() if image.has_pose]
    placed.sort(key=lambda image: natural_key(image.name))
    matrices = np.array([image.cam_from_world().matrix() for image in placed])
    names = [image.name for image in placed]
    return PlacedImages(names, Poses.from_matrices(matrices).inverse())


def _reconstruction_stem(name: str) -> str:
    """Return the name that a user's image has in a reconstruction, without its suffix."""
    return replace_spaces(match_key(tidy_name(name)))


def _transform(model: Any, similarity: Sim3) -> None:
    """Apply a similarity transform to all cameras and points."""
    pycolmap = require_pycolmap()
    rotation = pycolmap.Rotation3d(similarity.rotation.as_quat())  # x y z w
    model.transform(pycolmap.Sim3d(similarity.scale, rotation, similarity.translation))
