"""Local metric coordinates of positions in latitude, longitude and height (WGS84)."""

from __future__ import annotations

import numpy as np

# Semi-major axis in meters and flattening of the WGS84 ellipsoid (NIMA TR8350.2, table 3.1).
SEMI_MAJOR_AXIS = 6378137.0
FLATTENING = 1 / 298.257223563
# Square of the first eccentricity.
ECCENTRICITY_SQUARED = FLATTENING * (2 - FLATTENING)


def ecef_from_geodetic(geodetic: np.ndarray) -> np.ndarray:
    """Convert geodetic to Earth-centered, Earth-fixed coordinates (NIMA TR8350.2, equation 4-14).

    Args:
        geodetic: latitude and longitude in degrees, height above the ellipsoid in meters, shape
            (n, 3).

    Returns:
        Positions in meters: x to latitude 0 and longitude 0, z to the north pole, shape (n, 3).
    """
    latitude, longitude = np.radians(geodetic[:, 0]), np.radians(geodetic[:, 1])
    height = geodetic[:, 2]
    # Radius of curvature in the prime vertical.
    radius = SEMI_MAJOR_AXIS / np.sqrt(1 - ECCENTRICITY_SQUARED * np.sin(latitude) ** 2)
    from_axis = (radius + height) * np.cos(latitude)
    z = (radius * (1 - ECCENTRICITY_SQUARED) + height) * np.sin(latitude)
    return np.stack([from_axis * np.cos(longitude), from_axis * np.sin(longitude), z], axis=1)


def enu_from_geodetic(geodetic: np.ndarray, origin: np.ndarray) -> np.ndarray:
    """Convert geodetic to local coordinates.

    Args:
        geodetic: latitude and longitude in degrees, height above the ellipsoid in meters, shape
            (n, 3).
        origin: the same of the local origin, shape (3,).

    Returns:
        East, north and up of the tangent plane at the origin, in meters, shape (n, 3).
    """
    latitude, longitude = np.radians(origin[:2])
    east = [-np.sin(longitude), np.cos(longitude), 0]
    north = [
        -np.sin(latitude) * np.cos(longitude),
        -np.sin(latitude) * np.sin(longitude),
        np.cos(latitude),
    ]
    up = [
        np.cos(latitude) * np.cos(longitude),
        np.cos(latitude) * np.sin(longitude),
        np.sin(latitude),
    ]
    offsets = ecef_from_geodetic(geodetic) - ecef_from_geodetic(np.asarray(origin)[None])
    local: np.ndarray = offsets @ np.array([east, north, up]).T
    return local
