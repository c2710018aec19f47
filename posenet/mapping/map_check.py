"""Check the arrays of a stored landmark map: anybody can have written the files."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

# Rows of an array that are checked at once.
CHECKED_ROWS = 2**18


class _Form(NamedTuple):
    """What an array must be like.

    Attributes:
        kinds: its kinds of numbers, as in `np.dtype.kind`.
        item_bytes: the largest size of a number in bytes.
        rows: what its rows are: "points", "images", "starts", or "" for one row.
        columns: shape of a row.
    """

    kinds: str
    item_bytes: int
    rows: str
    columns: tuple[int, ...]


FORMS = {
    "starts": _Form("iu", 8, "starts", ()),
    "origin": _Form("f", 8, "", (3,)),
    "pixels": _Form("f", 8, "images", ()),
    "ray_scales": _Form("f", 8, "images", ()),
    "log_distances": _Form("f", 8, "images", (2,)),
    "positions": _Form("f", 8, "images", (3,)),
    "quaternions": _Form("f", 8, "images", (4,)),
    "distances": _Form("u", 2, "points", ()),
}
PACKED_FORMS = FORMS | {
    "rays": _Form("i", 2, "points", (2,)),
    "descriptors": _Form("u", 1, "points", (64,)),
}
UNPACKED_FORMS = FORMS | {
    "rays": _Form("f", 8, "points", (2,)),
    "descriptors": _Form("u", 1, "points", (128,)),
    "points": _Form("f", 8, "points", (3,)),
}
# Largest coordinate and distance, in scene units, and its logarithm.
MAX_NUMBER = 1e12
MAX_LOG_DISTANCE = 28.0


def check_map(arrays: dict[str, np.ndarray]) -> None:
    """Check types, shapes and ranges, so that reading a point cannot fail later.

    Args:
        arrays: the arrays of a map by name, packed or not.

    Raises:
        ValueError: an array is not as it must be.
    """
    forms = UNPACKED_FORMS if "points" in arrays else PACKED_FORMS
    starts = arrays["starts"]
    if starts.ndim != 1 or starts.dtype.kind not in "iu" or len(starts) < 2:
        raise ValueError("starts must be whole numbers, two or more")
    if starts[0] != 0 or (np.diff(starts.astype(np.int64)) < 0).any():
        raise ValueError("starts must begin with 0 and not decrease")
    rows = {"points": (int(starts[-1]),), "images": (len(starts) - 1,), "starts": starts.shape}
    for name, array in arrays.items():
        form = forms[name]
        if array.dtype.kind not in form.kinds or array.dtype.itemsize > form.item_bytes:
            raise ValueError(f"{name} has the type {array.dtype}")
        if array.shape != (*rows.get(form.rows, ()), *form.columns):
            raise ValueError(f"{name} has the shape {array.shape}")
        if form.kinds == "f":
            _check_finite(name, array)
    if "points" not in arrays:
        _check_cameras(arrays["quaternions"], arrays["log_distances"])


def _check_finite(name: str, array: np.ndarray) -> None:
    for start in range(0, len(array), CHECKED_ROWS):
        # NaN fails this comparison too.
        if not (np.abs(array[start : start + CHECKED_ROWS]) <= MAX_NUMBER).all():
            raise ValueError(f"{name} must be finite and at most {MAX_NUMBER:g}")


def _check_cameras(quaternions: np.ndarray, log_distances: np.ndarray) -> None:
    if not (np.linalg.norm(quaternions, axis=1) > 0).all():
        raise ValueError("quaternions must not be 0")
    if np.abs(log_distances).max(initial=0) > MAX_LOG_DISTANCE:
        raise ValueError("log_distances are out of range")
