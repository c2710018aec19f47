"""Latitude, longitude and height as local meters."""

import numpy as np
import pytest

from posenet.geometry.geodesy import ecef_from_geodetic, enu_from_geodetic

# Semi-minor axis of WGS84 in meters, 6378137 (1 - 1 / 298.257223563).
SEMI_MINOR_AXIS = 6356752.3142


def test_axes_of_the_earth():
    given = [[0, 0, 0], [0, 90, 0], [0, 180, 100], [90, 0, 0], [-90, 33, 10]]
    expected = [
        [6378137, 0, 0],
        [0, 6378137, 0],
        [-6378237, 0, 0],
        [0, 0, SEMI_MINOR_AXIS],
        [0, 0, -SEMI_MINOR_AXIS - 10],
    ]
    np.testing.assert_allclose(ecef_from_geodetic(np.array(given, float)), expected, atol=1e-4)


# Length of a degree of latitude and of longitude in km on WGS84, as tables print them.
@pytest.mark.parametrize(
    ("latitude", "north_km", "east_km"),
    [
        (0, 110.574, 111.320),
        (15, 110.649, 107.550),
        (30, 110.852, 96.486),
        (45, 111.132, 78.847),
        (60, 111.412, 55.800),
        (75, 111.618, 28.902),
    ],
)
@pytest.mark.parametrize("longitude", [-120.0, 11.5])
def test_length_of_a_degree(latitude, longitude, north_km, east_km):
    origin = np.array([latitude, longitude, 0.0])
    steps = np.array([[1e-3, 0, 0], [0, 1e-3, 0], [0, 0, 5.0]])
    local = enu_from_geodetic(origin + steps, origin)
    # Curvature lowers points 110 m away by 1 mm, and turns east towards north by less than 1 mm.
    np.testing.assert_allclose(local[0], [0, north_km, 0], atol=2e-3)
    np.testing.assert_allclose(local[1], [east_km, 0, 0], atol=2e-3)
    np.testing.assert_allclose(local[2], [0, 0, 5], atol=1e-8)


def test_south_and_height():
    # At height h a degree is longer by the factor (R + h) / R.
    origin = np.array([-33.0, 151.0, 1000.0])
    local = enu_from_geodetic(np.array([[-33.001, 151.0, 990.0]]), origin)
    radius = (
        6378137 * (1 - 0.00669437999) / (1 - 0.00669437999 * np.sin(np.radians(33)) ** 2) ** 1.5
    )
    np.testing.assert_allclose(local, [[0, -np.radians(1e-3) * (radius + 990), -10]], atol=2e-3)
