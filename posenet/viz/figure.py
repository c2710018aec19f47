"""Figures, shared styles and colors."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from matplotlib import rc_context, rcParamsDefault
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from posenet.config import FIGURE_FORMATS
from posenet.errors import PoseNetError
from posenet.io.files import atomic_path
from posenet.io.images import read_image

GROUND_TRUTH = "#1f3a5f"
ESTIMATE = "#d1495b"
TRAINING = "#c9ced6"
GRID = "#e8eaee"
# Poses of the network beside refined ones, and the baselines.
NETWORK = "#7a5ea8"
TEAL = "#3a8f85"
BROWN = "#8d7b68"
# Resolution of saved figures, and of images and point clouds inside vector graphics, dots per inch:
# a PDF or SVG of six photos stays below 2 MB.
DPI = 130
VECTOR_DPI = 72
# Text stays text that a paper's editor can change. The same figure gives the same file.
VECTOR_STYLE: Any = {"pdf.fonttype": 42, "svg.fonttype": "none", "svg.hashsalt": "posenet"}
NO_DATE: dict[str, dict[str, None]] = {
    "png": {},
    "pdf": {"CreationDate": None},
    "svg": {"Date": None},
}
# Points from which a scatter plot is an image in vector graphics.
MIN_RASTERIZED = 1000


@contextmanager
def default_style() -> Iterator[None]:
    """Draw the figures of a block in matplotlib's default style; also a decorator.

    The user's matplotlibrc may require LaTeX or another file format.

    Yields:
        Nothing.
    """
    with rc_context({key: rcParamsDefault[key] for key in rcParamsDefault if key != "backend"}):
        yield


def new_figure(width: float, height: float) -> Figure:
    """Return an empty figure.

    Args:
        width: width in inches.
        height: height in inches.

    Returns:
        The figure.
    """
    figure = Figure((width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def save_figure(figure: Figure, path: Path) -> Path:
    """Save a figure as PNG, PDF or SVG, by the suffix of the file.

    Args:
        figure: the figure.
        path: the file to write, .png, .pdf or .svg.

    Returns:
        The file.

    Raises:
        PoseNetError: the file has another suffix, or cannot be written.
    """
    name = path.suffix.lower().removeprefix(".")
    if name not in FIGURE_FORMATS:
        raise PoseNetError(f"a figure must be a .png, .pdf or .svg file, received {path}")
    # With a fixed aspect the layout settles in up to three rounds; saving is the last one.
    for _ in range(2):
        figure.draw_without_rendering()
    with atomic_path(path) as temporary, rc_context(VECTOR_STYLE):
        dpi = DPI if name == "png" else VECTOR_DPI
        figure.savefig(temporary, dpi=dpi, format=name, metadata=NO_DATE[name])
    return path


def style_axes(ax: Axes) -> None:
    """Draw a light grid and no frame at the top and right.

    Args:
        ax: the axes.
    """
    ax.grid(color=GRID, lw=0.8)
    ax.set_axisbelow(True)
    for side in ("top", "right"):
        if side in ax.spines:
            ax.spines[side].set_visible(False)


def plot_image(
    ax: Axes, path: Path, title: str, *, at_least: tuple[int, int] | None = None
) -> None:
    """Draw an image file without axes; a note if it cannot be read.

    Args:
        ax: the axes.
        path: the image file.
        title: the title.
        at_least: (height, width) in pixels that are enough.
    """
    try:
        ax.imshow(read_image(path, at_least))
    except PoseNetError:
        ax.text(0.5, 0.5, "cannot be read", ha="center", transform=ax.transAxes)
    ax.set_title(title, fontsize=9)
    ax.axis("off")
