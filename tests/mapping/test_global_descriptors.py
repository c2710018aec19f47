"""Nearest neighbors in blocks, against sorting all similarities."""

import numpy as np
import pytest

from posenet.mapping import global_descriptors
from posenet.mapping.global_descriptors import nearest_neighbors, to_float32


def by_sorting(training, queries, count):
    similarity = queries.astype(np.float64) @ training.astype(np.float64).T
    return np.argsort(-similarity, axis=1, kind="stable")[:, :count]


@pytest.fixture(params=[2**18, 64])
def block_values(request, monkeypatch):
    """The usual size of blocks, and one that makes many blocks of few images."""
    monkeypatch.setattr(global_descriptors, "BLOCK_VALUES", request.param)


@pytest.mark.parametrize("dtype", [np.float32, np.float16, np.int8])
@pytest.mark.parametrize(("total", "queries", "count"), [(500, 3, 14), (70, 600, 1), (30, 2, 99)])
def test_the_first_neighbors_are_those_of_sorting(block_values, dtype, total, queries, count):
    # Whole numbers make exact sums and many ties, among which the first image comes first.
    rng = np.random.default_rng(total)
    training = rng.integers(-2, 3, (total, 6)).astype(dtype)
    asked = rng.integers(-2, 3, (queries, 6)).astype(np.float32)
    found = nearest_neighbors(training, asked, count)
    np.testing.assert_array_equal(found, by_sorting(training, asked, count))


def test_unusable_images_are_left_out(block_values):
    rng = np.random.default_rng(0)
    training = rng.integers(-2, 3, (200, 4)).astype(np.float16)
    queries = rng.integers(-2, 3, (5, 4)).astype(np.float32)
    usable = rng.random(200) < 0.3
    rows = np.flatnonzero(usable)
    expected = rows[by_sorting(training[rows], queries, 10)]
    np.testing.assert_array_equal(nearest_neighbors(training, queries, 10, usable=usable), expected)
    everything = nearest_neighbors(training, queries, 200, usable=usable)
    assert everything.shape == (5, len(rows))


def test_there_may_be_no_queries_and_no_images():
    some, none = np.ones((3, 2), np.float32), np.ones((0, 2), np.float32)
    assert nearest_neighbors(some, none, 2).shape == (0, 2)
    assert nearest_neighbors(none, some, 2).shape == (3, 0)


def test_float16_is_converted_exactly():
    every = np.arange(2**16, dtype=np.uint16).view(np.float16)
    np.testing.assert_array_equal(to_float32(every), every.astype(np.float32))
    assert to_float32(every).dtype == np.float32
    kept = np.ones(3, np.float32)
    assert to_float32(kept) is kept


def test_the_memory_does_not_grow_with_the_images(tmp_path):
    import tracemalloc

    peaks = []
    for total in (2000, 20_000):
        np.save(tmp_path / "a.npy", np.random.default_rng(0).random((total, 320), np.float32))
        training = np.load(tmp_path / "a.npy", mmap_mode="r")
        tracemalloc.start()
        nearest_neighbors(training, np.ones((1, 320), np.float32), 14)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.1 * peaks[0] < 8e6
