"""Work on all cores, with progress."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from functools import lru_cache
from typing import Any, TypeVar

import cv2
import numpy as np
from threadpoolctl import ThreadpoolController
from tqdm import tqdm

from posenet.environment import available_cores

NUM_CORES = available_cores()

Item = TypeVar("Item")
Result = TypeVar("Result")
Arrays = tuple[np.ndarray, ...]


def in_parallel(work: Callable[[Item], Result], items: Sequence[Item], label: str) -> list[Result]:
    """Call a function for each item, in one thread per core.

    OpenCV's and BLAS's own threads are off meanwhile, since they would compete. A single item has
    OpenCV's threads, and may use more by `in_threads`.

    Args:
        work: the function.
        items: its arguments.
        label: name of the work, for the progress bar.

    Returns:
        The results in order.
    """
    return list(in_parallel_iter(work, items, label))


def in_parallel_iter(
    work: Callable[[Item], Result], items: Sequence[Item], label: str
) -> Iterator[Result]:
    """Call a function for each item as `in_parallel`, and yield each result once it is ready.

    Args:
        work: the function.
        items: its arguments.
        label: name of the work, for the progress bar.

    Yields:
        The results in order.
    """
    if len(items) == 1:
        with one_blas_thread():
            yield work(items[0])
        return
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    pool = ThreadPoolExecutor(NUM_CORES)
    try:
        with one_blas_thread():
            results = pool.map(work, items)
            yield from tqdm(
                results, total=len(items), desc=label, leave=False, disable=None, file=sys.stderr
            )
    finally:
        pool.shutdown(cancel_futures=True)  # interrupted work ends soon
        cv2.setNumThreads(threads)


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
    context: AbstractContextManager[Any] = _blas().limit(limits=1, user_api="blas")
    return context


@lru_cache(maxsize=1)
def _blas() -> ThreadpoolController:
    """Return the thread pools of BLAS. Finding them takes 4 ms."""
    return ThreadpoolController()
