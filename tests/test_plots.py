import cv2
import numpy as np
import pytest
from matplotlib.figure import Figure
from scipy.spatial.transform import Rotation

from posenet import plots
from posenet.errors import PoseNetError
from posenet.poses import Poses

from .conftest import write_picture


def circle(n, radius=3.0):
    angle = np.linspace(0, 2 * np.pi, n, endpoint=False)
    positions = np.stack([radius * np.cos(angle), 2 * np.sin(angle), 0 * angle], axis=1)
    return Poses(positions, Rotation.from_rotvec(np.stack([0 * angle, 0 * angle, angle], axis=1)))


def draw(truth, estimate, training, errors, sequences=None):
    ax = Figure().add_subplot()
    return plots.plot_trajectory(ax, truth, estimate, training, errors, "m", sequences)


def test_the_main_plane_keeps_the_distances_of_a_tilted_plane():
    tilt = Rotation.from_rotvec([0.7, -0.4, 0.2])
    points = tilt.apply(circle(40).positions) + [5, 6, 7]
    origin, axes = plots.main_plane(points)
    flat = (points - origin) @ axes.T
    np.testing.assert_allclose(flat[:, 2], 0, atol=1e-9)
    np.testing.assert_allclose(np.linalg.norm(flat[0] - flat[7]), np.linalg.norm(points[0] - points[7]))
    assert (axes[np.arange(3), np.abs(axes).argmax(axis=1)] > 0).all()
    assert np.ptp(flat[:, 0]) > np.ptp(flat[:, 1])  # the longer side is the main axis


def test_trajectory_draws_truth_predictions_and_units():
    truth = circle(30)
    estimate = Poses(truth.positions + [0, 0.5, 0], truth.rotations)
    ax = draw(truth, estimate, circle(50, 4.0), np.full(30, 0.5))
    assert ax.get_xlabel() == "main axis (m)"
    drawn = np.array(ax.lines[0].get_xydata())
    assert len(drawn) == 30
    dots = next(c for c in ax.collections if c.get_label() == "predicted")
    np.testing.assert_allclose(np.linalg.norm(dots.get_offsets() - drawn, axis=1), 0.5, atol=1e-9)
    np.testing.assert_allclose(dots.get_array(), 0.5)
    assert any(axis.get_ylabel() == "position error (m)" for axis in ax.figure.axes)


def test_the_path_is_cut_between_sequences_and_at_jumps():
    truth = Poses(
        np.array([[0, 0, 0], [1, 0, 0], [2, 0, 0], [3, 0, 0], [40, 0, 0], [41, 0, 0.0]]), Rotation.identity(6)
    )
    ax = draw(truth, truth, None, np.zeros(6), np.array(["a", "a", "b", "b", "b", "b"]))
    assert [len(line.get_xydata()) for line in ax.lines] == [2, 2, 2]


def test_far_predictions_are_counted_and_missing_ones_left_out():
    truth = circle(10)
    positions = truth.positions.copy()
    positions[:2] += 100
    errors = np.r_[100.0, 100.0, np.inf, np.zeros(7)]
    ax = draw(truth, Poses(positions, truth.rotations), None, errors)
    assert any(text.get_text() == "2 predictions outside the view" for text in ax.texts)
    dots = next(c for c in ax.collections if c.get_label() == "predicted")
    assert len(dots.get_offsets()) == 9
    assert ax.get_xlim()[1] < 10


def test_error_curves_and_medians():
    errors = np.array([1.0, 2.0, 9.0, np.inf])
    ax = plots.plot_errors(Figure().add_subplot(), errors, "m", "position", {"mean training pose": np.full(4, 5.0)})
    np.testing.assert_array_equal(ax.lines[0].get_xydata(), [[0, 1], [1, 2], [2, 9]])
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    assert labels == ["median: 5.5 m", "mean training pose: 5 m"]
    assert ax.get_ylabel() == "position error (m)"


def test_cumulative_curves_reach_the_share_of_found_pictures():
    ax = plots.plot_cumulative(
        Figure().add_subplot(), {"network": np.array([1.0, 3.0, np.inf, 2.0])}, "deg", "rotation"
    )
    x, y = ax.lines[0].get_xydata().T
    assert y[np.flatnonzero(x <= 3)[-1]] == 75
    assert ax.get_xlabel() == "rotation error (deg)"


CASES = {
    "one picture": (circle(1), None),
    "all at one place": (Poses(np.ones((5, 3)), Rotation.identity(5)), None),
    "on a line": (Poses(np.arange(15.0).reshape(5, 3), Rotation.identity(5)), circle(4)),
    "no training": (circle(6), circle(6)[:0]),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("missing", [False, True])
def test_every_picture_is_written(case, missing, tmp_path):
    truth, training = CASES[case]
    n = len(truth)
    errors = np.full(n, np.inf) if missing else np.linspace(0.1, 200, n)
    paths = [tmp_path / f"{i}.png" for i in range(n)]
    for i, path in enumerate(paths):
        write_picture(path, seed=i)
    paths[-1].write_bytes(b"broken")
    out = tmp_path / "out"
    out.mkdir()
    written = plots.write_report_pictures(
        out, "square", "scene units", truth, truth, training, np.full(n, "a"), tuple(map(str, range(n))), paths,
        errors, errors, {"mean training pose": (np.ones(n), np.ones(n))},
    )  # fmt: skip
    assert {path.name for path in written} == {"trajectory.png", "trajectory_3d.png", "errors.png", "worst.png"}
    for path in written:
        height, width = cv2.imread(str(path)).shape[:2]
        assert width == 1560
        assert height > 800


def test_the_old_picture_survives_a_failure(tmp_path, monkeypatch):
    (tmp_path / "trajectory.png").write_bytes(b"old")

    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Figure, "savefig", full)
    with pytest.raises(PoseNetError, match=r"trajectory.png cannot be written: No space left on device"):
        plots.write_report_pictures(
            tmp_path, "s", "m", circle(3), circle(3), None, None, ("a",) * 3, [tmp_path] * 3, np.ones(3), np.ones(3), {}
        )
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"old"]


def test_a_flat_path_keeps_a_readable_third_axis():
    truth = circle(20)  # all at z = 0, 6 m along x
    ax = plots.plot_trajectory_3d(Figure().add_subplot(projection="3d"), truth, truth, None, np.zeros(20), "m")
    low, high = ax.get_zlim()
    assert high - low > 0.14 * 6
    assert low < 0 < high
    assert ax.get_zlabel() == "z (m)"
