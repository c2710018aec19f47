"""Writing files so that nothing is ever half-written."""

from __future__ import annotations

import hashlib
import logging
import os
import secrets  # process numbers are not unique: each container has its own
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from posenet.errors import PoseNetError

log = logging.getLogger("posenet")


@contextmanager
def atomic_path(target: Path) -> Iterator[Path]:
    """A temporary name beside target, with its suffix; renamed to target when the block ends well, removed when not.

    A full disk or missing rights become a PoseNetError.
    """
    temporary = target.with_name(f".{secrets.token_hex(6)}-{target.name}")
    try:
        yield temporary
        os.replace(temporary, target)
    except OSError as error:
        if isinstance(error, FileNotFoundError) and temporary.parent.exists():
            raise
        raise PoseNetError(f"{target} cannot be written: {error.strerror or error}") from error
    finally:
        with suppress(OSError):  # on a disk that is read only, even of a file that is not there
            temporary.unlink()


@contextmanager
def best_effort_write(target: Path) -> Iterator[Path]:
    """As atomic_path, for what can be made again: a warning where it cannot be written."""
    try:
        with atomic_path(target) as temporary:
            yield temporary
    except PoseNetError as error:
        log.warning("%s: it will be made again", error)


@contextmanager
def exclusive_lock(folder: Path) -> Iterator[None]:
    """A folder that no other process holds in this way until the block ends, or the process does.

    Raises PoseNetError when another one does. Disks and systems without locks let everybody in.
    """
    try:
        import fcntl
    except ImportError:  # Windows
        yield
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise PoseNetError(f"{folder} is in use: another process writes to it") from None
        except OSError:  # a disk without locks
            pass
        yield
    finally:
        os.close(handle)


@contextmanager
def atomic_directory(target: Path) -> Iterator[Path]:
    """A folder of another name beside target, renamed to target when the block ends well, removed when not.

    Raises PoseNetError when target exists or cannot be made.
    """
    if os.path.lexists(target):
        raise PoseNetError(f"a folder that does not exist yet is needed, received {target}")
    unfinished = target.with_name(f".{target.name}.{secrets.token_hex(6)}.unfinished")
    try:
        unfinished.mkdir(parents=True)
        yield unfinished
        unfinished.rename(target)
    except OSError as error:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise PoseNetError(f"{target} cannot be written: {error.strerror or error}") from error
    except BaseException:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise


def write_text(target: Path, text: str) -> None:
    """Write a whole text file, or leave the old one untouched. File names that are no UTF-8 keep their bytes."""
    with atomic_path(target) as temporary:
        temporary.write_text(text, encoding="utf-8", errors="surrogateescape")


def fingerprint_files(paths: Iterable[Path]) -> str:
    """A digest of files' names, sizes and times, to tell whether what was made of them is still of them."""
    digest = hashlib.sha256()
    for path in paths:
        digest.update(fingerprint_file(path, path.name))
    return digest.hexdigest()[:32]


def fingerprint_file(path: Path, name: str) -> bytes:
    """A name with the file's size and time, 0 where there is none (a link may lead nowhere); it need not be UTF-8."""
    stat = path.stat() if path.is_file() else None
    told = f"{name}\0{stat.st_size if stat else 0}\0{stat.st_mtime_ns if stat else 0}\0"
    return told.encode(errors="surrogateescape")


def require_free_space(folder: Path, size: int) -> None:
    """Raise PoseNetError when folder's disk has less than size bytes free."""
    free = shutil.disk_usage(folder).free
    if free < size:
        raise PoseNetError(
            f"{folder} needs {size / 1e9:.2f} GB of free space, its disk has {free / 1e9:.2f} GB"
        )
