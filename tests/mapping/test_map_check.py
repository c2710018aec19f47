"""Arrays of a stored map that do not fit each other are refused."""

import numpy as np
import pytest

from posenet.mapping.map_check import check_map


def packed():
    """Return the arrays of a map of two images with three points."""
    return {
        "starts": np.array([0, 2, 3]),
        "origin": np.zeros(3),
        "pixels": np.ones(2),
        "ray_scales": np.ones(2),
        "log_distances": np.zeros((2, 2)),
        "positions": np.zeros((2, 3)),
        "quaternions": np.tile([1.0, 0, 0, 0], (2, 1)),
        "distances": np.zeros(3, np.uint16),
        "rays": np.zeros((3, 2), np.int16),
        "descriptors": np.zeros((3, 64), np.uint8),
    }


def unpacked():
    arrays = {name: packed()[name] for name in ("starts", "origin", "pixels")}
    return arrays | {
        "rays": np.zeros((3, 2), np.float32),
        "descriptors": np.zeros((3, 128), np.uint8),
        "points": np.zeros((3, 3), np.float32),
    }


def test_maps_of_both_forms_are_accepted():
    check_map(packed())
    check_map(unpacked())


@pytest.mark.parametrize(
    ("name", "array", "says"),
    [
        ("starts", np.array([0, 10**9, 3]), "starts must begin with 0 and not decrease"),
        ("starts", np.array([1, 2, 3]), "starts must begin with 0"),
        ("starts", np.array([0.0, 2, 3]), "starts must be whole numbers"),
        ("starts", np.array([0]), "starts must be whole numbers, two or more"),
        ("starts", np.array([0, 2, 4]), "distances has the shape (3,)"),
        ("origin", np.zeros(2), "origin has the shape (2,)"),
        ("origin", np.array([0, 0, np.nan]), "origin must be finite and at most 1e+12"),
        ("pixels", np.ones(3), "pixels has the shape (3,)"),
        ("pixels", np.array([1, np.inf]), "pixels must be finite and at most 1e+12"),
        ("positions", np.zeros((2, 3), complex), "positions has the type complex128"),
        ("quaternions", np.zeros((2, 4)), "quaternions must not be 0"),
        ("log_distances", np.full((2, 2), 100.0), "log_distances are out of range"),
        ("rays", np.zeros((3, 2), np.float32), "rays has the type float32"),
        ("descriptors", np.zeros((3, 128), np.uint8), "descriptors has the shape (3, 128)"),
    ],
)
def test_packed_maps_that_do_not_fit(name, array, says):
    with pytest.raises(ValueError, match="^") as refused:
        check_map(packed() | {name: array})
    assert str(refused.value).startswith(says)


@pytest.mark.parametrize(
    ("name", "array", "says"),
    [
        ("rays", np.full((3, 2), np.nan), "rays must be finite and at most 1e+12"),
        ("points", np.zeros((2, 3)), "points has the shape (2, 3)"),
        ("descriptors", np.zeros((3, 64), np.uint8), "descriptors has the shape (3, 64)"),
    ],
)
def test_unpacked_maps_that_do_not_fit(name, array, says):
    with pytest.raises(ValueError, match="^") as refused:
        check_map(unpacked() | {name: array})
    assert str(refused.value) == says
