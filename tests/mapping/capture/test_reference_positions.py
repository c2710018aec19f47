"""Files of known camera positions, and the GPS data of photos."""

import logging
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from posenet.mapping.capture.images import collect_images
from posenet.mapping.capture.pipeline import reconstruct
from posenet.mapping.capture.reference_positions import read_exif_positions, read_positions
from tests.helpers.errors import refusal

METERS = "a line must be a name and X Y Z in meters"
DEGREES = "a line must have latitude and longitude in degrees, and height in meters"
# Three places near latitude 45, where 1e-5 degrees are 1.11132 m to the north and 0.78847 m to the
# east: at (0, 0), (0, 111.132) and (78.847, 0) m from the first.
PLACES = {"a": (45.0, 7.0, 0.0), "b": (45.001, 7.0, 0.0), "c": (45.0, 7.001, 30.0)}


def given(tmp_path, text):
    (tmp_path / "gps.txt").write_text(text)
    return tmp_path / "gps.txt"


def check_places(known):
    """Check the differences between the three places, and that their mean is the origin."""
    table = np.array([known[name] for name in "abc"])
    np.testing.assert_allclose(table[1] - table[0], [0, 111.132, 0], atol=3e-3)
    np.testing.assert_allclose(table[2] - table[0], [78.847, 0, 30], atol=3e-3)
    np.testing.assert_allclose(table.mean(axis=0), 0, atol=3e-3)


@pytest.mark.parametrize(
    ("header", "line"),
    [
        ("# name lat lon alt", "{name}.jpg {lat} {lon} {alt}"),
        ("name,latitude,longitude,altitude", "{name}.jpg,{lat},{lon},{alt}"),
        ("Longitude [deg], Latitude [deg], Height [m], Image", "{lon}, {lat}, {alt}, {name}.jpg"),
        ("#name lat lon alt accuracy", "{name}.jpg {lat} {lon} {alt} 3.5"),
    ],
)
def test_degrees_become_meters(tmp_path, header, line, caplog):
    lines = [
        line.format(name=name, lat=lat, lon=lon, alt=alt)
        for name, (lat, lon, alt) in PLACES.items()
    ]
    path = given(tmp_path, "\n".join([header, *lines]))
    with caplog.at_level(logging.INFO, "posenet"):
        check_places(read_positions(path))
    assert caplog.messages == [
        f"{path}: positions are east, north and up in meters from latitude 45.0003333, longitude "
        "7.0003333, height 10.00 m"
    ]


def test_names_with_spaces_below_a_header(tmp_path):
    text = "# name x y z\nIMG 1.jpg 1 2 3 9\nIMG_2.jpg 4 5 6\n"
    assert read_positions(given(tmp_path, text)) == {"IMG_1": (1, 2, 3), "IMG_2": (4, 5, 6)}
    text = "z,y,x,name\n3,2,1,IMG 1.jpg\n"
    assert read_positions(given(tmp_path, text)) == {"IMG_1": (1, 2, 3)}


def test_scene_across_longitude_180(tmp_path):
    text = "# name lat lon alt\na 0 179.9995 0\nb 0 -179.9995 0\nc 0.0005 180 0\n"
    known = read_positions(given(tmp_path, text))
    np.testing.assert_allclose(np.subtract(known["b"], known["a"]), [111.320, 0, 0], atol=2e-3)


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_degrees_without_a_header_are_refused(tmp_path, order):
    lines = [
        f"{name}.jpg {place[order[0]]} {place[order[1]]} {place[2]}"
        for name, place in PLACES.items()
    ]
    path = given(tmp_path, "\n".join(lines))
    assert refusal(read_positions, path) == (
        f"{path}: X Y Z must be in meters, received numbers like latitude and longitude: a first "
        "line must name the columns, '# name lat lon alt' or '# name x y z'"
    )
    stated = given(tmp_path, "\n".join(["# name x y z", *lines]))
    assert read_positions(stated)["a"] == (PLACES["a"][order[0]], PLACES["a"][order[1]], 0.0)


@pytest.mark.parametrize(
    "rows",
    [
        [(0.51, 0.22, 0.9), (0.53, 0.25, 0.9), (0.6, 0.2, 0.8)],  # a desk
        [(10.01, 0.22, 0.9), (10.02, 0.25, 0.9), (10.09, 0.2, 0.8)],  # a desk in a building
        [(48.1, 11.5, 500), (60.1, 20.5, 510), (55, 13, 505)],  # a street
        [(690000.12, 5334000.5, 520), (690001.1, 5334003.5, 521)],  # UTM
        [(48.1, 11.5, 500)],
    ],
)
def test_meters_are_not_taken_for_degrees(tmp_path, rows):
    lines = [" ".join(map(str, [f"{name}.jpg", *row])) for name, row in enumerate(rows)]
    assert list(read_positions(given(tmp_path, "\n".join(lines))).values()) == rows


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("# name lat lon alt\na.jpg 91 7 200\n", f":2: {DEGREES}, received 'a.jpg 91 7 200'"),
        ("# name lat lon alt\na.jpg 45 181 200\n", f":2: {DEGREES}, received 'a.jpg 45 181 200'"),
        ("# name lat lon alt\na.jpg 45 7\n", f":2: {DEGREES}, received 'a.jpg 45 7'"),
        (
            "# name lat lon alt\na.jpg 45 7 high\n",
            f":2: {DEGREES}, received 'high' where a number belongs",
        ),
        ("a.jpg 45 7\n", f":1: {METERS}, received 'a.jpg 45 7'"),
    ],
)
def test_malformed(tmp_path, text, says):
    path = given(tmp_path, text)
    assert refusal(read_positions, path) == f"{path}{says}"


def angle(degrees):
    """Return degrees, minutes and seconds as EXIF stores them."""
    minutes = (abs(degrees) - int(abs(degrees))) * 60
    return (float(int(abs(degrees))), float(int(minutes)), (minutes - int(minutes)) * 60)


def write_photo(path, place=None, *, orientation=1, below_sea=False):
    exif = Image.Exif()
    exif[0x0112] = orientation
    if place:
        latitude, longitude, height = place
        exif[0x8825] = {
            1: "S" if latitude < 0 else "N",
            2: angle(latitude),
            3: "W" if longitude < 0 else "E",
            4: angle(longitude),
            5: b"\x01" if below_sea else b"\x00",
            6: float(height),
        }
    Image.new("RGB", (40, 30)).save(path, exif=exif)


def test_gps_data_of_photos(tmp_path, caplog):
    """The copies that structure from motion reads keep it, upright ones too."""
    (tmp_path / "in").mkdir()
    for row, (name, place) in enumerate(PLACES.items()):
        write_photo(tmp_path / "in" / f"{name}.jpg", place, orientation=(1, 6, 1)[row])
    write_photo(tmp_path / "in" / "d.jpg")
    write_photo(tmp_path / "in" / "e.jpg", (0.0, 0.0, 0.0))
    names = collect_images([tmp_path / "in"], tmp_path / "out", 10)
    known = read_exif_positions(tmp_path / "out", names)
    assert list(known) == ["a", "b", "c"]
    check_places(known)
    assert caplog.messages == ["2 images without GPS data, such as d.jpg"]


def test_south_west_below_the_sea(tmp_path):
    write_photo(tmp_path / "a.jpg", (-45.0, -7.0, 20), below_sea=True)
    write_photo(tmp_path / "b.jpg", (-45.001, -7.001, 30), below_sea=True)
    known = read_exif_positions(tmp_path, ["a.jpg", "b.jpg"])
    difference = np.subtract(known["b"], known["a"])
    np.testing.assert_allclose(difference, [-78.847, -111.132, -10], atol=5e-3)


def test_photos_without_gps_data(tmp_path):
    (tmp_path / "in").mkdir()
    for name in "abcd":
        write_photo(tmp_path / "in" / f"{name}.jpg")
    message = refusal(
        reconstruct, [tmp_path / "in"], tmp_path / "out", reference_positions=Path("exif")
    )
    assert message == (
        "--reference-positions exif needs photos with latitude, longitude and height in their EXIF "
        "data, none of 4 images has them"
    )
    assert not (tmp_path / "out").exists()
