"""Error plots: per image, cumulative, and against the uncertainty (sparsification)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes

from posenet.viz.figure import BROWN, ESTIMATE, TEAL, style_axes

# An axis is logarithmic if errors exceed this many times the median.
LOG_RANGE = 20.0
SEQUENCE_LINES = "#b9bec7"


class ErrorCurve(NamedTuple):
    """The errors of one method.

    Attributes:
        label: name of the method.
        errors: its errors, infinite where there is no estimate, shape (n,).
        color: its color.
    """

    label: str
    errors: np.ndarray
    color: str = ESTIMATE


def plot_errors(
    ax: Axes,
    own: ErrorCurve,
    baselines: list[ErrorCurve],
    *,
    unit: str,
    quantity: str,
    sequences: np.ndarray | None = None,
    network: ErrorCurve | None = None,
) -> Axes:
    """Draw the error of every image, and medians as labeled lines.

    Args:
        ax: the axes.
        own: the errors of the method.
        baselines: the errors of the baselines.
        unit: unit of the errors.
        quantity: "position" or "rotation".
        sequences: the sequence of each image, shape (n,); changes are marked.
        network: the errors before refinement, also drawn for every image.

    Returns:
        The axes.
    """
    if network is not None:
        _draw_images(ax, network, "x-", alpha=0.6)
    _draw_images(ax, own, ".-")
    _draw_median(ax, own, "-", unit)
    for baseline in baselines:
        _draw_median(ax, baseline, "--", unit)
    if sequences is not None:
        changes = np.asarray(sequences)[1:] != np.asarray(sequences)[:-1]
        for start in np.flatnonzero(changes):
            ax.axvline(start + 0.5, color=SEQUENCE_LINES, lw=0.8)
    finite = own.errors[np.isfinite(own.errors)]
    largest = [float(np.median(baseline.errors)) for baseline in baselines]
    drawn = own.errors if network is None else np.concatenate([own.errors, network.errors])
    largest.append(float(np.max(drawn, initial=0.0, where=np.isfinite(drawn))))
    if len(finite) and max(largest) > LOG_RANGE * max(np.median(finite), 1e-12):
        ax.set_yscale("log")
    else:
        ax.set_ylim(bottom=0)
    ax.set(xlabel="image", ylabel=f"{quantity} error ({unit})")
    _legend_above(ax)
    style_axes(ax)
    return ax


def plot_cumulative(ax: Axes, curves: list[ErrorCurve], *, unit: str, quantity: str) -> Axes:
    """Draw the fraction of the images below an error, one curve per method.

    Args:
        ax: the axes.
        curves: the errors of the methods.
        unit: unit of the errors.
        quantity: "position" or "rotation".

    Returns:
        The axes.
    """
    limits = [
        np.percentile(errors[np.isfinite(errors)], 95)
        for _, errors, _ in curves
        if np.isfinite(errors).any()
    ]
    for label, errors, color in curves:
        ordered = np.concatenate([[0], np.sort(errors)])
        percent = np.concatenate([[0], 100 * np.arange(1, len(errors) + 1) / len(errors)])
        ax.step(ordered, percent, where="post", color=color, label=label)
        if np.isfinite(np.median(errors)):
            ax.plot(np.median(errors), 50, "o", color=color, ms=5)
    ax.set(xlim=(0, max([*limits, 1e-9])), ylim=(0, 101), xlabel=f"{quantity} error ({unit})")
    ax.set_ylabel("images below it (%)")
    if limits and max(limits) > LOG_RANGE * max(min(limits), 1e-12):
        smallest = min(np.percentile(curve.errors, 2, method="lower") for curve in curves)
        ax.set_xscale("log")
        ax.set_xlim(max(smallest, max(limits) / 1e5), max(limits))
    _legend_above(ax)
    style_axes(ax)
    return ax


def plot_sparsification(
    ax: Axes, errors: np.ndarray, uncertainty: np.ndarray, *, unit: str, quantity: str
) -> Axes:
    """Draw the median error of the most certain images against their percentage.

    The order by true errors (oracle) is the best that any uncertainty can achieve.

    Args:
        ax: the axes.
        errors: errors, shape (n,).
        uncertainty: an uncertainty of each image, shape (n,).
        unit: unit of the errors.
        quantity: "position" or "rotation".

    Returns:
        The axes.
    """
    counts = np.arange(max(1, len(errors) // 20), len(errors) + 1)
    percent = 100 * counts / len(errors)
    _draw_order(ax, percent, counts, errors, uncertainty, "by uncertainty", ESTIMATE, "-")
    _draw_order(ax, percent, counts, errors, errors, "by true error (oracle)", TEAL, "--")
    median = np.median(errors)
    ax.axhline(median, color=BROWN, ls=":", label=f"all: {median:.3g} {unit}")
    ax.set(xlim=(0, 100), xlabel="most certain images (%)")
    ax.set_ylabel(f"median {quantity} error ({unit})")
    ax.set_ylim(bottom=0)
    ax.legend(frameon=False, fontsize=9, loc="lower right")
    style_axes(ax)
    return ax


def _draw_images(ax: Axes, curve: ErrorCurve, style: str, alpha: float = 1.0) -> None:
    """Draw the finite errors of a method, image by image."""
    rows = np.flatnonzero(np.isfinite(curve.errors))
    ax.plot(rows, curve.errors[rows], style, color=curve.color, lw=0.8, ms=4, alpha=alpha)


def _legend_above(ax: Axes) -> None:
    """Draw the legend above the axes, where no curve is."""
    ax.legend(frameon=False, fontsize=9, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2)


def _draw_median(ax: Axes, curve: ErrorCurve, style: str, unit: str) -> None:
    median = float(np.median(curve.errors))
    if np.isfinite(median):
        label = f"{curve.label}: median {median:.3g} {unit}"
        ax.axhline(median, color=curve.color, ls=style, lw=1.2, label=label)


def _draw_order(
    ax: Axes,
    percent: np.ndarray,
    counts: np.ndarray,
    errors: np.ndarray,
    order_by: np.ndarray,
    label: str,
    color: str,
    style: str,
) -> None:
    ordered = errors[np.argsort(order_by, kind="stable")]
    medians = [np.median(ordered[:number]) for number in counts]
    ax.plot(percent, medians, style, color=color, label=label)
