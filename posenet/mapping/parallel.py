"""Work on all cores, with progress."""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, closing, contextmanager
from contextvars import ContextVar
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol, TypeVar

import cv2
import numpy as np
from threadpoolctl import ThreadpoolController
from tqdm import tqdm

from posenet.environment import available_cores
from posenet.errors import PoseNetError

NUM_CORES = available_cores()

Item = TypeVar("Item")
Result = TypeVar("Result")
Arrays = tuple[np.ndarray, ...]


class Executor(Protocol):
    """Calls functions for many items, on this machine or on others."""

    def map(
        self, work: Callable[[Item], Result], items: Sequence[Item]
    ) -> Generator[Result, None, None]:
        """Call a function for each item.

        Args:
            work: the function.
            items: its arguments.

        Returns:
            The results in order, each once it is ready.
        """
        ...


class LocalThreads:
    """Calls functions in one thread per core of this machine, or as many as `use_threads` states.

    OpenCV's and BLAS's own threads are off meanwhile, since they would compete. A single item has
    OpenCV's threads, and may use more by `in_threads`.
    """

    def map(
        self, work: Callable[[Item], Result], items: Sequence[Item]
    ) -> Generator[Result, None, None]:
        """Call a function for each item, as `Executor.map` states.

        Args:
            work: the function.
            items: its arguments.

        Returns:
            The results in order, each once it is ready.
        """
        if len(items) == 1:
            with one_blas_thread():
                yield work(items[0])
            return
        threads = cv2.getNumThreads()
        cv2.setNumThreads(1)
        pool = ThreadPoolExecutor(_num_threads.get())
        try:
            with one_blas_thread():
                yield from pool.map(work, items)
        finally:
            pool.shutdown(cancel_futures=True)  # interrupted work ends soon
            cv2.setNumThreads(threads)


# Threads of `LocalThreads`.
_num_threads: ContextVar[int] = ContextVar("num_threads", default=NUM_CORES)


@contextmanager
def use_threads(number: int) -> Iterator[None]:
    """Limit the threads of `LocalThreads` in a block, as on a worker that has one core.

    Args:
        number: number of threads.

    Yields:
        Nothing.
    """
    token = _num_threads.set(number)
    try:
        yield
    finally:
        _num_threads.reset(token)


# The executor in use; None for `LocalThreads`.
_executor: ContextVar[Executor | None] = ContextVar("executor", default=None)


@contextmanager
def use_executor(executor: Executor) -> Iterator[None]:
    """Let an executor run the tasks of a block.

    Args:
        executor: the executor.

    Yields:
        Nothing.
    """
    token = _executor.set(executor)
    try:
        yield
    finally:
        _executor.reset(token)


def run_tasks(
    work: Callable[[Item], Result], items: Sequence[Item], label: str
) -> Iterator[Result]:
    """Call a function for each item by the executor in use, by default `LocalThreads`.

    Args:
        work: the function. It and the items can be pickled, and files have the same paths on other
            machines.
        items: its arguments.
        label: name of the work, for the progress bar.

    Returns:
        The results in order, each once it is ready.
    """
    executor = _executor.get() or LocalThreads()
    return _with_progress(executor.map(work, items), len(items), label)


def require_seen(path: Path) -> None:
    """Check, in a task, that its worker sees a file of the machine that submitted it.

    Args:
        path: the file.

    Raises:
        PoseNetError: it does not exist here.
    """
    if not path.is_file():
        raise PoseNetError(f"{path} not found: each worker must see the same files")


def in_parallel(work: Callable[[Item], Result], items: Sequence[Item], label: str) -> list[Result]:
    """Call a function for each item, by `LocalThreads`.

    Args:
        work: the function.
        items: its arguments.
        label: name of the work, for the progress bar.

    Returns:
        The results in order.
    """
    return list(_with_progress(LocalThreads().map(work, items), len(items), label))


def _with_progress(
    results: Generator[Result, None, None], total: int, label: str
) -> Iterator[Result]:
    """Yield results and show how many there are; there is no bar for a single one."""
    with closing(results):
        if total == 1:
            yield from results
        else:
            yield from tqdm(
                results, total=total, desc=label, leave=False, disable=None, file=sys.stderr
            )


def in_threads(work: Callable[[Item], Result], items: Sequence[Item], threads: int) -> list[Result]:
    """Call a function for each item, in several threads.

    Args:
        work: the function; most of its time is spent outside of Python's interpreter lock.
        items: its arguments.
        threads: number of threads. With one, the function is called in this thread.

    Returns:
        The results in order.
    """
    if threads == 1 or len(items) < 2:
        return [work(item) for item in items]
    return list(_threads(threads).map(work, items))


@lru_cache(maxsize=1)
def _threads(number: int) -> ThreadPoolExecutor:
    """Return threads that are started once."""
    return ThreadPoolExecutor(number)


def one_blas_thread() -> AbstractContextManager[Any]:
    """Turn the threads of BLAS off for the duration of a block.

    They wait actively for each other, which takes time from other threads.

    Returns:
        The context of the block.
    """
    blas = _blas(len(sys.modules))
    context: AbstractContextManager[Any] = blas.limit(limits=1, user_api="blas")
    return context


@lru_cache(maxsize=1)
def _blas(num_modules: int) -> ThreadpoolController:
    """Return the thread pools of BLAS. Finding them takes 4 ms, and is repeated after imports.

    A module that is imported later, such as PyTorch, may bring a BLAS of its own.
    """
    return ThreadpoolController()
