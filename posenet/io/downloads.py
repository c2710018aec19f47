"""Files of others that are fetched once: resumed where they broke off, checked, kept in the cache."""

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
from posenet.io.image_cache import cache_folder

log = logging.getLogger("posenet")

_ALGORITHMS = {32: "md5", 40: "sha1", 64: "sha256"}  # by the length of a digest in hexadecimal
_CHUNK = 1 << 20
_PATIENCE = 20  # seconds without a byte


def kept(url: str) -> Path | None:
    """The file of this address if it is here: in the cache, or in Keras' own."""
    name = url.rpartition("/")[2]
    places = (_folder() / name, Path.home() / ".keras" / "models" / name)
    return next((place for place in places if place.is_file()), None)


def fetch(url: str, digest: str | None) -> Path:
    """The file of this address, from the cache or fetched now; urllib's proxy variables (https_proxy, http_proxy) hold.

    digest: MD5, SHA-1 or SHA-256 in hexadecimal; None where none is published. Raises PoseNetError, in one line with
    what to do by hand, when the file cannot be had or is not the one expected.
    """
    here = kept(url)
    target = _folder() / url.rpartition("/")[2]
    if here is None:
        part = target.with_name(f"{target.name}.part")
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            _download(url, part)
        except (
            OSError,
            ValueError,
            http.client.HTTPException,
        ) as error:  # urllib's errors are OSErrors
            reason = getattr(error, "reason", None) or error
            raise PoseNetError(
                f"{url} cannot be fetched ({reason}): put the file at {target} by other means"
            ) from None
        _check(part, digest, url)
        os.replace(part, target)
        return target
    _check(here, digest, url)
    return here


def _folder() -> Path:
    return cache_folder() / "weights"


def _download(url: str, part: Path) -> None:
    """Fetch into part, going on behind what is there."""
    have = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})
    try:
        answer = urllib.request.build_opener().open(
            request, timeout=_PATIENCE
        )  # reads the proxy variables now
    except urllib.error.HTTPError as error:
        if error.code == 416 and have:  # nothing is left to fetch
            return
        raise
    with answer:
        resumed = answer.status == 206
        left = int(answer.headers.get("Content-Length") or 0)
        whole = left + (have if resumed else 0)
        log.info("fetching %s%s", url, f", {have / 1e6:.0f} MB are here already" if resumed else "")
        with (
            open(part, "ab" if resumed else "wb") as file,
            tqdm(
                total=whole or None,
                initial=have if resumed else 0,
                unit="B",
                unit_scale=True,
                desc=part.stem,
            ) as bar,
        ):
            while chunk := answer.read(_CHUNK):
                file.write(chunk)
                bar.update(len(chunk))
    if whole and part.stat().st_size < whole:
        raise OSError(
            f"the connection ended after {part.stat().st_size} of {whole} bytes, try again to go on"
        )


def _check(path: Path, digest: str | None, url: str) -> None:
    """Raise PoseNetError, and remove what was fetched, if the file is not the one that is expected."""
    if digest is None:
        return
    with open(path, "rb") as file:
        found = hashlib.file_digest(file, _ALGORITHMS[len(digest)]).hexdigest()
    if found != digest:
        if path.suffix == ".part":
            path.unlink()
        name = _ALGORITHMS[len(digest)].upper()
        raise PoseNetError(f"{path} must be the file of {url}, {name} {digest}, received {found}")
