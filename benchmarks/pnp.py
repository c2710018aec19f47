"""Wrong poses and time of PnP estimators on synthetic matches with outliers.

    python benchmarks/pnp.py [--cases 20]

Each case has 300 matches with one pixel of noise, seen at depths of 2 to 8 by a camera with 640 x
480 pixels and a focal length of 500. The points of outliers lie elsewhere in the view, at the same
depths. A pose is wrong if it is more than 0.1 units or 2 degrees off, or if none is found. All
estimators have the same number of iterations, except that OpenCV's SQPnP has a tenth.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from typing import NamedTuple

import cv2
import numpy as np
from scipy.spatial.transform import Rotation

from posenet.localization.pnp import (
    RANSAC_CONFIDENCE,
    RANSAC_ITERATIONS,
    RANSAC_PIXELS,
    CameraPose,
    Matches,
    ransac_pnp,
)
from posenet.mapping.keypoints import DESCRIPTOR_SIZE, Keypoints

FOCAL = 500.0
SIZE = (640, 480)
DEPTHS = (2.0, 8.0)
NUM_MATCHES = 300
NOISE_PIXELS = 1.0
OUTLIERS = (0.0, 0.5, 0.7, 0.85, 0.9, 0.95)
MAX_POSITION_ERROR = 0.1
MAX_ROTATION_ERROR_DEG = 2.0
# Iterations of SQPnP, each of which takes 40 microseconds and needs five right matches.
SQPNP_ITERATIONS = 2000
MATRIX = np.diag([FOCAL, FOCAL, 1.0])

Estimator = Callable[[Keypoints, Matches], CameraPose | None]


class Case(NamedTuple):
    """Matches, and the pose that the right ones agree with.

    Attributes:
        keypoints: keypoints of an image.
        matches: one match of each keypoint.
        truth: the true pose.
    """

    keypoints: Keypoints
    matches: Matches
    truth: CameraPose


def random_case(seed: int, outliers: float) -> Case:
    """Return matches with a fraction of outliers, seen from a random pose."""
    rng = np.random.default_rng(seed)
    truth = CameraPose(rng.normal(0, 2, 3), Rotation.from_quat(rng.normal(size=4)))
    num_outliers = round(outliers * NUM_MATCHES)
    rays = _random_rays(rng, NUM_MATCHES)
    depths = rng.uniform(*DEPTHS, (NUM_MATCHES, 1))
    noise = rng.normal(0, NOISE_PIXELS / FOCAL, rays.shape)
    descriptors = np.zeros((NUM_MATCHES, DESCRIPTOR_SIZE), np.uint8)
    keypoints = Keypoints(rays + noise, descriptors, 1 / FOCAL)
    rays[:num_outliers] = _random_rays(rng, num_outliers)
    local = np.column_stack([rays * depths, depths])
    rows = np.arange(NUM_MATCHES)
    points = truth.rotation.apply(local) + truth.position
    return Case(keypoints, Matches(rows, points, np.zeros(NUM_MATCHES, int)), truth)


def _random_rays(rng: np.random.Generator, total: int) -> np.ndarray:
    """Return where rays of random pixels meet the plane z = 1, shape (total, 2)."""
    rays: np.ndarray = rng.uniform(-0.5, 0.5, (total, 2)) * SIZE / FOCAL
    return rays


def posenet(keypoints: Keypoints, matches: Matches) -> CameraPose | None:
    """Estimate the pose as refinement does."""
    found = ransac_pnp(keypoints, matches)
    return found.pose if found else None


def opencv(method: int, iterations: int = RANSAC_ITERATIONS) -> Estimator:
    """Return OpenCV's solvePnPRansac with a minimal solver or a variant of USAC."""

    def estimate(keypoints: Keypoints, matches: Matches) -> CameraPose | None:
        found, rotation_vector, translation, _ = cv2.solvePnPRansac(
            matches.points,
            keypoints.rays[matches.rows] * FOCAL,
            MATRIX,
            None,
            iterationsCount=iterations,
            reprojectionError=RANSAC_PIXELS,
            confidence=RANSAC_CONFIDENCE,
            flags=method,
        )
        if not found:
            return None
        rotation = Rotation.from_rotvec(rotation_vector.ravel()).inv()
        return CameraPose(-rotation.apply(translation.ravel()), rotation)

    return estimate


ESTIMATORS: dict[str, Estimator] = {
    "posenet": posenet,
    "OpenCV, SQPnP": opencv(cv2.SOLVEPNP_SQPNP, SQPNP_ITERATIONS),
    "OpenCV, P3P": opencv(cv2.SOLVEPNP_P3P),
    "OpenCV, USAC": opencv(cv2.USAC_DEFAULT),
}


def is_wrong(pose: CameraPose | None, truth: CameraPose) -> bool:
    """Return whether a pose is missing or too far from the truth."""
    if pose is None:
        return True
    distance = np.linalg.norm(pose.position - truth.position)
    angle = np.degrees((pose.rotation.inv() * truth.rotation).magnitude())
    return not (distance <= MAX_POSITION_ERROR and angle <= MAX_ROTATION_ERROR_DEG)


def table_cells(estimate: Estimator, cases: list[Case]) -> str:
    """Return the cells of an estimator: wrong poses, median CPU milliseconds."""
    wrong = 0
    milliseconds = []
    for case in cases:
        start = time.process_time()
        pose = estimate(case.keypoints, case.matches)
        milliseconds.append(1000 * (time.process_time() - start))
        wrong += is_wrong(pose, case.truth)
    return f"{wrong} | {statistics.median(milliseconds):.1f}"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--cases", type=int, default=20, help="cases for each share of outliers")
    options = parser.parse_args()
    titles = [f"{name}: wrong of {options.cases} | CPU ms" for name in ESTIMATORS]
    print(f"| outliers | {' | '.join(titles)} |")
    print("|---" * (1 + 2 * len(ESTIMATORS)) + "|")
    for outliers in OUTLIERS:
        cases = [random_case(seed, outliers) for seed in range(options.cases)]
        cells = [table_cells(estimate, cases) for estimate in ESTIMATORS.values()]
        print(f"| {outliers:.0%} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
