import numpy as np
from matplotlib.figure import Figure

from posenet.viz import errors as plots


def test_error_curves_and_medians():
    errors = np.array([1.0, 2.0, 9.0, np.inf])
    ax = plots.plot_errors(
        Figure().add_subplot(), errors, "m", "position", {"mean training pose": np.full(4, 5.0)}
    )
    np.testing.assert_array_equal(ax.lines[0].get_xydata(), [[0, 1], [1, 2], [2, 9]])
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    assert labels == ["median: 5.5 m", "mean training pose: 5 m"]
    assert ax.get_ylabel() == "position error (m)"


def test_cumulative_curves_reach_the_share_of_found_images():
    ax = plots.plot_cumulative(
        Figure().add_subplot(), {"network": np.array([1.0, 3.0, np.inf, 2.0])}, "deg", "rotation"
    )
    x, y = ax.lines[0].get_xydata().T
    assert y[np.flatnonzero(x <= 3)[-1]] == 75
    assert ax.get_xlabel() == "rotation error (deg)"


def test_coverage_by_hand():
    # the doubt names the two best images first, then the worst, then the third
    errors, doubt = np.array([1.0, 3.0, 2.0, 9.0]), np.array([0.1, 0.9, 0.2, 0.3])
    ax = plots.plot_coverage(Figure().add_subplot(), errors, doubt, "m", "position")
    by_doubt, by_truth, everything = ax.lines
    np.testing.assert_allclose(by_doubt.get_xydata(), [[25, 1], [50, 1.5], [75, 2], [100, 2.5]])
    np.testing.assert_allclose(by_truth.get_xydata(), [[25, 1], [50, 1.5], [75, 2], [100, 2.5]])
    assert everything.get_ydata()[0] == 2.5
    ax = plots.plot_coverage(Figure().add_subplot(), errors, -doubt, "m", "position")
    np.testing.assert_allclose(ax.lines[0].get_ydata(), [3, 6, 3, 2.5])
    assert ax.get_xlabel() == "surest images (%)"
    assert ax.get_ylabel() == "median position error (m)"
