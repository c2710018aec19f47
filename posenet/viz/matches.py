"""What refined poses rest on: pictures beside training pictures that see the same points, which are joined."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import ConnectionPatch

from posenet.datasets.scene import Scene
from posenet.geometry.camera import Camera
from posenet.geometry.camera_models import projected
from posenet.localization.absolute_pose import Located
from posenet.viz.figure import NETWORK, new_figure, plot_picture

if TYPE_CHECKING:
    from posenet.localization.refinement import Refinement

SHOWN, MOST_LINES = 3, 120


def matches_figure(scene: Scene, refinement: Refinement) -> Figure | None:
    """The refined pictures with the most, a middling number, and the fewest inliers.

    scene: the n pictures that were refined. None where none was.
    """
    order = np.argsort(-refinement.inliers, kind="stable")[: int(refinement.refined.sum())]
    if len(order) == 0:
        return None
    rows = order[np.unique(np.linspace(0, len(order) - 1, SHOWN).round().astype(int))]
    camera = scene.cameras[rows[0]]
    width = 9.2 * (camera.width / camera.height if camera else 4 / 3)  # two pictures and the room between them
    figure = new_figure(min(max(width, 6.5), 11), 4.2 * len(rows))
    axes = figure.subplots(len(rows), 2, squeeze=False)
    for pair, row in zip(axes, rows, strict=True):
        located, neighbour = refinement.located[row], int(refinement.neighbours[row])
        assert located is not None
        deviation = f"deviation {refinement.deviations[row, 0]:.2g} {scene.unit}"
        title = f"{scene.names[row]}: {located.inliers} inliers,\n{deviation}"
        plot_matches(
            pair, (scene.paths[row], scene.cameras[row]), title, located, refinement.training.subset([neighbour])
        )
    figure.suptitle(f"{scene.name}: what the refined poses rest on")
    return figure


def plot_matches(pair, picture: tuple[Path, Camera | None], title: str, located: Located, neighbour: Scene) -> None:
    """Draw a picture and a training picture on a pair of axes, and join the points that agree to where the training
    picture's pose shows them, whether that was one of the pictures they were matched in or not.

    neighbour: a scene of that one training picture.
    """
    inside, theirs = _seen_by(neighbour, located.points)
    camera = picture[1]
    rays = np.column_stack([located.rays * located.focal, np.ones(len(located.rays))])
    ours = projected(camera, rays) if camera is not None else None
    titles = title, f"training picture\n{neighbour.names[0]}"
    for ax, path, each in zip(pair, (picture[0], neighbour.paths[0]), titles, strict=True):
        plot_picture(ax, path, each)
    if ours is None or theirs is None:
        return
    pair[0].scatter(*ours.T, s=2, color=NETWORK)
    shown = np.flatnonzero(inside)
    pair[1].scatter(*theirs[shown].T, s=2, color=NETWORK)
    for row in shown[:: max(1, len(shown) // MOST_LINES)]:
        line = ConnectionPatch(
            theirs[row], ours[row], "data", "data", axesA=pair[1], axesB=pair[0], color=NETWORK, lw=0.4, alpha=0.6
        )
        line.set_in_layout(False)  # else the pictures shrink to make room for it
        pair[1].add_artist(line)


def _seen_by(neighbour: Scene, points: np.ndarray):
    """Which points (n, 3) lie in a training picture, (n,), and their pixels (n, 2); None where its lens is unknown."""
    camera, pose = neighbour.cameras[0], neighbour.poses
    if camera is None:
        return np.zeros(len(points), bool), None
    local = pose.rotations[0].inv().apply(points - pose.positions[0])
    ahead = local[:, 2] > 1e-6
    pixels = projected(camera, np.where(ahead[:, None], local, [0, 0, 1.0]))
    if pixels is None:
        return ahead, None
    return ahead & ((pixels > 0) & (pixels < (camera.width, camera.height))).all(axis=1), pixels
