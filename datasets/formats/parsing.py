"""Text files of datasets: lines with their places, numbers, and the Cambridge kind of list."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from posenet.errors import PoseNetError
from posenet.io.images import IMAGE_SUFFIXES

HEADERS = ("visual landmark dataset", "imagefile, camera position")
_ROW = "a line must be a name and 7 numbers (X Y Z W P Q R), 8 columns"


@dataclass(frozen=True)
class ListRow:
    """One line of a list: X Y Z and W P Q R as written, further columns, and its place "file:line"."""

    name: str
    numbers: tuple[float, ...]
    extra: tuple[str, ...]
    source: str


def read_lines(path: Path) -> list[tuple[str, str]]:
    """The (place "file:line", stripped text) of every line that is neither blank nor a comment (#).

    Raises PoseNetError as read_text.
    """
    return [(place, line) for place, line in raw_lines(path) if line]


def raw_lines(path: Path) -> list[tuple[str, str]]:
    """As read_lines, with the blank lines."""
    lines = [
        (f"{path}:{number}", line.strip())
        for number, line in enumerate(read_text(path).split("\n"), 1)
    ]
    return [(place, line) for place, line in lines if not line.startswith("#")]


def read_text(path: Path) -> str:
    """The text of a file, without a byte order mark.

    Raises PoseNetError when the file cannot be read, is not UTF-8 or is binary.
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


def parse_floats(columns: Sequence[str], place: str, wanted: str) -> tuple[float, ...]:
    """The columns as floats, nan and inf among them.

    Raises PoseNetError that says what is wanted and which column is no number.
    """
    try:
        return tuple(map(float, columns))
    except ValueError:
        culprit = next(column for column in columns if not is_number(column))
        raise PoseNetError(
            f"{place}: {wanted}, received {shortened(culprit)} where a number belongs"
        ) from None


def is_number(column: str) -> bool:
    """Whether the text parses as a float."""
    try:
        float(column)
    except ValueError:
        return False
    return True


def shortened(text: str, length: int = 60) -> str:
    """The text in quotes, cut to a length that fits one line of a message."""
    return repr(text if len(text) <= length else text[: length - 3] + "...")


def read_list(path: Path, extra_columns: bool = True) -> list[ListRow]:
    """The rows of a list `name X Y Z W P Q R`, with or without the Cambridge header, numbers as written.

    extra_columns: accept more behind the eighth column, as prediction files have them.
    Raises PoseNetError "file:line: ..." for a line that is not so.
    """
    rows = []
    for place, line in read_lines(path):
        if line.lower().startswith(HEADERS):
            continue
        columns = line.split()
        if len(columns) < 8 or (len(columns) > 8 and not extra_columns):
            raise PoseNetError(
                f"{place}: {_ROW}, received {len(columns)} columns: {shortened(line)}"
            )
        at = end_of_name(columns, 7)
        numbers = parse_floats(columns[at : at + 7], place, _ROW)
        rows.append(
            ListRow(tidy_name(" ".join(columns[:at])), numbers, tuple(columns[at + 7 :]), place)
        )
    return rows


def end_of_name(columns: list[str], numbers: int) -> int:
    """How many of a row's columns are its name, before so many numbers: more than one where it holds blanks and ends as
    images' names do."""
    for at in range(2, len(columns) - numbers + 1):
        if columns[at - 1].lower().endswith(IMAGE_SUFFIXES) and all(
            map(is_number, columns[at : at + numbers])
        ):
            return at
    return 1


def first_name(path: Path) -> str | None:
    """The first name in a list, without judging the rest of the file; None when there is none."""
    try:
        with open(path, encoding="utf-8-sig", errors="replace") as file:
            for line in file:
                columns = line.split()
                if columns and not line.startswith("#") and not line.lower().startswith(HEADERS):
                    return columns[0].replace("\\", "/")
    except OSError:
        pass
    return None


def tidy_name(name: str) -> str:
    """The name with forward slashes and without `.` parts; a leading slash and `..` stay."""
    return str(PurePosixPath(name.replace("\\", "/")))


def below(root: Path, path: str) -> str | None:
    """A image's name below root, where it is given as a path, absolute or from the working folder; None elsewhere."""
    full, top = Path(os.path.abspath(path)), Path(os.path.abspath(root))
    return full.relative_to(top).as_posix() if full.is_relative_to(top) else None


def without_suffix(name: str) -> str:
    """The name without .png, .jpg and the like: lists and reconstructions differ in that."""
    return os.path.splitext(name)[0]


def replace_spaces(name: str) -> str:
    """The name as captures and lists of the Cambridge kind hold it: blanks would part its columns, a # at the beginning
    would make a comment of it."""
    return re.sub(r"\s|(?<![^/])#", "_", name)


def escape_comment(name: str) -> str:
    """The name as it may begin a line: where it would make a comment of it, from the folder on."""
    return f"./{name}" if name.startswith("#") else name


def path_suffixes(name: str) -> list[str]:
    """A path and its ends: a/b/c, b/c, c."""
    return [name.split("/", at)[-1] for at in range(name.count("/") + 1)]


def natural_key(name: str) -> list:
    """A sort key by which frame2 comes before frame10."""
    parts = re.split(r"([0-9]+)", name)
    digits = [part.lstrip("0") for part in parts[1::2]]
    key: list = [*parts]
    key[1::2] = [(len(number), number) for number in digits]
    return key
