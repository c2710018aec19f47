"""The Python API: what `import posenet` offers, and that it is instant."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

import posenet
from tests.helpers.errors import refusal
from tests.helpers.scenes import QUICK, write_cambridge

pytestmark = pytest.mark.slow


def test_import_is_instant_and_imports_nothing_heavy():
    script = (
        "import sys, posenet; dir(posenet)\n"
        "heavy = {'numpy', 'scipy', 'cv2', 'keras', 'tensorflow', 'matplotlib'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("name", sorted(set(posenet.__all__) - {"__version__"}))
def test_every_public_name_can_be_imported(name):
    assert getattr(posenet, name).__name__ == name


def test_unknown_name_raises_attribute_error():
    with pytest.raises(AttributeError, match="module 'posenet' has no attribute 'pose'"):
        _ = posenet.pose


def test_scene_can_be_opened_by_str_and_prints_in_one_line(cambridge):
    scene = posenet.open_scene(str(cambridge))
    assert len(scene) == 16
    text = str(scene)
    assert "\n" not in text
    assert text.startswith("Scene(Square: 12 train / 4 test images")


@pytest.mark.slow
def test_train_takes_a_scene_and_its_split(tmp_path):
    folder = write_cambridge(tmp_path / "Square")
    scene = posenet.open_scene(folder, split="every:4")
    run = posenet.train(scene, str(tmp_path / "run"), epochs=1, **QUICK)
    assert isinstance(run, posenet.Run)
    assert run.split == "every:4"
    assert set(run.training_images) == set(scene.split("train").names)
    assert "\n" not in str(run)
    again = posenet.load(str(tmp_path / "run"))
    assert again == run


def test_train_refuses_a_part_of_a_scene(cambridge, tmp_path):
    scene = posenet.open_scene(cambridge)
    line = refusal(posenet.train, scene.split("train"), tmp_path / "run", epochs=1)
    assert "train requires a scene as open_scene returned it" in line
    assert "contains 16 images, received 12" in line
    other = replace(scene, splits=np.array(["train"] * 16))
    assert "or another split" in refusal(posenet.train, other, tmp_path / "run", epochs=1)
    assert not (tmp_path / "run").exists()


def test_train_raises_for_unknown_options(cambridge, tmp_path):
    with pytest.raises(TypeError, match="speed"):
        posenet.train(cambridge, tmp_path / "run", speed=3)


@pytest.mark.slow
def test_run_evaluates_prints_and_saves(trained):
    result = posenet.load(trained).evaluate(tta_views=1)
    assert isinstance(result, posenet.Evaluation)
    lines = str(result).splitlines()
    assert lines[0] == "Square, test split: 4 images"
    folder = trained / "report"
    result.save(str(folder))
    names = {path.name for path in folder.iterdir()}
    assert {"summary.json", "errors.csv", "trajectory.png", "errors.png"} <= names


@pytest.mark.slow
def test_run_localizes_one_image_and_many(trained, cambridge):
    localizer = posenet.load(str(trained)).localizer(tta_views=2)
    paths = sorted(cambridge.glob("seq3/*.png"))
    pose = localizer.localize(str(paths[0]))
    assert pose.position.shape == (3,)
    assert np.linalg.norm(pose.quaternion_wxyz) == pytest.approx(1)
    many = localizer.localize_all(paths)
    assert isinstance(many, posenet.PoseEstimates)
    assert many.positions.shape == (4, 3)
    np.testing.assert_allclose(many.positions[0], pose.position, atol=1e-5)
    assert "\n" not in str(pose) + str(many)


@pytest.mark.slow
def test_a_tracker_requires_refinement(trained):
    with pytest.raises(
        posenet.PoseNetError, match="requires the intrinsics of the training images"
    ):
        posenet.load(trained).tracker()
