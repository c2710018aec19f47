"""Errors as text: one pair with its units, and the table of a method and its baselines."""

from __future__ import annotations

from typing import Any

from posenet.evaluation.baselines import BASELINE_NAMES

STATISTICS = {"median": "median", "mean": "mean", "p95": "95th pct."}
# Smallest widths of the numbers in a table: 99.999 and 180.00, so that tables align.
NUMBER_WIDTH = 6
# Spaces between columns.
GAP = "   "
# Digits after the point of positions and of rotations.
POSITION_DIGITS = 3
ROTATION_DIGITS = 2


def format_table(method: str, values: dict[str, Any], unit: str) -> list[str]:
    """Format errors as a table whose numbers are aligned.

    Args:
        method: name of the method.
        values: statistics of its errors, and of the baselines at "baselines", as in summary.json.
        unit: unit of the positions.

    Returns:
        A header, then one line for the method and one for each baseline, all of the same length.
    """
    rows = [(method, values)]
    rows += [
        (title, values["baselines"][name])
        for name, title in BASELINE_NAMES.items()
        if name in values["baselines"]
    ]
    cells = [[_format_errors_of(numbers, each) for each in STATISTICS] for _, numbers in rows]
    widths = [
        max(NUMBER_WIDTH, *(len(pair[part]) for row in cells for pair in row)) for part in (0, 1)
    ]
    width = max(len(name) for name, _ in rows)
    column = sum(widths) + len(f" {unit}  deg ")
    titles = GAP.join(f"{title:>{column}}" for title in STATISTICS.values())
    lines = [f"{'':<{width}}{GAP}{titles}"]
    for (name, _), row in zip(rows, cells, strict=True):
        pairs = [
            f"{position:>{widths[0]}} {unit}  {rotation:>{widths[1]}} deg"
            for position, rotation in row
        ]
        lines.append(f"{name:<{width}}{GAP}{GAP.join(pairs)}")
    return lines


def format_pair(values: dict[str, Any], statistic: str, unit: str) -> str:
    """Format position and rotation error.

    Args:
        values: statistics of errors, as in summary.json.
        statistic: one of `STATISTICS`.
        unit: unit of the positions.

    Returns:
        Both with their units.
    """
    position, rotation = _format_errors_of(values, statistic)
    return f"{position} {unit} {rotation} deg"


def _format_errors_of(values: dict[str, Any], statistic: str) -> tuple[str, str]:
    """Return position and rotation error of a statistic without their units."""
    position = _format_number(values[f"{statistic}_position_error"], POSITION_DIGITS)
    rotation = _format_number(values[f"{statistic}_rotation_error_deg"], ROTATION_DIGITS)
    return position, rotation


def _format_number(value: float | None, digits: int) -> str:
    """Return a fixed number of digits, but two significant ones of small numbers."""
    if value is None:
        return "inf"
    is_small = 0 < value < 10 ** (1 - digits)
    return f"{value:.2g}" if is_small else f"{value:.{digits}f}"
