"""Draw the figures of README.md and docs/method.md from a run on the courtyard.

    python docs/figures.py runs/courtyard

The run must have the scene-coordinate head, as `python train.py` gives it.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes

from posenet.cli.startup import start_keras

start_keras()
import keras  # noqa: E402

from posenet.datasets.scene import Scene  # noqa: E402
from posenet.evaluation.evaluate import Evaluation, evaluate_run  # noqa: E402
from posenet.geometry.camera_models import project  # noqa: E402
from posenet.io.image_cache import load_images  # noqa: E402
from posenet.io.images import read_image  # noqa: E402
from posenet.localization.localizer import LocalizationOptions  # noqa: E402
from posenet.run import Run, open_run  # noqa: E402
from posenet.viz.figure import (  # noqa: E402
    ESTIMATE,
    GROUND_TRUTH,
    TRAINING,
    new_figure,
    save_figure,
    style_axes,
)
from posenet.viz.trajectory import draw_frusta, plane_of_motion, plot_trajectory  # noqa: E402

FOLDER = Path(__file__).parent
# The test image that is shown.
QUERY = 30
# Largest number of landmarks on the map.
MAX_LANDMARKS = 12_000
# Outputs of the scene-coordinate head.
HEAD_OUTPUTS = (
    "camera_coordinates",
    "position",
    "quaternion",
    "residual_rms",
    "scene_coordinates",
)
# Percentiles of the landmarks that the map shows.
SHOWN_PERCENTILES = (2, 98)


def draw_hero(run: Run, evaluation: Evaluation) -> None:
    """Draw a query photo, its pose in the landmark map, and the trajectory."""
    figure = new_figure(15, 4.6)
    photo, place, trajectory = figure.subplots(1, 3, width_ratios=(1.05, 1, 1.35))
    test = evaluation.scene
    photo.imshow(read_image(test.paths[QUERY]))
    photo.set_title("1. a photo")
    photo.axis("off")
    draw_map(place, run, evaluation)
    error = evaluation.errors.position[QUERY]
    place.set_title(f"2. its pose, {100 * error:.1f} cm off")
    plot_trajectory(
        trajectory,
        test.poses,
        evaluation.estimate,
        errors=evaluation.errors.position,
        unit=test.unit,
        training=evaluation.training.poses if evaluation.training else None,
        sequences=test.sequences,
    )
    trajectory.get_legend().remove()
    trajectory.set_title("3. a walk: ground truth (line) and estimates (dots)")
    save_figure(figure, FOLDER / "hero.png")


def draw_map(ax: Axes, run: Run, evaluation: Evaluation) -> None:
    """Draw landmarks, training cameras and the estimated pose of the query image from above."""
    training = run.open_scene().split("train")
    plane = plane_of_motion(training.poses)
    landmarks = landmark_points(run)
    points = plane.project(landmarks)
    low, high = np.percentile(points, SHOWN_PERCENTILES, axis=0)
    ax.scatter(points[:, 0], points[:, 1], s=0.4, color="#9aa5b1", rasterized=True)
    cameras = plane.project(training.poses.positions)
    ax.scatter(cameras[:, 0], cameras[:, 1], s=5, color=TRAINING, label="training images")
    for poses, color, label in (
        (evaluation.scene.poses, GROUND_TRUTH, "true pose"),
        (evaluation.estimate, ESTIMATE, "estimated pose"),
    ):
        center = plane.project(poses.positions[[QUERY]])
        direction = poses.rotations[[QUERY]].apply([0, 0, 1]) @ plane.axes[:2].T
        size = 0.12 * float((high - low).max())
        draw_frusta(ax, center, direction, size=size, color=color, label=label)
    ax.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]), aspect="equal")
    ax.set(xlabel="x (m)", ylabel="y (m)")
    ax.legend(loc="lower left", fontsize=7)
    style_axes(ax)


def landmark_points(run: Run) -> np.ndarray:
    """Return some of the landmarks of a refined evaluation, shape (m, 3)."""
    from posenet.mapping.landmarks import load_or_build_landmarks

    landmarks = load_or_build_landmarks(run.folder, run.training_scene())
    step = max(1, len(landmarks.points) // MAX_LANDMARKS)
    return landmarks.origin + landmarks.points[::step]


def draw_method(run: Run, evaluation: Evaluation) -> None:
    """Draw query image, scene coordinates, depth, and the inliers of the refinement."""
    figure = new_figure(15, 3.5)
    axes = figure.subplots(1, 4)
    test = evaluation.scene
    photo = read_image(test.paths[QUERY])
    scene, camera = predict_coordinates(run, test)
    axes[0].imshow(photo)
    axes[0].set_title("query image")
    low, high = np.percentile(scene.reshape(-1, 3), (5, 95), axis=0)
    axes[1].imshow(np.clip((scene - low) / (high - low), 0, 1))
    axes[1].set_title("scene coordinates (x, y, z as color)")
    depth = axes[2].imshow(camera[..., 2], cmap="viridis_r")
    axes[2].set_title("camera coordinates (depth)")
    figure.colorbar(depth, ax=axes[2], label="depth (m)", shrink=0.75)
    axes[3].imshow(photo)
    draw_inliers(axes[3], evaluation)
    for ax in axes:
        ax.axis("off")
    save_figure(figure, FOLDER / "method.png")


def predict_coordinates(run: Run, test: Scene) -> tuple[np.ndarray, np.ndarray]:
    """Return scene and camera coordinates of the query image, (rows, columns, 3) each, meters."""
    network = run.load_model()
    layer = network.get_layer("points_pose")
    # A loaded model lists the outputs of a layer in the order of their names.
    head = keras.Model(network.input, dict(zip(HEAD_OUTPUTS, layer.output, strict=True)))
    images = load_images([test.paths[QUERY]], run.crop.resized)
    outputs = head.predict_on_batch(run.crop.center(images[[0]]).astype(np.float32))
    scale = run.position_scale
    scene = np.asarray(outputs["scene_coordinates"])[0] * scale + np.array(run.position_mean)
    return scene, np.asarray(outputs["camera_coordinates"])[0] * scale


def draw_inliers(ax: Axes, evaluation: Evaluation) -> None:
    """Draw the keypoints of the query image that agree with the refined pose."""
    assert evaluation.refinement is not None
    pose = evaluation.refinement.absolute_poses[QUERY]
    camera = evaluation.scene.cameras[QUERY]
    assert pose is not None
    assert camera is not None
    rays = np.column_stack([pose.rays, np.ones(len(pose.rays))])
    pixels = project(camera, rays)
    assert pixels is not None
    ax.scatter(pixels[:, 0], pixels[:, 1], s=3, color=ESTIMATE)
    error = 100 * evaluation.errors.position[QUERY]
    ax.set_title(f"PnP refinement: {pose.num_inliers} inliers, {error:.1f} cm off")


def main() -> None:
    """Draw both figures."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("run", type=Path)
    run = open_run(parser.parse_args().run)
    evaluation = evaluate_run(run, options=LocalizationOptions(refine=True))
    draw_hero(run, evaluation)
    draw_method(run, evaluation)


if __name__ == "__main__":
    main()
