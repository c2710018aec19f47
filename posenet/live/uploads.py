"""Receive images: bounded in number, bytes, pixels and time, into temporary files."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse

from posenet.errors import PoseNetError
from posenet.io.image_headers import find_image_issue, image_size
from posenet.live.access import to_error
from posenet.live.limits import RETRY_SECONDS, Limits

# Types of content that are not an image. The default of curl, a form, is accepted.
OTHER_CONTENT = ("multipart/", "application/json", "text/html", "video/", "audio/")
# How a JPEG starts. It is decoded faster at a reduced size if its name ends in .jpg.
JPEG_START = b"\xff\xd8"


class RefusedError(Exception):
    """A request that is answered with an error."""

    def __init__(self, status: int, text: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(text)
        self.status = status
        self.headers = headers

    def to_response(self) -> JSONResponse:
        """Return the error as JSON.

        Returns:
            The response.
        """
        return to_error(self.status, str(self), self.headers)


class Places:
    """Counts the requests that are received, wait or are localized, and their bytes."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.requests = 0
        self.bytes = 0

    @contextmanager
    def take(self, size: int) -> Iterator[None]:
        """Take a place for the duration of a block.

        Args:
            size: bytes of the body.

        Yields:
            Nothing.

        Raises:
            RefusedError: all places are taken.
        """
        full = self.requests >= self.limits.max_waiting
        if full or self.bytes + size > self.limits.max_waiting_bytes:
            raise RefusedError(
                503,
                f"{self.requests} requests wait: try again later",
                {"Retry-After": str(RETRY_SECONDS)},
            )
        self.requests += 1
        self.bytes += size
        try:
            yield
        finally:
            self.requests -= 1
            self.bytes -= size


def check_headers(request: Request, limits: Limits) -> int:
    """Check the headers of an upload, before its body is read.

    Args:
        request: the request.
        limits: the limits.

    Returns:
        The size of the body in bytes.

    Raises:
        RefusedError: the body is not an image, of unknown size, empty or too large.
    """
    content = request.headers.get("content-type", "").lower()
    if content.startswith(OTHER_CONTENT):
        raise RefusedError(
            415, f"the body must be the bytes of one image, received {content.split(';')[0]}"
        )
    length = request.headers.get("content-length", "")
    if "transfer-encoding" in request.headers or not length:
        raise RefusedError(411, "the header Content-Length is required")
    size = int(length)  # the HTTP parser accepts digits only
    if size > limits.max_bytes:
        raise RefusedError(
            413, f"an image must have at most {limits.max_bytes} bytes, received {size}"
        )
    if size == 0:
        raise RefusedError(400, "the body must be the bytes of one image, received none")
    return size


async def receive_file(request: Request, folder: Path, limits: Limits) -> Path:
    """Receive the body of a request.

    Args:
        request: the request.
        folder: the folder to write to.
        limits: the limits.

    Returns:
        A new file.

    Raises:
        RefusedError: the client is too slow.
        ClientDisconnect: the client has gone away.
    """
    path = folder / secrets.token_hex(8)
    try:
        async with asyncio.timeout(limits.upload_seconds):
            await _write_body(request, path, limits)
    except TimeoutError:
        path.unlink(missing_ok=True)
        raise RefusedError(
            408,
            f"the image must arrive within {limits.upload_seconds:g} s, without a pause of "
            f"{limits.pause_seconds:g} s",
            {"Connection": "close"},
        ) from None
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    with open(path, "rb") as file:
        is_jpeg = file.read(2) == JPEG_START
    return path.rename(path.with_suffix(".jpg")) if is_jpeg else path


async def _write_body(request: Request, path: Path, limits: Limits) -> None:
    with open(path, "wb") as file:
        more = True
        while more:
            async with asyncio.timeout(limits.pause_seconds):
                message = await request.receive()
            if message["type"] == "http.disconnect":
                raise ClientDisconnect
            file.write(message.get("body", b""))
            more = message.get("more_body", False)


def check_image(path: Path, name: str, limits: Limits) -> tuple[int, int]:
    """Check an image by its header, without decoding it.

    Args:
        path: the image file.
        name: the client's name of the image.
        limits: the limits.

    Returns:
        (width, height) of the upright image in pixels.

    Raises:
        RefusedError: the file is not an image, is truncated or has too many pixels.
    """
    issue = find_image_issue(path)
    if issue is not None:
        raise RefusedError(400, f"{name}: {issue} ({path.stat().st_size} bytes)")
    try:
        width, height = image_size(path)
    except PoseNetError as error:
        raise RefusedError(400, f"{name}: {str(error).removeprefix(f'{path}: ')}") from None
    if width * height > limits.max_pixels:
        raise RefusedError(
            413,
            f"{name}: an image must have at most {limits.max_pixels} pixels, received "
            f"{width} x {height}",
        )
    return width, height
