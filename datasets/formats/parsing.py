"""Parse text files of datasets: lines with their location, numbers, and lists of poses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from posenet.datasets.formats.image_names import tidy_name
from posenet.errors import PoseNetError, count
from posenet.io.image_headers import IMAGE_SUFFIXES

# How the header lines of a Cambridge list begin, in lower case.
LIST_HEADERS = ("visual landmark dataset", "imagefile, camera position")
# What a line of such a list must be, for messages.
ROW_FORM = "a line must be a name and 7 numbers (X Y Z W P Q R), 8 columns"


@dataclass(frozen=True)
class ListRow:
    """One line of a list of poses.

    Attributes:
        name: name of the image.
        numbers: X Y Z and W P Q R as written.
        extra: further columns.
        source: where the line is, "file:line".
    """

    name: str
    numbers: tuple[float, ...]
    extra: tuple[str, ...]
    source: str


def read_lines(path: Path) -> list[tuple[str, str]]:
    """Read the lines that are neither blank nor a comment (#).

    Args:
        path: a text file.

    Returns:
        For each line where it is ("file:line"), and its text without outer whitespace.

    Raises:
        PoseNetError: the file cannot be read, is not UTF-8 or is binary.
    """
    return [(source, line) for source, line in raw_lines(path) if line]


def raw_lines(path: Path) -> list[tuple[str, str]]:
    """Read the lines that are not a comment (#), blank ones included.

    Args:
        path: a text file.

    Returns:
        For each line where it is ("file:line"), and its text without outer whitespace.

    Raises:
        PoseNetError: the file cannot be read, is not UTF-8 or is binary.
    """
    lines = [
        (f"{path}:{number}", line.strip())
        for number, line in enumerate(read_text(path).split("\n"), 1)
    ]
    return [(source, line) for source, line in lines if not line.startswith("#")]


def read_text(path: Path) -> str:
    """Read a text file in UTF-8, without its byte order mark.

    Args:
        path: a text file.

    Returns:
        The text.

    Raises:
        PoseNetError: the file cannot be read, is not UTF-8 or is binary.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise PoseNetError(f"{path}: the file cannot be read ({error.strerror})") from None
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise PoseNetError(
            f"{path}:{line}: the file must be text in UTF-8, received other bytes"
        ) from None
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise PoseNetError(f"{path}:{line}: the file must be text, received binary content")
    return text


def parse_floats(columns: Sequence[str], source: str, wanted: str) -> tuple[float, ...]:
    """Parse numbers; nan and inf are numbers too.

    Args:
        columns: n columns of a line.
        source: where the line is ("file:line"), for the message.
        wanted: what must hold, for the message.

    Returns:
        n numbers.

    Raises:
        PoseNetError: a column is not a number.
    """
    try:
        return tuple(map(float, columns))
    except ValueError:
        wrong = next(column for column in columns if not is_number(column))
        raise PoseNetError(
            f"{source}: {wanted}, received {shorten(wrong)} where a number belongs"
        ) from None


def is_number(column: str) -> bool:
    """Return whether a text parses as a float.

    Args:
        column: the text.

    Returns:
        True if it does.
    """
    try:
        float(column)
    except ValueError:
        return False
    return True


def shorten(text: str, length: int = 60) -> str:
    """Quote a text, truncated to fit into one line of a message.

    Args:
        text: the text.
        length: largest number of characters without the quotes.

    Returns:
        The text in quotes.
    """
    return repr(text if len(text) <= length else text[: length - 3] + "...")


def read_list(path: Path, *, extra_columns: bool = True) -> list[ListRow]:
    """Read a list of lines `name X Y Z W P Q R`, with or without the Cambridge header.

    Args:
        path: the list.
        extra_columns: accept further columns after the eighth, as in prediction files.

    Returns:
        One row per line, numbers as written.

    Raises:
        PoseNetError: a line has other columns, or the file cannot be read.
    """
    rows = []
    for source, line in read_lines(path):
        if line.lower().startswith(LIST_HEADERS):
            continue
        columns = line.split()
        if len(columns) < 8 or (len(columns) > 8 and not extra_columns):
            received = count(len(columns), "column")
            raise PoseNetError(f"{source}: {ROW_FORM}, received {received}: {shorten(line)}")
        end = count_name_columns(columns, 7)
        numbers = parse_floats(columns[end : end + 7], source, ROW_FORM)
        name = tidy_name(" ".join(columns[:end]))
        rows.append(ListRow(name, numbers, tuple(columns[end + 7 :]), source))
    return rows


def count_name_columns(columns: Sequence[str], num_values: int) -> int:
    """Return how many of the first columns of a line are the name of an image.

    A name with spaces has several columns. It is recognized by its image suffix and by the numbers
    that follow.

    Args:
        columns: the columns of a line.
        num_values: how many numbers follow the name.

    Returns:
        The number of columns, 1 if no longer name is recognized.
    """
    for end in range(2, len(columns) - num_values + 1):
        if columns[end - 1].lower().endswith(IMAGE_SUFFIXES) and all(
            map(is_number, columns[end : end + num_values])
        ):
            return end
    return 1


def read_first_name(path: Path) -> str | None:
    """Return the first name in a list, without validating the rest of the file.

    Args:
        path: the list.

    Returns:
        The name with forward slashes; None if there is none or the file cannot be read.
    """
    try:
        with open(path, encoding="utf-8-sig", errors="replace") as file:
            for line in file:
                columns = line.split()
                is_header = line.startswith("#") or line.lower().startswith(LIST_HEADERS)
                if columns and not is_header:
                    return columns[0].replace("\\", "/")
    except OSError:
        pass
    return None
