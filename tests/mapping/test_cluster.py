"""Tasks on the workers of a Dask scheduler."""

import os
import pickle
import signal
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from posenet.errors import PoseNetError
from posenet.mapping import cluster, landmarks
from posenet.mapping.cluster import DaskExecutor, connect, run_batch
from posenet.mapping.keypoint_store import KeypointStore
from posenet.mapping.landmarks import load_or_build_landmarks
from posenet.mapping.parallel import run_tasks
from posenet.mapping.triangulation import _Detect
from tests.helpers.errors import refusal
from tests.helpers.planes import plane_scene


def enter(address):
    with connect(address):
        pass


@pytest.fixture(autouse=True)
def own_environment(monkeypatch):
    """Workers change their environment; here they are this process."""
    monkeypatch.setattr(os, "environ", dict(os.environ))


class FakeFuture:
    def __init__(self, result):
        self.result = result


class FakeClient:
    """A client that runs tasks when their result is asked for, and notes how many wait."""

    def __init__(self, threads):
        self.threads = threads
        self.waiting = 0
        self.most = 0
        self.cancelled = []
        self.scheduler = type("Scheduler", (), {"address": "tcp://10.0.0.1:8786"})

    def nthreads(self):
        return self.threads

    def submit(self, run, work, batch, *, pure):
        assert not pure
        self.waiting += 1
        self.most = max(self.most, self.waiting)

        def result():
            self.waiting -= 1
            return run(work, batch)

        return FakeFuture(result)

    def cancel(self, futures):
        self.cancelled += futures


def test_results_are_in_order_and_few_tasks_wait():
    client = FakeClient({"a": 1, "b": 1})
    executor = DaskExecutor(client, batch=3)
    assert list(executor.map(lambda item: item * item, range(50))) == [n * n for n in range(50)]
    assert client.most == 2 * cluster.WAITING_TASKS


def test_tasks_that_wait_are_cancelled_when_work_is_interrupted():
    client = FakeClient({"a": 1})
    results = DaskExecutor(client, batch=1).map(str, range(20))
    assert next(results) == "0"
    results.close()
    assert len(client.cancelled) == cluster.WAITING_TASKS - 1


def test_a_worker_runs_a_batch_in_order():
    os.environ.pop("TF_NUM_INTRAOP_THREADS", None)
    os.environ["OMP_NUM_THREADS"] = "2"
    assert run_batch(str, [3, 1, 2]) == ["3", "1", "2"]
    # A machine has a worker per core. What the user has set stays.
    assert os.environ["TF_NUM_INTRAOP_THREADS"] == "1"
    assert os.environ["OMP_NUM_THREADS"] == "2"


def test_a_scheduler_without_workers_is_an_error():
    line = refusal(lambda: list(DaskExecutor(FakeClient({})).map(str, [1])))
    assert line == (
        "--scheduler requires at least one worker, tcp://10.0.0.1:8786 has none: start "
        "`dask worker` with this address"
    )
    assert list(DaskExecutor(FakeClient({})).map(str, [])) == []


def test_a_missing_extra_is_an_error(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    line = refusal(enter, "tcp://127.0.0.1:8786")
    assert line == (
        "--scheduler requires the extra `cluster`: pip install 'camera-posenet[cluster]'"
    )


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:1", "nothing://here"])
def test_a_scheduler_that_does_not_reply_is_an_error(address, monkeypatch):
    pytest.importorskip("distributed")
    monkeypatch.setattr(cluster, "TIMEOUT", 1)
    line = refusal(enter, address)
    assert line.startswith(
        f"--scheduler must be the address of a running Dask scheduler, received {address}: "
    )


@pytest.fixture(scope="module")
def workers():
    """Two workers, each in a process of its own with one thread."""
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address=None
    ) as started:
        yield started


def fail(_):
    raise PoseNetError("the image does not decode")


@pytest.mark.slow
def test_errors_of_tasks_are_those_of_the_command(workers):
    with connect(workers.scheduler_address):
        assert list(run_tasks(str, range(20), "x")) == [str(item) for item in range(20)]
        with pytest.raises(PoseNetError, match="^the image does not decode$"):
            list(run_tasks(fail, [1], "x"))


def test_an_image_that_a_worker_does_not_see_is_an_error(tmp_path):
    path = tmp_path / "a.png"
    detect = _Detect(300)
    assert len(detect((path, None))[0]) == 0  # deleted meanwhile, which costs only this image
    on_worker = pickle.loads(pickle.dumps(detect))
    assert refusal(on_worker, (path, None)) == (
        f"{path} not found: each worker must see the same files"
    )


@pytest.mark.slow
def test_the_map_is_the_same_if_a_worker_is_killed_in_the_middle(workers, tmp_path, monkeypatch):
    monkeypatch.setattr(landmarks, "MAX_KEYPOINTS", 300)
    monkeypatch.chdir(tmp_path)  # the workers have another working folder
    scene = plane_scene(Path("plane"), 24)
    expected = load_or_build_landmarks(Path("alone"), scene)
    killed = []
    save = KeypointStore.save

    def save_and_kill(store, row, arrays):
        save(store, row, arrays)
        if row == 2:
            killed.append(next(iter(workers.workers.values())).pid)
            os.kill(killed[0], signal.SIGKILL)

    monkeypatch.setattr(KeypointStore, "save", save_and_kill)
    with connect(workers.scheduler_address) as executor:
        executor.batch = 1
        found = load_or_build_landmarks(Path("shared"), scene)
    assert len(killed) == 1
    for name in ("starts", "points", "rays", "descriptors"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))
    deadline = time.monotonic() + 30
    while len(workers.scheduler_info["workers"]) < 2 and time.monotonic() < deadline:
        time.sleep(0.1)  # the killed worker is started again
