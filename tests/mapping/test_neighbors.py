"""Pairs of neighbors, against a loop over all images."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from posenet.geometry.poses import Poses
from posenet.mapping import neighbors
from posenet.mapping.neighbors import pairs_from_poses, spatial_order

RANKS = (1, 3, 6, 10, 16, 25, 40)


def by_sorting(poses, ranks):
    """Sort all images by distance, for each image."""
    forward = poses.rotations.apply([0.0, 0, 1])
    pairs = set()
    for row in range(len(poses)):
        similar = np.flatnonzero(forward @ forward[row] > np.cos(np.radians(35.0)))
        similar = similar[similar != row]
        distances = np.linalg.norm(poses.positions[similar] - poses.positions[row], axis=1)
        order = similar[np.argsort(distances, kind="stable")]
        for rank in ranks:
            if rank < len(order):
                pairs.add(tuple(sorted((row, int(order[rank])))))
    return sorted(pairs)


def random_poses(rng, positions):
    angles = np.column_stack(
        [rng.integers(0, 36, len(positions)) * 10.0, rng.normal(size=len(positions)) * 10]
    )
    return Poses(positions, Rotation.from_euler("yx", angles, degrees=True))


@pytest.mark.parametrize("ranks", [RANKS, (0,), range(6)])
@pytest.mark.parametrize("place", ["anywhere", "grid", "one place", "line"])
def test_pairs_are_those_of_sorting_all_images(place, ranks, monkeypatch):
    monkeypatch.setattr(neighbors, "BLOCK_CANDIDATES", 3000)  # several blocks
    rng = np.random.default_rng(0)
    for total in (1, 2, 5, 90, 300):
        positions = {
            "anywhere": rng.normal(size=(total, 3)),
            "grid": rng.integers(0, 5, (total, 3)).astype(float),  # with many equal distances
            "one place": np.ones((total, 3)),
            "line": np.arange(3.0 * total).reshape(total, 3),
        }[place]
        poses = random_poses(rng, positions)
        found = pairs_from_poses(poses, ranks)
        assert [tuple(pair) for pair in found.tolist()] == by_sorting(poses, ranks)


def test_neighbors_have_similar_viewing_directions_and_pairs_are_unique():
    positions = np.array([[0.0, 0, 0], [1, 0, 0], [2, 0, 0], [3, 0, 0], [1.1, 0, 0]])
    turned = Rotation.from_euler("y", [[0], [10], [20], [0], [180]], degrees=True)
    expected = [[0, 1], [1, 2], [2, 3]]
    assert pairs_from_poses(Poses(positions, turned), (0,)).tolist() == expected
    assert pairs_from_poses(Poses(positions, turned), (0, 9)).tolist() == expected
    assert pairs_from_poses(Poses(positions[:1], turned[:1]), (0, 1)).shape == (0, 2)


def test_images_near_each_other_have_near_places():
    rng = np.random.default_rng(0)
    corners = np.repeat([[0.0, 0, 0], [100, 0, 0], [0, 100, 0], [100, 100, 0]], 50, axis=0)
    shuffled = rng.permutation(200)
    poses = random_poses(rng, (corners + rng.normal(size=(200, 3)))[shuffled])
    order = spatial_order(poses)
    assert sorted(order) == list(range(200))
    corner_of = (shuffled // 50)[order]
    assert np.count_nonzero(np.diff(corner_of)) == 3  # each corner is visited once
