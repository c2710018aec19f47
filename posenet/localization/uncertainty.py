"""How certain regressed and refined poses are, calibrated on the validation images."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from posenet.geometry.metrics import position_errors, rotation_errors_deg
from posenet.geometry.poses import Poses
from posenet.io.files import load_stamped, save_stamped
from posenet.localization.absolute_pose import AbsolutePose
from posenet.localization.pnp import CameraPose

UNCERTAINTY = "uncertainty.json"
# Version of the calibration, raised whenever the same images give other numbers.
VERSION = 2
# The file and its keys before 0.1.0.
OLD_UNCERTAINTY = "trust.json"
OLD_KEYS = {"position": "position_std", "degrees": "rotation_std_deg", "stretch": "inflation"}

# Errors in a new sequence are about twice those of validation images, which lie between training
# images (docs/lab-notes.md).
NEW_SEQUENCE = 2.0
# Standard deviations by which a refined pose may differ from the regressed one.
MAX_DEVIATIONS = 3.0
# Fewest refined validation images that the inflation is measured with, and the value otherwise.
MIN_CALIBRATION_IMAGES = 5
DEFAULT_INFLATION = 10.0
# Ratio of the standard deviation over three axes, the root of 3, to the median length of a 3-D
# normal error with unit standard deviation on each axis.
MEDIAN_TO_STD = float(np.sqrt(3)) / 1.538


@dataclass(frozen=True)
class UncertaintyModel:
    """Standard deviations of regressed poses, and how refined poses exceed theirs.

    Attributes:
        position_std: standard deviation of a regressed position, scene units.
        rotation_std_deg: standard deviation of a regressed rotation, degrees.
        inflation: factor by which the errors of refined poses exceed the standard deviations that
            follow from their keypoints, which ignore the errors of the training poses.
    """

    position_std: float
    rotation_std_deg: float
    inflation: float

    def standard_deviations(self, pose: AbsolutePose | None) -> tuple[float, float]:
        """Return the standard deviations of a pose.

        Args:
            pose: a refined pose, or None for a regressed one.

        Returns:
            Standard deviation of the position (scene units) and of the rotation (degrees).
        """
        if pose is None:
            return self.position_std, self.rotation_std_deg
        position_std, rotation_std_deg = pose.standard_deviations
        return self.inflation * position_std, self.inflation * rotation_std_deg

    def is_consistent(self, regressed: CameraPose, refined: AbsolutePose) -> bool:
        """Return whether a refined pose is within three standard deviations of the regressed one.

        Args:
            regressed: the pose from the network.
            refined: the pose from matches.

        Returns:
            True if position and rotation agree, the uncertainty of both poses combined.
        """
        position_std, rotation_std_deg = self.standard_deviations(refined)
        distance = np.linalg.norm(refined.position - regressed.position)
        angle = np.degrees((refined.rotation.inv() * regressed.rotation).magnitude())
        max_distance = MAX_DEVIATIONS * np.hypot(position_std, self.position_std)
        max_angle = MAX_DEVIATIONS * np.hypot(rotation_std_deg, self.rotation_std_deg)
        return bool(distance < max_distance and angle < max_angle)


def calibrate_uncertainty(
    regressed: Poses, refined: Sequence[AbsolutePose | None], ground_truth: Poses
) -> UncertaintyModel:
    """Calibrate the uncertainty on images whose true poses are known.

    Args:
        regressed: n poses from the network.
        refined: n poses from matches, None where there is none.
        ground_truth: n true poses.

    Returns:
        The uncertainty model.
    """
    position = float(np.median(position_errors(regressed, ground_truth)))
    degrees = float(np.median(rotation_errors_deg(regressed, ground_truth)))
    ratios = []
    for row, pose in enumerate(refined):
        if pose is not None:
            error = np.linalg.norm(pose.position - ground_truth.positions[row])
            ratios.append(error / max(pose.standard_deviations[0], 1e-12))
    enough = len(ratios) >= MIN_CALIBRATION_IMAGES
    inflation = float(np.median(ratios)) if enough else DEFAULT_INFLATION
    factor = NEW_SEQUENCE * MEDIAN_TO_STD
    return UncertaintyModel(
        position_std=factor * max(position, 1e-9),
        rotation_std_deg=factor * max(degrees, 1e-6),
        inflation=max(1.0, MEDIAN_TO_STD * inflation),
    )


def load_uncertainty(folder: Path, fingerprint: str) -> UncertaintyModel | None:
    """Load a saved uncertainty model.

    Args:
        folder: the folder of the landmark map.
        fingerprint: fingerprint of the network that it must have been calibrated for.

    Returns:
        The model. None if there is none for this network, or the file cannot be read.
    """
    for name in (UNCERTAINTY, OLD_UNCERTAINTY):
        saved = load_stamped(folder / name, f"{VERSION} {fingerprint}")
        if saved is None:
            continue
        saved = {OLD_KEYS.get(key, key): value for key, value in saved.items()}
        try:
            names = ("position_std", "rotation_std_deg", "inflation")
            values = [float(saved[key]) for key in names]
        except (ValueError, TypeError, KeyError):
            continue  # damaged
        if all(0 <= value < math.inf for value in values):
            return UncertaintyModel(*values)
    return None


def save_uncertainty(folder: Path, fingerprint: str, model: UncertaintyModel) -> None:
    """Save an uncertainty model; a warning if the file cannot be written.

    Args:
        folder: the folder of the landmark map.
        fingerprint: fingerprint of the network that it was calibrated for.
        model: the uncertainty model.
    """
    save_stamped(folder / UNCERTAINTY, f"{VERSION} {fingerprint}", asdict(model))
