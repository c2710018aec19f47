"""The world frame of a reconstruction: leveled, scaled, or aligned to reference positions."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from scipy.spatial.transform import Rotation

from posenet.datasets.formats.image_names import match_key, natural_key
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
from posenet.mapping.capture.reference_positions import reconstruction_stem

log = logging.getLogger("posenet")

# Fewest reference positions.
MIN_POSITIONS = 3
# A reference position is suspicious if it is this many times the median away, and this fraction of
# the extent of all.
OUTLIER_RATIO = 5.0
OUTLIER_EXTENT = 0.05
# Positions do not fit if they differ from the cameras by more than this fraction of their spread,
# RMS. Random positions of 12 images differ by 0.80 of it or more (99 % of 200 draws), degrees taken
# for meters by 0.92.
MAX_MISFIT = 0.75
# Length in meters that no scene of photographs has: less than 1 cm, more than 1000 km.
MIN_EXTENT = 0.01
MAX_EXTENT = 1e6


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
        PoseNetError: an image is not placed, both cameras have the same position, or the scene
            would be absurdly small or large.
    """
    names, poses = placed_images(model)
    rows = find_images(names, (first, second), "--scale-bar")
    distance = float(np.linalg.norm(np.subtract(*poses.positions[rows])))
    if not (np.isfinite(meters) and meters > 0 and distance > 0):
        raise PoseNetError(
            "--scale-bar needs two different positions and a positive distance, received "
            f"{first} {second} {meters}"
        )
    _check_extent(poses.positions * (meters / distance), "--scale-bar")
    _transform(model, Sim3(meters / distance, Rotation.identity(), np.zeros(3)))


def align_to(model: Any, known: dict[str, tuple[float, ...]], file: Path) -> None:
    """Move the world so that cameras match reference positions by least squares; log how well.

    Args:
        model: a pycolmap reconstruction, modified in place.
        known: position of each image in meters, by its name without suffix.
        file: where they are from, for messages.

    Raises:
        PoseNetError: fewer than three images are placed, all are on a line, or the positions do
            not fit the cameras.
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
    errors = position_errors(similarity.apply(placed), target)
    _check_fit(file, positions, errors)
    _check_extent(similarity.apply(poses).positions, str(file))
    _transform(model, similarity)
    _log_agreement(file, [names[row] for row in rows], positions, errors)
    if unknown := len(known) - len(rows):
        log.warning("%s: %s without a placed image", file, count(unknown, "position"))


def _check_fit(file: Path, positions: np.ndarray, errors: np.ndarray) -> None:
    """Check that reference positions fit the cameras, and determine the rotation of the world."""
    rms = float(np.sqrt(np.mean(errors**2)))
    centered = positions - positions.mean(axis=0)
    spreads = np.linalg.svd(centered, compute_uv=False) / np.sqrt(len(positions))
    spread = float(np.linalg.norm(spreads))
    if rms > MAX_MISFIT * spread:
        raise PoseNetError(
            f"{file}: the positions must fit the cameras, they differ by {rms:.3g} m (RMS) and are "
            f"only {spread:.3g} m (RMS) from their mean"
        )
    if spreads[1] < COLLINEAR_RATIO * spreads[0] and spreads[1] <= rms:
        raise PoseNetError(
            f"{file}: the positions must not be on a line, about which the rotation is "
            f"undetermined: they are {spreads[1]:.3g} m (RMS) from it and differ by {rms:.3g} m "
            "from the cameras"
        )


def _check_extent(positions: np.ndarray, source: str) -> None:
    """Check that a scene in meters is neither tiny nor larger than a country."""
    extent = float(np.ptp(positions, axis=0).max())
    if not MIN_EXTENT <= extent <= MAX_EXTENT:
        raise PoseNetError(
            f"{source}: the scene must be {MIN_EXTENT:g} to {MAX_EXTENT:g} m large, it would be "
            f"{extent:.3g} m"
        )


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
        row = stems.get(reconstruction_stem(name))
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


def _transform(model: Any, similarity: Sim3) -> None:
    """Apply a similarity transform to all cameras and points."""
    pycolmap = require_pycolmap()
    rotation = pycolmap.Rotation3d(similarity.rotation.as_quat())  # x y z w
    model.transform(pycolmap.Sim3d(similarity.scale, rotation, similarity.translation))
