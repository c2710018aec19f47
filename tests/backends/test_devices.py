"""Training on several devices and processes gives what one device gives."""

import os
import socket
import subprocess
import sys
import threading
from pathlib import Path

import keras
import numpy as np
import pytest

from posenet.config import TrainConfig
from posenet.environment import is_installed
from posenet.training import devices
from posenet.training.callbacks import read_history
from posenet.training.devices import Share, distributed, join_hosts, on_one_device, own_share
from tests.helpers.errors import refusal
from tests.helpers.scenes import write_plane

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
needs_jax = pytest.mark.skipif(not is_installed("jax"), reason="JAX is not installed")
TWO_DEVICES = {"XLA_FLAGS": "--xla_force_host_platform_device_count=2"}


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    return write_plane(tmp_path_factory.mktemp("devices"))


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """Return a folder for compiled networks."""
    return tmp_path_factory.mktemp("cache")


def start(scene, output, cache, *words, **variables):
    """Start a process that trains, and return it."""
    common = {"POSENET_CACHE": str(cache), "OMP_NUM_THREADS": "1", "KERAS_BACKEND": ""}
    return subprocess.Popen(
        [sys.executable, "-m", "tests.helpers.host_work", str(scene), str(output), *words],
        cwd=ROOT,
        env=os.environ | common | variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def finished(process, code=0):
    """Wait for a process and return its last line."""
    output, _ = process.communicate(timeout=400)
    assert process.returncode == code, output[-3000:]
    return output.splitlines()[-1]


def start_two(scene, output, cache, *words):
    """Start two processes of one job."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    job = {"JAX_COORDINATOR_ADDRESS": address, "JAX_NUM_PROCESSES": "2"}
    return [start(scene, output, cache, *words, **job, JAX_PROCESS_ID=str(i)) for i in range(2)]


def losses(folder):
    return [float(row["loss"]) for row in read_history(folder / "history.csv")]


def errors(folder):
    return [float(row["val_position_error"]) for row in read_history(folder / "history.csv")]


@needs_jax
def test_two_devices_and_two_processes_train_as_one(scene, cache, tmp_path):
    finished(start(scene, tmp_path / "one", cache))
    last = finished(start(scene, tmp_path / "devices", cache, **TWO_DEVICES))
    assert last == "Share(index=0, count=1, devices=2)"
    for index, process in enumerate(start_two(scene, tmp_path / "hosts", cache)):
        assert finished(process) == f"Share(index={index}, count=2, devices=2)"
    expected = losses(tmp_path / "one")
    assert len(expected) == 2
    for name in ("devices", "hosts"):
        assert losses(tmp_path / name) == pytest.approx(expected, rel=1e-4)
        assert errors(tmp_path / name) == pytest.approx(errors(tmp_path / "one"), rel=1e-3)
        assert (tmp_path / name / "model.keras").is_file()


@needs_jax
def test_a_job_is_resumed_after_its_first_process_was_killed(scene, cache, tmp_path):
    run = tmp_path / "run"
    first, second = start_two(scene, run, cache, "stop")
    finished(first, code=-9)
    second.communicate(timeout=400)
    assert second.returncode != 0  # JAX ends the others
    assert len(losses(run)) == 1
    for process in start_two(scene, run, cache, "resume"):
        finished(process)
    assert len(losses(run)) == 2
    assert losses(run)[1] < losses(run)[0]


def test_one_device_is_not_distributed():
    assert own_share() == Share() or keras.backend.backend() == "jax"
    with distributed(None, Share()), on_one_device():
        assert keras.distribution.distribution() is None


def test_hosts_require_jax_and_epochs(monkeypatch):
    assert refusal(TrainConfig, Path("scene"), hosts=True, backend="torch", epochs=1) == (
        "--hosts requires --backend jax, received torch"
    )
    assert refusal(TrainConfig, Path("scene"), hosts=True) == (
        "--hosts requires --epochs, since the clocks of processes differ"
    )
    assert refusal(TrainConfig, Path("run"), hosts=True, add=Path("scene")) == (
        "--hosts and --add exclude each other, received both"
    )
    monkeypatch.setattr(keras.backend, "backend", lambda: "torch")
    assert refusal(join_hosts) == "--hosts requires Keras on jax, here it runs on torch"


@pytest.mark.skipif(not hasattr(os, "SCHED_BATCH"), reason="Linux only")
def test_threads_that_connect_processes_wait_for_their_turn():
    before = os.sched_getscheduler(0)
    policies = []
    thread = threading.Thread(target=lambda: policies.append(os.sched_getscheduler(0)))
    with devices._patient_threads():
        thread.start()
    thread.join()
    assert policies == [os.SCHED_BATCH]
    assert os.sched_getscheduler(0) == before


@needs_jax
def test_a_job_must_be_named_completely(monkeypatch):
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    monkeypatch.setenv("JAX_COORDINATOR_ADDRESS", "127.0.0.1:1")
    monkeypatch.setenv("JAX_NUM_PROCESSES", "2")
    monkeypatch.delenv("JAX_PROCESS_ID", raising=False)
    assert refusal(join_hosts) == (
        "--hosts requires JAX_NUM_PROCESSES and JAX_PROCESS_ID beside JAX_COORDINATOR_ADDRESS, "
        "received 2 and None"
    )
    monkeypatch.delenv("JAX_COORDINATOR_ADDRESS")
    assert refusal(join_hosts).startswith(
        "--hosts requires JAX_COORDINATOR_ADDRESS, JAX_NUM_PROCESSES, JAX_PROCESS_ID, or a job of "
        "SLURM or Open MPI ("
    )


def test_a_batch_is_shared_by_processes(loaded_batches):
    whole = list(loaded_batches(Share()).epoch(2))
    parts = [
        list(loaded_batches(Share(index, 2, 4)).epoch(2, Share(index, 2, 4))) for index in range(2)
    ]
    assert len(whole) == len(parts[0]) == len(parts[1]) == 3
    for (images, truth), first, second in zip(whole, *parts, strict=True):
        np.testing.assert_array_equal(images, np.concatenate([first[0], second[0]]))
        for name, values in truth.items():
            np.testing.assert_array_equal(values, np.concatenate([first[1][name], second[1][name]]))


def test_batches_are_multiples_of_the_devices(loaded_batches):
    assert loaded_batches(Share(0, 1, 3)).batch_size == 3
    assert refusal(loaded_batches, Share(0, 1, 5)) == (
        "training on 5 devices requires as many images per batch, received 4"
    )


@pytest.fixture
def loaded_batches(cambridge):
    """Return a function that makes batches of four of twelve images for a share."""
    from posenet.datasets.registry import open_scene
    from posenet.geometry.cropping import Crop
    from posenet.io.image_cache import load_images
    from posenet.training.augmentation import Augmentation
    from posenet.training.batches import TrainingBatches

    scene = open_scene(cambridge).split("train")
    crop = Crop((48, 64), (32, 48))
    images = load_images(scene.paths, crop.resized)
    return lambda share: TrainingBatches(
        scene, images, crop, Augmentation(), batch_size=4, seed=0, share=share
    )
