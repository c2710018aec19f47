"""Figures, shared styles and colors."""

from __future__ import annotations

from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from posenet.errors import PoseNetError
from posenet.io.files import atomic_path
from posenet.io.images import read_image

TRUTH, NETWORK, FAINT, OTHERS = "#1f3a5f", "#d1495b", "#c9ced6", ("#3a8f85", "#8d7b68", "#7a5ea8")


def quiet(ax) -> None:
    ax.grid(color="#e8eaee", lw=0.8)
    ax.set_axisbelow(True)
    for side in ("top", "right"):
        if side in ax.spines:
            ax.spines[side].set_visible(False)


def plot_image(ax, path: Path, title: str, at_least: tuple[int, int] | None = None) -> None:
    """A image without axes; where its file cannot be read it says so. at_least: as for `read_image`."""
    try:
        ax.imshow(read_image(path, at_least))
    except PoseNetError:
        ax.text(0.5, 0.5, "cannot be read", ha="center", transform=ax.transAxes)
    ax.set_title(title, fontsize=9)
    ax.axis("off")


def save_figure(figure: Figure, path: Path) -> Path:
    for _ in range(
        2
    ):  # where the axes' aspect is fixed the layout settles in up to three rounds; saving is the last
        figure.draw_without_rendering()
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=130, format="png")
    return path


def new_figure(width: float, height: float) -> Figure:
    figure = Figure((width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure
