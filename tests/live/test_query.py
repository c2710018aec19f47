from pathlib import Path

import pytest

from posenet.geometry.camera import Camera
from posenet.live.query import check_parameters, printable, stated_camera, to_query
from tests.helpers.errors import refusal

PATH = Path("image.png")


def test_a_query_without_parameters():
    query = to_query(PATH, (200, 100), {})
    assert (query.name, query.track, query.camera) == ("image", None, None)
    assert (query.width, query.height) == (200, 100)


def test_name_and_track():
    query = to_query(PATH, (200, 100), {"name": "a.jpg", "track": "walk"})
    assert (query.name, query.track) == ("a.jpg", "walk")


def test_the_field_of_view_is_horizontal():
    # A right angle: half of the width is one focal length away.
    camera = stated_camera({"fov_deg": "90"}, 200, 100)
    assert (camera.fx, camera.fy) == (pytest.approx(100), pytest.approx(100))
    assert (camera.cx, camera.cy) == (100, 50)


def test_intrinsics_default_to_square_pixels_and_the_center():
    assert stated_camera({"fx": "150"}, 200, 100) == Camera(200, 100, 150, 150, 100, 50)
    every = {"fx": "150", "fy": "160", "cx": "90", "cy": "45.5"}
    camera = stated_camera(every, 200, 100)
    assert camera == Camera(200, 100, 150, 160, 90, 45.5)
    assert camera.has_known_focal_length


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        (
            {"fov": "60"},
            "parameters must be among name, track, fx, fy, cx, cy, fov_deg, received fov",
        ),
        ({"track": ""}, "track must have 1 to 300 characters, received 0"),
        ({"track": "x" * 301}, "track must have 1 to 300 characters, received 301"),
        ({"fx": "wide"}, "fx must be a number, received wide"),
        ({"fx": "nan"}, "fx must be a number, received nan"),
        ({"fx": "inf"}, "fx must be a number, received inf"),
        ({"fx": "0"}, "fx must be greater than 0, received 0"),
        ({"fx": "500", "fy": "-500"}, "fy must be greater than 0, received -500"),
        (
            {"fx": "1e9"},
            "fx must be 0.1 to 20 times the larger side of the image, 1 pixels, received 1e+09",
        ),
        (
            {"fov_deg": "0.000001"},
            "fx must be 0.1 to 20 times the larger side of the image, 1 pixels, received "
            "5.72958e+07",
        ),
        ({"fx": "1", "cx": "1e6"}, "cx must be within the image, 0 to 1, got 1e+06"),
        ({"cx": "5", "cy": "6"}, "cx, cy must be given with fx"),
        ({"fov_deg": "180"}, "fov_deg must be between 0 and 180, received 180"),
        ({"fov_deg": "60", "fx": "5"}, "fov_deg must be given without fx"),
        ({"fx": "1\n2"}, "fx must be a number, received 1?2"),
    ],
)
def test_wrong_parameters_are_named(parameters, message):
    assert refusal(check_parameters, parameters) == message


def test_text_of_clients_is_safe_to_log():
    assert printable("a\r\n\x1b[31mb") == "a???[31mb"
    assert len(printable("x" * 1000)) == 200
    assert to_query(PATH, (1, 1), {"name": "K\u00fcche\n"}).name == "K\u00fcche?"
