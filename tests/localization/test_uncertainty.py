import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from posenet.geometry.poses import Poses
from posenet.localization.absolute_pose import AbsolutePose
from posenet.localization.pnp import CameraPose
from posenet.localization.uncertainty import (
    UncertaintyModel,
    calibrate_uncertainty,
    load_uncertainty,
    save_uncertainty,
)


def located(position, deviation=0.01, degrees=0.1, rotation=None):
    """A refined pose whose deviations are these, the same along each axis."""
    variances = np.repeat([deviation**2, np.radians(degrees) ** 2], 3) / 3
    rotation = rotation or Rotation.identity()
    return AbsolutePose(
        position=np.array(position, float),
        rotation=rotation,
        num_inliers=50,
        covariance=np.diag(variances),
        rows=np.zeros(0, int),
        rays=np.zeros((0, 2)),
        points=np.zeros((0, 3)),
        num_cells=20,
        degrees_per_pixel=0.5,
    )


def test_deviations_are_over_all_directions():
    assert located([0, 0, 0], 0.03, 0.6).standard_deviations == pytest.approx((0.03, 0.6))


def test_a_refined_pose_may_lie_three_deviations_from_the_regressed_one():
    # Standard deviations 0.3 (10 x 0.03) and 0.4, together 0.5: the limit is 1.5. In rotation 3
    # and 4 degrees: the limit is 15.
    model, found = UncertaintyModel(0.4, 4.0, 10.0), located([0, 0, 0], 0.03, 0.3)
    turn = {
        degrees: Rotation.from_rotvec([0, np.radians(degrees), 0]) for degrees in (0, 14.9, 15.1)
    }
    assert model.is_consistent(CameraPose(np.array([1.49, 0, 0]), turn[0]), found)
    assert not model.is_consistent(CameraPose(np.array([1.51, 0, 0]), turn[0]), found)
    assert model.is_consistent(CameraPose(np.zeros(3), turn[14.9]), found)
    assert not model.is_consistent(CameraPose(np.zeros(3), turn[15.1]), found)


def test_calibration_on_validation_images():
    rng = np.random.default_rng(0)
    truth = Poses(rng.normal(size=(4000, 3)), Rotation.random(4000, rng=rng))
    regressed = Poses(truth.positions + 0.1 * rng.normal(size=(4000, 3)), truth.rotations)
    refined = [located(p + 0.02 * rng.normal(size=3), np.sqrt(3) * 0.004) for p in truth.positions]
    model = calibrate_uncertainty(regressed, refined, truth)
    assert model.position_std == pytest.approx(
        2 * 0.1 * np.sqrt(3), rel=0.03
    )  # over three directions, of a new walk
    assert model.inflation == pytest.approx(0.02 / 0.004, rel=0.03)
    few = calibrate_uncertainty(regressed, [None] * 4000, truth)
    assert few.inflation > 10
    assert few.rotation_std_deg > 0


def test_the_uncertainty_is_saved_for_one_model(tmp_path):
    model = UncertaintyModel(0.1, 1.5, 7.0)
    assert load_uncertainty(tmp_path, "model") is None
    save_uncertainty(tmp_path, "model", model)
    assert load_uncertainty(tmp_path, "model") == model
    assert load_uncertainty(tmp_path, "another") is None
    (tmp_path / "uncertainty.json").write_text("[1]")
    assert load_uncertainty(tmp_path, "model") is None


def test_an_uncertainty_that_cannot_be_written_is_calibrated_again(tmp_path, caplog):
    (tmp_path / "uncertainty.json").mkdir()
    save_uncertainty(tmp_path, "model", UncertaintyModel(0.1, 1.5, 7.0))
    assert "uncertainty.json cannot be written" in caplog.text
    assert load_uncertainty(tmp_path, "model") is None
