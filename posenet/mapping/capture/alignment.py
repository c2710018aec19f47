"""The world frame of a reconstruction: upright, to scale, or moved to known positions."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from posenet.datasets.formats.parsing import (
    end_of_name,
    is_number,
    natural_key,
    parse_floats,
    read_lines,
    replace_spaces,
    shortened,
    tidy_name,
    without_suffix,
)
from posenet.errors import PoseNetError
from posenet.geometry.alignment import LINE, Sim3, align_similarity, estimate_up, lateral_spread
from posenet.geometry.metrics import position_errors
from posenet.geometry.poses import Poses
from posenet.mapping.capture.colmap import require_pycolmap

log = logging.getLogger("posenet")


def level_world(model) -> None:
    """Turn the world so that z is up, as most cameras are held, with the middle of the cameras at 0."""
    poses = model_poses(model)[1]
    up = estimate_up(poses.rotations)
    turn, _ = Rotation.align_vectors([[0.0, 0, 1]], [up])
    _transform(model, Sim3(1.0, turn, -turn.apply(poses.positions.mean(axis=0))))


def find_images(names: list[str], wanted: tuple[str, ...], option: str) -> list[int]:
    """The rows of images by their names, suffixes aside. Raises PoseNetError for one that is not there."""
    stems = {without_suffix(name): row for row, name in enumerate(names)}
    rows = [stems.get(_stem(name)) for name in wanted]
    for name, row in zip(wanted, rows, strict=True):
        if row is None:
            raise PoseNetError(
                f"{option} needs the names of placed images, like {names[0]}, received {name}"
            )
    return [row for row in rows if row is not None]


def _stem(name: str) -> str:
    """A image's name, as the user has it, as it is in a capture, without its suffix."""
    return replace_spaces(without_suffix(tidy_name(name)))


def rescale(model, first: str, second: str, meters: float) -> None:
    """Scale the world so that two images stand so many meters apart. Raises PoseNetError for unknown names."""
    names, poses = model_poses(model)
    distance = float(
        np.linalg.norm(
            np.subtract(*poses.positions[find_images(names, (first, second), "--scale")])
        )
    )
    if not (np.isfinite(meters) and meters > 0 and distance > 0):
        raise PoseNetError(
            f"--scale needs two different places and meters above 0, received {first} {second} {meters}"
        )
    _transform(model, Sim3(meters / distance, Rotation.identity(), np.zeros(3)))


def read_positions(file: Path) -> dict[str, tuple[float, ...]]:
    """{name without suffix: (x, y, z)} of lines `name X Y Z`, or with commas between; further columns are ignored.

    Raises PoseNetError (file:line) for malformed lines.
    """
    wanted = "a line must be a name and X Y Z in meters"
    known = {}
    for place, line in read_lines(file):
        columns = [column.strip() for column in line.split(",")]
        if (
            not all(map(is_number, columns[1:4])) or len(columns) < 4
        ):  # a comma in a number must not part it
            columns = [column.rstrip(",") for column in line.split()]
        if len(columns) < 4:
            raise PoseNetError(f"{place}: {wanted}, received {shortened(line)}")
        at = end_of_name(columns, 3)
        position = parse_floats(columns[at : at + 3], place, wanted)
        if not np.isfinite(position).all():
            raise PoseNetError(f"{place}: {wanted}, received {shortened(line)}")
        known[_stem(" ".join(columns[:at]))] = position
    return known


def align_to(model, known: dict[str, tuple[float, ...]], file: Path) -> None:
    """Move the world so that its cameras come nearest to known positions, least squares, and log how well that went.

    file: where they are from, for messages. Raises PoseNetError for fewer than 3 placed images among them, and where
    they all stand on one line.
    """
    names, poses = model_poses(model)
    rows = [row for row, name in enumerate(names) if without_suffix(name) in known]
    if len(rows) < 3:
        raise PoseNetError(
            f"{file}: positions of at least 3 placed images are needed, like {names[0]}, it has {len(rows)}"
        )
    target = Poses(
        np.array([known[without_suffix(names[row])] for row in rows]), Rotation.identity(len(rows))
    )
    try:
        found = align_similarity(poses[np.array(rows)], target)
    except PoseNetError as error:
        raise PoseNetError(f"{file}: {error}") from None
    _transform(model, found)
    off = position_errors(found.apply(poses[np.array(rows)]), target)
    worst = int(np.argmax(off))
    log.info("%s: %d positions agree to a median of %.3g m", file, len(rows), np.median(off))
    if (
        off[worst] > 5 * np.median(off)
        and off[worst] > 0.05 * np.ptp(target.positions, axis=0).max()
    ):
        log.warning(
            "%s: %s is %.3g m off, its position may be wrong", file, names[rows[worst]], off[worst]
        )
    if lateral_spread(target.positions) < LINE:
        log.warning(
            "%s: the positions lie nearly on a line, which hardly tells how the world is turned about it",
            file,
        )
    if unknown := len(known) - len(rows):
        log.warning("%s: %d of its names are no placed image's", file, unknown)


def model_poses(model) -> tuple[list[str], Poses]:
    """Names, in natural order, and world_from_camera poses of the placed images."""
    images = sorted(
        (each for each in model.images.values() if each.has_pose),
        key=lambda each: natural_key(each.name),
    )
    matrices = np.array([image.cam_from_world().matrix() for image in images])
    return [image.name for image in images], Poses.from_matrices(matrices).inverse()


def _transform(model, similarity: Sim3) -> None:
    pycolmap = require_pycolmap()
    turn = pycolmap.Rotation3d(similarity.rotation.as_quat())  # x y z w
    model.transform(pycolmap.Sim3d(similarity.scale, turn, similarity.translation))
