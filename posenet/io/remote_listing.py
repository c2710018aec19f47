"""List the files of object stores and servers, and describe their errors without credentials."""

from __future__ import annotations

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import Any, NamedTuple

from posenet.errors import PoseNetError, first_line
from posenet.io.folders import is_system_name

# Requests at the same time.
NUM_THREADS = 16
# Keys of a listing that change with the content of a file.
VERSIONS = ("ETag", "etag", "md5Hash", "generation", "LastModified", "mtime", "updated", "created")
# What may be secret in messages: parameters of a URL, a user with a password, and named values.
SECRETS = re.compile(r"\?\S*|\S*@\S*|\S*(?i:secret|token|signature|password|key)\S*[=:]\s*\S+")


class RemoteFile(NamedTuple):
    """A file of a listing.

    Attributes:
        path: its path in the file system of fsspec.
        size: bytes, None if the server does not state it.
        version: what changes with the content.
    """

    path: str
    size: int | None
    version: str


def list_files(system: Any, root: str, address: str) -> dict[str, RemoteFile]:
    """Return the files below a folder by their names.

    A part that cannot be listed is an error; fsspec's own `walk` leaves out subfolders that fail.

    Args:
        system: a file system of fsspec.
        root: the folder in it.
        address: the address, for messages.

    Returns:
        The files by their names below the folder, without hidden ones.

    Raises:
        PoseNetError: a name leaves the folder.
        FileNotFoundError: there is no file. The file system may raise other errors.
    """
    system.invalidate_cache()
    entries: dict[str, dict[str, Any]] = {}
    prefix = root.rstrip("/") + "/"
    waiting = [root]
    while waiting:
        folder = waiting.pop()
        for entry in system.ls(folder, detail=True):
            path = str(entry["name"])
            if path.rstrip("/") == folder.rstrip("/"):
                continue  # the marker of the folder itself
            name = path.removeprefix(prefix).rstrip("/")
            parts = name.split("/")
            if not path.startswith(prefix) or ".." in parts or "" in parts or "\\" in name:
                raise PoseNetError(f"{address} lists a file outside the folder: {path!a}")
            if is_system_name(parts[-1]):
                continue
            if entry["type"] == "directory":
                waiting.append(path)
            else:
                entries[name] = entry
    if not entries:
        raise FileNotFoundError
    with ThreadPoolExecutor(NUM_THREADS) as pool:
        files = list(pool.map(partial(_describe, system), entries.values()))
    return dict(zip(entries, files, strict=True))


def _describe(system: Any, entry: dict[str, Any]) -> RemoteFile:
    """Return an entry of a listing; servers without sizes in it are asked for each file."""
    if entry.get("size") is None:
        entry = {**entry, **system.info(entry["name"])}
    version = next((str(entry[key]) for key in VERSIONS if entry.get(key)), "")
    return RemoteFile(str(entry["name"]), entry.get("size"), version)


@contextmanager
def store_errors(address: str) -> Iterator[None]:
    """Turn the errors of storage libraries into those of this package, without credentials.

    Args:
        address: the address, for messages.

    Yields:
        Nothing.

    Raises:
        PoseNetError: the block raised any error.
    """
    try:
        yield
    except PoseNetError:
        raise
    except FileNotFoundError:
        raise PoseNetError(
            f"{address} not found: no such bucket or folder, or it is empty"
        ) from None
    except PermissionError as error:
        raise PoseNetError(f"{address} must not be read: {clean_message(error)}") from None
    except Exception as error:
        raise PoseNetError(
            f"{address} cannot be read: {clean_message(error)}; the same command resumes"
        ) from None


def clean_message(error: BaseException) -> str:
    """Return the first line of an error without anything that may be secret.

    Args:
        error: the error of a storage library.

    Returns:
        The line.
    """
    return SECRETS.sub("...", first_line(error))
