"""Copy folders of object stores and servers into the cache, by fsspec.

Readers, header checks, decoders and keypoint detection all open files. One copy of a file serves
them all, so that each is transferred once, and once more only if it changes. The cache of copies is
bounded: those of other scenes that were not used for a day make room.
"""

from __future__ import annotations

import json
import logging
import os
import secrets
import shutil
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from errno import EDQUOT, ENOSPC
from hashlib import sha256
from pathlib import Path
from typing import Any

from tqdm import tqdm

from posenet.environment import import_extra
from posenet.errors import PoseNetError, count
from posenet.io.addresses import COPIES, address_of, copy_folder, is_address, parse_address
from posenet.io.files import exclusive_lock, require_free_space, write_text
from posenet.io.json_files import parse_json
from posenet.io.remote_listing import RemoteFile, clean_message, list_files, store_errors
from posenet.io.user_folders import cache_folder

log = logging.getLogger("posenet")

# Beside a copy: its files with their versions, and unfinished downloads.
INDEX = "files.jsonl"
PARTS = "parts"
# Downloads at the same time, tries for each file, and seconds before the second one.
NUM_THREADS = 16
TRIES = 4
FIRST_WAIT = 0.5
# Largest size of all copies in GB, unless POSENET_REMOTE_GB states another.
MAX_GB = 100.0
# Copies that were used in the last seconds are not removed.
KEPT_SECONDS = 24 * 3600.0
_fetched: dict[str, Path] = {}


def fetch_folder(path: str | Path) -> Path:
    """Return a folder on this machine with the content of a path.

    An address is listed once in a process, and what is new or changed is copied. An interrupted
    copy resumes.

    Args:
        path: a folder, an address such as s3://bucket/scene, or the copy of one.

    Returns:
        The folder; paths that are neither address nor copy are returned unchanged.

    Raises:
        PoseNetError: a package is missing, the folder does not exist or must not be read, the
            connection fails, or the disk is too small.
    """
    if is_address(path):
        address = parse_address(path)
    elif (found := address_of(Path(path))) is not None:
        address = found
    else:
        return Path(path)
    if address not in _fetched or not _fetched[address].is_dir():
        _fetched[address] = _update(address)
    return _fetched[address]


def _update(address: str) -> Path:
    """Copy what is new or changed, and remove what is gone."""
    fsspec = import_extra("fsspec", "remote", address)
    target = copy_folder(address)
    own = target.parent
    with store_errors(address):
        try:
            system, root = fsspec.core.url_to_fs(address)
        except ImportError as error:
            raise PoseNetError(
                f"{address} requires another package: {clean_message(error)}"
            ) from None
        listed = list_files(system, root, address)
    own.mkdir(parents=True, exist_ok=True)
    with exclusive_lock(own):
        shutil.rmtree(own / PARTS, ignore_errors=True)
        known = _read_index(own)
        missing = {
            name: file
            for name, file in listed.items()
            if known.get(name) != [file.size, file.version] or not (target / name).is_file()
        }
        _make_room(own, listed, missing)
        for name in known.keys() - listed.keys():
            (target / name).unlink(missing_ok=True)
        target.mkdir(exist_ok=True)
        (own / PARTS).mkdir()
        with store_errors(address):
            _download_all(system, address, own, target, missing)
        lines = [_index_line(name, file.size, file.version) for name, file in listed.items()]
        write_text(own / INDEX, "".join(lines))
        shutil.rmtree(own / PARTS, ignore_errors=True)
    return target


def _read_index(own: Path) -> dict[str, list[Any]]:
    """Return size and version of each file that was copied; the last line may be incomplete."""
    known: dict[str, list[Any]] = {}
    try:
        lines = (own / INDEX).read_text(encoding="utf-8").splitlines()
    except OSError:
        return known
    for line in lines:
        try:
            name, size, version = parse_json(line)
        except ValueError:
            continue
        known[name] = [size, version]
    return known


def _index_line(name: str, size: int | None, version: str) -> str:
    return json.dumps([name, size, version]) + "\n"


def _make_room(own: Path, listed: dict[str, RemoteFile], missing: dict[str, RemoteFile]) -> None:
    """Remove copies of other folders if the cache is full, and check the limit and the disk."""
    try:
        limit = float(os.environ.get("POSENET_REMOTE_GB") or MAX_GB) * 1e9
    except ValueError:
        received = os.environ["POSENET_REMOTE_GB"]
        raise PoseNetError(f"POSENET_REMOTE_GB must be a number, received {received!r}") from None
    needed = sum(file.size or 0 for file in listed.values())
    others = [folder for folder in (cache_folder() / COPIES).iterdir() if folder.name != own.name]
    used = {folder: os.stat(folder / INDEX).st_mtime for folder in others if _has_index(folder)}
    sizes = {folder: sum(size or 0 for size, _ in _read_index(folder).values()) for folder in used}
    for folder in sorted(used, key=lambda folder: used[folder]):
        if needed + sum(sizes.values()) <= limit or time.time() - used[folder] < KEPT_SECONDS:
            break
        log.info("removing the copy of another scene from the cache: %s", folder)
        shutil.rmtree(folder, ignore_errors=True)
        del sizes[folder]
    if (total := needed + sum(sizes.values())) > limit:
        raise PoseNetError(
            f"copies of remote scenes would take {total / 1e9:.2f} GB, POSENET_REMOTE_GB allows "
            f"{limit / 1e9:.2f}: set it higher, or remove folders in {own.parent}"
        )
    require_free_space(own, sum(file.size or 0 for file in missing.values()))


def _has_index(folder: Path) -> bool:
    return (folder / INDEX).is_file()


def _download_all(
    system: Any, address: str, own: Path, target: Path, missing: dict[str, RemoteFile]
) -> None:
    """Download files in several threads; each finished one is noted in the index."""
    if not missing:
        return
    log.info("copying %s from %s", count(len(missing), "file"), address)
    total = sum(file.size or 0 for file in missing.values())
    pool = ThreadPoolExecutor(NUM_THREADS)
    with (
        open(own / INDEX, "a", encoding="utf-8") as index,
        tqdm(total=total or None, unit="B", unit_scale=True, desc=target.name) as bar,
    ):
        index.write("\n")  # after an incomplete line
        try:
            jobs = {
                pool.submit(_download, system, file, own / PARTS, target / name): name
                for name, file in missing.items()
            }
            for job in as_completed(jobs):
                file = missing[jobs[job]]
                bar.update(job.result())
                index.write(_index_line(jobs[job], file.size, file.version))
        finally:
            pool.shutdown(cancel_futures=True)


def _download(system: Any, file: RemoteFile, parts: Path, target: Path) -> int:
    """Download a file under a temporary name, several times if necessary. Returns its size."""
    part = parts / secrets.token_hex(8)
    for attempt in range(TRIES):
        try:
            system.get_file(file.path, str(part))
            size = part.stat().st_size
            if file.size is not None and size != file.size:
                raise OSError(f"the connection ended after {size} of {file.size} bytes")
            # A time by the version alone: maps stay valid when a file is copied again.
            moment = int.from_bytes(sha256(file.version.encode()).digest()[:4])
            os.utime(part, (moment, moment))
            target.parent.mkdir(parents=True, exist_ok=True)
            os.replace(part, target)
            return size
        except (FileNotFoundError, PermissionError):
            raise
        except Exception as error:
            if getattr(error, "errno", None) in (ENOSPC, EDQUOT) or attempt == TRIES - 1:
                raise
            time.sleep(FIRST_WAIT * 2**attempt)
    raise AssertionError
