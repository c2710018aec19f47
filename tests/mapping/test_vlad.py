"""VLAD descriptors by hand and by loops; their cache."""

import numpy as np
import pytest

from posenet.mapping import vlad
from posenet.mapping.keypoints import Keypoints
from posenet.mapping.matching import root_sift
from posenet.mapping.triangulation import Observations
from posenet.mapping.vlad import aggregate, load_or_build_vlad
from tests.helpers.maps import landmarks_of, random_descriptors


def map_of(counts=(40, 30, 50, 35, 45, 60), seed=0):
    """A map whose images observe this many landmarks, each its own."""
    rng = np.random.default_rng(seed)
    return landmarks_of(
        [
            Observations(
                Keypoints(np.zeros((count, 2)), random_descriptors(rng, count), 0.01),
                np.zeros((count, 3)),
            )
            for count in counts
        ]
    )


def test_residuals_of_two_words_by_hand():
    words = np.array([[0, 0], [10, 0], [0, 90]], np.float32)
    # (1, 0) and (0, 2) are nearest to the first word: their residuals sum to (1, 2).
    # (10, 3) is nearest to the second: (0, 3). The third has none.
    local = np.array([[1, 0], [10, 3], [0, 2]], np.float32)
    expected = np.array([1 / np.sqrt(5), 2 / np.sqrt(5), 0, 1, 0, 0]) / np.sqrt(2)
    np.testing.assert_allclose(aggregate(local, words), expected, atol=1e-6)


def test_many_descriptors_as_by_a_loop():
    rng = np.random.default_rng(0)
    local, words = (rng.random((count, 128)).astype(np.float32) for count in (200, 7))
    sums = np.zeros((7, 128))
    for descriptor in local:
        distances = [np.linalg.norm(descriptor - word) for word in words]
        sums[np.argmin(distances)] += descriptor - words[np.argmin(distances)]
    parts = [total / np.linalg.norm(total) if total.any() else total for total in sums]
    expected = np.concatenate(parts) / np.linalg.norm(np.concatenate(parts))
    np.testing.assert_allclose(aggregate(local, words), expected, atol=1e-5)


def test_an_image_without_keypoints_has_the_descriptor_zero():
    found = aggregate(np.zeros((0, 128), np.float32), np.ones((3, 128), np.float32))
    np.testing.assert_array_equal(found, np.zeros(3 * 128))


def test_an_image_is_most_similar_to_itself_and_to_a_half_of_it(tmp_path):
    landmarks = map_of()
    index = load_or_build_vlad(landmarks, tmp_path)
    for row in range(6):
        local = root_sift(landmarks.observations(row).keypoints.descriptors)
        for shown in (local, local[::2]):
            ranks = index.rank(shown, 6)
            assert ranks[0] == row
            assert sorted(ranks) == list(range(6))


def test_an_image_without_landmarks_is_not_similar_to_any(tmp_path):
    landmarks = map_of((40, 0, 30))
    index = load_or_build_vlad(landmarks, tmp_path)
    np.testing.assert_array_equal(index.descriptors[1], 0)
    assert index.rank(root_sift(landmarks.observations(2).keypoints.descriptors), 3)[0] == 2


def test_descriptors_are_units_and_the_vocabulary_is_that_of_the_map(tmp_path):
    index = load_or_build_vlad(map_of(), tmp_path)
    assert index.words.shape == (64, 128)
    assert index.descriptors.shape == (6, 64 * 128)
    np.testing.assert_allclose(np.linalg.norm(index.descriptors, axis=1), 1, atol=1e-3)
    few = load_or_build_vlad(map_of((3, 4)), tmp_path / "few")
    assert few.words.shape == (7, 128)  # no more words than descriptors


def test_a_built_index_equals_the_loaded_one(tmp_path, monkeypatch):
    landmarks = map_of()
    built = load_or_build_vlad(landmarks, tmp_path)
    monkeypatch.setattr(vlad, "_cluster", None)  # not needed again
    loaded = load_or_build_vlad(landmarks, tmp_path)
    np.testing.assert_array_equal(loaded.words, built.words)
    np.testing.assert_array_equal(loaded.descriptors, built.descriptors)
    assert loaded.descriptors.dtype == built.descriptors.dtype == np.float16


def test_two_maps_alike_have_the_same_index(tmp_path):
    first, second = (load_or_build_vlad(map_of(), tmp_path / name) for name in "ab")
    np.testing.assert_array_equal(first.descriptors, second.descriptors)


def npz_of(folder, **arrays) -> bytes:
    np.savez(folder / "other.npz", **arrays)
    return (folder / "other.npz").read_bytes()


@pytest.mark.parametrize(
    "damage", ["empty", "garbage", "half", "flipped", "array", "encrypted", "keys", "flat"]
)
def test_a_damaged_index_is_built_again(tmp_path, damage):
    built = load_or_build_vlad(map_of(), tmp_path)
    file = tmp_path / "vlad.npz"
    content = file.read_bytes()
    middle = len(content) // 2
    entry = content.index(b"PK\1\2")  # its flags are 8 bytes on
    np.save(tmp_path / "one.npy", built.words)
    file.write_bytes(
        {
            "empty": b"",
            "garbage": b"no archive",
            "half": content[:middle],
            "flipped": content[:middle] + bytes([content[middle] ^ 255]) + content[middle + 1 :],
            "array": (tmp_path / "one.npy").read_bytes(),
            "encrypted": content[: entry + 8] + b"\1" + content[entry + 9 :],
            "keys": npz_of(tmp_path, words=built.words),
            "flat": npz_of(tmp_path, words=built.words.ravel(), descriptors=built.descriptors),
        }[damage]
    )
    again = load_or_build_vlad(map_of(), tmp_path)
    np.testing.assert_array_equal(again.descriptors, built.descriptors)
    assert file.read_bytes() == content


def test_the_index_of_a_map_of_another_size_is_built_again(tmp_path):
    load_or_build_vlad(map_of((40, 30, 50, 35, 45)), tmp_path)
    found = load_or_build_vlad(map_of(), tmp_path)
    expected = load_or_build_vlad(map_of(), tmp_path / "new")
    np.testing.assert_array_equal(found.descriptors, expected.descriptors)


def test_an_index_that_cannot_be_written_is_a_warning(tmp_path, caplog):
    (tmp_path / "vlad.npz").mkdir()
    found = load_or_build_vlad(map_of(), tmp_path)
    assert "vlad.npz cannot be written" in caplog.text
    expected = load_or_build_vlad(map_of(), tmp_path / "new")
    np.testing.assert_array_equal(found.descriptors, expected.descriptors)


@pytest.fixture
def compressed(monkeypatch):
    """Maps of more than 20 images are compressed to 16 numbers each."""
    monkeypatch.setattr(vlad, "FULL_IMAGES", 20)
    monkeypatch.setattr(vlad, "COMPONENTS", 16)
    monkeypatch.setattr(vlad, "BLOCK_IMAGES", 7)


def test_the_images_of_a_large_map_are_compressed(tmp_path, compressed):
    landmarks = map_of((40,) * 30)
    index = load_or_build_vlad(landmarks, tmp_path)
    assert index.descriptors.shape == (30, 16)
    assert index.descriptors.dtype == np.int8
    assert index.projection.shape == (16, 64 * 128)
    # The projection is orthogonal, and takes descriptors to the stored ones in steps of 1 / 127 of
    # the largest value.
    axes = index.projection.astype(float)
    np.testing.assert_allclose(axes @ axes.T, np.eye(16), atol=2e-3)
    full = load_or_build_vlad(map_of((40,) * 20), tmp_path / "full")
    assert full.projection is None
    exact = [
        axes @ aggregate(root_sift(landmarks.observations(row).keypoints.descriptors), index.words)
        for row in range(30)
    ]
    step = np.abs(exact).max() / 127
    np.testing.assert_allclose(index.descriptors * step, exact, atol=0.6 * step)
    for row in (0, 13, 29):
        local = root_sift(landmarks.observations(row).keypoints.descriptors)
        assert index.rank(local, 3)[0] == row
        usable = np.arange(30) != row
        assert row not in index.rank(local, 29, usable=usable)


def test_a_compressed_index_is_loaded_again(tmp_path, compressed, monkeypatch):
    landmarks = map_of((40,) * 30)
    built = load_or_build_vlad(landmarks, tmp_path)
    monkeypatch.setattr(vlad, "_cluster", None)  # not needed again
    loaded = load_or_build_vlad(landmarks, tmp_path)
    for name in ("words", "projection", "descriptors"):
        np.testing.assert_array_equal(getattr(loaded, name), getattr(built, name))


def test_a_large_map_with_uncompressed_descriptors_is_compressed(tmp_path, monkeypatch):
    landmarks = map_of((40,) * 30)
    assert load_or_build_vlad(landmarks, tmp_path).descriptors.dtype == np.float16
    monkeypatch.setattr(vlad, "FULL_IMAGES", 20)
    monkeypatch.setattr(vlad, "COMPONENTS", 16)
    assert load_or_build_vlad(landmarks, tmp_path).descriptors.shape == (30, 16)


def test_a_compressed_index_that_cannot_be_written_stays_in_memory(tmp_path, compressed, caplog):
    (tmp_path / "vlad.npz").mkdir()
    found = load_or_build_vlad(map_of((40,) * 30), tmp_path)
    assert "vlad.npz cannot be written" in caplog.text
    expected = load_or_build_vlad(map_of((40,) * 30), tmp_path / "new")
    np.testing.assert_array_equal(found.descriptors, expected.descriptors)
    np.testing.assert_array_equal(found.projection, expected.projection)
