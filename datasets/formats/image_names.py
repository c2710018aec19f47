"""Names of images as text files contain them."""

from __future__ import annotations

import os
import re
from itertools import takewhile
from pathlib import Path, PurePosixPath

from posenet.io.folders import normalize_name
from posenet.io.image_headers import IMAGE_SUFFIXES, UNSUPPORTED_SUFFIXES

# Suffixes in which lists, reconstructions and files differ.
KNOWN_SUFFIXES = frozenset({*IMAGE_SUFFIXES, *UNSUPPORTED_SUFFIXES})


def tidy_name(name: str) -> str:
    """Return a name with forward slashes and without `.` parts.

    Args:
        name: name of an image as written in a file.

    Returns:
        The name; a leading slash and `..` are kept.
    """
    return str(PurePosixPath(name.replace("\\", "/")))


def name_below(root: Path, path: str) -> str | None:
    """Return the name of an image relative to a folder.

    Args:
        root: the folder.
        path: path of the image, absolute or relative to the current folder.

    Returns:
        The name with forward slashes; None if the image is outside the folder.
    """
    image = Path(os.path.abspath(path))
    folder = Path(os.path.abspath(root))
    return image.relative_to(folder).as_posix() if image.is_relative_to(folder) else None


def match_key(name: str) -> str:
    """Return the form in which names of images are compared: Unicode NFC, no image suffix.

    Args:
        name: name or path of an image.

    Returns:
        The name in this form; other suffixes, as in frame.color, are kept.
    """
    stem, suffix = os.path.splitext(normalize_name(name))
    return stem if suffix.lower() in KNOWN_SUFFIXES else stem + suffix


def last_part(path: str) -> str:
    """Return the last part of a path.

    Args:
        path: a path with forward slashes.

    Returns:
        The name of the file.
    """
    return path.rpartition("/")[2]


def is_absolute(name: str) -> bool:
    """Return whether a name is an absolute path, of this system or another.

    Args:
        name: a name with forward slashes.

    Returns:
        True for /data/a.jpg, C:/data/a.jpg and //server/data/a.jpg.
    """
    return name.startswith("/") or bool(re.match("[A-Za-z]:", name))


def common_end(path: str, other: str) -> int:
    """Return how many parts at the end of two paths are the same; image suffixes may differ.

    Args:
        path: a path with forward slashes.
        other: another one.

    Returns:
        The number of parts.
    """
    parts = reversed(match_key(path).split("/"))
    others = reversed(match_key(other).split("/"))
    pairs = zip(parts, others, strict=False)
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))


def replace_spaces(name: str) -> str:
    """Replace what separates columns in a list, and what starts a comment, by underscores.

    Reconstructions and Cambridge lists contain these names.

    Args:
        name: name of an image.

    Returns:
        The name without whitespace and without a # at the start of a part.
    """
    return re.sub(r"\s|(?<![^/])#", "_", name)


def escape_comment(name: str) -> str:
    """Return a name that can start a line: with ./ in front if it would start a comment.

    Args:
        name: name of an image.

    Returns:
        The name.
    """
    return f"./{name}" if name.startswith("#") else name


def path_suffixes(name: str) -> list[str]:
    """Return a path and its ends: a/b/c, b/c, c.

    Args:
        name: a path with forward slashes.

    Returns:
        The ends, the longest first.
    """
    return [name.split("/", parts)[-1] for parts in range(name.count("/") + 1)]


def natural_key(name: str) -> list[str | tuple[int, str]]:
    """Return a sort key that puts frame2 before frame10.

    Args:
        name: a name with numbers in it.

    Returns:
        The key.
    """
    key: list[str | tuple[int, str]] = [*re.split(r"([0-9]+)", name)]
    for position in range(1, len(key), 2):
        digits = str(key[position]).lstrip("0")
        key[position] = (len(digits), digits)
    return key
