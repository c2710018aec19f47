"""Read errors.csv of an evaluation."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import NamedTuple

import numpy as np

from posenet.errors import PoseNetError, first_line
from posenet.geometry.poses import Poses

POSE_COLUMNS = ("x", "y", "z", "qw", "qx", "qy", "qz")


class EvaluatedImages(NamedTuple):
    """The images of an evaluation.

    Attributes:
        names: n names of images.
        estimate: n estimated poses, meaningless where not `valid`.
        valid: whether there is an estimate, shape (n,).
        ground_truth: n true poses.
        position_errors: scene units, infinite without an estimate, shape (n,).
        rotation_errors_deg: degrees, shape (n,).
    """

    names: list[str]
    estimate: Poses
    valid: np.ndarray
    ground_truth: Poses
    position_errors: np.ndarray
    rotation_errors_deg: np.ndarray


def read_errors(path: Path) -> EvaluatedImages:
    """Read errors.csv.

    Args:
        path: the file.

    Returns:
        Its images.

    Raises:
        PoseNetError: the file cannot be read, or it is not what an evaluation writes.
    """
    try:
        with open(path, encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        estimated = [[row[name] for name in POSE_COLUMNS] for row in rows]
        valid = np.array([all(pose) for pose in estimated], bool)
        nothing = [0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0]
        numbers = [
            list(map(float, pose)) if known else nothing
            for pose, known in zip(estimated, valid, strict=True)
        ]
        truth = [[float(row[f"gt_{name}"]) for name in POSE_COLUMNS] for row in rows]
        return EvaluatedImages(
            [row["name"] for row in rows],
            _poses(numbers),
            valid,
            _poses(truth),
            np.array([float(row["position_error"]) for row in rows]),
            np.array([float(row["rotation_error_deg"]) for row in rows]),
        )
    except (OSError, ValueError, KeyError, TypeError, csv.Error) as error:
        raise PoseNetError(
            f"{path} must be written by an evaluation: {first_line(error)}"
        ) from None


def _poses(rows: list[list[float]]) -> Poses:
    values = np.array(rows, float).reshape(-1, len(POSE_COLUMNS))
    return Poses.from_quaternions(values[:, :3], values[:, 3:])
