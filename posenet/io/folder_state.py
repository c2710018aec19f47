"""Whether anything in a folder has changed since its files were read."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path


def folder_state(folder: Path, max_files: int) -> str | None:
    """Return a fingerprint of the names, sizes and times of all files in a folder.

    Links are followed. 100,000 files take half a second, a tenth of reading the first bytes of
    each.

    Args:
        folder: the folder.
        max_files: number of files and folders from which it is given up.

    Returns:
        32 hexadecimal digits; None if there are more files, or if a folder cannot be listed.
    """
    digest = hashlib.sha256()
    waiting = [str(folder)]
    seen: set[tuple[int, int]] = set()
    left = max_files
    try:
        while waiting:
            path = waiting.pop()
            status = os.stat(path)
            if (status.st_dev, status.st_ino) in seen:  # a link to a folder above
                continue
            seen.add((status.st_dev, status.st_ino))
            with os.scandir(path) as entries:
                found = sorted(entries, key=lambda entry: entry.name)
            left -= len(found)
            if left < 0:
                return None
            waiting += [entry.path for entry in found if entry.is_dir()]
            text = "\0".join([path, *map(_describe, found)])
            digest.update(text.encode(errors="surrogateescape"))
    except OSError:
        return None
    return digest.hexdigest()[:32]


def _describe(entry: os.DirEntry[str]) -> str:
    """Return name, size and time of a file, the name of a folder or of a broken link."""
    try:
        status = None if entry.is_dir() else entry.stat()
    except OSError:
        status = None
    return f"{entry.name}\0{status.st_size}\0{status.st_mtime_ns}" if status else entry.name
