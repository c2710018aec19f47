"""Download files once: resume, verify, and keep them in the cache."""

from __future__ import annotations

import hashlib
import http.client
import logging
import os
import urllib.error
import urllib.request
from pathlib import Path

from tqdm import tqdm

from posenet.errors import PoseNetError
from posenet.io.user_folders import cache_folder, home_folder

log = logging.getLogger("posenet")

# Hash algorithms by the length of a hexadecimal digest.
ALGORITHMS = {32: "md5", 40: "sha1", 64: "sha256"}
CHUNK_BYTES = 1 << 20
# Seconds without a byte after which a download fails.
TIMEOUT = 20
# HTTP status codes.
PARTIAL_CONTENT = 206
RANGE_NOT_SATISFIABLE = 416


def cached_file(url: str) -> Path | None:
    """Return the file of a URL if it is on this machine, in this cache or that of Keras.

    Args:
        url: the URL.

    Returns:
        The file, or None.
    """
    name = url.rpartition("/")[2]
    folders = [_folder()]
    if home := home_folder():
        folders.append(home / ".keras" / "models")
    candidates = [folder / name for folder in folders]
    # Path.is_file raises an error in a folder that must not be searched.
    return next((path for path in candidates if os.path.isfile(path)), None)


def fetch(url: str, digest: str | None) -> Path:
    """Return the file of a URL, from the cache or downloaded now.

    The variables https_proxy and http_proxy set a proxy.

    Args:
        url: the URL.
        digest: MD5, SHA-1 or SHA-256 in hexadecimal; None if none is published.

    Returns:
        The file.

    Raises:
        PoseNetError: the download failed, or the file has another digest. The message says where to
            put the file by hand.
    """
    cached = cached_file(url)
    if cached is not None:
        _verify(cached, digest, url)
        return cached
    target = _folder() / url.rpartition("/")[2]
    part = target.with_name(f"{target.name}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _download(url, part)
    except (OSError, ValueError, http.client.HTTPException) as error:  # URLError is an OSError
        reason = getattr(error, "reason", None) or error
        raise PoseNetError(
            f"{url} cannot be downloaded ({reason}): put the file at {target} by other means"
        ) from None
    _verify(part, digest, url)
    os.replace(part, target)
    return target


def _folder() -> Path:
    return cache_folder() / "weights"


def _download(url: str, part: Path) -> None:
    """Download into a file, after the bytes that it already contains."""
    have = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})
    try:
        # A new opener reads the proxy variables now.
        response = urllib.request.build_opener().open(request, timeout=TIMEOUT)
    except urllib.error.HTTPError as error:
        if error.code == RANGE_NOT_SATISFIABLE and have:  # the file is complete
            return
        raise
    with response:
        resumed = response.status == PARTIAL_CONTENT
        remaining = int(response.headers.get("Content-Length") or 0)
        total = remaining + (have if resumed else 0)
        log.info("downloading %s%s", url, f" from {have / 1e6:.0f} MB on" if resumed else "")
        with (
            open(part, "ab" if resumed else "wb") as file,
            tqdm(
                total=total or None,
                initial=have if resumed else 0,
                unit="B",
                unit_scale=True,
                desc=part.stem,
            ) as bar,
        ):
            while chunk := response.read(CHUNK_BYTES):
                file.write(chunk)
                bar.update(len(chunk))
    received = part.stat().st_size
    if total and received < total:
        raise OSError(
            f"the connection ended after {received} of {total} bytes, try again to resume"
        )


def _verify(path: Path, digest: str | None, url: str) -> None:
    """Raise PoseNetError, and remove a download, if a file has another digest."""
    if digest is None:
        return
    algorithm = ALGORITHMS[len(digest)]
    with open(path, "rb") as file:
        actual = hashlib.file_digest(file, algorithm).hexdigest()
    if actual != digest:
        if path.suffix == ".part":
            path.unlink()
        raise PoseNetError(
            f"{path} must be the file of {url}, {algorithm.upper()} {digest}, received {actual}"
        )
