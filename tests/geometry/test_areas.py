"""Areas of a large place."""

import numpy as np
import pytest

from posenet.geometry.areas import Areas, find_areas


def walk(center, size, count, seed):
    """A smooth closed path about a center."""
    angle = np.linspace(0, 2 * np.pi, count)
    noise = np.random.default_rng(seed).normal(scale=0.02 * size, size=(count, 3))
    circle = np.column_stack([np.cos(angle), np.sin(angle), np.zeros(count)])
    return np.asarray(center, float) + size * circle + noise


def test_walks_far_from_each_other_are_areas():
    corners = np.array([[x, y, 0] for x in (0, 40, 80) for y in (0, 40)], float)
    positions = np.concatenate([walk(c, 8, 200, i) for i, c in enumerate(corners)])
    centers = find_areas(positions)
    assert len(centers) == 6
    order = np.lexsort(np.round(centers).T[::-1])
    np.testing.assert_allclose(centers[order], corners, atol=0.3)


@pytest.mark.parametrize("unit", [1e-3, 1.0, 1e4])
def test_the_rule_has_no_unit(unit):
    positions = np.concatenate([walk([0, 0, 0], 8, 100, 0), walk([50, 0, 0], 8, 100, 1)])
    assert len(find_areas(unit * positions)) == 2


@pytest.mark.parametrize("distance", [0, 5, 15, 20])
def test_overlapping_and_neighboring_walks_are_one_area(distance):
    positions = np.concatenate([walk([0, 0, 0], 8, 300, 0), walk([distance, 0, 0], 8, 300, 1)])
    assert len(find_areas(positions)) == 1


def test_a_street_is_one_area():
    along = np.linspace(0, 500, 3000)
    positions = np.column_stack([along, 3 * np.sin(along / 20), np.zeros_like(along)])
    assert len(find_areas(positions)) == 1


def test_a_few_images_elsewhere_are_no_area():
    positions = np.concatenate([walk([0, 0, 0], 8, 1000, 0), walk([900, 0, 0], 1, 20, 1)])
    assert len(find_areas(positions)) == 1


@pytest.mark.parametrize("count", [1, 2, 50])
def test_cameras_at_one_place_are_one_area(count):
    centers = find_areas(np.full((count, 3), 7.0))
    np.testing.assert_allclose(centers, [[7.0, 7.0, 7.0]])


def test_a_city_of_100000_images_takes_seconds():
    corners = [[40.0 * (i % 18), 40.0 * (i // 18), 0] for i in range(330)]
    positions = np.concatenate([walk(c, 8, 300, i) for i, c in enumerate(corners)])
    assert len(find_areas(positions)) == 330


def test_positions_belong_to_the_nearest_center():
    areas = Areas(
        origins=np.array([[1.0, 0, 0], [100.0, 0, 0]]),
        centers=np.array([[0.0, 0, 0], [90.0, 0, 0]]),
    )
    positions = np.array([[44.0, 0, 0], [46.0, 0, 0]])
    assert areas.nearest(positions).tolist() == [0, 1]
    np.testing.assert_array_equal(areas.origins_at(positions), [[1.0, 0, 0], [100.0, 0, 0]])
    single = Areas(areas.origins[:1], areas.centers[:1])
    assert single.nearest(positions).tolist() == [0, 0]
