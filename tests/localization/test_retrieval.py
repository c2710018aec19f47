import keras
import numpy as np
import pytest

from posenet.datasets.registry import open_scene
from posenet.localization import retrieval
from posenet.localization.retrieval import (
    GALLERY,
    Gallery,
    gallery_stamp,
    load_or_build_gallery,
    normalize_descriptors,
    with_descriptor_output,
)
from posenet.mapping.global_descriptors import nearest_neighbors
from posenet.models.inference import predict_in_batches
from posenet.run import open_run
from tests.helpers.scenes import scene_of, walk

pytestmark = pytest.mark.slow


@pytest.fixture
def run(trained):
    return open_run(trained)


def test_every_training_image_is_nearest_to_itself(run):
    gallery = load_or_build_gallery(run, with_descriptor_output(run.load_model()), "first")
    assert len(gallery.scene) == 12
    np.testing.assert_allclose(np.linalg.norm(gallery.descriptors, axis=1), 1, atol=1e-3)
    assert gallery.nearest(gallery.descriptors)[:, 0].tolist() == list(range(12))
    np.testing.assert_allclose(
        gallery.nearest_poses(gallery.descriptors).positions, gallery.scene.poses.positions
    )


def test_descriptors_are_the_average_of_the_last_map(run):
    network = run.load_model()

    class Two:
        def __len__(self):
            return 2

        def __getitem__(self, rows):
            return np.full(
                (len(rows), *run.crop.resized, 3), 50 * (1 + np.asarray(rows))[:, None, None, None]
            )

    found = normalize_descriptors(
        predict_in_batches(with_descriptor_output(network), Two(), run.crop)["pooled"]
    )
    maps = keras.Model(network.input, network.get_layer("cls3_pool").input)
    images = Two()[np.arange(2)].astype(np.float32)
    expected = np.asarray(maps.predict_on_batch(images)).mean(axis=(1, 2))
    np.testing.assert_allclose(
        found, expected / np.linalg.norm(expected, axis=1, keepdims=True), atol=1e-5
    )


def test_the_gallery_is_cached_and_built_again_after_a_change(run, cambridge):
    network = with_descriptor_output(run.load_model())
    first = load_or_build_gallery(run, network, "first")
    written = (run.folder / GALLERY).stat().st_mtime_ns
    again = load_or_build_gallery(run, network, "first")
    assert (run.folder / GALLERY).stat().st_mtime_ns == written
    np.testing.assert_array_equal(again.descriptors, first.descriptors)
    image = open_scene(cambridge).split("train").paths[0]
    image.write_bytes(open_scene(cambridge).split("train").paths[1].read_bytes())
    changed = load_or_build_gallery(run, network, "first")
    np.testing.assert_allclose(changed.descriptors[0], changed.descriptors[1], atol=1e-3)
    (run.folder / GALLERY).write_bytes(b"damaged")
    np.testing.assert_allclose(
        load_or_build_gallery(run, network, "first").descriptors, changed.descriptors, atol=1e-3
    )
    written = (run.folder / GALLERY).stat().st_mtime_ns
    load_or_build_gallery(run, network, "second")  # another network's
    assert (run.folder / GALLERY).stat().st_mtime_ns > written


def test_a_run_that_cannot_be_written_to_still_has_a_gallery(run, caplog):
    (run.folder / GALLERY).mkdir()
    assert (
        len(load_or_build_gallery(run, with_descriptor_output(run.load_model()), "first").scene)
        == 12
    )
    assert "gallery.npz cannot be written" in caplog.text


def test_a_gallery_is_written_in_blocks(run, monkeypatch):
    network = with_descriptor_output(run.load_model())
    whole = load_or_build_gallery(run, network, "first")
    content = (run.folder / GALLERY).read_bytes()
    (run.folder / GALLERY).unlink()
    monkeypatch.setattr(retrieval, "BLOCK_IMAGES", 5)
    blocks = load_or_build_gallery(run, network, "first")
    np.testing.assert_array_equal(blocks.descriptors, whole.descriptors)
    assert (run.folder / GALLERY).read_bytes() == content


def test_a_gallery_of_numpy_opens(run):
    network = with_descriptor_output(run.load_model())
    descriptors = np.eye(12, 7).astype(np.float16)
    stamp = gallery_stamp("first", run.training_scene())
    path = run.folder / GALLERY
    np.savez_compressed(path, stamp=stamp, rows=np.arange(12), descriptors=descriptors)
    np.testing.assert_array_equal(
        load_or_build_gallery(run, network, "first").descriptors, descriptors
    )


def test_neighbors_are_found_once_for_the_same_queries(monkeypatch):
    counts = []

    def search(descriptors, queries, count, **options):
        counts.append(count)
        return nearest_neighbors(descriptors, queries, count, **options)

    monkeypatch.setattr(retrieval, "nearest_neighbors", search)
    gallery = Gallery(scene_of(walk(30)), np.eye(30, dtype=np.float16))
    queries = np.linspace(1, 0, 30, dtype=np.float32)[None]
    assert gallery.nearest(queries).tolist() == [[0]]
    assert gallery.nearest(queries, 3).tolist() == [[0, 1, 2]]
    assert counts == [14]
    assert gallery.nearest(queries, 20).tolist() == [list(range(20))]
    assert gallery.nearest(queries[:, ::-1], 2).tolist() == [[29, 28]]
    usable = np.arange(30) > 3
    assert gallery.nearest(queries, 2, usable=usable).tolist() == [[4, 5]]
    assert gallery.nearest(queries, 99).tolist() == [list(range(30))]
    assert counts == [14, 20, 14, 2, 99]


def test_images_that_were_added_extend_the_gallery(run):
    network = with_descriptor_output(run.load_model())
    whole = load_or_build_gallery(run, network, "first")
    expected = np.array(whole.descriptors)
    training = run.training_scene()
    predicted = []

    class Counting:
        output = network.output

        def predict_on_batch(self, images):
            predicted.append(len(images))
            return network.predict_on_batch(images)

    (run.folder / GALLERY).unlink()
    load_or_build_gallery(run, network, "first", training.subset(np.arange(9)))
    extended = load_or_build_gallery(run, Counting(), "first", training)
    assert sum(predicted) == 3
    assert extended.scene.names == training.names
    np.testing.assert_allclose(extended.descriptors, expected, atol=1e-3)
    # Another network's is made of all images.
    predicted.clear()
    load_or_build_gallery(run, network, "second", training.subset(np.arange(9)))
    load_or_build_gallery(run, Counting(), "first", training)
    assert sum(predicted) >= 12
