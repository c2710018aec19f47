"""JSON from files that others may have written."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

# Digits of the largest whole numbers that are read: times in nanoseconds have 19. Larger ones fit
# into no other type.
MAX_DIGITS = 19


def parse_json(text: str | bytes) -> Any:
    """Parse JSON of any content; whatever cannot be parsed is one kind of error.

    Args:
        text: the text. NaN and Infinity are read, as Python writes them.

    Returns:
        The values.

    Raises:
        ValueError: it is not JSON, is nested too deep, or has a number that is too large.
    """
    try:
        return json.loads(text, parse_int=_parse_whole, parse_float=_parse_number)
    except RecursionError:
        raise ValueError("it is nested too deep") from None


def read_json(path: Path) -> Any:
    """Parse a JSON file in UTF-8, as `parse_json` does.

    Args:
        path: the file.

    Returns:
        The values.

    Raises:
        ValueError: its content cannot be parsed.
        OSError: it cannot be read.
    """
    return parse_json(path.read_text(encoding="utf-8"))


def _parse_whole(digits: str) -> int:
    number_of_digits = len(digits.lstrip("-"))
    if number_of_digits > MAX_DIGITS:
        raise ValueError(f"a number of {number_of_digits} digits is too large")
    return int(digits)


def _parse_number(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        raise ValueError(f"the number {digits[:20]} is too large")
    return number
