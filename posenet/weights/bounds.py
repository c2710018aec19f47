"""A bound on the memory that a library may take while it reads a stranger's file."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def memory_at_most(extra: int) -> Iterator[None]:
    """Within the block the process may grow by so many bytes; what asks for more gets MemoryError or fails.

    libhdf5 takes the lengths of texts in a file at their word, four gigabytes if need be. Linux only: elsewhere the
    block runs without a bound.
    """
    if not sys.platform.startswith("linux"):
        yield
        return
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    bound = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize() + extra
    if soft != resource.RLIM_INFINITY:
        bound = min(bound, soft)
    resource.setrlimit(resource.RLIMIT_AS, (bound, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
