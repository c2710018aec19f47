"""A page of a small courtyard with estimates of known errors."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from posenet.datasets.courtyard.generate import make_courtyard
from posenet.datasets.registry import open_scene
from posenet.evaluation.baselines import NETWORK_ALONE
from posenet.evaluation.evaluate import PoseErrors, evaluate_estimates
from posenet.evaluation.view import make_view
from posenet.geometry.poses import Poses

# Position errors of the two methods in meters, and rotation errors in degrees.
REFINED = np.array([0.01, 0.02, 0.05, 0.03, 0.04, 0.02])
NETWORK = np.array([0.3, 0.2, 0.4, 0.5, 0.1, 0.6])
ROTATION_DEG = np.array([0.5, 1, 1.5, 2, 2.5, 3])


def shifted(poses, distances):
    """Return poses moved along x by distances, and turned about z by ROTATION_DEG."""
    turns = Rotation.from_euler("z", ROTATION_DEG[:, None], degrees=True)
    offset = np.column_stack([distances, np.zeros((len(distances), 2))])
    return Poses(poses.positions + offset, turns * poses.rotations)


@pytest.fixture(scope="session")
def courtyard(tmp_path_factory):
    """Return a courtyard of 12 training and 6 test images."""
    folder = tmp_path_factory.mktemp("view") / "courtyard"
    make_courtyard(folder, train=12, test=6, progress=False)
    return open_scene(folder)


@pytest.fixture(scope="session")
def evaluation(courtyard):
    """Return an evaluation of estimates with known errors."""
    test = courtyard.split("test")
    refined = shifted(test.poses, REFINED)
    result = evaluate_estimates(
        courtyard, test, refined, np.ones(6, bool), method="refined", retrieved=test.poses
    )
    return replace(
        result,
        baselines={NETWORK_ALONE: PoseErrors(NETWORK, ROTATION_DEG)} | result.baselines,
        regressed=shifted(test.poses, NETWORK),
        matches=[result.training.names[row] for row in (0, 2, 4, 6, 8, 10)],
    )


@pytest.fixture(scope="session")
def view(evaluation):
    """Return the content of the page."""
    return make_view(evaluation)
