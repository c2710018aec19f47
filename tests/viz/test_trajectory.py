import numpy as np
import pytest
from matplotlib.figure import Figure
from scipy.spatial.transform import Rotation

from posenet.geometry.poses import Poses
from posenet.viz import trajectory as plots
from posenet.viz.figure import NETWORK, new_figure, save_figure
from tests.helpers.scenes import circle


def draw(truth, estimate, training, errors, sequences=None):
    ax = Figure().add_subplot()
    return plots.plot_trajectory(
        ax, truth, estimate, training=training, errors=errors, unit="m", sequences=sequences
    )


def test_plane_of_motion_preserves_distances():
    tilt = Rotation.from_rotvec([0.7, -0.4, 0.2])
    flat_poses = circle(40)
    points = tilt.apply(flat_poses.positions) + [5, 6, 7]
    plane = plots.plane_of_motion(Poses(points, tilt * flat_poses.rotations))
    origin, axes = plane
    flat = (points - origin) @ axes.T
    np.testing.assert_array_equal(plane.project(points), flat[:, :2])
    np.testing.assert_allclose(flat[:, 2], 0, atol=1e-9)
    np.testing.assert_allclose(
        np.linalg.norm(flat[0] - flat[7]), np.linalg.norm(points[0] - points[7])
    )
    assert axes[0, np.abs(axes[0]).argmax()] > 0
    assert np.ptp(flat[:, 0]) > np.ptp(flat[:, 1])  # the longer side is the main axis


@pytest.mark.parametrize("up", np.concatenate([np.eye(3), -np.eye(3)]))
def test_plane_of_motion_is_seen_from_above(up):
    to_up = Rotation.align_vectors([up], [[0, 0, 1.0]])[0]
    walk = circle(40)
    level = Rotation.from_euler("x", -90, degrees=True)  # the camera's down axis is the world's -z
    poses = Poses(to_up.apply(walk.positions), to_up * walk.rotations * level)
    _, (main, second, normal) = plots.plane_of_motion(poses)
    np.testing.assert_allclose(normal, up, atol=1e-9)
    # A turn to the left is drawn as one.
    np.testing.assert_allclose(np.cross(main, second), up, atol=1e-9)


def test_trajectory_has_ground_truth_estimates_and_units():
    truth = circle(30)
    estimate = Poses(truth.positions + [0, 0.5, 0], truth.rotations)
    ax = draw(truth, estimate, circle(50, 4.0), np.full(30, 0.5))
    assert ax.get_xlabel() == "x (m)"
    drawn = np.array(ax.lines[0].get_xydata())
    assert len(drawn) == 30
    dots = next(c for c in ax.collections if c.get_label() == "estimate")
    np.testing.assert_allclose(np.linalg.norm(dots.get_offsets() - drawn, axis=1), 0.5, atol=1e-9)
    np.testing.assert_allclose(dots.get_array(), 0.5)
    assert any(axis.get_ylabel() == "position error (m)" for axis in ax.figure.axes)


@pytest.mark.parametrize("projection", [None, "3d"])
def test_paths_of_refined_poses_and_of_the_network_differ_in_color(projection):
    truth = circle(6)
    network = truth.positions + [0, 0, 0.3]
    network[2] = np.nan
    plot = plots.plot_trajectory if projection is None else plots.plot_trajectory_3d
    ax = plot(
        Figure().add_subplot(projection=projection),
        truth,
        truth,
        errors=np.zeros(6),
        unit="m",
        sequences=np.array(["a", "a", "a", "b", "b", "b"]),
        label="refined",
        network=network,
    )
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    assert labels[:3] == ["ground truth", "network", "refined"]
    paths = [line for line in ax.lines if line.get_color() == NETWORK]
    assert [line.get_marker() for line in paths] == ["x", "x"]  # one per sequence
    if projection == "3d":
        drawn = np.array(paths[0].get_data_3d()).T
        np.testing.assert_array_equal(drawn, network[:3])
    else:
        drawn = np.array(paths[0].get_xydata())
        plane = plots.plane_of_motion(truth)
        np.testing.assert_allclose(drawn, plane.project(network)[:3])
    assert np.isnan(drawn[2]).all()


# Trajectories of a shape that fills the figure in both directions.
@pytest.mark.parametrize("radius", [3.4, 3.5, 3.6])
def test_title_legend_and_labels_do_not_overlap(tmp_path, radius):
    truth = circle(60, radius)
    figure = new_figure(12, 7.6)
    ax = plots.plot_trajectory(figure.add_subplot(), truth, truth, errors=np.zeros(60), unit="m")
    title = figure.suptitle("a title")
    save_figure(figure, tmp_path / "path.png")
    assert ax.xaxis.label.get_window_extent().y0 >= 0
    assert ax.get_legend().get_window_extent().y1 <= title.get_window_extent().y0


def test_trajectory_is_split_between_sequences_and_at_jumps():
    truth = Poses(
        np.array([[0, 0, 0], [1, 0, 0], [2, 0, 0], [3, 0, 0], [40, 0, 0], [41, 0, 0.0]]),
        Rotation.identity(6),
    )
    ax = draw(truth, truth, None, np.zeros(6), np.array(["a", "a", "b", "b", "b", "b"]))
    assert [len(line.get_xydata()) for line in ax.lines] == [2, 2, 2]


def test_far_estimates_are_counted_and_missing_ones_dropped():
    truth = circle(10)
    positions = truth.positions.copy()
    positions[:2] += 100
    errors = np.r_[100.0, 100.0, np.inf, np.zeros(7)]
    ax = draw(truth, Poses(positions, truth.rotations), None, errors)
    assert any(text.get_text() == "2 estimates outside the view" for text in ax.texts)
    dots = next(c for c in ax.collections if c.get_label() == "estimate")
    assert len(dots.get_offsets()) == 9
    assert ax.get_xlim()[1] < 10


def test_far_estimates_are_clipped_and_counted_in_3d():
    truth = circle(20)
    far = truth.positions.copy()
    far[3] += [500, 0, 0]
    errors = np.linalg.norm(far - truth.positions, axis=1)
    figure = new_figure(6, 6)
    ax = figure.add_subplot(projection="3d")
    estimate = Poses(far, truth.rotations)
    plots.plot_trajectory_3d(ax, truth, estimate, errors=errors, unit="m")
    assert [text.get_text() for text in ax.texts] == ["1 estimate outside the view"]
    figure.canvas.draw()
    (dots,) = [each for each in ax.collections if each.get_label() == "estimate"]
    assert np.ma.getmaskarray(np.ma.asarray(dots.get_offsets())).any(axis=1).sum() == 1


def test_flat_trajectory_has_a_readable_third_axis():
    truth = circle(20)  # all at z = 0, 6 m along x
    ax = plots.plot_trajectory_3d(
        Figure().add_subplot(projection="3d"), truth, truth, errors=np.zeros(20), unit="m"
    )
    low, high = ax.get_zlim()
    assert high - low > 0.14 * 6
    assert low < 0 < high
    assert ax.get_zlabel() == "z (m)"


def test_path_without_ground_truth_is_drawn_in_order():
    path, training = circle(12), circle(40, 4.0)
    ax = plots.plot_path(Figure().add_subplot(), path, training, "m")
    line = np.array(ax.lines[0].get_xydata())
    steps = np.linalg.norm(np.diff(line, axis=0), axis=1)
    np.testing.assert_allclose(steps, np.linalg.norm(np.diff(path.positions, axis=0), axis=1))
    labels = [each.get_label() for each in ax.collections]
    assert "training images" in labels
    assert any(np.array_equal(each.get_array(), np.arange(1, 13)) for each in ax.collections)
    assert ax.get_ylabel() == "y (m)"
    alone = plots.plot_path(Figure().add_subplot(), path, None, "m")
    assert "training images" not in [each.get_label() for each in alone.collections]


def test_trajectories_of_cameras_that_alternate():
    points = np.array([[0.0, 0], [0, 9], [1, 0], [1, 9], [2, 0], [2, 9]])
    pieces = plots.split_trajectory(points, np.array(["l", "r"] * 3))
    assert [piece.tolist() for piece in pieces] == [
        [[0, 0], [1, 0], [2, 0]],
        [[0, 9], [1, 9], [2, 9]],
    ]
