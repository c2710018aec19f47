from posenet.evaluation.error_table import format_pair, format_table


def numbers(position, rotation):
    """Return the same errors as median, mean and 95th percentile."""
    return {
        f"{each}_{name}": value
        for each in ("median", "mean", "p95")
        for name, value in (("position_error", position), ("rotation_error_deg", rotation))
    }


def test_table_by_hand():
    values = numbers(0.0031, 0.5)
    values |= {"mean_position_error": 12.3456, "p95_rotation_error_deg": None}
    values["baselines"] = {
        "mean_pose": numbers(1234.5, 102.114),
        "pose_regression": numbers(0.25, 2.0),
    }
    # As wide as 1234.500 and 180.00; the network is always the second row.
    assert format_table("refined", values, "m") == [
        "                                     median                     mean                95th pct.",
        "refined                0.0031 m    0.50 deg     12.346 m    0.50 deg     0.0031 m     inf deg",
        "network                 0.250 m    2.00 deg      0.250 m    2.00 deg      0.250 m    2.00 deg",
        "mean training pose   1234.500 m  102.11 deg   1234.500 m  102.11 deg   1234.500 m  102.11 deg",
    ]


def test_pair_of_small_errors_has_two_significant_digits():
    assert format_pair(numbers(0.00123, 0.0456), "median", "units") == "0.0012 units 0.046 deg"
