"""What users read: the help of the command line, and a report."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from posenet.datasets.registry import open_scene
from posenet.evaluation.evaluate import evaluate_estimates
from posenet.geometry.poses import Poses

pytestmark = pytest.mark.slow

FIXTURES = Path(__file__).resolve().parents[1] / "fixtures"


def test_help_of_the_command_line():
    done = subprocess.run(
        [sys.executable, "-m", "posenet", "-h"],
        capture_output=True,
        text=True,
        env=os.environ | {"COLUMNS": "80"},
        check=True,
    )
    printed = "\n".join(line.rstrip() for line in done.stdout.splitlines()) + "\n"
    assert printed == (FIXTURES / "posenet_help.txt").read_text(encoding="utf-8")


def test_report(cambridge):
    scene = open_scene(cambridge)
    test = scene.split("test")
    estimate = Poses(test.poses.positions + [0.24, 0.32, 0], test.poses.rotations)
    result = evaluate_estimates(
        scene, test, estimate, np.ones(4, bool), method="network", retrieved=test.poses
    )
    assert str(result) == (FIXTURES / "report.txt").read_text(encoding="utf-8").rstrip("\n")
