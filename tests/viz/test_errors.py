import numpy as np
from matplotlib.figure import Figure

from posenet.viz import errors as plots
from posenet.viz.errors import ErrorCurve
from posenet.viz.figure import ESTIMATE, NETWORK, TEAL, new_figure, save_figure


def test_error_curves_and_medians():
    errors = np.array([1.0, 2.0, 9.0, np.inf])
    ax = plots.plot_errors(
        Figure().add_subplot(),
        ErrorCurve("network", errors),
        [ErrorCurve("mean training pose", np.full(4, 5.0), TEAL)],
        unit="m",
        quantity="position",
    )
    np.testing.assert_array_equal(ax.lines[0].get_xydata(), [[0, 1], [1, 2], [2, 9]])
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    assert labels == ["network: median 5.5 m", "mean training pose: median 5 m"]
    assert ax.get_ylabel() == "position error (m)"
    assert [line.get_color() for line in ax.lines] == [ESTIMATE, ESTIMATE, TEAL]


def test_refined_errors_are_drawn_over_those_of_the_network():
    refined = ErrorCurve("refined", np.array([0.1, 0.1, 0.2, 0.3]))
    network = ErrorCurve("network", np.array([2.0, np.inf, 4.0, 1.0]), NETWORK)
    ax = plots.plot_errors(
        Figure().add_subplot(), refined, [network], unit="m", quantity="position", network=network
    )
    below, above = ax.lines[:2]
    np.testing.assert_array_equal(below.get_xydata(), [[0, 2], [2, 4], [3, 1]])
    np.testing.assert_array_equal(above.get_ydata(), refined.errors)
    assert [line.get_color() for line in ax.lines] == [NETWORK, ESTIMATE, ESTIMATE, NETWORK]
    assert [line.get_linestyle() for line in ax.lines[2:]] == ["-", "--"]
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    assert labels == ["refined: median 0.15 m", "network: median 3 m"]
    # 4 is more than 20 times 0.15.
    assert ax.get_yscale() == "log"


def test_legends_are_above_the_curves(tmp_path):
    figure = new_figure(12, 7.6)
    curves = [ErrorCurve("refined", np.arange(1.0, 30)), ErrorCurve("network", np.arange(2.0, 31))]
    left, right = figure.subplots(1, 2)
    plots.plot_errors(left, curves[0], curves[1:], unit="m", quantity="position")
    plots.plot_cumulative(right, curves, unit="m", quantity="position")
    title = figure.suptitle("a title")
    save_figure(figure, tmp_path / "errors.png")
    for ax in (left, right):
        legend = ax.get_legend().get_window_extent()
        assert legend.y0 >= ax.get_window_extent().y1
        assert legend.y1 <= title.get_window_extent().y0


def test_cumulative_curves_reach_the_fraction_of_estimated_images():
    curve = ErrorCurve("network", np.array([1.0, 3.0, np.inf, 2.0]))
    ax = plots.plot_cumulative(Figure().add_subplot(), [curve], unit="deg", quantity="rotation")
    x, y = ax.lines[0].get_xydata().T
    assert y[np.flatnonzero(x <= 3)[-1]] == 75
    assert ax.get_xlabel() == "rotation error (deg)"


def test_sparsification_by_hand():
    # By uncertainty, the two best images come first, then the worst, then the third.
    errors = np.array([1.0, 3.0, 2.0, 9.0])
    uncertainty = np.array([0.1, 0.9, 0.2, 0.3])
    labels = {"unit": "m", "quantity": "position"}
    ax = plots.plot_sparsification(Figure().add_subplot(), errors, uncertainty, **labels)
    by_uncertainty, by_truth, everything = ax.lines
    np.testing.assert_allclose(
        by_uncertainty.get_xydata(), [[25, 1], [50, 1.5], [75, 2], [100, 2.5]]
    )
    np.testing.assert_allclose(by_truth.get_xydata(), [[25, 1], [50, 1.5], [75, 2], [100, 2.5]])
    assert everything.get_ydata()[0] == 2.5
    ax = plots.plot_sparsification(Figure().add_subplot(), errors, -uncertainty, **labels)
    np.testing.assert_allclose(ax.lines[0].get_ydata(), [3, 6, 3, 2.5])
    assert ax.get_xlabel() == "most certain images (%)"
    assert ax.get_ylabel() == "median position error (m)"
