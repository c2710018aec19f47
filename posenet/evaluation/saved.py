"""Read the estimates of an evaluation that was saved before."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

from posenet.datasets.scene import Scene
from posenet.evaluation.report import POSE_COLUMNS
from posenet.localization.estimates import PoseEstimate

# Largest difference between the true poses of an evaluation and those of the scene, relative to
# their size.
TOLERANCE = 1e-6


def read_estimates(folder: Path, chosen: Scene) -> list[PoseEstimate] | None:
    """Read the estimates of some images from errors.csv.

    Args:
        folder: the folder of an evaluation.
        chosen: n images with their true poses.

    Returns:
        n estimates. None if there is no evaluation of all these images with these true poses.
    """
    try:
        with open(
            folder / "errors.csv", encoding="utf-8", errors="surrogateescape", newline=""
        ) as file:
            rows = {row["name"]: row for row in csv.DictReader(file)}
        found = [rows[name] for name in chosen.names]
        truth = np.array([[float(row[f"gt_{name}"]) for name in POSE_COLUMNS] for row in found])
        estimates = [_estimate(row) for row in found]
    except (OSError, ValueError, KeyError, TypeError, csv.Error):
        return None
    expected = np.hstack([chosen.poses.positions, chosen.poses.quaternions_wxyz])
    if not np.allclose(truth, expected, rtol=TOLERANCE, atol=TOLERANCE):
        return None
    return estimates


def _estimate(row: dict[str, str]) -> PoseEstimate:
    """Return the estimate in a line of errors.csv."""
    pose = np.array([float(row[name] or "nan") for name in POSE_COLUMNS])
    num_inliers = int(float(row.get("num_inliers") or 0))
    return PoseEstimate(
        position=pose[:3],
        quaternion_wxyz=pose[3:],
        rotation_spread_deg=float(row.get("rotation_spread_deg") or "nan"),
        position_std=float(row.get("position_std") or "nan"),
        rotation_std_deg=float(row.get("rotation_std_deg") or "nan"),
        num_inliers=num_inliers,
        refined=num_inliers > 0,
        valid=bool(np.isfinite(pose).all()),
    )
