"""Errors, drawn: image by image, cumulative, and against what the network doubts."""

from __future__ import annotations

import numpy as np

from posenet.evaluation.baselines import BASELINE_NAMES
from posenet.viz.figure import NETWORK, OTHERS, quiet

COLORS = dict(
    zip(BASELINE_NAMES.values(), (OTHERS[2], OTHERS[0], OTHERS[1]), strict=True)
)  # the same in all drawings
WIDE = 20.0  # times the median: errors of such a range are drawn on a logarithmic axis


def plot_errors(
    ax, errors: np.ndarray, unit: str, what: str, baselines: dict[str, np.ndarray], sequences=None
):
    """Errors (n,) image by image, with their median and the baselines' medians as labeled lines."""
    finite = np.isfinite(errors)
    numbers = np.arange(len(errors))
    ax.plot(numbers[finite], errors[finite], ".-", color=NETWORK, lw=0.8, ms=4)
    lines = {"median": (errors, NETWORK, "-")}
    lines |= {name: (each, COLORS[name], "--") for name, each in baselines.items()}
    for name, (each, color, style) in lines.items():
        median = float(np.median(each))
        if np.isfinite(median):
            ax.axhline(median, color=color, ls=style, lw=1.2, label=f"{name}: {median:.3g} {unit}")
    if sequences is not None:
        for start in np.flatnonzero(np.asarray(sequences)[1:] != np.asarray(sequences)[:-1]):
            ax.axvline(start + 0.5, color="#b9bec7", lw=0.8)
    largest = (
        [np.median(each) for each in baselines.values()] + [errors[finite].max()]
        if finite.any()
        else []
    )
    if finite.any() and max(largest) > WIDE * max(np.median(errors[finite]), 1e-12):
        ax.set_yscale("log")
    else:
        ax.set_ylim(bottom=0)
    ax.set(xlabel="image", ylabel=f"{what} error ({unit})")
    ax.legend(frameon=True, edgecolor="none", framealpha=0.9, fontsize=9)
    quiet(ax)
    return ax


def plot_cumulative(ax, named: dict[str, np.ndarray], unit: str, what: str):
    """Share of images (%) below an error, a curve for each method in named {name: errors (n,)}."""
    limits = [
        np.percentile(each[np.isfinite(each)], 95)
        for each in named.values()
        if np.isfinite(each).any()
    ]
    for name, each in named.items():
        color = COLORS.get(name, NETWORK)
        ordered = np.sort(each)
        share = 100 * np.arange(1, len(each) + 1) / len(each)
        ax.step(
            np.concatenate([[0], ordered]),
            np.concatenate([[0], share]),
            where="post",
            color=color,
            label=name,
        )
        if np.isfinite(np.median(each)):
            ax.plot(np.median(each), 50, "o", color=color, ms=5)
    ax.set(xlim=(0, max([*limits, 1e-9])), ylim=(0, 101), xlabel=f"{what} error ({unit})")
    ax.set_ylabel("images below it (%)")
    if limits and max(limits) > WIDE * max(min(limits), 1e-12):
        smallest = min(np.percentile(each, 2, method="lower") for each in named.values())
        ax.set_xscale("log")
        ax.set_xlim(max(smallest, max(limits) / 1e5), max(limits))
    ax.legend(frameon=False, fontsize=9, loc="lower right")
    quiet(ax)
    return ax


def plot_coverage(ax, errors: np.ndarray, doubt: np.ndarray, unit: str, what: str):
    """Median error of the images that the network is surest of, against their share (%).

    errors, doubt: (n,). Also what an order by the true errors would give, the best that any doubt could do.
    """
    kept = np.arange(max(1, len(errors) // 20), len(errors) + 1)
    share = 100 * kept / len(errors)
    for label, by, color, style in (
        ("ordered by its doubt", doubt, NETWORK, "-"),
        ("ordered by its true errors", errors, OTHERS[0], "--"),
    ):
        ordered = errors[np.argsort(by, kind="stable")]
        ax.plot(
            share, [np.median(ordered[:count]) for count in kept], style, color=color, label=label
        )
    ax.axhline(
        np.median(errors), color=OTHERS[1], ls=":", label=f"all: {np.median(errors):.3g} {unit}"
    )
    ax.set(xlim=(0, 100), xlabel="surest images (%)", ylabel=f"median {what} error ({unit})")
    ax.set_ylim(bottom=0)
    ax.legend(frameon=False, fontsize=9, loc="lower right")
    quiet(ax)
    return ax
