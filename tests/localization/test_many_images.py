"""20,000 training images: what is kept in memory for them, and what depth they have."""

import tracemalloc

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from posenet.geometry.poses import Poses
from posenet.io.stored_arrays import BlockArray, save_arrays
from posenet.localization import refinement
from posenet.localization.covisibility import CACHED_VIEWS, Covisibility
from posenet.localization.refinement import PnPRefiner
from posenet.localization.retrieval import Gallery, _open_gallery
from posenet.mapping.landmarks import Landmarks
from posenet.mapping.parallel import NUM_CORES
from tests.helpers.scenes import scene_of

IMAGES = 20_000
SEEN = 5


@pytest.fixture(scope="module")
def poses():
    rng = np.random.default_rng(0)
    return Poses(rng.uniform(0, 500, (IMAGES, 3)), Rotation.random(IMAGES, rng=rng))


@pytest.fixture(scope="module")
def landmarks(poses, tmp_path_factory):
    """Each image observes points 1 to 3 m in front of it, memory-mapped as maps are."""
    rng = np.random.default_rng(1)
    folder = tmp_path_factory.mktemp("map")
    local = rng.uniform(-0.5, 0.5, (IMAGES, SEEN, 3)) + [0, 0, 2]
    matrices = poses.rotations.as_matrix()
    points = np.einsum("nij,npj->npi", matrices, local) + poses.positions[:, None]
    arrays = {
        "points": points.reshape(-1, 3).astype(np.float32),
        "rays": (local[..., :2] / local[..., 2:]).reshape(-1, 2).astype(np.float32),
        "descriptors": np.zeros((IMAGES * SEEN, 128), np.uint8),
    }
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array)
    return Landmarks(
        starts=SEEN * np.arange(IMAGES + 1),
        origin=np.zeros(3),
        pixels=np.full(IMAGES, 0.01),
        **{name: np.load(folder / f"{name}.npy", mmap_mode="r") for name in arrays},
    )


def traced_peak(work):
    """Return what a function returns, and the peak of the memory that it takes in MB."""
    tracemalloc.start()
    try:
        found = work()
        return found, tracemalloc.get_traced_memory()[1] / 1e6
    finally:
        tracemalloc.stop()


def test_a_gallery_of_many_images_is_not_in_memory(tmp_path):
    size = 1024
    blocks = (
        np.random.default_rng(start).random((1000, size)).astype(np.float16)
        for start in range(0, IMAGES, 1000)
    )
    array = BlockArray((IMAGES, size), np.float16, blocks)
    path = tmp_path / "gallery.npz"
    arrays = {"stamp": np.array("s"), "rows": np.arange(IMAGES), "descriptors": array}

    def write():
        with open(path, "wb") as file:
            save_arrays(file, arrays)

    # A block as float64 has 8 MB. All descriptors as float16 have 41 MB, as float32 82 MB.
    assert traced_peak(write)[1] < 20
    (_, descriptors), opening = traced_peak(lambda: _open_gallery(path, "s", IMAGES))
    gallery = Gallery(None, descriptors)
    query = descriptors[12345].astype(np.float32)[None] / 20
    found, searching = traced_peak(lambda: gallery._search(query, 3))
    assert found[0, 0] == 12345
    assert opening < 2
    assert searching < 3 * (1 + NUM_CORES)  # each thread has some blocks of 1 MB


def test_refining_many_images_starts_with_little_memory(poses, landmarks):
    gallery = Gallery(scene_of(poses), np.zeros((IMAGES, 1), np.float32))
    refiner, peak = traced_peak(lambda: PnPRefiner(gallery, landmarks, None))
    # 60 points of each image would have 29 MB. The tree of their views has 6 numbers each.
    assert peak < 15
    for row in (0, 777, IMAGES - 1):
        assert refiner.nearest_views(poses, row, 2)[0] == row


def test_views_are_sampled_once_and_only_some_are_kept(poses, landmarks):
    covisibility = Covisibility(poses, landmarks)
    found, peak = traced_peak(lambda: covisibility.overlaps(3, np.arange(2 * CACHED_VIEWS)))
    assert found[3] > 0.5  # of itself; points on the very edge of the view may be out of it
    info = covisibility._view.cache_info()
    assert (info.currsize, info.misses) == (CACHED_VIEWS, 2 * CACHED_VIEWS)
    assert peak < 60
    before = info.misses
    covisibility.overlaps(2 * CACHED_VIEWS - 1, np.array([2 * CACHED_VIEWS - 2]))
    assert covisibility._view.cache_info().misses == before


def test_the_depth_of_many_landmarks_is_that_of_some_with_their_neighbors(
    poses, landmarks, monkeypatch
):
    rows = np.repeat(np.arange(IMAGES), SEEN)
    exact = np.median(np.linalg.norm(landmarks.points - poses.positions[rows], axis=1))
    few = refinement._median_depth(poses, landmarks)
    assert few == pytest.approx(exact, rel=0.02)
    monkeypatch.setattr(refinement, "SCATTERED_LANDMARKS", 1000)
    assert refinement._median_depth(poses, landmarks) == pytest.approx(exact, rel=0.02)
    # Images without landmarks do not shift the others.
    starts = np.sort(np.append(landmarks.starts, [0, 50, 50]))
    shifted = Poses(
        np.insert(poses.positions, [0, 10, 10], 1e6, axis=0),
        Rotation.from_quat(np.insert(poses.rotations.as_quat(), [0, 10, 10], [0, 0, 0, 1], axis=0)),
    )
    gaps = Landmarks(**(vars(landmarks) | {"starts": starts}))
    assert refinement._median_depth(shifted, gaps) == pytest.approx(exact, rel=0.02)
