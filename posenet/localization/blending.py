"""Blend the network's poses with those of the most similar training images.

Where views are new, image retrieval is often better than regression (Sattler et al., "Understanding
the limitations of CNN-based absolute camera pose regression", CVPR 2019), and a weighted mean is
often better than either. The weights follow from the errors on the validation images: they are
measured if there are enough images, otherwise inverse variances, as if errors were independent.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from posenet.geometry.metrics import position_errors, rotation_errors_deg
from posenet.geometry.poses import Poses
from posenet.io.files import load_stamped, save_stamped

BLENDING = "blending.json"
# Version of the calibration, raised whenever the same images give other weights.
VERSION = 3
# Fewest validation images that weights are measured with.
MIN_MEASURED_IMAGES = 8
# Retrieved poses only count where the network's median error exceeds theirs by this factor, since
# validation images flatter retrieval: they are closer to training images than those of a new path.
# In the courtyard both are equally good on them (0.52 and 0.39 m), but not on another path (0.46
# and 1.09 m).
MIN_ERROR_RATIO = 1.5
# Then the smallest weight is taken whose median error is at most this multiple of the least.
MAX_ERROR_RATIO = 1.05
CANDIDATE_WEIGHTS = np.linspace(0, 1, 11)
# Otherwise it is as if so many other images had shown these ratios of the network's median errors
# to those of retrieval. Networks are better in rotation.
PRIOR_IMAGES = 8
PRIOR_POSITION_RATIO = 1.2
PRIOR_ROTATION_RATIO = 0.9
# A network is not used at all if its median error is larger than retrieval's by this factor.
USELESS_RATIO = 2.5
# Poses are not blended, but one is chosen, if they differ by more than this multiple of the sum of
# both median errors.
MAX_DIFFERENCE = 4.0


@dataclass(frozen=True)
class BlendingWeights:
    """Weights of retrieved poses, 0 to 1, and how much both kinds of poses may differ.

    Attributes:
        position: weight of the retrieved position.
        rotation: weight of the retrieved rotation.
        max_distance: largest distance of positions that are blended, scene units.
        max_angle_deg: largest angle between rotations that are blended, degrees.
    """

    position: float
    rotation: float
    max_distance: float
    max_angle_deg: float

    @property
    def are_valid(self) -> bool:
        """Whether the values are in their ranges, which NaN is not."""
        shares = 0 <= self.position <= 1 and 0 <= self.rotation <= 1
        return shares and self.max_distance >= 0 and self.max_angle_deg >= 0

    def blend(self, regressed: Poses, retrieved: Poses) -> Poses:
        """Return the weighted means of poses.

        Poses that differ too much are of different places: the one with the larger weight stays.

        Args:
            regressed: n poses from the network.
            retrieved: poses of the n most similar training images.

        Returns:
            n poses.
        """
        offsets = retrieved.positions - regressed.positions
        distances = np.linalg.norm(offsets, axis=1)
        rotations = (regressed.rotations.inv() * retrieved.rotations).as_rotvec()
        angles_deg = np.degrees(np.linalg.norm(rotations, axis=1))
        differ = (distances > self.max_distance) | (angles_deg > self.max_angle_deg)
        position = np.where(differ, np.round(self.position), self.position)
        rotation = np.where(differ, np.round(self.rotation), self.rotation)
        return Poses(
            regressed.positions + position[:, None] * offsets,
            regressed.rotations * Rotation.from_rotvec(rotation[:, None] * rotations),
        )


def calibrate_blending(regressed: Poses, retrieved: Poses, ground_truth: Poses) -> BlendingWeights:
    """Calibrate the weights on images whose true poses are known.

    Args:
        regressed: n poses from the network.
        retrieved: n poses from retrieval.
        ground_truth: n true poses.

    Returns:
        The weights.
    """
    own = float(np.median(position_errors(regressed, ground_truth)))
    other = float(np.median(position_errors(retrieved, ground_truth)))
    own_deg = float(np.median(rotation_errors_deg(regressed, ground_truth)))
    other_deg = float(np.median(rotation_errors_deg(retrieved, ground_truth)))
    count = len(ground_truth)
    assumed = BlendingWeights(
        position=_assumed_weight(own, other, count, PRIOR_POSITION_RATIO),
        rotation=_assumed_weight(own_deg, other_deg, count, PRIOR_ROTATION_RATIO),
        max_distance=MAX_DIFFERENCE * (own + other),
        max_angle_deg=MAX_DIFFERENCE * (own_deg + other_deg),
    )
    if count < MIN_MEASURED_IMAGES:
        return assumed
    blended = [
        replace(assumed, position=weight, rotation=weight).blend(regressed, retrieved)
        for weight in CANDIDATE_WEIGHTS
    ]
    positions = [np.median(position_errors(poses, ground_truth)) for poses in blended]
    rotations = [np.median(rotation_errors_deg(poses, ground_truth)) for poses in blended]
    return replace(
        assumed,
        position=_measured_weight(positions),
        rotation=_measured_weight(rotations),
    )


def _measured_weight(errors: list[float]) -> float:
    """Return the weight of retrieved poses from the errors of all candidate weights."""
    if errors[0] < MIN_ERROR_RATIO * errors[-1]:
        return 0.0
    good = np.flatnonzero(np.asarray(errors) <= MAX_ERROR_RATIO * min(errors))
    return float(CANDIDATE_WEIGHTS[good[0]])


def _assumed_weight(
    regression_error: float, retrieval_error: float, count: int, prior_ratio: float
) -> float:
    """Return the weight by inverse variances; few images count little."""
    ratio = max(regression_error, 1e-12) / max(retrieval_error, 1e-12)
    if ratio > USELESS_RATIO:
        return 1.0
    evidence = count * np.log(ratio) + PRIOR_IMAGES * np.log(prior_ratio)
    return float(1 / (1 + np.exp(-2 * evidence / (count + PRIOR_IMAGES))))


def load_blending(folder: Path, fingerprint: str) -> BlendingWeights | None:
    """Load saved weights.

    Args:
        folder: the run folder.
        fingerprint: fingerprint of the network that they must have been calibrated for.

    Returns:
        The weights. None if there are none for this network, or the file cannot be read.
    """
    saved = load_stamped(folder / BLENDING, f"{VERSION} {fingerprint}")
    if saved is None:
        return None
    try:
        weights = BlendingWeights(**{name: float(value) for name, value in saved.items()})
    except (ValueError, TypeError):
        return None  # damaged
    return weights if weights.are_valid else None


def save_blending(folder: Path, fingerprint: str, weights: BlendingWeights) -> None:
    """Save weights; a warning if the file cannot be written.

    Args:
        folder: the run folder.
        fingerprint: fingerprint of the network that they were calibrated for.
        weights: the weights.
    """
    save_stamped(folder / BLENDING, f"{VERSION} {fingerprint}", asdict(weights))
