"""The scripts in examples/ run as their first lines say."""

import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"

pytestmark = pytest.mark.slow


def run_example(name, *arguments) -> str:
    """Run an example as a user does; return what it prints."""
    command = [sys.executable, str(EXAMPLES / name), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_train_and_evaluate(cambridge, tmp_path):
    printed = run_example("train_and_evaluate.py", cambridge, tmp_path / "run", "--minutes", "0.05")
    lines = printed.splitlines()
    assert lines[0].startswith("Scene(Square: 12 train / 4 test images")
    assert lines[1] == "Square, test split: 4 images"
    assert (tmp_path / "run" / "evaluation" / "summary.json").is_file()


def test_localize_images(trained, cambridge):
    lines = run_example("localize_images.py", trained, cambridge / "seq3").splitlines()
    assert [line.split()[0] for line in lines] == [
        path.name for path in sorted((cambridge / "seq3").iterdir())
    ]
    values = [float(value) for value in lines[0].split()[1:]]
    assert len(values) == 10
    assert values[8] == 0  # the images have no intrinsics
    assert sum(value**2 for value in values[3:7]) == pytest.approx(1, abs=1e-3)
