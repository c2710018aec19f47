"""The pictures that an evaluation leaves."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from posenet.errors import PoseNetError
from posenet.images import read_image
from posenet.plots import new_figure, plot_trajectory, plot_trajectory_3d, save_figure
from posenet.plots_errors import plot_coverage, plot_cumulative, plot_errors


def write_report_pictures(
    folder: Path, scene_name, unit, truth, estimate, training, sequences, names, paths, errors, errors_deg, baselines,
    doubt=None,
    regressed=None,
) -> list[Path]:  # fmt: skip
    """Write trajectory.png, trajectory_3d.png, errors.png, worst.png and, with doubt, uncertainty.png.

    Each is written whole or not at all. baselines: {name: (errors (n,), errors_deg (n,))}. Other arguments as in the
    plot functions.
    """
    title = f"{scene_name}: median {np.median(errors):.3g} {unit}, {np.median(errors_deg):.3g} deg"
    written = []
    for name, projection, draw in (("trajectory", None, plot_trajectory), ("trajectory_3d", "3d", plot_trajectory_3d)):
        figure = new_figure(12, 7.6)
        more = {} if projection else {"regressed": regressed}
        draw(figure.add_subplot(projection=projection), truth, estimate, training, errors, unit, sequences, **more)
        figure.suptitle(title)
        written.append(save_figure(figure, folder / f"{name}.png"))
    figure = new_figure(12, 7.6)
    axes = figure.subplots(2, 2)
    for row, (own, what, its_unit) in enumerate(((errors, "position", unit), (errors_deg, "rotation", "deg"))):
        others = {name: both[row] for name, both in baselines.items()}
        plot_errors(axes[row, 0], own, its_unit, what, others, sequences)
        plot_cumulative(axes[row, 1], {"network": own} | others, its_unit, what)
    figure.suptitle(title)
    written.append(save_figure(figure, folder / "errors.png"))
    if doubt is not None and np.isfinite(errors).all():
        figure = new_figure(12, 5)
        for ax, (own, what, its_unit) in zip(
            figure.subplots(1, 2), ((errors, "position", unit), (errors_deg, "rotation", "deg")), strict=True
        ):
            plot_coverage(ax, own, doubt, its_unit, what)
        figure.suptitle(f"{scene_name}: does the network know when it is wrong?")
        written.append(save_figure(figure, folder / "uncertainty.png"))
    worst = [row for row in np.argsort(-np.where(np.isfinite(errors), errors, -1))[:8] if Path(paths[row]).is_file()]
    if worst:
        figure = new_figure(12, 6.4)
        captions = [f"{names[row]}\n{errors[row]:.3g} {unit}, {errors_deg[row]:.3g} deg" for row in worst]
        contact_sheet(figure, [Path(paths[row]) for row in worst], captions)
        figure.suptitle(f"{scene_name}: the pictures with the largest position errors")
        written.append(save_figure(figure, folder / "worst.png"))
    return written


def contact_sheet(figure, paths: list[Path], captions: list[str], columns: int = 4) -> None:
    """Pictures with captions in a grid."""
    rows = -(-len(paths) // columns)
    for number, (path, caption) in enumerate(zip(paths, captions, strict=True)):
        ax = figure.add_subplot(rows, columns, number + 1)
        try:
            ax.imshow(read_image(path, at_least=(240, 240)))
        except PoseNetError:
            ax.text(0.5, 0.5, "cannot be read", ha="center", transform=ax.transAxes)
        ax.set_title(caption, fontsize=9)
        ax.axis("off")
