"""The map of a place seen from above, drawn once, on which moving things are drawn in pixels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm
from matplotlib.ticker import FormatStrFormatter, LogLocator

from posenet.geometry.poses import Poses, concatenate
from posenet.viz.figure import GROUND_TRUTH, TRAINING, default_style, new_figure, style_axes
from posenet.viz.trajectory import Plane, plane_of_motion, split_trajectory

DPI = 100
COLORMAP = "viridis"
POINT_COLOR = "#aab1bc"
# Largest number of 3-D points, each of which costs bytes in a video, and the percentile of their
# coordinates up to which they are shown.
MAX_POINTS = 4_000
POINTS_PERCENTILE = 96
# Points farther from the path than this multiple of its extent do not make the map larger.
MAX_MARGIN = 0.5
MARGIN = 0.08
# Width of the axes relative to their height. Limits are made to fit, so that they fill the map.
ASPECT = 1.24
# The color scale of standard deviations, in multiples of the scene's size.
SMALLEST_STD = 1e-4
LARGEST_STD = 3e-2


@dataclass(frozen=True, eq=False)
class MapView:
    """A map and how points of the world lie on it.

    Attributes:
        image: RGB values of the map, shape (h, w, 3), uint8.
        plane: the plane that is seen from above.
        pixels_from_plane: affine map from plane coordinates (x, y, 1) to pixels, shape (2, 3).
        smallest_std: standard deviation at the start of the color scale, scene units.
        largest_std: standard deviation at its end.
        colors: the colors of the scale, RGB, shape (256, 3), uint8.
    """

    image: np.ndarray
    plane: Plane
    pixels_from_plane: np.ndarray
    smallest_std: float
    largest_std: float
    colors: np.ndarray

    @property
    def pixels_per_unit(self) -> float:
        """Length of a scene unit in pixels."""
        return float(np.linalg.norm(self.pixels_from_plane[:, 0]))

    def pixels(self, points: np.ndarray) -> np.ndarray:
        """Return where points of the world lie on the map.

        Args:
            points: shape (n, 3).

        Returns:
            x and y in pixels, shape (n, 2).
        """
        flat = self.plane.project(points)
        return flat @ self.pixels_from_plane[:, :2].T + self.pixels_from_plane[:, 2]

    def direction(self, direction: np.ndarray) -> np.ndarray:
        """Return a direction of the world on the map, shorter if it points out of the plane.

        Args:
            direction: a unit vector, shape (3,).

        Returns:
            x to the right and y down, shape (2,), at most of length 1.
        """
        flat = self.plane.axes[:2] @ direction
        return np.array([flat[0], -flat[1]])

    def color(self, std: float) -> tuple[int, int, int]:
        """Return the color of a standard deviation.

        Args:
            std: standard deviation of a position, scene units; NaN if unknown.

        Returns:
            RGB.
        """
        if not np.isfinite(std):
            return int(self.colors[0][0]), int(self.colors[0][1]), int(self.colors[0][2])
        span = np.log(self.largest_std / self.smallest_std)
        share = np.log(max(std, self.smallest_std) / self.smallest_std) / span
        red, green, blue = self.colors[int(np.clip(share * 255, 0, 255))]
        return int(red), int(green), int(blue)


@default_style()
def draw_map(
    size: tuple[int, int],
    training: Poses,
    unit: str,
    *,
    points: np.ndarray | None = None,
    ground_truth: Poses | None = None,
    sequences: np.ndarray | None = None,
    has_std: bool = True,
) -> MapView:
    """Draw a map: 3-D points, training images, and a true path if it is known.

    Args:
        size: (width, height) in pixels.
        training: the training poses.
        unit: unit of the positions.
        points: 3-D points, shape (n, 3).
        ground_truth: the true poses of the path.
        sequences: the sequence of each true pose.
        has_std: show the color scale of standard deviations.

    Returns:
        The map.
    """
    from matplotlib import colormaps

    plane = plane_of_motion(training)
    known = training if ground_truth is None else concatenate([training, ground_truth])
    path = plane.project(known.positions)
    low, high = path.min(axis=0), path.max(axis=0)
    extent = max(float((high - low).max()), 1e-6)
    figure = new_figure(size[0] / DPI, size[1] / DPI)
    figure.set_dpi(DPI)
    ax = figure.add_subplot()
    if points is not None and len(points):
        flat = _central_points(plane.project(points))
        ax.scatter(flat[:, 0], flat[:, 1], 2.2, POINT_COLOR, lw=0, label="map points", zorder=1)
        reach = MAX_MARGIN * extent
        low = np.minimum(low, np.maximum(flat.min(axis=0), low - reach))
        high = np.maximum(high, np.minimum(flat.max(axis=0), high + reach))
    dots = plane.project(training.positions)
    color = TRAINING if points is None else "#8d96a3"
    ax.scatter(dots[:, 0], dots[:, 1], 7, color, lw=0, label="training images", zorder=2)
    if ground_truth is not None:
        _plot_truth(ax, plane.project(ground_truth.positions), sequences)
    ax.set(xlabel=f"x ({unit})", ylabel=f"y ({unit})", aspect="equal")
    middle, reach = (low + high) / 2, (high - low) / 2 + MARGIN * extent
    reach = np.maximum(reach, reach[::-1] * [ASPECT, 1 / ASPECT])
    ax.set_xlim(middle[0] - reach[0], middle[0] + reach[0])
    ax.set_ylim(middle[1] - reach[1], middle[1] + reach[1])
    style_axes(ax)
    legend = ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3, frameon=False)
    for handle in legend.legend_handles:
        if handle is not None and hasattr(handle, "set_sizes"):
            handle.set_sizes([20])
    scale = LogNorm(SMALLEST_STD * extent, LARGEST_STD * extent)
    if has_std:
        bar = figure.colorbar(
            ScalarMappable(scale, COLORMAP),
            ax=ax,
            orientation="horizontal",
            shrink=0.7,
            aspect=40,
            pad=0.02,
            label=f"camera path: standard deviation of the position ({unit})",
        )
        bar.ax.xaxis.set_major_locator(LogLocator(10))
        bar.ax.xaxis.set_major_formatter(FormatStrFormatter("%g"))
        bar.ax.minorticks_off()
    for _ in range(2):  # with a fixed aspect the layout settles in a few rounds
        figure.draw_without_rendering()
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    image = np.ascontiguousarray(np.asarray(canvas.buffer_rgba())[..., :3])
    corners = ax.transData.transform(np.array([[0.0, 0], [1, 0], [0, 1]]))
    corners[:, 1] = image.shape[0] - corners[:, 1]
    affine = np.stack([corners[1] - corners[0], corners[2] - corners[0], corners[0]], axis=1)
    colors = np.rint(255 * colormaps[COLORMAP](np.linspace(0, 1, 256))[:, :3]).astype(np.uint8)
    assert scale.vmin is not None
    assert scale.vmax is not None
    return MapView(image, plane, affine, scale.vmin, scale.vmax, colors)


def _plot_truth(ax: Axes, points: np.ndarray, sequences: np.ndarray | None) -> None:
    for number, piece in enumerate(split_trajectory(points, sequences)):
        label = "ground truth" if number == 0 else None
        ax.plot(*piece.T, color=GROUND_TRUTH, lw=1.2, alpha=0.8, label=label, zorder=3)


def _central_points(points: np.ndarray) -> np.ndarray:
    """Return the points (n, 2) without the farthest, at most `MAX_POINTS` of them."""
    points = points[:: max(1, len(points) // MAX_POINTS)]
    distances = np.abs(points - np.median(points, axis=0))
    return points[(distances <= np.percentile(distances, POINTS_PERCENTILE, axis=0)).all(axis=1)]
