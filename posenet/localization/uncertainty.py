"""How far to trust the regressed and the refined poses, measured on the training images that were held out."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from posenet.geometry.metrics import position_errors, rotation_errors_deg
from posenet.geometry.poses import Poses
from posenet.io.files import best_effort_write
from posenet.localization.absolute_pose import AbsolutePose

TRUST, VERSION = "trust.json", 2  # raised whenever the same images give other numbers
# a new walk is about twice as far off as images held out between training images (docs/accuracy.md)
NEW_WALK = 2.0
FARTHEST = 3.0  # deviations that a refined pose may lie from the regressed one
# the root of 3, as `deviations` join three axes, over the median length of a 3-D normal error of unit deviation on each
MEDIAN_TO_DEVIATION = float(np.sqrt(3)) / 1.538


@dataclass(frozen=True)
class UncertaintyModel:
    """position, degrees: standard deviations of the regressed poses, scene's unit and degrees. stretch: how many times
    as large the errors of refined poses are as their keypoints say: these know little of the training poses' errors.
    """

    position: float
    degrees: float
    stretch: float

    def deviations(self, located: AbsolutePose | None) -> tuple[float, float]:
        """Standard deviations of a refined pose, or of a regressed one where it was not refined."""
        if located is None:
            return self.position, self.degrees
        position, degrees = located.deviations
        return self.stretch * position, self.stretch * degrees

    def allows(self, position: np.ndarray, rotation: Rotation, located: AbsolutePose) -> bool:
        """Whether a refined pose lies within three deviations of the regressed one, both kinds of poses together."""
        own, own_degrees = self.deviations(located)
        away = np.linalg.norm(located.position - position)
        turned = np.degrees((located.rotation.inv() * rotation).magnitude())
        return bool(
            away < FARTHEST * np.hypot(own, self.position)
            and turned < FARTHEST * np.hypot(own_degrees, self.degrees)
        )


def calibrate_uncertainty(
    regressed: Poses, located: list[AbsolutePose | None], truth: Poses
) -> UncertaintyModel:
    """From what became of held-out images, whose true poses are known."""
    position = float(np.median(position_errors(regressed, truth)))
    degrees = float(np.median(rotation_errors_deg(regressed, truth)))
    ratios = []
    for row, each in enumerate(located):
        if each is not None:
            off = np.linalg.norm(each.position - truth.positions[row])
            ratios.append(off / max(each.deviations[0], 1e-12))
    stretch = float(np.median(ratios)) if len(ratios) >= 5 else 10.0
    scale = MEDIAN_TO_DEVIATION
    regression = NEW_WALK * scale
    return UncertaintyModel(
        regression * max(position, 1e-9), regression * max(degrees, 1e-6), max(1.0, scale * stretch)
    )


def load_uncertainty(folder: Path, stamp: str) -> UncertaintyModel | None:
    """What was measured before of the model of that stamp; None where nothing was, or it cannot be read."""
    try:
        kept = json.loads((folder / TRUST).read_text())
        numbers = [float(kept[name]) for name in ("position", "degrees", "stretch")]
        return UncertaintyModel(*numbers) if kept["stamp"] == f"{VERSION} {stamp}" else None
    except (OSError, ValueError, TypeError, KeyError):
        return None


def save_uncertainty(folder: Path, stamp: str, trust: UncertaintyModel) -> None:
    """Keep what was measured."""
    with best_effort_write(folder / TRUST) as temporary:
        temporary.write_text(
            json.dumps(asdict(trust) | {"stamp": f"{VERSION} {stamp}"}) + "\n", encoding="utf-8"
        )
