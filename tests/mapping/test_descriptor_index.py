"""The index of faiss for many descriptors: its recall, its cache, and how to do without it."""

import numpy as np
import pytest

from posenet.io.stored_arrays import map_array
from posenet.mapping import descriptor_index
from posenet.mapping.descriptor_index import open_index
from posenet.mapping.global_descriptors import nearest_neighbors

TOTAL = 5000


def clustered(rng, total, size=32):
    """Unit descriptors around 100 centers."""
    centers = rng.normal(size=(100, size))
    values = centers[rng.integers(0, 100, total)] + 0.3 * rng.normal(size=(total, size))
    return (values / np.linalg.norm(values, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture
def stored(tmp_path, monkeypatch):
    """Return the path of 5000 descriptors, which are too many to be compared, and 50 queries."""
    monkeypatch.setattr(descriptor_index, "EXACT_DESCRIPTORS", TOTAL - 1)
    values = clustered(np.random.default_rng(0), TOTAL + 50)
    np.savez(tmp_path / "gallery.npz", descriptors=values[:TOTAL].astype(np.float16))
    return tmp_path / "gallery.npz", values[TOTAL:]


@pytest.fixture
def faiss():
    return pytest.importorskip("faiss")


def opened(path):
    return open_index(path, "descriptors", map_array(path, "descriptors"))


def test_few_descriptors_have_no_index(tmp_path):
    np.savez(tmp_path / "gallery.npz", descriptors=np.eye(100))
    assert opened(tmp_path / "gallery.npz") is None
    assert [path.name for path in tmp_path.iterdir()] == ["gallery.npz"]


@pytest.mark.parametrize("searched", [64, 16])
def test_the_index_finds_nearly_all_neighbors(stored, faiss, monkeypatch, searched):
    # 5000 descriptors make 64 clusters: with all of them searched, only the rounding to 8 bits
    # could hide a neighbor from the four candidates for each.
    monkeypatch.setattr(descriptor_index, "SEARCHED_CLUSTERS", searched)
    path, queries = stored
    found = opened(path).nearest(queries, 14)
    expected = nearest_neighbors(map_array(path, "descriptors"), queries, 14)
    assert found.shape == expected.shape == (50, 14)
    recall = np.mean([len(set(a) & set(b)) / 14 for a, b in zip(found, expected, strict=True)])
    assert recall == 1 if searched == 64 else recall > 0.95
    assert opened(path).nearest(queries[:0], 14).shape == (0, 14)


def test_more_neighbors_than_the_index_finds_are_compared_exactly(stored, faiss, monkeypatch):
    monkeypatch.setattr(descriptor_index, "SEARCHED_CLUSTERS", 1)
    path, queries = stored
    found = opened(path).nearest(queries[:2], 2000)
    expected = nearest_neighbors(map_array(path, "descriptors"), queries[:2], 2000)
    np.testing.assert_array_equal(found, expected)


def test_the_index_is_cached_until_the_descriptors_change(stored, faiss):
    path, _ = stored
    opened(path)
    (file,) = path.parent.glob("gallery-*.faiss")
    written = file.stat().st_mtime_ns
    opened(path)
    assert file.stat().st_mtime_ns == written
    np.savez(path, descriptors=-map_array(path, "descriptors"))
    opened(path)
    (other,) = path.parent.glob("gallery-*.faiss")
    assert other != file


def test_a_damaged_index_is_built_again(stored, faiss):
    path, queries = stored
    expected = opened(path).nearest(queries, 3)
    (file,) = path.parent.glob("gallery-*.faiss")
    file.unlink()
    file.write_bytes(b"no index")
    np.testing.assert_array_equal(opened(path).nearest(queries, 3), expected)
    assert file.stat().st_size > 1000


def test_descriptors_that_could_not_be_written_have_an_index_in_memory(stored, faiss):
    path, queries = stored
    descriptors = map_array(path, "descriptors")
    expected = opened(path).nearest(queries, 3)
    missing = path.with_name("other.npz")
    found = open_index(missing, "descriptors", descriptors).nearest(queries, 3)
    np.testing.assert_array_equal(found, expected)
    assert not list(path.parent.glob("other*"))


def test_without_faiss_it_is_said_once_that_searching_is_slow(stored, monkeypatch, caplog):
    monkeypatch.setitem(__import__("sys").modules, "faiss", None)
    descriptor_index._warn_slow.cache_clear()
    path, _ = stored
    assert opened(path) is None
    assert opened(path) is None
    assert caplog.messages == [
        "each query image is compared with all 5000 training images, which is slow: "
        "pip install 'camera-posenet[large]'"
    ]
