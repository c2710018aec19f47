"""Tasks on the workers of a Dask scheduler (extra `cluster`)."""

from __future__ import annotations

import logging
import os
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import cv2

from posenet.environment import import_extra
from posenet.errors import PoseNetError, count, first_line
from posenet.mapping.parallel import Item, Result, one_blas_thread, use_executor, use_threads

log = logging.getLogger("posenet")

# Items of a task, which is what a lost worker costs: half a second of keypoints. The scheduler
# takes some milliseconds for each task.
BATCH = 8
# Tasks that are submitted per thread of the workers. Results that wait are lost with their worker.
WAITING_TASKS = 3
# Environment variables that give TensorFlow, OpenMP (PyTorch) and XLA (JAX) one thread.
ONE_THREAD = {
    "TF_NUM_INTRAOP_THREADS": "1",
    "TF_NUM_INTEROP_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false",
}
# Seconds until a scheduler must reply.
TIMEOUT = 10


class DaskExecutor:
    """Calls functions on the workers of a scheduler.

    A task whose worker is lost is run by another one; if that happens to a task repeatedly, it
    fails.
    """

    def __init__(self, client: Any, *, batch: int = BATCH) -> None:
        """Take a connection.

        Args:
            client: a `distributed.Client`.
            batch: number of items of a task.
        """
        self.client = client
        self.batch = batch

    def map(
        self, work: Callable[[Item], Result], items: Sequence[Item]
    ) -> Generator[Result, None, None]:
        """Call a function for each item, as `Executor.map` states.

        Args:
            work: the function, which can be pickled.
            items: its arguments.

        Returns:
            The results in order, as they come.

        Raises:
            PoseNetError: the scheduler has no worker, or a task lost its workers repeatedly.
        """
        threads = sum(self.client.nthreads().values())
        if not threads and len(items):
            raise PoseNetError(
                f"--scheduler requires at least one worker, {self.client.scheduler.address} has "
                "none: start `dask worker` with this address"
            )
        waiting: deque[Any] = deque()
        try:
            for start in range(0, len(items), self.batch):
                batch = list(items[start : start + self.batch])
                waiting.append(self.client.submit(run_batch, work, batch, pure=False))
                if len(waiting) >= WAITING_TASKS * threads:
                    yield from self._result(waiting.popleft())
            while waiting:
                yield from self._result(waiting.popleft())
        finally:
            self.client.cancel(list(waiting))

    def _result(self, future: Any) -> list[Any]:
        try:
            results: list[Any] = future.result()
        except self._killed as error:
            raise PoseNetError(
                f"a task on {self.client.scheduler.address} lost its workers repeatedly, as if "
                f"their memory did not suffice: {first_line(error)}"
            ) from None
        return results

    @property
    def _killed(self) -> type[Exception]:
        killed: type[Exception] = import_extra(
            "distributed.scheduler", "cluster", "--scheduler"
        ).KilledWorker
        return killed


def run_batch(work: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
    """Call a function for each item in one thread, on a worker.

    Libraries that the worker imports later have one thread too: a machine has a worker per core.

    Args:
        work: the function.
        items: its arguments.

    Returns:
        The results in order.
    """
    cv2.setNumThreads(1)
    for name, value in ONE_THREAD.items():
        os.environ.setdefault(name, value)
    with one_blas_thread(), use_threads(1):
        return [work(item) for item in items]


@contextmanager
def connect(address: str) -> Iterator[DaskExecutor]:
    """Let the workers of a scheduler run the tasks of a block.

    Whoever can connect to the scheduler can run code on its workers and on this machine.

    Args:
        address: address of the scheduler, such as "tcp://10.0.0.1:8786".

    Yields:
        The executor, which is in use.

    Raises:
        PoseNetError: the package is missing, or the scheduler does not reply.
    """
    distributed = import_extra("distributed", "cluster", "--scheduler")
    try:
        client = distributed.Client(address, timeout=TIMEOUT, set_as_default=False)
    except (OSError, ValueError, TypeError) as error:
        raise PoseNetError(
            f"--scheduler must be the address of a running Dask scheduler, received {address}: "
            f"{first_line(error)}"
        ) from None
    with client:
        executor = DaskExecutor(client)
        log.info("tasks run on %s at %s", count(len(client.nthreads()), "worker"), address)
        with use_executor(executor):
            yield executor
