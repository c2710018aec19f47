"""Text of strangers on the terminal: names of files and what files contain cannot control it."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from typing import Any, TextIO, cast

# Control characters of ASCII and ISO 8859-1, and marks that change the direction of text.
CONTROLS = (*range(0x20), *range(0x7F, 0xA0), *range(0x202A, 0x202F), *range(0x2066, 0x206A))
ESCAPES = {code: repr(chr(code))[1:-1] for code in CONTROLS}
# In output of several lines, which separates columns with tabs.
LINE_ESCAPES = {code: text for code, text in ESCAPES.items() if chr(code) not in "\n\t"}


def escape(text: str) -> str:
    """Return a text as one line without control characters.

    Args:
        text: the text.

    Returns:
        The text with escapes as in Python.
    """
    return text.translate(ESCAPES)


class EscapingFormatter(logging.Formatter):
    """Formats each message as one line without control characters. Tracebacks keep their lines."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        """Return the message of a record.

        Args:
            record: the record.

        Returns:
            One line.
        """
        return escape(super().formatMessage(record))


class _EscapedOutput:
    """A text stream whose lines have no control characters."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write a text. Returns its length."""
        self._stream.write(text.translate(LINE_ESCAPES))
        return len(text)

    def __getattr__(self, name: str) -> Any:
        """Return what else the stream has."""
        return getattr(self._stream, name)


@contextmanager
def escaped_stdout() -> Iterator[None]:
    """Print without control characters, but for ends of lines and tabs, within a block.

    Yields:
        Nothing.
    """
    with redirect_stdout(cast(TextIO, _EscapedOutput(sys.stdout))):
        yield
