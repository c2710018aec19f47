"""Names of unfinished files, and removal of those that killed processes left behind."""

from __future__ import annotations

import hashlib
import os
import platform
import re
import secrets
import shutil
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

# Bytes of the random part.
TOKEN_BYTES = 6
# The parts of a name: where the process runs, its number, and the random part.
FORM = re.compile(r"\.([0-9a-f]{8})-([0-9]{1,10})-[0-9a-f]{12}-")


def temporary_path(target: Path, ending: str = "") -> Path:
    """Return a new name beside a file or folder, for its content until it is complete.

    The first call of a process for a folder removes what killed processes of the same machine left
    there under such names.

    Args:
        target: the file or folder to write.
        ending: added to the name.

    Returns:
        The path, which does not exist. Without `ending` it has the target's suffix.
    """
    remove_abandoned(target.parent.absolute())
    token = secrets.token_hex(TOKEN_BYTES)
    return target.with_name(f".{_place()}-{os.getpid()}-{token}-{target.name}{ending}")


@lru_cache(maxsize=1000)
def remove_abandoned(folder: Path) -> None:
    """Remove unfinished files and folders of processes that do not exist any more.

    Processes of other machines and containers, which may share the folder, are unknown: what is
    theirs stays.

    Args:
        folder: the folder.
    """
    with suppress(OSError):
        for entry in os.scandir(folder):
            form = FORM.match(entry.name)
            if form is None or form[1] != _place() or _is_alive(int(form[2])):
                continue
            if entry.is_dir(follow_symlinks=False):
                shutil.rmtree(entry.path, ignore_errors=True)
            else:
                with suppress(OSError):
                    os.unlink(entry.path)


@lru_cache(maxsize=1)
def _place() -> str:
    """Return a name of the machine or container, within which process numbers are unique."""
    try:
        namespace = os.readlink("/proc/self/ns/pid")
    except OSError:  # not Linux
        namespace = ""
    return hashlib.sha256(f"{platform.node()} {namespace}".encode()).hexdigest()[:8]


def _is_alive(process: int) -> bool:
    """Return whether a process of this machine exists."""
    if os.name != "posix":  # on Windows, os.kill ends it
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True
    return True
