"""NVM files."""

import numpy as np
import pytest

from posenet.datasets.formats.nvm import read_nvm
from tests.helpers.errors import refusal

GOOD = """NVM_V3

2
seq1/a.jpg 500.5 1 0 0 0 1 2 3 -0.1 0
seq1/my"b.jpg 600 0.5 0.5 0.5 0.5 4 5 6 0 0

3
0 0 5 255 128 0 2 0 7 1.5 -2.5 1 8 3 4
1 1 6 1 2 3 1 1 9 0 0
2 2 7 0 0 0 0

0
#the last part of a file points to the PLY files
0
"""


def write_file(tmp_path, text):
    path = tmp_path / "reconstruction.nvm"
    path.write_text(text)
    return path


def refused(tmp_path, text):
    return refusal(read_nvm, write_file(tmp_path, text))


def test_cameras_and_points(tmp_path):
    model = read_nvm(write_file(tmp_path, GOOD))
    assert model.names == ["seq1/a.jpg", "seq1/my b.jpg"]
    np.testing.assert_array_equal(model.focals, [500.5, 600])
    np.testing.assert_array_equal(model.radials, [-0.1, 0])
    np.testing.assert_array_equal(
        model.camera_from_world_wxyz, [[1, 0, 0, 0], [0.5, 0.5, 0.5, 0.5]]
    )
    np.testing.assert_array_equal(model.centers, [[1, 2, 3], [4, 5, 6]])
    np.testing.assert_array_equal(model.points, [[0, 0, 5], [1, 1, 6], [2, 2, 7]])
    np.testing.assert_array_equal(model.observations, [[0, 0], [1, 0], [1, 1]])
    np.testing.assert_array_equal(model.colors, [[255, 128, 0], [1, 2, 3], [0, 0, 0]])


def test_fixed_calibration_header_and_tabs(tmp_path, caplog):
    text = GOOD.replace("NVM_V3", "NVM_V3 FixedK 500 320 500 240 0").replace("a.jpg ", "a.jpg\t")
    assert len(read_nvm(write_file(tmp_path, text)).names) == 2
    assert (
        "reconstruction.nvm:1: ignores the fixed calibration FixedK 500 320 500 240 0"
        in caplog.text
    )


def test_file_without_points(tmp_path):
    model = read_nvm(write_file(tmp_path, "NVM_V3\n\n1\na.jpg 1 1 0 0 0 0 0 0 0 0\n"))
    assert model.points.shape == (0, 3)
    assert model.observations.shape == (0, 2)


def test_largest_model_with_points_is_read(tmp_path, caplog):
    cameras = "".join(f"{name}.jpg 600 1 0 0 0 {row} 0 0 0 0\n" for row, name in enumerate("cdef"))
    others = (
        f"3\n{cameras[: cameras.index('f.jpg')]}\n1\n0 0 9 1 2 3 1 2 5 0 0\n\n4\n{cameras}\n0\n\n"
    )
    first, end = GOOD.split("\n0\n#")
    model = read_nvm(write_file(tmp_path, f"{first}\n{others}0\n#{end}"))
    assert model.names == ["c.jpg", "d.jpg", "e.jpg"]
    np.testing.assert_array_equal(model.points, [[0, 0, 9]])
    np.testing.assert_array_equal(model.observations, [[2, 0]])
    assert "reads the largest model, of 3 images; the models have 2 + 3 images" in caplog.text


@pytest.mark.parametrize(
    ("old", "new", "line", "message"),
    [
        ("NVM_V3", "NVM_V2", 1, "an NVM file must start with NVM_V3, received 'NVM_V2'"),
        ("NVM_V3", "NVM_V3_R9", 1, "an NVM file must start with NVM_V3, received 'NVM_V3_R9'"),
        ("\n2\n", "\ntwo\n", 3, "the number of cameras must be a whole number, received 'two'"),
        ("\n2\n", "\n-2\n", 3, "the number of cameras must be a whole number, received '-2'"),
        ("a.jpg 500.5", "a.jpg", 4, "a camera line must be a name and 10 numbers, received"),
        ("500.5", "wide", 4, "a camera line must be a name and 10 numbers, received"),
        (
            "0 0 5 255",
            "0 0 5 255 3",
            8,
            "a point line must be X Y Z R G B, a count, and 4 numbers for each",
        ),
        ("0 0 5 255", "0 up 5 255", 8, "a point line must be X Y Z R G B"),
        ("2 2 7 0 0 0 0", "2 2 7", 10, "a point line must be X Y Z R G B"),
        ("1 9 0 0", "2 9 0 0", 9, "a point must be observed by cameras 0 to 1, received"),
        ("1 9 0 0", "-1 9 0 0", 9, "a point must be observed by cameras 0 to 1, received"),
    ],
)
def test_malformed_lines_are_named(tmp_path, old, new, line, message):
    assert f"reconstruction.nvm:{line}: {message}" in refused(tmp_path, GOOD.replace(old, new, 1))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "NVM_V3 must follow, the file ends"),
        ("NVM_V3\n", "the number of cameras must follow, the file ends"),
        ("NVM_V3\n2\na.jpg 1 1 0 0 0 0 0 0 0 0\n", "a camera line must follow, the file ends"),
        (GOOD.split("1 1 6")[0], "a point line must follow, the file ends"),
    ],
)
def test_files_that_end_early(tmp_path, text, message):
    assert refused(tmp_path, text).endswith(f"reconstruction.nvm: {message}")
