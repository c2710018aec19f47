"""The exceptions that a user's mistake raises; their messages are a single line."""

from __future__ import annotations

from collections.abc import Sequence

# Number of items that a message names of a long list.
MAX_NAMED = 3
# Longest part of another library's message that is quoted, in characters.
MAX_QUOTED = 80


class PoseNetError(Exception):
    """Invalid input from the user: what must hold, what was received, and where."""


class EmptySplitError(PoseNetError):
    """A scene without images to train on, or without test images."""


class MissingExtraError(PoseNetError):
    """An optional package that the input requires is not installed."""


def first_line(error: BaseException) -> str:
    """Return the first line of another library's error, for use in a message of this package.

    Args:
        error: the exception that was caught.

    Returns:
        The first line, at most 80 characters; the name of the exception if it has no message.
    """
    return _truncate(str(error).strip().split("\n")[0] or type(error).__name__)


def quote(value: object) -> str:
    """Return a value of a file as Python writes it, for use in a message.

    Args:
        value: the value. Control characters in texts are escaped.

    Returns:
        At most 80 characters.
    """
    return _truncate(repr(value))


def count(number: int, noun: str, plural: str | None = None) -> str:
    """Return a number with its noun in the right form: "1 image", "2 images".

    Args:
        number: how many.
        noun: the singular.
        plural: the plural, if it is not the singular with an s.

    Returns:
        The two words.
    """
    return f"{number} {noun if number == 1 else plural or noun + 's'}"


def name_first(items: Sequence[str]) -> str:
    """Join the first items of a list for a message: "a; b; c; and 2 more".

    Args:
        items: the items.

    Returns:
        At most three of them, and the number of the others.
    """
    named = list(items[:MAX_NAMED])
    if len(items) > len(named):
        named.append(f"and {len(items) - len(named)} more")
    return "; ".join(named)


def _truncate(text: str) -> str:
    return text if len(text) <= MAX_QUOTED else text[: MAX_QUOTED - 3] + "..."
