"""Listen on an address, and serve until Ctrl-C."""

from __future__ import annotations

import asyncio
import os
import socket

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from posenet.errors import PoseNetError
from posenet.live.access import Access
from posenet.live.app import LiveApp

# Connections that the system accepts before the server does.
BACKLOG = 512
# Seconds that requests have to end when the server stops. They are answered with an error.
STOP_SECONDS = 1
MAX_HEADER_BYTES = 16384


def listen(host: str, port: int) -> socket.socket:
    """Listen on an address.

    Args:
        host: name or number of the address.
        port: the port, 0 for any free one.

    Returns:
        The socket. Connections wait until the server runs.

    Raises:
        PoseNetError: there is no such address on this computer, or the port is in use.
    """
    if not 0 <= port <= 65535:
        raise PoseNetError(f"--port must be between 0 and 65535, received {port}")
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError):
        raise PoseNetError(f"--host must be an address of this computer, received {host}") from None
    family, kind, protocol, _, address = found[0]
    listener = socket.socket(family, kind, protocol)
    try:
        if os.name == "posix":  # a port that was in use a moment ago
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise PoseNetError(
            f"cannot listen on {host}, port {port} ({error.strerror}): choose another with --port"
        ) from None
    return listener


class LiveServer(uvicorn.Server):
    """A server of the application."""

    def __init__(self, app: LiveApp, access: Access) -> None:
        """Set up the server.

        Args:
            app: the application.
            access: its address and token.
        """
        limits = app.limits

        class Protocol(TimedProtocol):
            header_seconds = limits.header_seconds
            send_seconds = limits.upload_seconds
            max_connections = limits.max_connections

        self.worker = app.worker
        super().__init__(
            uvicorn.Config(
                app.guarded(access),
                http=Protocol,
                ws="none",
                loop="asyncio",
                lifespan="off",
                log_config=None,
                # Failures are logged by the application.
                log_level="critical",
                access_log=False,
                proxy_headers=False,
                server_header=False,
                timeout_keep_alive=max(1, round(limits.header_seconds)),
                timeout_graceful_shutdown=STOP_SECONDS,
                h11_max_incomplete_event_size=MAX_HEADER_BYTES,
            )
        )

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Answer all requests that wait with an error, and end.

        Args:
            sockets: the sockets to close.
        """
        self.worker.stop()
        await super().shutdown(sockets)


class TimedProtocol(H11Protocol):
    """HTTP with a time limit for headers, for a body that nobody reads, and for slow readers.

    Attributes:
        header_seconds: the limit for headers and for the body of a request that is answered.
        send_seconds: the limit for a client that does not read the response.
        max_connections: number of connections, above which new ones are closed.
    """

    header_seconds: float
    send_seconds: float
    max_connections: int
    _deadline: asyncio.TimerHandle | None = None
    _send_deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start the time limit of the first request.

        Args:
            transport: the connection.
        """
        super().connection_made(transport)
        if len(self.connections) > self.max_connections:
            transport.abort()
        self._set_deadline()

    def data_received(self, data: bytes) -> None:
        """End the time limit if a request is complete up to its body.

        Args:
            data: the bytes that arrived.
        """
        super().data_received(data)
        self._set_deadline()

    def on_response_complete(self) -> None:
        """Start the time limit of the next request."""
        super().on_response_complete()
        self._set_deadline()

    def pause_writing(self) -> None:
        """Start the time limit of a client that does not read."""
        super().pause_writing()
        self._send_deadline = self.loop.call_later(self.send_seconds, self.transport.abort)

    def resume_writing(self) -> None:
        """End the time limit of a client that does not read."""
        if self._send_deadline is not None:
            self._send_deadline.cancel()
        super().resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        """End the time limit.

        Args:
            exc: why the connection is lost.
        """
        self._end_deadline()
        if self._send_deadline is not None:
            self._send_deadline.cancel()
        super().connection_lost(exc)

    def _set_deadline(self) -> None:
        """Have a time limit exactly while no request is being answered."""
        is_answering = self.cycle is not None and not self.cycle.response_complete
        if is_answering or self.transport.is_closing():
            self._end_deadline()
        elif self._deadline is None:
            self._deadline = self.loop.call_later(self.header_seconds, self.transport.abort)

    def _end_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
