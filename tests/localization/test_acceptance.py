"""Poses by hand with wide and narrow support, with and without a rival."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from posenet.localization.absolute_pose import AbsolutePose
from posenet.localization.acceptance import choose_pose, log_odds, rival_fraction
from posenet.localization.pnp import CameraPose
from posenet.localization.uncertainty import UncertaintyModel

# A regressed position may be 1.5 m wrong (three deviations), a rotation 15 degrees.
UNCERTAINTY = UncertaintyModel(0.5, 5.0, 1.0)


def supported(x, *, cells, degrees, inliers=50, rival=None):
    """Return a pose at (x, 0, 0) that is itself exact."""
    return AbsolutePose(
        position=np.array([x, 0.0, 0]),
        rotation=Rotation.identity(),
        num_inliers=inliers,
        covariance=np.zeros((6, 6)),
        rows=np.arange(inliers),
        rays=np.zeros((inliers, 2)),
        points=np.zeros((inliers, 3)),
        num_cells=cells,
        degrees_per_pixel=degrees,
        rival=rival,
    )


def wide(x, **more):
    return supported(x, cells=25, degrees=1.0, **more)


def regressed(x, degrees=0.0):
    return CameraPose(np.array([x, 0.0, 0]), Rotation.from_euler("y", degrees, degrees=True))


@pytest.mark.parametrize("prior", [None, regressed(0), regressed(30), regressed(0, 120)])
def test_wide_support_is_accepted_whatever_the_regressed_pose(prior):
    pose = wide(0)
    assert choose_pose(pose, prior, UNCERTAINTY) is pose


@pytest.mark.parametrize("prior", [None, regressed(0)])
def test_small_and_flat_support_is_refused_even_with_many_inliers(prior):
    small = supported(0, cells=5, degrees=3.0, inliers=400)
    assert choose_pose(small, prior, UNCERTAINTY) is None
    flat = supported(0, cells=12, degrees=60.0, inliers=400)
    assert choose_pose(flat, prior, UNCERTAINTY) is None


def test_fewer_than_15_inliers_are_refused():
    assert choose_pose(wide(0, inliers=14), regressed(0), UNCERTAINTY) is None
    enough = wide(0, inliers=15)
    assert choose_pose(enough, regressed(0), UNCERTAINTY) is enough


def test_log_odds_by_hand():
    # 8 cells and 1 degree per pixel are the intercept, 3.9. Twice the cells add 5.8 log 2 = 4.02;
    # e times the degrees subtract 2.6; a rival with half the inliers subtracts 2.7 / 2.
    typical = supported(0, cells=8, degrees=1.0)
    assert log_odds(typical) == pytest.approx(3.9)
    assert log_odds(replace(typical, num_cells=16)) == pytest.approx(7.92, abs=0.005)
    assert log_odds(replace(typical, degrees_per_pixel=np.e)) == pytest.approx(1.3)
    rivaled = replace(typical, rival=wide(9, inliers=25))
    assert log_odds(rivaled) == pytest.approx(2.55)
    # Guided matching may leave a rival with more inliers: it counts as one with as many.
    stronger = replace(typical, rival=wide(9, inliers=100))
    assert rival_fraction(stronger) == 2.0
    assert log_odds(stronger) == pytest.approx(1.2)
    assert np.isfinite(log_odds(replace(typical, degrees_per_pixel=0.0)))


def test_an_accepted_pose_has_log_odds_of_at_least_one_and_a_half():
    # 3.9 - 2.6 log(degrees) is 1.5 at exp(2.4 / 2.6) = 2.517 degrees.
    for degrees, is_accepted in ((2.5, True), (2.53, False)):
        pose = supported(0, cells=8, degrees=degrees)
        assert (choose_pose(pose, None, UNCERTAINTY) is pose) == is_accepted


@pytest.mark.parametrize("inliers", [35, 50, 60])
def test_the_regressed_pose_decides_between_equally_supported_poses(inliers):
    rival = wide(8, inliers=inliers)  # from 70 % of the inliers on
    pose = wide(0, rival=rival)
    assert choose_pose(pose, regressed(1.4), UNCERTAINTY) is pose
    assert choose_pose(pose, regressed(6.6), UNCERTAINTY) is rival
    assert choose_pose(pose, regressed(4), UNCERTAINTY) is None  # neither
    assert choose_pose(pose, regressed(0, 16.0), UNCERTAINTY) is None
    assert choose_pose(pose, None, UNCERTAINTY) is None


def test_a_regressed_pose_that_agrees_with_both_does_not_decide():
    pose = wide(0, rival=wide(2))
    assert choose_pose(pose, regressed(1), UNCERTAINTY) is None


def test_a_rival_with_much_fewer_inliers_does_not_make_a_pose_ambiguous():
    pose = wide(0, rival=wide(8, inliers=34))
    for prior in (None, regressed(8), regressed(0)):
        assert choose_pose(pose, prior, UNCERTAINTY) is pose


def test_the_chosen_rival_must_be_certain_itself():
    few = wide(0, inliers=18, rival=wide(8, inliers=14))
    assert choose_pose(few, regressed(8), UNCERTAINTY) is None
    assert choose_pose(few, regressed(0), UNCERTAINTY) is few
    small = wide(0, rival=supported(8, cells=5, degrees=3.0))
    assert choose_pose(small, regressed(8), UNCERTAINTY) is None
    assert choose_pose(small, regressed(0), UNCERTAINTY) is small
