"""Values read from JSON, checked against the annotations of a dataclass."""

from __future__ import annotations

import math
import types
from dataclasses import fields
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from posenet.errors import quote


def check_types(kind: type, values: dict[str, Any]) -> None:
    """Check values for the fields of a dataclass against its annotations.

    Args:
        kind: the dataclass, whose fields are numbers, texts, paths, literals, or unions of them.
        values: values by the names of fields. Paths are texts.

    Raises:
        ValueError: a value has another type, or a number is not finite.
    """
    hints = get_type_hints(kind)
    for field in fields(kind):
        if field.name in values and not _matches(values[field.name], hints[field.name]):
            received = quote(values[field.name])
            raise ValueError(f"{field.name} has a value of another type: {received}")


def _matches(value: Any, hint: Any) -> bool:
    """Return whether a value read from JSON has a type."""
    origin = get_origin(hint)
    if origin is Annotated:
        return _matches(value, get_args(hint)[0])
    if origin in (Union, types.UnionType):
        return any(_matches(value, each) for each in get_args(hint))
    if origin is Literal:
        return value in get_args(hint)
    if hint in (None, type(None)):
        return value is None
    if hint is float:
        return type(value) in (int, float) and math.isfinite(value)
    return type(value) is (str if hint is Path else hint)
