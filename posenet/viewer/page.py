"""Join template, style, script and data into one HTML file."""

from __future__ import annotations

import base64
import hashlib
import html
import json
from importlib.resources import files
from pathlib import Path

from posenet.io.files import write_text
from posenet.viewer.view import View

PACKAGE = "posenet.viewer"
TEMPLATE = "page.html"
SCRIPT = "viewer.js"
STYLE = "viewer.css"


def build_page(view: View) -> str:
    """Return the page of a view: one HTML file that loads nothing.

    Its Content-Security-Policy allows its own script and style by their hashes, images inside the
    page, and no request; a live page may ask its own server.

    Args:
        view: the content.

    Returns:
        The HTML text.
    """
    data = json.dumps(view.to_dict(), separators=(",", ":"), allow_nan=False)
    parts = {
        "CSP": content_policy(live=view.live),
        "TITLE": html.escape(view.title),
        "STYLE": _asset(STYLE),
        # A name cannot end the block early: every < is written as an escape of JSON.
        "DATA": data.replace("<", "\\u003c"),
        "SCRIPT": _asset(SCRIPT),
    }
    pieces = _asset(TEMPLATE).split("%%")
    # Names are at the odd places, so that data are never searched for names.
    return "".join(parts[piece] if place % 2 else piece for place, piece in enumerate(pieces))


def content_policy(*, live: bool) -> str:
    """Return the Content-Security-Policy of a page.

    Args:
        live: whether the page may ask its own server.

    Returns:
        The policy: own script and style by their hashes, images inside the page, nothing else.
    """
    return "; ".join(
        [
            "default-src 'none'",
            f"script-src {_hash(_asset(SCRIPT))}",
            f"style-src {_hash(_asset(STYLE))}",
            "img-src data: blob:",
            "media-src blob:",
            "connect-src 'self'" if live else "connect-src 'none'",
            "base-uri 'none'",
            "form-action 'none'",
        ]
    )


def write_page(path: Path, view: View) -> Path:
    """Write the page of a view.

    Args:
        path: the HTML file.
        view: the content.

    Returns:
        The file.

    Raises:
        PoseNetError: the file cannot be written.
    """
    write_text(path, build_page(view))
    return path


def _asset(name: str) -> str:
    return (files(PACKAGE) / "assets" / name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    """Return the CSP source of an inline block."""
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    return f"'sha256-{digest}'"
