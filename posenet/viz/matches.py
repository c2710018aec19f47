"""What refined poses rest on: images beside training images that see the same points, which are joined."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import ConnectionPatch

from posenet.datasets.scene import Scene
from posenet.geometry.camera import Camera
from posenet.geometry.camera_models import projected
from posenet.localization.absolute_pose import AbsolutePose
from posenet.viz.figure import NETWORK, new_figure, plot_image

if TYPE_CHECKING:
    from posenet.localization.refinement import RefinementResult

SHOWN, MOST_LINES = 3, 120


def matches_figure(scene: Scene, refinement: RefinementResult) -> Figure | None:
    """The refined images with the most, a middling number, and the fewest inliers.

    scene: the n images that were refined. None where none was.
    """
    order = np.argsort(-refinement.inliers, kind="stable")[: int(refinement.refined.sum())]
    if len(order) == 0:
        return None
    rows = order[np.unique(np.linspace(0, len(order) - 1, SHOWN).round().astype(int))]
    camera = scene.cameras[rows[0]]
    width = 9.2 * (
        camera.width / camera.height if camera else 4 / 3
    )  # two images and the room between them
    figure = new_figure(min(max(width, 6.5), 11), 4.2 * len(rows))
    axes = figure.subplots(len(rows), 2, squeeze=False)
    for pair, row in zip(axes, rows, strict=True):
        located, neighbor = refinement.located[row], int(refinement.neighbors[row])
        assert located is not None
        deviation = f"deviation {refinement.deviations[row, 0]:.2g} {scene.unit}"
        title = f"{scene.names[row]}: {located.inliers} inliers,\n{deviation}"
        plot_matches(
            pair,
            (scene.paths[row], scene.cameras[row]),
            title,
            located,
            refinement.training.subset([neighbor]),
        )
    figure.suptitle(f"{scene.name}: what the refined poses rest on")
    return figure


def plot_matches(
    pair, image: tuple[Path, Camera | None], title: str, located: AbsolutePose, neighbor: Scene
) -> None:
    """Draw a image and a training image on a pair of axes, and join the points that agree to where the training
    image's pose shows them, whether that was one of the images they were matched in or not.

    neighbor: a scene of that one training image.
    """
    inside, theirs = _seen_by(neighbor, located.points)
    camera = image[1]
    rays = np.column_stack([located.rays * located.focal, np.ones(len(located.rays))])
    ours = projected(camera, rays) if camera is not None else None
    titles = title, f"training image\n{neighbor.names[0]}"
    for ax, path, each in zip(pair, (image[0], neighbor.paths[0]), titles, strict=True):
        plot_image(ax, path, each)
    if ours is None or theirs is None:
        return
    pair[0].scatter(*ours.T, s=2, color=NETWORK)
    shown = np.flatnonzero(inside)
    pair[1].scatter(*theirs[shown].T, s=2, color=NETWORK)
    for row in shown[:: max(1, len(shown) // MOST_LINES)]:
        line = ConnectionPatch(
            theirs[row],
            ours[row],
            "data",
            "data",
            axesA=pair[1],
            axesB=pair[0],
            color=NETWORK,
            lw=0.4,
            alpha=0.6,
        )
        line.set_in_layout(False)  # else the images shrink to make room for it
        pair[1].add_artist(line)


def _seen_by(neighbor: Scene, points: np.ndarray):
    """Which points (n, 3) lie in a training image, (n,), and their pixels (n, 2); None where its lens is unknown."""
    camera, pose = neighbor.cameras[0], neighbor.poses
    if camera is None:
        return np.zeros(len(points), bool), None
    local = pose.rotations[0].inv().apply(points - pose.positions[0])
    ahead = local[:, 2] > 1e-6
    pixels = projected(camera, np.where(ahead[:, None], local, [0, 0, 1.0]))
    if pixels is None:
        return ahead, None
    return ahead & ((pixels > 0) & (pixels < (camera.width, camera.height))).all(axis=1), pixels
