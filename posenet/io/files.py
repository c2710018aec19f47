"""Files and folders: atomic writes, locks, fingerprints."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np

from posenet.errors import PoseNetError
from posenet.io.json_files import read_json
from posenet.io.temporary_names import temporary_path

log = logging.getLogger("posenet")

# Bytes of zeros that are written at once.
RESERVED_BLOCK = 2**20


@contextmanager
def atomic_path(target: Path) -> Iterator[Path]:
    """Write a file under a temporary name and rename it to its target at the end of a block.

    Args:
        target: the file to write.

    Yields:
        A temporary path beside it with the same suffix. It is removed if the block fails.

    Raises:
        PoseNetError: the disk is full or the file must not be written.
    """
    temporary = temporary_path(target)
    try:
        yield temporary
        os.replace(temporary, target)
    except OSError as error:
        if isinstance(error, FileNotFoundError) and temporary.parent.exists():
            raise
        raise PoseNetError(f"{target} cannot be written: {error.strerror or error}") from error
    finally:
        # A read-only file system raises even for a file that does not exist.
        with suppress(OSError):
            temporary.unlink()


@contextmanager
def best_effort_write(target: Path) -> Iterator[Path]:
    """Write a file that can be made again: as `atomic_path`, but a failure is only a warning.

    Args:
        target: the file to write.

    Yields:
        A temporary path beside it.
    """
    try:
        with atomic_path(target) as temporary:
            yield temporary
    except PoseNetError as error:
        log.warning("%s: it will be made again", error)


@contextmanager
def exclusive_lock(folder: Path) -> Iterator[None]:
    """Lock a folder until the block or the process ends.

    File systems and operating systems without locks let everybody in.

    Args:
        folder: the folder.

    Yields:
        Nothing.

    Raises:
        PoseNetError: another process holds the lock.
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
        except OSError:  # a file system without locks
            pass
        yield
    finally:
        os.close(handle)


@contextmanager
def atomic_directory(target: Path) -> Iterator[Path]:
    """Fill a folder under a temporary name and rename it to its target at the end of a block.

    Args:
        target: the folder to write.

    Yields:
        A temporary folder beside it. It is removed if the block fails.

    Raises:
        PoseNetError: `target` exists or cannot be written.
    """
    if os.path.lexists(target):
        raise PoseNetError(f"output folder already exists: {target}")
    unfinished = temporary_path(target, ".unfinished")
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


@contextmanager
def staged_files(folder: Path) -> Iterator[Path]:
    """Write a set of files under a temporary name and move all of them at the end of a block.

    Whoever stops the process, the folder has the old files or, but for the moment in which files
    are renamed, the new ones.

    Args:
        folder: the folder, which exists and may contain other files.

    Yields:
        A temporary folder in it for the new files.

    Raises:
        PoseNetError: a file cannot be written.
    """
    # Inside, since the folder above it may be on another disk or must not be written to.
    staged = temporary_path(folder / "files", ".unfinished")
    try:
        staged.mkdir()
        yield staged
        for file in sorted(staged.iterdir()):
            os.replace(file, folder / file.name)
    except OSError as error:
        raise PoseNetError(f"{folder} cannot be written: {error.strerror or error}") from error
    finally:
        shutil.rmtree(staged, ignore_errors=True)


def write_text(target: Path, text: str) -> None:
    """Write a text file atomically, in UTF-8. File names in it that are not UTF-8 keep their bytes.

    Args:
        target: the file to write.
        text: its content.

    Raises:
        PoseNetError: the file cannot be written.
    """
    with atomic_path(target) as temporary:
        temporary.write_text(text, encoding="utf-8", errors="surrogateescape")


def save_stamped(path: Path, stamp: str, values: dict[str, Any]) -> None:
    """Write a JSON file that can be made again; a warning if it cannot be written.

    Args:
        path: the file to write.
        stamp: what the values were computed from, for `load_stamped`.
        values: the values.
    """
    with best_effort_write(path) as temporary:
        temporary.write_text(json.dumps(values | {"stamp": stamp}) + "\n", encoding="utf-8")


def load_stamped(path: Path, stamp: str) -> dict[str, Any] | None:
    """Read a file written by `save_stamped`.

    Args:
        path: the file.
        stamp: what the values must have been computed from.

    Returns:
        The values. None if the file is missing, damaged, or has another stamp.
    """
    try:
        saved = read_json(path)
        return saved if saved.pop("stamp") == stamp else None
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None


def fingerprint_files(paths: Sequence[Path]) -> str:
    """Return a fingerprint of the names, sizes and times of files, to validate cached results.

    Args:
        paths: the files.

    Returns:
        32 hexadecimal digits.
    """
    return fingerprint_stats([path.name for path in paths], file_stats(paths))


def fingerprint_stats(names: Sequence[str], stats: np.ndarray) -> str:
    """Return the fingerprint that `fingerprint_files` returned when files had other stats.

    Args:
        names: names of n files, without their folders. They need not exist any more.
        stats: what `file_stats` returned earlier, shape (n, 2).

    Returns:
        32 hexadecimal digits.
    """
    digest = hashlib.sha256()
    for name, (size, time) in zip(names, stats.tolist(), strict=True):
        digest.update(_fingerprint(name, size, time))
    return digest.hexdigest()[:32]


def fingerprint_content(path: Path) -> str:
    """Return a fingerprint of the content of a file, which is the same for its copies.

    Args:
        path: the file.

    Returns:
        32 hexadecimal digits; those of an empty file if it does not exist.
    """
    if not path.is_file():
        return hashlib.sha256().hexdigest()[:32]
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:32]


def file_stats(paths: Sequence[Path]) -> np.ndarray:
    """Return sizes and modification times of files.

    Args:
        paths: n files; links may be broken.

    Returns:
        Sizes in bytes and times in nanoseconds, shape (n, 2), int64; 0 for a file that does not
        exist.
    """
    return np.array([_size_and_time(path) for path in paths], np.int64).reshape(-1, 2)


def fingerprint_file(path: Path, name: str) -> bytes:
    """Return a name with the size and time of a file; 0 for a file that does not exist.

    Args:
        path: the file; a link may be broken.
        name: the name, which need not be valid UTF-8.

    Returns:
        The bytes to include in a fingerprint.
    """
    return _fingerprint(name, *_size_and_time(path))


def _size_and_time(path: Path) -> tuple[int, int]:
    try:
        status = os.stat(path)
    except (OSError, ValueError):  # a name that no file system can hold is a ValueError
        return 0, 0
    return (status.st_size, status.st_mtime_ns) if stat.S_ISREG(status.st_mode) else (0, 0)


def _fingerprint(name: str, size: int, time: int) -> bytes:
    return f"{name}\0{size}\0{time}\0".encode(errors="surrogateescape")


def require_free_space(folder: Path, size: int) -> None:
    """Check that a file system has enough free space.

    Args:
        folder: a folder on it.
        size: bytes that are needed.

    Raises:
        PoseNetError: there is less.
    """
    free = shutil.disk_usage(folder).free
    if free < size:
        raise PoseNetError(
            f"{folder} needs {size / 1e9:.2f} GB of free space, its disk has {free / 1e9:.2f} GB"
        )


def reserve_space(path: Path) -> None:
    """Take the disk space of a file that was made with a size but without content.

    Writing to its memory map would kill the process if another one filled the disk meanwhile.

    Args:
        path: the file, which contains zeros after its header.

    Raises:
        OSError: the disk is full.
    """
    with open(path, "r+b") as file:
        size = os.fstat(file.fileno()).st_size
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(file.fileno(), 0, size)
            return
        first = file.read(RESERVED_BLOCK)  # with the header of an array
        file.seek(0)
        file.write(first)
        for start in range(len(first), size, RESERVED_BLOCK):
            file.write(bytes(min(RESERVED_BLOCK, size - start)))
