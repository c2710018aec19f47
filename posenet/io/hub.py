"""Repositories on the Hugging Face Hub: addresses, downloads and errors in one line."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

from posenet.environment import import_extra
from posenet.errors import PoseNetError, first_line

# Path objects shorten "hf://" to "hf:/".
PREFIX = re.compile(r"hf:/{1,2}")
ADDRESS = re.compile(r"hf:/{1,2}([\w.-]+/[\w.-]+?)(?:@([\w./-]+))?/?")
# HTTP status codes.
UNAUTHORIZED = 401
FORBIDDEN = 403


class HubAddress(NamedTuple):
    """The address of a repository, hf://user/name or hf://user/name@revision.

    Attributes:
        repository: "user/name".
        revision: branch, tag or commit; None for the main branch.
    """

    repository: str
    revision: str | None = None

    def __str__(self) -> str:
        """Return the address."""
        return f"hf://{self.repository}" + (f"@{self.revision}" if self.revision else "")


def is_hub_address(address: str | Path) -> bool:
    """Return whether an address starts with hf://.

    Args:
        address: a path or an address.

    Returns:
        False for paths.
    """
    return PREFIX.match(str(address)) is not None


def parse_hub_address(address: str | Path) -> HubAddress:
    """Parse an address that starts with hf://.

    Args:
        address: the address.

    Returns:
        Its parts.

    Raises:
        PoseNetError: it is malformed.
    """
    match = ADDRESS.fullmatch(str(address))
    if match is None:
        wanted = "hf://USER/NAME or hf://USER/NAME@REVISION"
        received = PREFIX.sub("hf://", str(address), count=1)
        raise PoseNetError(f"an address on the Hugging Face Hub must be {wanted}, got {received}")
    return HubAddress(*match.groups())


def import_hub(address: HubAddress) -> Any:
    """Import huggingface_hub, an optional dependency.

    Args:
        address: the repository that requires it, for the message.

    Returns:
        The module.

    Raises:
        PoseNetError: it is not installed.
    """
    return import_extra("huggingface_hub", "hub", str(address))


def download_repository(address: HubAddress, allowed: Collection[str]) -> Path:
    """Download the files of a repository, or take them from the cache of huggingface_hub.

    Args:
        address: the repository.
        allowed: names of the only files that are downloaded.

    Returns:
        The folder with the files.

    Raises:
        PoseNetError: huggingface_hub is not installed, the repository does not exist, or the
            download fails.
    """
    hub = import_hub(address)
    with hub_errors(address):
        folder = hub.snapshot_download(
            address.repository, revision=address.revision, allow_patterns=sorted(allowed)
        )
    return Path(folder)


@contextmanager
def hub_errors(address: HubAddress) -> Iterator[None]:
    """Turn the errors of huggingface_hub into one line.

    Args:
        address: the repository that is used.

    Yields:
        Nothing.

    Raises:
        PoseNetError: the block failed.
    """
    from huggingface_hub import errors

    others: tuple[type[Exception], ...] = (
        errors.HFValidationError,
        *_http_errors(),
        OSError,
        ValueError,
    )
    try:
        yield
    except errors.GatedRepoError:
        raise PoseNetError(f"{address} requires that you ask its owner for access") from None
    except errors.RepositoryNotFoundError:
        raise PoseNetError(
            f"{address} not found, or it is private and needs a token: hf auth login"
        ) from None
    except errors.RevisionNotFoundError:
        raise PoseNetError(
            f"hf://{address.repository} has no revision {address.revision}"
        ) from None
    except errors.LocalEntryNotFoundError:
        raise PoseNetError(
            f"{address} is not in the cache and the Hugging Face Hub cannot be reached"
        ) from None
    except errors.HfHubHTTPError as error:
        status = error.response.status_code if error.response is not None else None
        if status in (UNAUTHORIZED, FORBIDDEN):
            raise PoseNetError(
                f"{address} requires a token with the right to do this: hf auth login"
            ) from None
        raise PoseNetError(f"{address}: {first_line(error)}") from None
    except others as error:
        raise PoseNetError(f"{address}: {first_line(error)}") from None


def _http_errors() -> tuple[type[Exception], ...]:
    """Return the errors of the HTTP library: httpx, or httpx2 since huggingface_hub 2.4."""
    installed = [name for name in ("httpx", "httpx2") if find_spec(name)]
    return tuple(import_module(name).HTTPError for name in installed)
