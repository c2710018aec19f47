"""A run trained on one backend is used and resumed on another, and none but its own is needed."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from posenet.config import TrainConfig
from posenet.environment import BACKENDS, is_installed
from posenet.run import open_run
from posenet.training.callbacks import read_history
from posenet.training.train import train
from tests.helpers.scenes import write_plane
from tests.helpers.tiny import TINY, StopAfter, register_tiny

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Return a folder with a scene, a finished and an unfinished run of this process' backend."""
    register_tiny()
    folder = tmp_path_factory.mktemp("backends")
    scene = write_plane(folder)
    train(TrainConfig(scene, folder / "unfinished", epochs=2, **TINY), [StopAfter(1)])
    shutil.copytree(folder / "unfinished", folder / "run")
    train(TrainConfig(None, folder / "run", resume=True))
    images = np.random.default_rng(0).uniform(0, 255, (3, 64, 80, 3)).astype(np.float32)
    np.save(folder / "images.npy", images)
    return folder


@pytest.fixture(scope="module", params=BACKENDS)
def other(request, runs, tmp_path_factory):
    """Return another backend, and the folder and the facts of its process."""
    backend = request.param
    if not is_installed(backend) or backend == keras.backend.backend():
        pytest.skip(f"{backend} is not installed, or is what this process runs on")
    if backend == "tensorflow":
        pytest.skip("its process plays one without TensorFlow")
    folder = tmp_path_factory.mktemp(backend)
    shutil.copytree(runs, folder, dirs_exist_ok=True)
    variables = {
        "POSENET_CACHE": str(folder / "cache"),
        "KERAS_BACKEND": "",
        "OMP_NUM_THREADS": "1",
    }
    done = subprocess.run(
        [sys.executable, "-m", "tests.helpers.backend_work", backend, str(folder)],
        cwd=ROOT,
        env=os.environ | variables,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return backend, folder, json.loads(done.stdout.splitlines()[-1])


def assert_same_poses(found, expected):
    """Positions within 1e-4 of the size of the scene, which is some 1 m; unit quaternions too."""
    for name in ("position", "quaternion", "residual_rms"):
        np.testing.assert_allclose(found[name], expected[name], atol=1e-4)


def test_a_run_gives_the_same_poses_on_another_backend(other, runs):
    backend, folder, facts = other
    assert facts["backend"] == backend
    images = np.load(runs / "images.npy")
    here = open_run(runs / "run").load_model().predict_on_batch(images)
    with np.load(folder / "results.npz") as there:
        assert_same_poses(there, here)


def test_a_run_of_another_backend_opens_here(other, runs):
    backend, folder, _ = other
    images = np.load(runs / "images.npy")
    program = (
        "import sys, numpy as np; from posenet.environment import import_keras;"
        f"import_keras({backend!r}); from posenet.run import open_run;"
        f"outputs = open_run({str(folder / 'own_run')!r}).load_model().predict_on_batch("
        f"np.load({str(runs / 'images.npy')!r}));"
        f"np.savez({str(folder / 'own.npz')!r}, **outputs)"
    )
    variables = {"OMP_NUM_THREADS": "1"}
    subprocess.run([sys.executable, "-c", program], env=os.environ | variables, check=True)
    here = open_run(folder / "own_run").load_model().predict_on_batch(images)
    with np.load(folder / "own.npz") as there:
        assert_same_poses(there, here)


def test_trainings_are_resumed_on_their_own_and_on_another_backend(other, runs):
    _, _, facts = other
    for name in ("own_run", "unfinished"):
        losses = facts["histories"][name]
        assert len(losses) == 2
        assert losses[1] < losses[0]
    # The first epoch of the other was trained here. The second gives the same loss as here.
    here = [float(row["loss"]) for row in read_history(runs / "run" / "history.csv")]
    assert facts["histories"]["unfinished"] == pytest.approx(here, rel=1e-3)


def test_parts_of_a_training_work_on_another_backend(other):
    _, _, facts = other
    assert len(facts["passed"]) == 5


def test_what_requires_tensorflow_is_refused_without_it(other):
    _, folder, facts = other
    install = "requires the extra `tensorflow`: pip install 'camera-posenet[tensorflow]'"
    assert facts["export"] == f"posenet export --to saved-model {install}"
    checkpoint = folder / "model.ckpt"
    assert facts["checkpoint"] == f"reading the TensorFlow checkpoint {checkpoint} {install}"
