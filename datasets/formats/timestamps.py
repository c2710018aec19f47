"""Associate images with poses by time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from posenet.errors import PoseNetError, count

# Seconds between an image and its pose at most, as in associate.py of the TUM RGB-D benchmark.
MAX_DIFFERENCE = 0.02
# Timestamps below are seconds: as nanoseconds they are less than two minutes after 1970, as seconds
# they reach the year 5138.
MAX_SECONDS = 1e11
# Timestamps from here on are nanoseconds since 1970: the year 1973. As seconds they are 3e9 years,
# as microseconds 3000 years.
MIN_NANOSECONDS = 1e17
SECONDS_PER_NANOSECOND = 1e-9


class TimedImage(NamedTuple):
    """An image with its timestamp, one line of a file. Sorting is by time.

    Attributes:
        time: timestamp in seconds.
        name: name of the image as written.
        source: where the line is, "file:line".
    """

    time: float
    name: str
    source: str


def seconds_from_timestamps(timestamps: np.ndarray, sources: Sequence[str]) -> np.ndarray:
    """Convert timestamps in seconds or in nanoseconds since 1970 to seconds, by their magnitude.

    Args:
        timestamps: n timestamps; those that are not finite stay so.
        sources: where each is, "file:line".

    Returns:
        Seconds, shape (n,).

    Raises:
        PoseNetError: a timestamp is too large for seconds and too small for nanoseconds.
    """
    magnitudes = np.abs(timestamps)
    in_nanoseconds = (magnitudes >= MIN_NANOSECONDS) & np.isfinite(timestamps)
    doubtful = (magnitudes >= MAX_SECONDS) & (magnitudes < MIN_NANOSECONDS)
    if doubtful.any():
        row = int(np.argmax(doubtful))
        raise PoseNetError(
            f"{sources[row]}: a timestamp must be in seconds (below 1e11) or in nanoseconds since "
            f"1970 (above 1e17), received {timestamps[row]:.17g}"
        )
    return np.where(in_nanoseconds, timestamps * SECONDS_PER_NANOSECOND, timestamps)


def describe_repeated(table: np.ndarray, sources: Sequence[str]) -> list[str]:
    """Describe timestamps that several different poses share.

    Args:
        table: the first column contains timestamps, the others poses, shape (n, k).
        sources: where each line is, "file:line".

    Returns:
        One sentence, or none if there is no such timestamp.
    """
    finite = np.flatnonzero(np.isfinite(table).all(axis=1))
    distinct, first = np.unique(table[finite], axis=0, return_index=True)
    _, counts = np.unique(distinct[:, 0], return_counts=True)
    if not (counts > 1).any():
        return []
    again = np.diff(distinct[:, 0], prepend=np.nan) == 0
    source = sources[int(finite[first[again]].min())]
    repeated = count(int((counts > 1).sum()), "timestamp")
    return [f"{source}: {repeated} of several poses, only one is used"]


def match_timestamps(
    timestamps: Sequence[float] | np.ndarray,
    known: Sequence[float] | np.ndarray,
    *,
    max_difference: float = MAX_DIFFERENCE,
) -> np.ndarray:
    """Return the nearest known timestamp of each timestamp.

    Args:
        timestamps: n timestamps in seconds.
        known: m timestamps in seconds, in any order.
        max_difference: largest difference in seconds.

    Returns:
        Row of the nearest known timestamp, shape (n,); -1 if none is near enough.
    """
    wanted = np.asarray(timestamps, np.float64)
    given = np.asarray(known, np.float64)
    if len(given) == 0:
        return np.full(len(wanted), -1)
    order = np.argsort(given, kind="stable")
    right = np.clip(np.searchsorted(given[order], wanted), 1, max(1, len(given) - 1))
    right = np.minimum(right, len(given) - 1)
    left = np.maximum(right - 1, 0)
    closer = np.abs(given[order][left] - wanted) <= np.abs(given[order][right] - wanted)
    rows = order[np.where(closer, left, right)]
    return np.where(np.abs(given[rows] - wanted) <= max_difference, rows, -1)


def rows_by_time(images: Sequence[TimedImage], table: np.ndarray) -> np.ndarray:
    """Return the row of a table that is nearest in time to each image, at most 0.02 s away.

    Args:
        images: n images.
        table: the first column contains timestamps in seconds, shape (m, k).

    Returns:
        Rows of the table, shape (n, k); NaN if no row is near enough.
    """
    rows = match_timestamps([image.time for image in images], table[:, 0])
    # Row -1 is the last one.
    missing = np.full(table.shape[1], np.nan)
    matched: np.ndarray = np.vstack([table, missing])[rows]
    return matched
