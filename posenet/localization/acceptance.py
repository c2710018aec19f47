"""Which poses from matches are accepted? Those whose support determines them.

Wrong poses have many inliers too: a small, flat or distant part of the scene fits several poses,
and an object that exists twice fits two. So the number of inliers hardly counts, and how they are
spread does. The weights are those of a logistic regression on 2343 poses of held-out training
images of five scenes, thinned to every tenth or twenty-fifth training image. The queries were
unchanged, shrunk to 320 pixels, a third covered, blurred, cropped, or all of it at night. There
0.5 % of the accepted poses were wrong, by more than a quarter of the scene's depth or ten degrees,
and 98 % of the good ones were accepted.
"""

from __future__ import annotations

import numpy as np

from posenet.localization.absolute_pose import AbsolutePose
from posenet.localization.pnp import CameraPose
from posenet.localization.uncertainty import UncertaintyModel

# Log-odds that a pose with support in 8 cells, 1 degree per pixel and no rival is right.
INTERCEPT = 3.9
TYPICAL_CELLS = 8
# Change of the log-odds with the logarithm of the number of cells, with the rival's inliers as a
# fraction of the pose's own, and with the logarithm of the degrees per pixel.
CELLS_WEIGHT = 5.8
RIVAL_WEIGHT = -2.7
DEGREES_WEIGHT = -2.6
# Log-odds of an accepted pose.
MIN_LOG_ODDS = 1.5
# Fewest inliers of an accepted pose: fewer agree by chance.
MIN_ACCEPTED_INLIERS = 15
# A rival with at least this fraction of the inliers makes a pose ambiguous.
AMBIGUOUS_FRACTION = 0.7


def choose_pose(
    pose: AbsolutePose, regressed: CameraPose | None, uncertainty: UncertaintyModel
) -> AbsolutePose | None:
    """Return the pose that the evidence supports.

    If a pose and its rival are about equally supported, the regressed pose decides between them.

    Args:
        pose: the pose from matches, with its strongest rival.
        regressed: the pose from the network, None if invalid.
        uncertainty: the uncertainty model.

    Returns:
        The pose, its rival, or None if neither is certain.
    """
    candidates = [pose]
    if rival_fraction(pose) >= AMBIGUOUS_FRACTION and pose.rival is not None:
        candidates = [
            candidate
            for candidate in (pose, pose.rival)
            if regressed is not None and uncertainty.is_consistent(regressed, candidate)
        ]
    if len(candidates) != 1:
        return None
    return candidates[0] if is_determined(candidates[0]) else None


def is_determined(pose: AbsolutePose) -> bool:
    """Return whether the support of a pose determines it, its rival aside.

    Args:
        pose: a pose from matches.

    Returns:
        True if its inliers are enough, wide and deep enough.
    """
    return pose.num_inliers >= MIN_ACCEPTED_INLIERS and log_odds(pose) >= MIN_LOG_ODDS


def log_odds(pose: AbsolutePose) -> float:
    """Return the logarithm of the odds that a pose is right.

    Args:
        pose: a pose from matches.

    Returns:
        The log-odds by the spread and geometry of its support, and by its rival.
    """
    return float(
        INTERCEPT
        + CELLS_WEIGHT * np.log(pose.num_cells / TYPICAL_CELLS)
        + RIVAL_WEIGHT * min(rival_fraction(pose), 1.0)
        + DEGREES_WEIGHT * np.log(max(pose.degrees_per_pixel, 1e-6))
    )


def rival_fraction(pose: AbsolutePose) -> float:
    """Return the inliers of a pose's rival as a fraction of its own; 0 without a rival.

    Args:
        pose: a pose from matches.

    Returns:
        The fraction.
    """
    return pose.rival.num_inliers / pose.num_inliers if pose.rival else 0.0
