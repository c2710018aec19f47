"""Who may use a server: the address, the token, and the checks of every request."""

from __future__ import annotations

import ipaddress
import logging
import secrets
import socket
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import HTTPConnection
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from posenet.live.query import printable

log = logging.getLogger("posenet.live")

TOKEN_BYTES = 24
HTTP_PORT = 80
# An address for documentation (RFC 5737), which is reached through the default network.
EXAMPLE_ADDRESS = ("192.0.2.1", 9)
# Methods that change nothing; browsers send no Origin header with them.
SAFE_METHODS = ("GET", "HEAD")
SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}
FAILURE = "the server failed, see its log"
# Replaced by the policy of the page where there is one.
CONTENT_POLICY = "default-src 'none'; frame-ancestors 'none'"


@dataclass(frozen=True)
class Access:
    """The address that a server listens on, and the token that it requires.

    Attributes:
        host: the address as the user gave it.
        address: the numeric address that the server is bound to.
        port: the port.
        token: the token; None if only this computer can connect.
    """

    host: str
    address: str
    port: int
    token: str | None = field(default=None, repr=False)

    @property
    def url(self) -> str:
        """The address of the page, with the token."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        if ipaddress.ip_address(self.address).is_unspecified:
            host = _own_address()
        query = f"?token={self.token}" if self.token else ""
        return f"http://{host}:{self.port}/{query}"

    @property
    def cookie(self) -> str:
        """The name of the cookie. Cookies are shared by the ports of a host."""
        return f"posenet_live_{self.port}"

    def allows_host(self, header: str) -> bool:
        """Return whether a Host header names this server.

        A page of another site can have its own name resolve to this address. Its requests have its
        name in this header.

        Args:
            header: the header, a host with or without a port.

        Returns:
            True if it does.
        """
        host, colon, port = header.rpartition(":")
        if not colon or header.endswith("]"):
            host, port = header, str(HTTP_PORT)
        host = host.strip("[]").lower()
        if port != str(self.port):
            return False
        if host in (self.host.lower(), self.address):
            return True
        bound = ipaddress.ip_address(self.address)
        if bound.is_loopback:
            return host == "localhost"
        if not bound.is_unspecified:
            return False
        name = socket.gethostname().lower()
        return host in ("localhost", name, f"{name}.local") or _is_address(host)

    def has_token(self, scope: Scope) -> bool:
        """Return whether a request has the token, in constant time.

        Args:
            scope: the request.

        Returns:
            True if it has, or if none is required.
        """
        if self.token is None:
            return True
        headers = Headers(scope=scope)
        scheme, _, value = headers.get("authorization", "").partition(" ")
        received = [value.strip()] if scheme.lower() == "bearer" else []
        received += [HTTPConnection(scope).cookies.get(self.cookie, "")]
        received += self.tokens_in_query(scope)
        return any([_equal(each, self.token) for each in received])  # each, whichever is equal

    def tokens_in_query(self, scope: Scope) -> list[str]:
        """Return the tokens in the address of the page.

        Args:
            scope: the request.

        Returns:
            The tokens, right or wrong; none for other addresses than that of the page.
        """
        if scope["path"] != "/" or scope["method"] not in SAFE_METHODS:
            return []
        return parse_qs(scope["query_string"].decode("latin-1")).get("token", [])


def choose_access(host: str, address: str, port: int) -> Access:
    """Return the access to a server: with a random token unless only this computer can connect.

    Args:
        host: the address as the user gave it.
        address: the numeric address that the server is bound to.
        port: its port.

    Returns:
        The access.
    """
    is_local = ipaddress.ip_address(address).is_loopback
    return Access(host, address, port, None if is_local else secrets.token_urlsafe(TOKEN_BYTES))


class Guard:
    """Checks each request, adds headers of security to each response, and reports failures."""

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self.app = app
        self.access = access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or refuse it."""
        if scope["type"] != "http":
            return
        started = False

        async def send_with_headers(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                self._add_headers(scope, message)
            await send(message)

        try:
            await (self._refusal(scope) or self.app)(scope, receive, send_with_headers)
        except Exception:
            log.exception("%s failed", printable(scope["path"]))
            if not started:
                response = to_error(500, FAILURE)
                await response(scope, receive, send_with_headers)

    def _refusal(self, scope: Scope) -> JSONResponse | None:
        """Return the response to a request that is refused, None if it is not."""
        headers = Headers(scope=scope)
        hosts = headers.getlist("host")
        if len(hosts) != 1 or not self.access.allows_host(hosts[0]):
            received = printable(", ".join(hosts)) or "none"
            return to_error(403, f"the Host header must name this server, received {received}")
        if not self.access.has_token(scope):
            return to_error(
                401,
                "a token is required: open the address that the server printed, or send the "
                "header Authorization: Bearer TOKEN",
                {"WWW-Authenticate": "Bearer"},
            )
        origins = headers.getlist("origin")
        if scope["method"] not in SAFE_METHODS and origins not in ([], [f"http://{hosts[0]}"]):
            return to_error(
                403, f"requests of other sites are refused, received {printable(origins[0])}"
            )
        return None

    def _add_headers(self, scope: Scope, message: Message) -> None:
        headers = MutableHeaders(scope=message)
        for name, value in SECURITY_HEADERS.items():
            headers[name] = value
        headers.setdefault("Content-Security-Policy", CONTENT_POLICY)
        is_new = self.access.token is not None and self.access.tokens_in_query(scope)
        if is_new and message["status"] == 200:
            headers.append(
                "Set-Cookie",
                f"{self.access.cookie}={self.access.token}; Path=/; HttpOnly; SameSite=Strict",
            )


def to_error(status: int, text: str, headers: dict[str, str] | None = None) -> JSONResponse:
    """Return an error as JSON.

    Args:
        status: the HTTP status.
        text: the message, one line.
        headers: more headers.

    Returns:
        The response.
    """
    content: dict[str, Any] = {"error": text}
    return JSONResponse(content, status, headers)


def _equal(received: str, token: str) -> bool:
    return secrets.compare_digest(received.encode("utf-8", "replace"), token.encode())


def _own_address() -> str:
    """Return the address by which others reach this computer; its name without a network."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(EXAMPLE_ADDRESS)  # chooses the network, nothing is sent
        except OSError:
            return socket.gethostname()
        address: str = probe.getsockname()[0]
        return address


def _is_address(host: str) -> bool:
    """Return whether a host is a number, which no other site's name can be."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
