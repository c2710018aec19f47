"""Whether anything in a folder has changed since its files were read."""

from __future__ import annotations

import hashlib
import os
import stat
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
            text = [path]
            for entry in found:
                is_folder, description = _describe(entry)
                text.append(description)
                if is_folder:
                    waiting.append(entry.path)
            digest.update("\0".join(text).encode(errors="surrogateescape"))
    except OSError:
        return None
    return digest.hexdigest()[:32]


def _describe(entry: os.DirEntry[str]) -> tuple[bool, str]:
    """Return whether an entry is a folder, and its name, for files with size and time."""
    if entry.is_dir(follow_symlinks=False):
        return True, entry.name
    try:
        status = entry.stat()
    except OSError:  # a broken link
        return False, entry.name
    text = f"{entry.name}\0{status.st_size}\0{status.st_mtime_ns}"
    return stat.S_ISDIR(status.st_mode), text
