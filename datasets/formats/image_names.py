"""Names of images as text files contain them."""

from __future__ import annotations

import os
import re
from pathlib import Path, PurePosixPath


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


def strip_suffix(name: str) -> str:
    """Remove .png, .jpg and the like, in which lists and reconstructions differ.

    Args:
        name: name of an image.

    Returns:
        The name without its suffix.
    """
    return os.path.splitext(name)[0]


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
