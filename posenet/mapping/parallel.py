"""Work on all cores, with progress; interrupted work can be resumed."""

from __future__ import annotations

import sys
import zipfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

import cv2
import numpy as np
from threadpoolctl import ThreadpoolController
from tqdm import tqdm

from posenet.environment import available_cores
from posenet.io.files import atomic_path

NUM_CORES = available_cores()
# Number of results in a saved file.
CHUNK = 200

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
    if len(items) == 1:
        with one_blas_thread():
            return [work(items[0])]
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    pool = ThreadPoolExecutor(NUM_CORES)
    try:
        with one_blas_thread():
            results = pool.map(work, items)
            bar = tqdm(
                results, total=len(items), desc=label, leave=False, disable=None, file=sys.stderr
            )
            return list(bar)
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


def in_parallel_resumable(
    work: Callable[[Item], Arrays], items: Sequence[Item], label: str, folder: Path | None
) -> list[Arrays]:
    """Call a function for each item as `in_parallel`, and save the results so that work resumes.

    Args:
        work: the function; it returns arrays.
        items: its arguments.
        label: name of the work.
        folder: where to save; it must not contain results of other work. None: do not save.

    Returns:
        The results in order.
    """
    results: list[Arrays] = []
    for start in range(0, len(items), CHUNK):
        file = folder / f"{label}-{start:06d}.npz" if folder else None
        chunk = _load_chunk(file) if file else None
        if chunk is None:
            part = items[start : start + CHUNK]
            title = label if len(items) <= CHUNK else f"{label}, {start} of {len(items)} done"
            chunk = in_parallel(work, part, title)
            if file:
                _save_chunk(file, chunk)
        results += chunk
    return results


def _save_chunk(file: Path, results: list[Arrays]) -> None:
    arrays: dict[str, Any] = {
        f"{row:06d}-{place}": array
        for row, result in enumerate(results)
        for place, array in enumerate(result)
    }
    with atomic_path(file) as temporary, open(temporary, "wb") as opened:
        np.savez(opened, **arrays)


def _load_chunk(file: Path) -> list[Arrays] | None:
    """Return the results in a file, None if there is none or it is damaged."""
    try:
        with np.load(file, allow_pickle=False) as saved:
            rows: dict[str, list[np.ndarray]] = {}
            for name in sorted(saved.files):
                rows.setdefault(name.split("-")[0], []).append(saved[name])
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile):
        return None
    return [tuple(arrays) for arrays in rows.values()]
