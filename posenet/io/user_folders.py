"""The user's home and cache folders, which containers and clusters may lack."""

from __future__ import annotations

import logging
import os
import tempfile
from functools import cache
from pathlib import Path

from posenet.errors import PoseNetError

log = logging.getLogger("posenet")


def home_folder() -> Path | None:
    """Return the user's home folder.

    Returns:
        The folder, which need not exist; None if neither HOME nor the user database names one.
    """
    try:
        return Path.home()
    except RuntimeError:
        return None


def cache_folder() -> Path:
    """Return the cache folder: POSENET_CACHE, otherwise posenet/ in the user's cache folder.

    Without a cache folder that can be written, it is in the folder for temporary files.

    Returns:
        The folder, which need not exist.

    Raises:
        PoseNetError: POSENET_CACHE is an address.
    """
    if own := os.environ.get("POSENET_CACHE"):
        if "://" in own:
            raise PoseNetError("POSENET_CACHE must be a folder on this machine, it is an address")
        return Path(own)
    home = home_folder()
    if parent := os.environ.get("XDG_CACHE_HOME") or (home and home / ".cache"):
        folder = Path(parent) / "posenet"
        if _is_writable(folder):
            return folder
    return _temporary_cache()


@cache
def _temporary_cache() -> Path:
    """Return a cache folder for this user among the temporary files, and log it once."""
    folder = Path(tempfile.gettempdir()) / f"posenet-{os.getuid()}"
    log.info("there is no writable cache folder: using %s (POSENET_CACHE sets another)", folder)
    return folder


def _is_writable(folder: Path) -> bool:
    """Return whether files can be written to a folder, which is created if necessary."""
    # Unlike those of Path, the functions of os.path are False for a folder that cannot be searched.
    above = (folder, *folder.absolute().parents)
    existing = next(path for path in above if os.path.exists(path))
    return os.path.isdir(existing) and os.access(existing, os.W_OK | os.X_OK)
