"""A network of several areas: training relative to them, and routing of images to them."""

import json

import keras
import numpy as np
import pytest

from posenet.config import TrainConfig
from posenet.datasets.registry import open_scene
from posenet.geometry import areas as areas_module
from posenet.geometry.areas import Areas
from posenet.geometry.poses import Poses
from posenet.io.image_cache import load_images
from posenet.localization.localizer import Localizer
from posenet.localization.retrieval import Gallery
from posenet.run import open_run
from posenet.training.prepare import describe_positions
from posenet.training.train import train
from tests.helpers.scenes import QUICK, scene_of, write_cambridge

FAR = 1000.0


def test_queries_go_to_the_area_of_most_similar_images():
    positions = np.zeros((6, 3))
    positions[3:, 0] = FAR
    quaternions = np.tile([1.0, 0, 0, 0], (6, 1))
    angles = np.array([0, 5, 40, 10, 15, 20])  # degrees between descriptors and the first query
    descriptors = np.column_stack([np.cos(np.radians(angles)), np.sin(np.radians(angles))])
    gallery = Gallery(scene_of(Poses.from_quaternions(positions, quaternions)), descriptors)
    areas = Areas(np.array([[1.0, 2, 3], [FAR, 2, 3]]), np.array([[0.0, 0, 0], [FAR, 0, 0]]))
    queries = np.array([[1.0, 0.0]])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("posenet.localization.retrieval.ROUTING_NEIGHBORS", 2)  # both of the first
        np.testing.assert_array_equal(gallery.route(queries, areas), [[1.0, 2, 3]])
        patch.setattr("posenet.localization.retrieval.ROUTING_NEIGHBORS", 5)  # two and three
        np.testing.assert_array_equal(gallery.route(queries, areas), [[FAR, 2, 3]])
        patch.setattr("posenet.localization.retrieval.ROUTING_NEIGHBORS", 10)  # three each
        np.testing.assert_array_equal(gallery.route(queries, areas), [[1.0, 2, 3]])


def test_positions_of_areas_are_relative_to_their_centers(monkeypatch):
    monkeypatch.setattr(areas_module, "MIN_IMAGES", 2)
    positions = np.array([[0.0, 0, 0], [2, 0, 0], [100, 0, 50], [100, 0, 54]])
    frame = describe_positions(positions)
    np.testing.assert_allclose(frame.origin + frame.mean, 0)
    assert sorted(frame.area_offsets.tolist()) == [[1, 0, 0], [100, 0, 52]]
    assert frame.scale == 1.5
    alone = describe_positions(positions[:2] + [1e6, 0, 0])
    np.testing.assert_allclose(alone.origin, [1e6 + 1, 0, 0])
    np.testing.assert_allclose(alone.mean, 0)
    assert (alone.scale, len(alone.area_offsets)) == (1, 0)


@pytest.mark.slow
def test_a_run_of_two_areas_predicts_positions_in_both(tmp_path, monkeypatch):
    monkeypatch.setattr(areas_module, "MIN_IMAGES", 5)
    folder = write_cambridge(tmp_path / "town", train=24, test=8)
    # The second half of each split moves a kilometer.
    for split, half in (("train", 12), ("test", 4)):
        path = folder / f"dataset_{split}.txt"
        lines = path.read_text().splitlines()
        for row in range(3 + half, len(lines)):
            name, x, *rest = lines[row].split()
            lines[row] = " ".join([name, str(float(x) + FAR), *rest])
        path.write_text("\n".join(lines) + "\n")
    run = train(TrainConfig(folder, tmp_path / "run", epochs=1, **QUICK))
    keras.config.set_dtype_policy("float32")
    assert len(run.areas) == 2
    assert run.position_scale < 3
    assert np.ptp(run.areas.centers[:, 0]) == pytest.approx(FAR, abs=3)
    opened = open_run(run.folder)
    np.testing.assert_array_equal(opened.areas.origins, run.areas.origins)
    training = open_scene(folder).split("train")
    images = load_images(training.paths, run.crop.resized)
    localizer = Localizer(opened, refine=False, tta_views=1)
    localizer.blending = None
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("posenet.localization.retrieval.ROUTING_NEIGHBORS", 1)
        estimates = localizer.estimate(images, training.paths, training.cameras, training.sequences)
    # Every training image is most similar to itself; the network alone is within its area's size.
    np.testing.assert_allclose(estimates.poses.positions, training.poses.positions, atol=30)
    outputs = localizer.network.predict_on_batch(run.crop.center(images[np.arange(24)]) * 1.0)
    local = np.asarray(outputs["position"])
    origins = run.areas.origins_at(training.poses.positions)
    np.testing.assert_allclose(estimates.poses.positions, local + origins, atol=1e-3)
    # A run from before there were areas is one area.
    values = json.loads((run.folder / "config.json").read_text())
    del values["area_offsets"]
    (run.folder / "config.json").write_text(json.dumps(values))
    np.testing.assert_array_equal(open_run(run.folder).areas.origins, [[0, 0, 0]])
