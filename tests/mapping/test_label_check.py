"""Corrections of intrinsics and the check of rotations depend on each other."""

from dataclasses import replace

import numpy as np
import pytest

from posenet.geometry.camera import Camera
from posenet.geometry.poses import Poses
from posenet.mapping import label_check
from posenet.mapping.calibration import IntrinsicsCorrection
from posenet.mapping.convention_check import ConventionCheck
from posenet.mapping.label_check import check_labels, describe_equal_positions
from tests.helpers.scenes import scene_of, walk

CAMERA = Camera(640, 480, 500.0, 500.0, 320.0, 240.0)
HALF = {"file": IntrinsicsCorrection(factor=0.5)}


@pytest.fixture
def checked(monkeypatch):
    """Check a scene that fits with half its focal length only; return the focal lengths checked."""
    seen = []

    def check(scene, *, use_images=True):
        seen.append(scene.cameras[0].fx)
        verdict = "consistent" if seen[-1] == 250 else "contradicted"
        return ConventionCheck(verdict, "", fitting_reading=checked_reading["reading"])

    checked_reading = {"reading": None}
    monkeypatch.setattr(label_check, "check_convention", check)
    monkeypatch.setattr(label_check, "estimate_corrections", lambda scene, cache: HALF)
    return seen, checked_reading


def test_labels_are_checked_again_with_corrected_intrinsics(checked):
    scene = scene_of(walk(), [CAMERA] * 60)
    convention, corrections = check_labels(scene, scene)
    assert (convention.verdict, corrections) == ("consistent", HALF)
    assert checked[0] == [500, 250]


def test_labels_in_another_reading_are_not_corrected(checked):
    scene = scene_of(walk(), [CAMERA] * 60)
    checked[1]["reading"] = "another"
    convention, corrections = check_labels(scene, scene)
    assert (convention.verdict, corrections, checked[0]) == ("contradicted", {}, [500])


def test_nothing_is_corrected_without_images_or_if_unwanted(checked):
    scene = scene_of(walk(), [CAMERA] * 60)
    assert check_labels(scene, scene, use_images=False)[1] == {}
    assert check_labels(scene, scene, refine_intrinsics=False)[1] == {}


def test_equal_positions():
    scene = scene_of(walk())
    assert describe_equal_positions(scene) == []
    equal = replace(scene, poses=Poses(np.full((60, 3), 4e5), scene.poses.rotations))
    assert describe_equal_positions(equal) == [
        "all 60 positions are equal: there is no position to learn"
    ]
    assert describe_equal_positions(equal.subset([0])) == []
