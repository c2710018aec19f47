"""Addresses of folders that are not on this machine, such as s3://bucket/scene.

The cache contains a copy of each, in a folder whose name is the address. The copy is a scene folder
like any other, and its path states where it comes from.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from urllib.parse import quote, unquote

from posenet.errors import PoseNetError
from posenet.io.user_folders import cache_folder

# Path objects shorten "s3://" to "s3:/". A single letter is a drive of Windows.
ADDRESS = re.compile(r"([a-z][a-z0-9+.-]+):/{1,3}(.*)", re.DOTALL)
# Folder of the copies in the cache.
COPIES = "remote"
# File systems allow names of 255 bytes.
MAX_QUOTED = 250


def is_address(path: str | Path) -> bool:
    """Return whether a path is the address of a folder elsewhere.

    Args:
        path: a path or an address.

    Returns:
        False for paths, also for those that look like an address but exist.
    """
    return ADDRESS.fullmatch(str(path)) is not None and not os.path.exists(path)


def parse_address(path: str | Path) -> str:
    """Return an address in its full form.

    Args:
        path: the address, maybe shortened by a Path object.

    Returns:
        The address, without a slash at the end.

    Raises:
        PoseNetError: it names no folder, is too long, or contains credentials, which belong in the
            configuration of the storage library; they are not repeated in the message.
    """
    match = ADDRESS.fullmatch(str(path))
    assert match is not None
    scheme, rest = match[1], match[2].strip("/")
    if "@" in rest.partition("/")[0] or "?" in rest or "#" in rest:
        raise PoseNetError(
            f"an address {scheme}://... must not contain credentials or parameters: set them in "
            "the environment or in the files of the storage library"
        )
    address = f"{scheme}://{rest}"
    if not rest or ".." in rest.split("/"):
        raise PoseNetError(f"an address must be SCHEME://BUCKET/FOLDER, received {address}")
    if len(quote(address, safe="")) > MAX_QUOTED:
        raise PoseNetError(f"an address must have at most about 200 characters, received {address}")
    return address


def copy_folder(address: str) -> Path:
    """Return the folder of the copy of an address.

    Args:
        address: the address, as `parse_address` returns it.

    Returns:
        A folder in the cache that has the name of the remote folder; it need not exist.
    """
    name = address.rpartition("/")[2]
    return (cache_folder() / COPIES / quote(address, safe="") / name).absolute()


def address_of(folder: Path) -> str | None:
    """Return the address that a folder is the copy of.

    Args:
        folder: any folder, which need not exist.

    Returns:
        The address; None for folders that are not copies in the cache.
    """
    address = unquote(folder.parent.name)
    if not ADDRESS.fullmatch(address) or copy_folder(address) != folder.absolute():
        return None
    return address


def local_path(path: Path) -> Path:
    """Return where the content of a path is on this machine, without fetching it.

    Args:
        path: a path or an address.

    Returns:
        The folder of the copy of an address; paths unchanged.

    Raises:
        PoseNetError: the address is refused.
    """
    return copy_folder(parse_address(path)) if is_address(path) else path
