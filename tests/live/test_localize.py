"""Answers of a real run, as the server gives them."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from posenet.geometry.camera import Camera
from posenet.live.localize import NO_POSE, NOT_IN_PLACE, LiveLocalizer, to_answer
from posenet.live.query import Query
from posenet.localization.estimates import PoseEstimate
from posenet.run import open_run
from tests.helpers.errors import refusal
from tests.helpers.images import write_image
from tests.helpers.live import serve

pytestmark = pytest.mark.slow

CAMERA = Camera(200, 100, 160.0, 80.0, 100.0, 50.0)
# Half a turn about the optical axis.
HALF_TURN = np.array([0.0, 0, 0, 1])


def estimate(**changes):
    known = PoseEstimate(np.array([1.0, 2, 3]), HALF_TURN, 0.5, 0.01, 0.2, 40, True, True)
    return replace(known, **changes)


def answer(query=None, camera=CAMERA, refines=True, **changes):
    query = query or Query("unused", 200, 100, "a.jpg")
    return to_answer(
        query,
        estimate(**changes),
        camera,
        unit="m",
        refines=refines,
        retrieved="seq1/b.jpg",
        seconds=0.12345,
    )


def test_an_answer_has_these_fields():
    assert answer() == {
        "name": "a.jpg",
        "valid": True,
        "reason": None,
        "in_place": True,
        "position": [1, 2, 3],
        "quaternion_wxyz": [0, 0, 0, 1],
        "world_from_camera": [[-1, 0, 0, 1], [0, -1, 0, 2], [0, 0, 1, 3], [0, 0, 0, 1]],
        "unit": "m",
        "refined": True,
        "num_inliers": 40,
        "position_std": 0.01,
        "rotation_std_deg": 0.2,
        "rotation_spread_deg": 0.5,
        "retrieved_image": "seq1/b.jpg",
        "fov": [200 / 160, 100 / 80],
        "width": 200,
        "height": 100,
        "seconds": 0.1235,
        "tracked": False,
    }


def test_an_image_that_is_not_refined_may_not_show_the_place():
    found = answer(refined=False, num_inliers=0)
    assert (found["valid"], found["in_place"], found["reason"]) == (False, False, NOT_IN_PLACE)
    assert found["position"] == [1, 2, 3]  # the network's guess


def test_the_network_alone_does_not_show_whether_it_is_the_place():
    found = answer(refines=False, refined=False, num_inliers=0, position_std=np.nan)
    assert (found["valid"], found["in_place"], found["reason"]) == (True, None, None)
    assert found["position_std"] is None


def test_an_image_without_a_pose():
    nothing = np.full(4, np.nan)
    found = answer(valid=False, refined=False, position=nothing[:3], quaternion_wxyz=nothing)
    assert (found["valid"], found["reason"]) == (False, NO_POSE)
    assert found["position"] is found["quaternion_wxyz"] is found["world_from_camera"] is None
    json.dumps(found, allow_nan=False)


def test_the_field_of_view_of_an_unknown_camera_is_not_stated():
    assert answer(camera=replace(CAMERA, source="assumed"))["fov"] is None


@pytest.fixture(scope="module")
def live(plane_epoch, tmp_path_factory):
    """A run that refines, and its scene."""
    folder = tmp_path_factory.mktemp("plane")
    for name in ("plane", "run"):
        shutil.copytree(plane_epoch[0] / name, folder / name)
    config = folder / "run" / "config.json"
    config.write_text(config.read_text().replace(str(plane_epoch[0]), str(folder)))
    from posenet.localization.localizer import Localizer

    return LiveLocalizer(Localizer(open_run(folder / "run"), refine=True), 2)


@pytest.fixture(scope="module")
def test_images(live):
    return live.localizer.run.open_scene().split("test")


def query_of(scene, row, **changes):
    return replace(Query(scene.paths[row], 160, 120, scene.names[row]), **changes)


def test_the_answers_are_those_of_the_localizer(live, test_images):
    expected = live.localizer.localize_all(test_images.paths)
    answers = [live(query_of(test_images, row)) for row in range(4)]
    for row, found in enumerate(answers):
        assert found["name"] == test_images.names[row]
        np.testing.assert_allclose(found["position"], expected.positions[row], atol=1e-4)
        assert found["num_inliers"] == expected.num_inliers[row]
        assert found["refined"] == found["in_place"] == bool(expected.refined[row])
        assert found["retrieved_image"] in live.localizer.gallery.scene.names
        rotation = Rotation.from_quat(found["quaternion_wxyz"], scalar_first=True)
        matrix = np.array(found["world_from_camera"])
        np.testing.assert_allclose(matrix[:3, :3], rotation.as_matrix(), atol=1e-9)
        json.dumps(found, allow_nan=False)
    assert any(found["refined"] for found in answers)


def test_an_image_of_elsewhere_is_not_valid(live, tmp_path):
    write_image(tmp_path / "noise.png", (120, 160), seed=5)
    found = live(Query(tmp_path / "noise.png", 160, 120))
    assert (found["valid"], found["in_place"], found["num_inliers"]) == (False, False, 0)


def test_a_damaged_image_is_named_as_the_client_does(live, test_images, tmp_path):
    damaged = tmp_path / "damaged.png"
    damaged.write_bytes(test_images.paths[0].read_bytes()[:-200])
    size = damaged.stat().st_size
    for track in (None, "new", "new"):
        message = refusal(live, Query(damaged, 160, 120, "b.png", track))
        assert message == f"b.png: not a valid image (could not decode {size} bytes)"
        live(query_of(test_images, 0, track="new"))


def test_the_stated_camera_is_used(live, test_images):
    camera = live.localizer.run.camera
    wrong = replace(camera, fx=camera.fx * 1.5, fy=camera.fy * 1.5)
    right, far = live(query_of(test_images, 0)), live(query_of(test_images, 0, camera=wrong))
    assert right["fov"] == [camera.width / camera.fx, camera.height / camera.fy]
    assert far["fov"] == pytest.approx([value / 1.5 for value in right["fov"]])
    moved = np.linalg.norm(np.subtract(far["position"], right["position"]))
    assert moved > 10 * right["position_std"]


def test_an_image_of_a_track_follows_from_the_one_before(live, test_images):
    live.trackers.clear()
    queries = [query_of(test_images, row, track="a") for row in (0, 0, 0)]
    first, second, third = map(live, queries)
    assert (first["tracked"], second["tracked"], third["tracked"]) == (False, True, True)
    assert second["rotation_spread_deg"] is None
    assert second["retrieved_image"] in live.localizer.gallery.scene.names
    np.testing.assert_allclose(second["position"], first["position"], atol=0.05)
    camera = live.localizer.run.camera
    stated = replace(camera, fx=camera.fx * 1.02, fy=camera.fy * 1.02)
    fourth = live(query_of(test_images, 0, track="a", camera=stated))
    assert fourth["fov"] == [stated.width / stated.fx, stated.height / stated.fy]


def test_the_stated_camera_is_used_for_the_first_image_of_a_track(live, test_images):
    camera = live.localizer.run.camera
    wrong = replace(camera, fx=camera.fx * 1.5, fy=camera.fy * 1.5)
    single = live(query_of(test_images, 0, camera=wrong))
    first = live(query_of(test_images, 0, camera=wrong, track="another"))
    assert not first["tracked"]
    np.testing.assert_allclose(first["position"], single["position"], atol=1e-4)


def test_the_track_used_least_recently_ends(live, test_images):
    live.trackers.clear()
    for track in ("a", "b", "a", "c"):
        live(query_of(test_images, 0, track=track))
    assert list(live.trackers) == ["a", "c"]


def test_requests_to_a_real_run(live, test_images, tmp_path):
    with serve(tmp_path / "live", live) as running:
        status, found = running.localize(test_images.paths[0].read_bytes(), "?name=a.png")
        assert status == 200
        expected = live.localizer.localize(test_images.paths[0])
        np.testing.assert_allclose(found["position"], expected.position, atol=1e-4)
        assert found["name"] == "a.png"
        assert (found["width"], found["height"]) == (
            live.localizer.run.camera.width,
            live.localizer.run.camera.height,
        )


def test_without_training_images_noise_warms_up(live, caplog, monkeypatch):
    tried = []
    monkeypatch.setattr(Path, "is_file", lambda path: False)
    monkeypatch.setattr(
        LiveLocalizer, "__call__", lambda self, query: tried.append(load_size(query.path))
    )
    live._warm_up()
    assert tried == [live.localizer.run.crop.resized]
    assert not caplog.messages


def load_size(path):
    import cv2

    return cv2.imread(str(path)).shape[:2]
