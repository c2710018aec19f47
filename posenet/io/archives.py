"""Unpack zip archives of strangers: nothing leaves the target folder or fills the disk."""

from __future__ import annotations

import stat
import zipfile
import zlib
from collections.abc import Collection, Iterable
from pathlib import Path, PurePosixPath
from typing import NoReturn

from posenet.errors import PoseNetError, first_line
from posenet.io.files import atomic_directory, require_free_space

# Largest total of unpacked bytes: the map of 100,000 images has about 15 GB.
MAX_BYTES = 32 * 10**9
# Largest ratio of unpacked to packed bytes, of files above a size. Text packs 10:1; deflate can
# reach 1000:1.
MAX_RATIO = 100
MIN_CHECKED_BYTES = 10**6
MAX_FILES = 1000
ENCRYPTED = 1
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
# Errors of damaged archives.
ARCHIVE_ERRORS = (
    zipfile.BadZipFile,
    zipfile.LargeZipFile,
    NotImplementedError,
    EOFError,
    ValueError,
    RuntimeError,
    zlib.error,
)


def unpack(archive: Path, target: Path, allowed: Collection[str]) -> None:
    """Unpack an archive into a new folder. Another process may do the same at the same time.

    Args:
        archive: a zip archive.
        target: the folder to write. If it exists, it is the result of an earlier call.
        allowed: the only names of files that the archive may contain.

    Raises:
        PoseNetError: the file is not a zip archive, is damaged, contains other files, or unpacks
            to too much.
    """
    if target.is_dir():
        return
    try:
        with zipfile.ZipFile(archive) as opened:
            entries = opened.infolist()
            _check_names(archive, entries, allowed)
            _check_sizes(archive, entries)
            target.parent.mkdir(parents=True, exist_ok=True)
            require_free_space(target.parent, sum(entry.file_size for entry in entries))
            with atomic_directory(target) as unfinished:
                for entry in entries:
                    opened.extract(entry, unfinished)
    except ARCHIVE_ERRORS as error:
        _refuse(archive, f"cannot be unpacked ({first_line(error)})")
    except PoseNetError:
        if not target.is_dir():  # otherwise another process was faster
            raise


def check_nested(files: Iterable[Path]) -> None:
    """Check that files which are zip archives themselves unpack to a reasonable size.

    Args:
        files: .npz and .keras files, which are loaded into memory.

    Raises:
        PoseNetError: one unpacks to too much.
    """
    for path in files:
        try:
            with zipfile.ZipFile(path) as opened:
                entries = opened.infolist()
        except (OSError, *ARCHIVE_ERRORS):
            continue  # its reader reports damaged files
        _check_sizes(path, entries)


def _check_names(archive: Path, entries: list[zipfile.ZipInfo], allowed: Collection[str]) -> None:
    seen: set[str] = set()
    for entry in entries:
        name = entry.filename
        path = PurePosixPath(name.replace("\\", "/"))
        if path.is_absolute() or ".." in path.parts or ":" in name:
            _refuse(archive, f"contains a path that leaves its folder: {name!a}")
        if stat.S_ISLNK(entry.external_attr >> 16):
            _refuse(archive, f"contains a symbolic link: {name!a}")
        if name not in allowed:
            _refuse(archive, f"contains a file that is not part of a run: {name!a}")
        if name in seen:
            _refuse(archive, f"contains a file twice: {name!a}")
        if entry.flag_bits & ENCRYPTED:
            _refuse(archive, f"contains an encrypted file: {name!a}")
        if entry.compress_type not in METHODS:
            _refuse(archive, f"must use deflate or no compression, not so {name!a}")
        seen.add(name)


def _check_sizes(archive: Path, entries: list[zipfile.ZipInfo]) -> None:
    """Check number, total and ratios. Python unpacks no more bytes than an entry declares."""
    if len(entries) > MAX_FILES:
        _refuse(archive, f"contains {len(entries)} files, {MAX_FILES} are allowed")
    total = sum(entry.file_size for entry in entries)
    if total > MAX_BYTES:
        limit = MAX_BYTES / 1e9
        _refuse(archive, f"unpacks to {total / 1e9:.1f} GB, {limit:.0f} GB are allowed")
    for entry in entries:
        is_large = entry.file_size > MIN_CHECKED_BYTES
        if is_large and entry.file_size > MAX_RATIO * entry.compress_size:
            _refuse(
                archive,
                f"contains a file that unpacks to more than {MAX_RATIO} times its size: "
                f"{entry.filename!a}",
            )


def _refuse(archive: Path, reason: str) -> NoReturn:
    raise PoseNetError(f"{archive} {reason}")
