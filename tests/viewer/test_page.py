"""The page's data, size and policy, without a browser."""

import base64
import hashlib
import json
import re
from dataclasses import replace

import cv2
import numpy as np
import pytest

from posenet.datasets.registry import open_scene_with_issues, read_scene
from posenet.evaluation.view import make_view
from posenet.geometry.camera import Camera
from posenet.viewer.page import build_page, write_page
from posenet.viewer.points import MAX_POINTS, PointCloud, choose_rows, is_central
from posenet.viewer.scene_view import make_scene_view
from posenet.viewer.thumbnails import sample_images, shrink_to_budget
from posenet.viewer.view import UNKNOWN_SIDES, image_sides
from tests.helpers.images import write_image

pytestmark = pytest.mark.slow


def data_of(page):
    return json.loads(re.search(r'type="application/json">(.*?)</script>', page, re.S)[1])


def floats(text):
    return np.frombuffer(base64.b64decode(text), "<f4").reshape(-1, 3)


def test_page_contains_poses_errors_and_matches(view, evaluation):
    data = data_of(build_page(view))
    truth = floats(data["queries"]["poses"]["positions"]) + data["center"]
    np.testing.assert_allclose(truth, evaluation.scene.poses.positions, atol=1e-5)
    assert [method["name"] for method in data["methods"]] == ["refined", "network"]
    np.testing.assert_allclose(
        data["methods"][0]["position_errors"], [0.01, 0.02, 0.05, 0.03, 0.04, 0.02], rtol=1e-5
    )
    assert data["methods"][0]["summary"] == "2.5 cm, 1.75°"
    assert data["methods"][1]["summary"] == "0.35 m, 1.75°"
    assert data["baselines"] == {"image retrieval": "0 cm, 0°"} | {
        "mean training pose": data["baselines"]["mean training pose"]
    }
    assert data["queries"]["matches"] == [0, 2, 4, 6, 8, 10]
    assert data["subtitle"] == "6 test images, 12 training images. Median errors:"


def test_points_keep_place_and_color(view):
    block = data_of(build_page(view))["points"]
    steps = np.frombuffer(base64.b64decode(block["positions"]), "<u2").reshape(-1, 3)
    low, high = np.array(block["low"]), np.array(block["high"])
    decoded = low + steps / 65535 * (high - low) + view.center
    np.testing.assert_allclose(decoded, view.points.positions, atol=(high - low).max() / 65535)
    colors = np.frombuffer(base64.b64decode(block["colors"]), "u1").reshape(-1, 3)
    np.testing.assert_array_equal(colors, view.points.colors)
    assert (np.ptp(colors, axis=0) > 50).all()  # not gray


def test_policy_allows_own_blocks_and_no_request(view):
    page = build_page(view)
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page)[1]
    assert "default-src 'none'" in policy
    assert "connect-src 'none'" in policy
    assert "unsafe" not in policy
    for tag in ("script", "style"):
        block = re.search(rf"<{tag}>(.*?)</{tag}>", page, re.S)[1]
        digest = base64.b64encode(hashlib.sha256(block.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy
    assert "connect-src 'self'" in build_page(replace(view, live=True))


def test_names_cannot_leave_the_data(view):
    hostile = "</script><script>alert(1)</script>%%CSP%%&lt;"
    names = [hostile, *view.queries.names[1:]]
    page = build_page(replace(view, title=hostile, queries=replace(view.queries, names=names)))
    assert page.count("<script") == build_page(view).count("<script")
    data = data_of(page)
    assert data["queries"]["names"][0] == hostile
    assert "<title>&lt;/script&gt;" in page


def test_license_of_the_bundle_is_kept(view):
    page = build_page(view)
    assert "The MIT License" in page
    assert "three.js authors" in page


def test_missing_estimates_and_images(evaluation, tmp_path):
    valid = np.array([True, False, True, True, True, True])
    errors = evaluation.errors
    lost = replace(
        evaluation,
        valid=valid,
        errors=type(errors)(*(np.where(valid, part, np.inf) for part in errors)),
        scene=replace(evaluation.scene, root=tmp_path),
        refinement=None,
        matches=None,
    )
    data = data_of(build_page(make_view(lost)))
    assert data["methods"][0]["position_errors"][1] is None
    assert np.isnan(floats(data["methods"][0]["poses"]["positions"])[1]).all()
    assert data["queries"]["images"] == [""] * 6
    assert data["queries"]["matches"] == [None] * 6


def test_label_issues_are_red(courtyard):
    raw = read_scene(courtyard.root)
    raw.positions[3] += 1e5
    raw.quaternions_wxyz[5] = 0
    raw.positions[6] = np.nan
    from posenet.datasets.validation import validate_scene

    scene, issues = validate_scene(raw)
    data = make_scene_view(scene, raw, issues).to_dict()
    issue_of = dict(zip(data["training"]["names"], data["training"]["issues"], strict=True))
    red = {name: issue for name, issue in issue_of.items() if issue}
    assert red == {
        raw.names[3]: "camera far outside the scene",
        raw.names[5]: "quaternion of length zero",
    }
    assert len(data["notes"]) >= 3
    assert any("pose that is missing or not finite" in note for note in data["notes"])


def test_scene_page_without_issues(courtyard):
    scene, issues = open_scene_with_issues(courtyard.root)
    data = make_scene_view(scene, read_scene(courtyard.root), issues).to_dict()
    assert data["methods"] == []
    assert len(data["training"]["names"]) == 12
    assert len(data["queries"]["names"]) == 6
    assert not any(data["training"]["issues"])


def test_sides_of_an_image():
    camera = Camera(640, 480, 500.0, 400.0, 300.0, 250.0)
    assert image_sides(camera) == (-0.6, 0.68, -0.625, 0.575)
    assert image_sides(None) == UNKNOWN_SIDES


def test_thumbnails_fit_the_budget(tmp_path):
    paths = [tmp_path / f"{row}.png" for row in range(8)]
    for row, path in enumerate(paths):
        write_image(path, (300, 400), seed=row)
    samples = sample_images(paths)
    jpegs = [sample.jpeg for sample in samples]
    assert cv2.imdecode(np.frombuffer(jpegs[0], np.uint8), 1).shape == (240, 320, 3)
    whole = sum(map(len, jpegs)) * 4 / 3
    smaller = shrink_to_budget(jpegs, int(whole / 2))
    assert all(smaller)
    assert sum(map(len, smaller)) * 4 / 3 <= whole / 2
    few = shrink_to_budget(jpegs, int(whole / 15))
    assert 0 < sum(map(bool, few)) < 8


def test_colors_are_those_of_the_pixels(tmp_path):
    image = np.zeros((10, 20, 3), np.uint8)
    image[:, :10] = (200, 100, 50)  # BGR
    image[5:, 10:] = (0, 0, 255)
    cv2.imwrite(str(tmp_path / "a.png"), image)
    places = np.array([[0.1, 0.9], [0.9, 0.9], [0.9, 0.1], [1.0, 1.0]])
    [sample] = sample_images([tmp_path / "a.png"], [places])
    np.testing.assert_array_equal(
        sample.colors, [[50, 100, 200], [255, 0, 0], [0, 0, 0], [255, 0, 0]]
    )
    [lost] = sample_images([tmp_path / "missing.png"], [places])
    assert lost.jpeg == b""
    np.testing.assert_array_equal(lost.colors, np.full((4, 3), 128))


def test_large_clouds_are_thinned():
    rows = choose_rows(10**6, MAX_POINTS)
    assert len(np.unique(rows)) == MAX_POINTS
    assert 4e5 < np.median(rows) < 6e5
    np.testing.assert_array_equal(choose_rows(3, MAX_POINTS), [0, 1, 2])
    spots = np.vstack([np.random.default_rng(0).normal(size=(99, 3)), [[1e6, 0, 0]]])
    central = is_central(spots)
    assert not central[-1]
    assert central[:99].sum() > 90


def test_a_single_point_is_encoded():
    cloud = PointCloud(np.ones((1, 3)), np.zeros((1, 3), np.uint8))
    assert cloud.to_dict(np.zeros(3))["low"] == [1, 1, 1]


def test_page_is_written(view, tmp_path):
    path = write_page(tmp_path / "view.html", view)
    assert path.read_text(encoding="utf-8").startswith("<!doctype html>")
    assert path.stat().st_size < 6e6
