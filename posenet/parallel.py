"""Work on all cores, with progress."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import cv2
from tqdm import tqdm


def in_parallel(work: Callable, items: Sequence, label: str) -> list:
    """[work(item) for each item] in threads, one a core. OpenCV's own threads would only get in the way."""
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            done = pool.map(work, items)
            return list(tqdm(done, total=len(items), desc=label, leave=False, disable=None, file=sys.stderr))
    finally:
        cv2.setNumThreads(threads)
