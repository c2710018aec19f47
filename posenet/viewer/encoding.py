"""Arrays as text that a page decodes."""

from __future__ import annotations

import base64

import numpy as np


def encode_array(values: np.ndarray, dtype: str) -> str:
    """Return the bytes of an array in base64.

    Args:
        values: the array.
        dtype: the type to store, such as "<f4".

    Returns:
        The text.
    """
    return base64.b64encode(np.ascontiguousarray(values, dtype).tobytes()).decode()


def finite_or_none(values: np.ndarray) -> list[float | None]:
    """Return numbers with six significant digits, None for those that JSON cannot store.

    Args:
        values: n numbers.

    Returns:
        n numbers or None.
    """
    return [float(f"{value:.6g}") if np.isfinite(value) else None for value in values]
