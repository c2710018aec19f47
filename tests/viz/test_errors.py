import numpy as np
from matplotlib.figure import Figure

from posenet.viz import errors as plots
from posenet.viz.errors import ErrorCurve
from posenet.viz.figure import ESTIMATE, TEAL


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
    assert labels == ["median: 5.5 m", "mean training pose: 5 m"]
    assert ax.get_ylabel() == "position error (m)"
    assert [line.get_color() for line in ax.lines] == [ESTIMATE, ESTIMATE, TEAL]


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
