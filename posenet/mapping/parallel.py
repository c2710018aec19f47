"""Work on all cores, with progress; what was done before it was stopped can be kept."""

from __future__ import annotations

import os
import sys
import zipfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from posenet.io.files import atomic_path

CHUNK = 200  # results in a kept file

Arrays = tuple[np.ndarray, ...]


def in_parallel(work: Callable, items: Sequence, label: str) -> list:
    """[work(item) for each item] in threads, one a core. OpenCV's and BLAS's own would only get in the way."""
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    pool = ThreadPoolExecutor(os.cpu_count())
    try:
        with threadpool_limits(1, "blas"):
            done = pool.map(work, items)
            return list(
                tqdm(done, total=len(items), desc=label, leave=False, disable=None, file=sys.stderr)
            )
    finally:
        pool.shutdown(cancel_futures=True)  # what is stopped ends soon
        cv2.setNumThreads(threads)


def kept_in_parallel(
    work: Callable[..., Arrays], items: Sequence, label: str, folder: Path | None
) -> list[Arrays]:
    """As in_parallel, for work that gives tuples of arrays: they are kept in a folder, and stopped work goes on.

    The folder must hold nothing of other work. None: nothing is kept.
    """
    results: list[Arrays] = []
    for start in range(0, len(items), CHUNK):
        file = folder / f"{label}-{start:06d}.npz" if folder else None
        part = _kept(file) if file else None
        if part is None:
            some = items[start : start + CHUNK]
            title = label if len(items) <= CHUNK else f"{label}, {start} of {len(items)} done"
            part = in_parallel(work, some, title)
            if file:
                _keep(file, part)
        results += part
    return results


def _keep(file: Path, results: list[Arrays]) -> None:
    arrays: dict[str, Any] = {
        f"{row:06d}-{place}": array
        for row, each in enumerate(results)
        for place, array in enumerate(each)
    }
    with atomic_path(file) as temporary, open(temporary, "wb") as opened:
        np.savez(opened, **arrays)


def _kept(file: Path) -> list[Arrays] | None:
    """The results in a file; None where there is none, or a damaged one."""
    try:
        with np.load(file, allow_pickle=False) as kept:
            rows: dict[str, list[np.ndarray]] = {}
            for name in sorted(kept.files):
                rows.setdefault(name.split("-")[0], []).append(kept[name])
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile):
        return None
    return [tuple(each) for each in rows.values()]
