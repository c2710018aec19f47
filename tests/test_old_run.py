"""A run made before 0.1.0 (config.json of format 1) opens, evaluates and predicts as it did.

tests/fixtures/run_format_1 is such a run: a network of 30,000 weights with the scene-coordinate
head, trained for 60 epochs on 36 images of the courtyard. The expected numbers were printed by the
version that made it.
"""

import shutil
from pathlib import Path

import numpy as np
import pytest

from posenet.datasets.courtyard.generate import make_courtyard
from posenet.evaluation.evaluate import evaluate_run
from posenet.localization.localizer import LocalizationOptions, Localizer
from posenet.run import open_run

FIXTURE = Path(__file__).parent / "fixtures" / "run_format_1"

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def old_run(tmp_path_factory):
    """The run beside its scene, which is made again from its seed."""
    folder = tmp_path_factory.mktemp("old")
    shutil.copytree(FIXTURE, folder / "run")
    make_courtyard(folder / "courtyard", train=36, test=8, seed=0)
    return open_run(folder / "run")


def test_config_of_format_1_is_read(old_run):
    assert old_run.config.backbone == "tiny"
    assert old_run.head == old_run.config.head == "scene-coordinates"
    assert old_run.config.validation_split == 0.25
    assert old_run.crop.resized == old_run.crop.size == (96, 128)
    assert old_run.position_mean == pytest.approx((-0.559165, -0.208369, 1.601500), abs=1e-6)
    assert old_run.position_scale == pytest.approx(5.774985, abs=1e-6)
    assert (len(old_run.training_images), len(old_run.validation_images)) == (36, 8)
    assert old_run.checkpoint_path == old_run.folder / "backup" / "state.npz"


def test_old_model_outputs_load(old_run):
    assert set(old_run.load_model().output) == {"position", "quaternion", "doubt"}


def test_old_run_evaluates_to_the_same_figures(old_run, monkeypatch):
    monkeypatch.setattr(Localizer, "blending", None)  # there was none
    summary = evaluate_run(old_run, options=LocalizationOptions(refine=False)).summary()
    assert summary["median_position_error"] == pytest.approx(5.4126166, rel=1e-4)
    assert summary["median_rotation_error_deg"] == pytest.approx(24.3091667, rel=1e-4)
    retrieval = summary["baselines"]["retrieval"]
    assert retrieval["median_position_error"] == pytest.approx(6.7630830, rel=1e-4)
    assert retrieval["median_rotation_error_deg"] == pytest.approx(32.8016527, rel=1e-4)


def test_old_run_refines_to_the_same_pose(old_run):
    image = old_run.scene / "seq4" / "frame00001.jpg"
    estimate = Localizer(old_run).localize(image)  # the default
    np.testing.assert_allclose(estimate.position, (-3.427231, -3.404974, 1.597338), atol=2e-3)
    expected = (0.615661, -0.598820, 0.371372, -0.352786)
    np.testing.assert_allclose(estimate.quaternion_wxyz, expected, atol=2e-4)
    assert estimate.refined
    # Of the best eight training images, where the old code counted those of ten (428).
    assert abs(estimate.num_inliers - 408) <= 5
    # Calibrated on only eight images. The old version, whose maps were not packed, gave 0.0091.
    assert estimate.position_std == pytest.approx(0.0079, rel=0.05)
