"""The live page in headless Chromium: upload, drop, webcam, a broken file, many requests."""

import base64
from dataclasses import replace

import pytest

from posenet.live.app import Page
from posenet.viewer.build import no_cameras
from posenet.viewer.page import build_page, content_policy
from tests.helpers.browser import find_chromium, open_page, start_chromium, wait_for
from tests.helpers.live import png, serve

pytestmark = pytest.mark.slow

FAKE_WEBCAM = ("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream")
POSITION = [1.25, -2.5, 1.5]


def answer_all(query):
    """Place every image at POSITION; images named far.png are not of the place."""
    return {
        "name": query.name,
        "valid": query.name != "far.png",
        "reason": "too few keypoints agree" if query.name == "far.png" else None,
        "position": POSITION,
        "quaternion_wxyz": [0.5, -0.5, 0.5, -0.5],
        "refined": True,
        "num_inliers": 123,
        "position_std": 0.02,
        "retrieved_image": "seq1/frame00002.jpg",
        "fov": [1.2, 0.9],
        "seconds": 0.25,
        "tracked": query.track is not None,
    }


@pytest.fixture(scope="module")
def browser():
    find_chromium()
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        yield start_chromium(playwright, *FAKE_WEBCAM)


@pytest.fixture(scope="module")
def live(view, tmp_path_factory):
    content = replace(
        view,
        kind="live",
        queries=no_cameras(),
        methods=[empty_method(view.methods[0])],
        matches=None,
        live=True,
    )
    page = Page(build_page(content).encode(), content_policy(live=True))
    with serve(tmp_path_factory.mktemp("live"), answer_all, page=page) as running:
        yield running


def empty_method(method):
    import numpy as np

    nothing = np.zeros(0)
    return replace(
        method,
        name="refined",
        summary="",
        poses=no_cameras().poses,
        valid=np.zeros(0, bool),
        position_errors=nothing,
        rotation_errors_deg=nothing,
        num_inliers=None,
        position_std=None,
    )


@pytest.fixture
def page(browser, live):
    page, requests, errors = open_page(browser, f"http://127.0.0.1:{live.port}/")
    yield page
    own = f"http://127.0.0.1:{live.port}/"
    assert all(url.startswith((own, "data:", "blob:")) for url in requests)
    page.close()
    # A refused image is an answer with status 400, which Chromium reports as well.
    assert [error for error in errors if "400" not in error] == []


def answers(page):
    return [entry.inner_text() for entry in page.query_selector_all("#answers button")]


def wait_for_answers(page, number):
    wait_for(page, f"document.querySelectorAll('#answers button').length >= {number}")


def upload(page, *names):
    page.set_input_files(
        "#files", [{"name": name, "mimeType": "image/png", "buffer": png()} for name in names]
    )
    wait_for_answers(page, len(names))


def test_an_uploaded_image_appears_on_the_map(page):
    upload(page, "query.png")
    assert answers(page) == ["query.png: 1.25 -2.50 1.50"]
    assert page.inner_text("#status") == "query.png: localized in 0.25 s"
    assert page.inner_text("#name") == "query.png"
    facts = page.inner_text("#facts")
    for text in ("inliers\t123", "standard deviation\t2 cm", "1.250  -2.500  1.500", "0.25 s"):
        assert text in facts
    assert page.inner_text("#match figcaption") == "best match: seq1/frame00002.jpg"
    place = page.evaluate(
        "(() => { const { viewer } = window.posenet; const { pose } = viewer.selected.estimates[0];"
        " return pose.position.clone().add(viewer.view.center).toArray(); })()"
    )
    assert place == pytest.approx(POSITION, abs=1e-6)
    assert page.evaluate("window.posenet.viewer.selection.group.children.length") == 2


def test_several_files_and_an_image_of_another_place(page):
    upload(page, "a.png", "far.png", "b.png")
    shown = answers(page)
    assert sorted(shown) == [
        "a.png: 1.25 -2.50 1.50",
        "b.png: 1.25 -2.50 1.50",
        "far.png: too few keypoints agree",
    ]
    assert page.evaluate("window.posenet.viewer.view.queries.length") == 2


def test_a_dropped_image(page):
    page.evaluate(
        """(content) => {
          const bytes = Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0));
          const dataTransfer = new DataTransfer();
          dataTransfer.items.add(new File([bytes], "dropped.png", { type: "image/png" }));
          const options = { dataTransfer, bubbles: true, cancelable: true };
          document.body.dispatchEvent(new DragEvent("dragover", options));
          document.body.dispatchEvent(new DragEvent("drop", options));
        }""",
        base64.b64encode(png()).decode(),
    )
    wait_for_answers(page, 1)
    assert answers(page) == ["dropped.png: 1.25 -2.50 1.50"]


def test_a_broken_file_is_an_error_in_the_page(page):
    page.set_input_files(
        "#files", {"name": "broken.jpg", "mimeType": "image/jpeg", "buffer": b"\xff\xd8 no image"}
    )
    wait_for_answers(page, 1)
    assert answers(page)[0].startswith("broken.jpg: ")
    assert "error" in page.get_attribute("#status", "class")
    assert page.evaluate("window.posenet.viewer.view.queries.length") == 0


def test_the_webcam_is_followed_until_it_is_stopped(page):
    page.click("#webcam")
    wait_for_answers(page, 3)
    assert page.inner_text("#webcam") == "Stop the webcam"
    assert answers(page)[-1].startswith("webcam 0: 1.25")
    page.click("#webcam")
    page.wait_for_timeout(600)
    number = len(answers(page))
    page.wait_for_timeout(600)
    assert len(answers(page)) == number


def test_a_hundred_requests_at_once_lose_none(page, live):
    names = page.evaluate(
        """async (content) => {
          const bytes = Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0));
          const ask = (i) => fetch(`localize?name=${i}`, { method: "POST", body: bytes });
          const all = await Promise.all([...Array(100).keys()].map(ask));
          return Promise.all(all.map(async (response) => (await response.json()).name));
        }""",
        base64.b64encode(png()).decode(),
    )
    assert names == [str(number) for number in range(100)]
