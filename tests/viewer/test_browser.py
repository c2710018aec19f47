"""The page in headless Chromium: opened from a file, hovered, clicked, looked through."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from posenet.viewer.page import write_page
from tests.helpers.browser import find_chromium, open_page, start_chromium
from tests.helpers.views import NETWORK, REFINED

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def browser():
    find_chromium()
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        yield start_chromium(playwright)


@pytest.fixture(scope="module")
def address(view, tmp_path_factory):
    return write_page(tmp_path_factory.mktemp("page") / "view.html", view).as_uri()


@pytest.fixture
def page(browser, address):
    page, _, errors = open_page(browser, address)
    yield page
    page.close()
    assert errors == []


def pixel_of(page, query):
    """Return the pixel of a query image's camera on the page."""
    place = page.evaluate(
        "(query) => { const { viewer } = window.posenet; "
        "return viewer.stage.project(viewer.view.queries[query].truth.position); }",
        query,
    )
    return place["x"], place["y"]


def selected(page):
    return page.inner_text("#name")


def facts(page):
    rows = page.query_selector_all("#facts tr")
    return dict([cell.inner_text() for cell in row.query_selector_all("th, td")] for row in rows)


def screenshot(page):
    """Return the stage as an RGB image."""
    content = np.frombuffer(page.locator("#canvas").screenshot(), np.uint8)
    return cv2.cvtColor(cv2.imdecode(content, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)


def test_opens_from_a_file_without_errors_and_requests(browser, address):
    page, requests, errors = open_page(browser, address)
    page.wait_for_timeout(300)
    assert errors == []
    own = [url for url in requests if not url.startswith(("data:", "blob:"))]
    assert own == [address]
    assert page.title() == "courtyard - posenet"
    assert page.inner_text("#methods").split("\n") == [
        "refined",
        "2.5 cm, 1.75°",
        "network",
        "0.35 m, 1.75°",
    ]
    assert page.evaluate("window.posenet.readyMs") < 5000
    page.close()


def test_a_click_on_a_frustum_shows_name_and_errors(page, evaluation):
    page.keyboard.press("a")
    page.wait_for_timeout(600)
    for query in (4, 2):
        page.mouse.click(*pixel_of(page, query))
        shown = page.evaluate("window.posenet.viewer.selected.index")
        near = [
            other
            for other in range(6)
            if np.hypot(*np.subtract(pixel_of(page, other), pixel_of(page, query))) < 12
        ]
        assert shown in near
        assert selected(page) == evaluation.scene.names[shown]
        values = facts(page)
        assert values["refined error"].startswith(f"{100 * REFINED[shown]:g} cm, ")
        assert values["network error"].startswith(f"{NETWORK[shown]:g} m, ")
        assert page.inner_text("#match figcaption") == f"best match: {evaluation.matches[shown]}"


def test_hover_shows_name_and_error(page, evaluation):
    page.keyboard.press("a")
    page.wait_for_timeout(600)
    page.mouse.move(*pixel_of(page, 5))
    name, errors = page.inner_text("#tip").split("\n")
    row = evaluation.scene.names.index(name)
    assert errors.startswith(f"{100 * REFINED[row]:g} cm, ")
    page.mouse.move(2, 400)
    assert page.is_hidden("#tip")


def test_next_worst_goes_down_the_errors(page, evaluation):
    order = np.argsort(-REFINED, kind="stable")
    for row in order[:4]:
        page.keyboard.press("w")
        assert selected(page) == evaluation.scene.names[row]
    page.keyboard.press("m")
    page.keyboard.press("ArrowLeft")
    for row in np.argsort(-NETWORK)[:3]:
        page.click("#worst")
        assert selected(page) == evaluation.scene.names[row]


def stage_of_image(page, lens):
    """Return left, top, right and bottom of the looked-through image on the stage."""
    box = page.evaluate(
        """([left, right, top, bottom]) => {
          const { stage } = window.posenet.viewer;
          const { pose } = stage.through;
          const pixel = (x, y) => stage.project(pose.position.clone().set(x, y, 1)
            .applyQuaternion(pose.rotation).add(pose.position));
          const [a, b] = [pixel(left, top), pixel(right, bottom)];
          return [a.x, a.y, b.x, b.y];
        }""",
        list(lens),
    )
    return [round(value) for value in box]


def compare_through(page, scene, row, *, opacity):
    """Look through a query image; return the stage and the photograph at the same size."""
    from posenet.viewer.view import image_sides

    page.evaluate(f"window.posenet.viewer.select(window.posenet.viewer.view.queries[{row}])")
    page.evaluate(f"window.posenet.viewer.selection.setOpacity({opacity})")
    page.keyboard.press("l")
    page.wait_for_timeout(800)
    camera = scene.cameras[row]
    left, top, right, bottom = stage_of_image(page, image_sides(camera))
    assert (right - left) / (bottom - top) == pytest.approx(camera.width / camera.height, rel=0.02)
    shown = screenshot(page)[top:bottom, left:right].astype(float)
    photo = cv2.cvtColor(cv2.imread(str(scene.paths[row])), cv2.COLOR_BGR2RGB)
    size = (right - left, bottom - top)
    return shown, cv2.resize(photo, size, interpolation=cv2.INTER_AREA).astype(float)


def test_look_through_matches_the_photograph(page, evaluation):
    """The hung image fills its own camera: it equals the photograph, and no shifted one."""
    shown, photo = compare_through(page, evaluation.scene, 3, opacity=1)
    difference = np.abs(shown - photo).mean()
    assert difference < 10  # the thumbnail has half of the resolution
    for moved in (np.roll(photo, 12, axis=0), np.roll(photo, 12, axis=1), photo[:, ::-1]):
        assert np.abs(shown - moved).mean() > 1.5 * difference
    page.keyboard.press("Escape")
    assert page.inner_text("#through") == "Look through"


def test_map_points_lie_on_the_photograph(page, evaluation):
    """Without the hung image, the points seen through a camera have the photograph's colors."""
    shown, photo = compare_through(page, evaluation.scene, 0, opacity=0)
    inside = (slice(8, -8), slice(8, -8))
    background = np.array([246, 247, 249])
    is_point = (np.abs(shown - background).max(axis=2) > 90)[inside]
    assert is_point.sum() > 200

    def median_difference(image):
        return np.median(np.abs(shown - image)[inside][is_point])

    right = median_difference(photo)
    assert right < 0.7 * median_difference(photo[:, ::-1])
    assert right < 0.8 * median_difference(np.roll(photo, 24, axis=1))
    assert right < 0.8 * median_difference(np.roll(photo, 24, axis=0))


def test_layers_theme_timeline_and_keys(page):
    before = screenshot(page)
    page.uncheck("#layer-points")
    page.wait_for_timeout(300)
    assert np.abs(screenshot(page).astype(int) - before).mean() > 0.1
    page.keyboard.press("d")
    page.wait_for_timeout(300)
    assert screenshot(page).mean() < 90
    box = page.locator("#timeline").bounding_box()
    page.mouse.click(box["x"] + box["width"] * 0.99, box["y"] + 10)
    assert page.inner_text("#kind") == "6 of 6 query images"
    page.keyboard.press("?")
    assert page.is_visible("#help")
    page.keyboard.press("Escape")
    assert page.is_hidden("#help")
    page.focus("#canvas")
    page.keyboard.press(" ")
    assert page.inner_text("#play") == "Pause"
    page.wait_for_timeout(700)
    assert page.inner_text("#kind") != "6 of 6 query images"


def test_phone(browser, address):
    page, _, errors = open_page(browser, address, has_touch=True)
    page.set_viewport_size({"width": 390, "height": 844})
    page.wait_for_timeout(500)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    box = page.locator("#stage").bounding_box()
    assert box["height"] > 300
    page.touchscreen.tap(*pixel_of(page, 1))
    assert page.evaluate("window.posenet.viewer.selected.kind") == "query"
    assert errors == []
    page.close()


def test_large_scene_is_ready_and_turns(browser, view, tmp_path):
    """5,000 cameras and the largest number of points."""
    from posenet.geometry.poses import Poses
    from posenet.viewer.points import MAX_POINTS, PointCloud

    rng = np.random.default_rng(0)
    poses = Poses.from_quaternions(rng.normal(0, 5, (5000, 3)), rng.normal(size=(5000, 4)))
    training = replace(
        view.training,
        names=[f"{row}.jpg" for row in range(5000)],
        poses=poses,
        cameras=[None] * 5000,
        sequences=["all"] * 5000,
        thumbnails=[b""] * 5000,
        issues=None,
    )
    cloud = PointCloud(rng.normal(0, 9, (MAX_POINTS, 3)), rng.integers(0, 256, (MAX_POINTS, 3)))
    path = write_page(tmp_path / "large.html", replace(view, training=training, points=cloud))
    assert path.stat().st_size < 12e6
    page, _, errors = open_page(browser, path.as_uri())
    before = screenshot(page)
    page.mouse.move(300, 300)
    page.mouse.down()
    page.mouse.move(400, 330, steps=4)
    page.mouse.up()
    page.wait_for_timeout(1500)
    assert np.abs(screenshot(page).astype(int) - before).mean() > 1
    assert errors == []
    page.close()
