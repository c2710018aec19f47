"""The web application: the page, `POST /localize`, `GET /info` and `GET /health`."""

from __future__ import annotations

import asyncio
import logging
import time
from concurrent.futures import Future
from pathlib import Path
from typing import Any, NamedTuple

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from posenet.errors import PoseNetError
from posenet.live.access import FAILURE, Access, Guard, to_error
from posenet.live.limits import Limits
from posenet.live.query import DEFAULT_NAME, check_parameters, printable, to_query
from posenet.live.uploads import Places, RefusedError, check_headers, check_image, receive_file
from posenet.live.worker import Answer, StoppedError, Worker

log = logging.getLogger("posenet.live")

# Status in the log of a request whose client has gone away, as nginx logs it.
CLIENT_GONE = 499


class Page(NamedTuple):
    """What the server sends for its address.

    Attributes:
        html: the page.
        policy: its Content-Security-Policy.
    """

    html: bytes
    policy: str


class LiveApp:
    """The web application."""

    def __init__(
        self, worker: Worker, info: dict[str, Any], page: Page, folder: Path, limits: Limits
    ) -> None:
        """Set up the application.

        Args:
            worker: localizes the images.
            info: the content of `GET /info`.
            page: the page.
            folder: folder for the images while they wait.
            limits: the limits.
        """
        self.worker = worker
        self.info = info
        self.page = page
        self.folder = folder
        self.limits = limits
        self.places = Places(limits)

    def guarded(self, access: Access) -> ASGIApp:
        """Return the application behind the checks of every request.

        Args:
            access: the address and token of the server.

        Returns:
            The ASGI application.
        """
        routes = [
            Route("/", self._show_page),
            Route("/localize", self._localize, methods=["POST"]),
            Route("/info", self._show_info),
            Route("/health", self._show_health),
        ]
        handlers: dict[Any, Any] = {HTTPException: _to_http_error, Exception: _to_failure}
        return Guard(Starlette(routes=routes, exception_handlers=handlers), access)

    async def _show_page(self, request: Request) -> Response:
        headers = {"Content-Security-Policy": f"{self.page.policy}; frame-ancestors 'none'"}
        return Response(self.page.html, media_type="text/html", headers=headers)

    async def _show_info(self, request: Request) -> Response:
        return JSONResponse(self.info)

    async def _show_health(self, request: Request) -> Response:
        return JSONResponse({"status": "ok", "waiting": self.places.requests})

    async def _localize(self, request: Request) -> Response:
        start = time.perf_counter()
        try:
            response: Response = JSONResponse(await self._answer(request))
        except RefusedError as error:
            response = error.to_response()
        except StoppedError as error:
            response = to_error(503, str(error), {"Connection": "close"})
        except PoseNetError as error:
            response = to_error(400, str(error))
        except ClientDisconnect:
            response = Response(status_code=CLIENT_GONE)  # nobody receives it
        name = printable(request.query_params.get("name") or DEFAULT_NAME)
        log.info("%s: %d in %.2f s", name, response.status_code, time.perf_counter() - start)
        return response

    async def _answer(self, request: Request) -> Answer:
        """Receive an image and localize it."""
        parameters = request.query_params
        check_parameters(parameters)
        size = check_headers(request, self.limits)
        with self.places.take(size):
            path = await receive_file(request, self.folder, self.limits)
            future: Future[Answer] | None = None
            try:
                name = printable(parameters.get("name") or DEFAULT_NAME)
                pixels = await run_in_threadpool(check_image, path, name, self.limits)
                future = self.worker.submit(to_query(path, pixels, parameters))
                # The worker may still read the file when the client has gone away.
                future.add_done_callback(lambda done: _remove_unless_stopped(path, done))
                return await _answer_or_disconnect(request, future)
            finally:
                if future is None:
                    path.unlink(missing_ok=True)


def _remove_unless_stopped(path: Path, done: Future[Answer]) -> None:
    """Remove an image when it is localized. A worker that is stopped may still read it."""
    if done.cancelled() or not isinstance(done.exception(), StoppedError):
        path.unlink(missing_ok=True)


async def _answer_or_disconnect(request: Request, future: Future[Answer]) -> Answer:
    """Wait for an answer; cancel it if the client goes away."""
    answer: asyncio.Future[Any] = asyncio.wrap_future(future)
    gone: asyncio.Future[Any] = asyncio.create_task(_wait_for_disconnect(request))
    try:
        await asyncio.wait([answer, gone], return_when=asyncio.FIRST_COMPLETED)
        if not answer.done():
            raise ClientDisconnect
        return answer.result()
    finally:
        answer.cancel()
        gone.cancel()


async def _wait_for_disconnect(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def _to_http_error(request: Request, error: HTTPException) -> Response:
    """Return an error of the routes as JSON: an unknown path, another method."""
    headers = dict(error.headers) if error.headers else None
    return to_error(error.status_code, f"{error.detail}: {printable(request.url.path)}", headers)


async def _to_failure(request: Request, error: Exception) -> Response:
    """Return a failure as JSON. The guard logs it."""
    return to_error(500, FAILURE)
