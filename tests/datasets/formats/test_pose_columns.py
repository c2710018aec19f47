"""Columns of poses: found by their names, checked by the length of the quaternion."""

import numpy as np
import pytest

from posenet.datasets.convert import convert
from posenet.datasets.formats.pose_columns import find_pose_columns, quaternion_start
from posenet.datasets.registry import open_scene
from tests.helpers.errors import refusal
from tests.helpers.scenes import make_scene

EUROC = (
    "#timestamp, p_RS_R_x [m], p_RS_R_y [m], p_RS_R_z [m], q_RS_w [], q_RS_x [], q_RS_y [], "
    "q_RS_z [], v_RS_R_x [m s^-1], b_w_RS_S_x [rad s^-1]"
)


@pytest.mark.parametrize(
    ("header", "indices", "key"),
    [
        ("# timestamp tx ty tz qx qy qz qw", (1, 2, 3, 7, 4, 5, 6), 0),
        ("image,x,y,z,qw,qx,qy,qz,split", (1, 2, 3, 4, 5, 6, 7), 0),
        ("split,qw,qx,qy,qz,image,x,y,z", (6, 7, 8, 1, 2, 3, 4), 5),
        ("# name x y z qw qx qy qz, camera to world; then spread", (1, 2, 3, 4, 5, 6, 7), 0),
        (EUROC, (1, 2, 3, 4, 5, 6, 7), 0),
    ],
)
def test_names_of_columns(header, indices, key):
    columns = find_pose_columns(header)
    assert (columns.indices, columns.key) == (indices, key)
    assert columns.is_body == (header == EUROC)
    assert not columns.is_translation


def test_a_long_header_of_open_brackets_has_no_columns():
    # A search whose time grew with the square of the length would take minutes.
    assert find_pose_columns("x y z " + "([" * 200_000) is None


def test_translation_follows_the_quaternion():
    columns = find_pose_columns("# name qw qx qy qz tx ty tz")
    assert columns.is_translation
    assert (columns.indices, columns.quaternion_start) == ((5, 6, 7, 1, 2, 3, 4), 0)
    np.testing.assert_array_equal(columns.pose_order(np.arange(7.0)[None]), [[4, 5, 6, 0, 1, 2, 3]])


@pytest.mark.parametrize(
    "text",
    [
        "# ground truth trajectory",
        "1305031102.1 1.3 0.6 1.6 0.6 0.6 -0.3 -0.3",
        "# x y z qx qy qz qw",
        "# name x y z x qx qy qz qw",
        "ImageFile, Camera Position [X Y Z W P Q R]",
    ],
)
def test_other_lines_name_no_columns(text):
    assert find_pose_columns(text) is None


def test_place_of_the_quaternion():
    position, quaternion = [1.0, 2, 3], [0.5, 0.5, -0.5, 0.5]
    assert quaternion_start(np.array([position + quaternion])) == 3
    assert quaternion_start(np.array([quaternion + position])) == 0
    assert quaternion_start(np.array([[0, 0, 0, 1.0, 0, 0, 0]])) is None  # both have length 1
    assert quaternion_start(np.array([[3.0, 4, 0, 2, 2, 0, 0]])) is None  # neither has
    assert quaternion_start(np.array([[np.nan] * 7, quaternion + position])) == 0
    # One line of ten may contain zeros for an image that failed. One of four decides nothing.
    failed = [0.0] * 7
    assert quaternion_start(np.array([quaternion + position] * 9 + [failed])) == 0
    assert quaternion_start(np.array([quaternion + position] * 3 + [failed])) is None
    assert quaternion_start(np.zeros((0, 7))) is None


def swap_halves(line, first, separator=" "):
    """Return a line whose seven numbers from `first` on have their quaternion at the other end."""
    cells = line.split(separator)
    cells[first : first + 7] = [*cells[first + 3 : first + 7], *cells[first : first + 3]]
    return separator.join(cells)


@pytest.mark.parametrize(
    ("layout", "file", "header", "first", "separator", "says"),
    [
        (
            "cambridge",
            "dataset_train.txt",
            3,
            1,
            " ",
            ":4: a line must be a name and 7 numbers (X Y Z W P Q R), 8 columns, received poses "
            "whose first four numbers have unit length, not the last four",
        ),
        (
            "tum",
            "groundtruth.txt",
            0,
            1,
            " ",
            ":1: a TUM line must be 8 numbers, timestamp x y z qx qy qz qw, received poses whose "
            "first four numbers have unit length, not the last four",
        ),
        (
            "csv",
            "poses.csv",
            2,
            1,
            ",",
            ":3: x,y,z must be a position and qw,qx,qy,qz a quaternion, received poses whose first "
            "four numbers have unit length, not the last four",
        ),
    ],
)
def test_scenes_with_the_quaternion_first_are_refused(
    tmp_path, layout, file, header, first, separator, says
):
    convert(make_scene(tmp_path / "in"), tmp_path / "out", layout, copy=True)
    path = tmp_path / "out" / file
    lines = path.read_text().splitlines()
    lines[header:] = [swap_halves(line, first, separator) for line in lines[header:]]
    path.write_text("\n".join(lines) + "\n")
    assert refusal(open_scene, tmp_path / "out") == f"{path}{says}"


def test_models_with_the_quaternion_last_are_refused(tmp_path):
    convert(make_scene(tmp_path / "in"), tmp_path / "out", "colmap", copy=True)
    path = tmp_path / "out/sparse/0/images.txt"
    lines = path.read_text().splitlines()
    number = next(row for row, line in enumerate(lines) if not line.startswith("#"))
    for row in range(number, len(lines), 2):
        cells = lines[row].split()
        lines[row] = " ".join([cells[0], *cells[5:8], *cells[1:5], *cells[8:]])
    path.write_text("\n".join(lines) + "\n")
    assert refusal(open_scene, tmp_path / "out") == (
        f"{path}:{number + 1}: an image must have QW QX QY QZ TX TY TZ, received poses whose last "
        "four numbers have unit length, not the first four"
    )


def test_nvm_with_the_quaternion_last_is_refused(tmp_path):
    camera = "a.png 60 1 2 3 0.5 0.5 -0.5 0.5 0 0"
    (tmp_path / "a.nvm").write_text(f"NVM_V3\n\n1\n{camera}\n\n0\n")
    assert refusal(open_scene, tmp_path) == (
        f"{tmp_path}/a.nvm:4: a camera line must have QW QX QY QZ X Y Z, received poses whose last "
        "four numbers have unit length, not the first four"
    )


def test_ground_truth_with_a_header_in_another_order(tmp_path):
    convert(make_scene(tmp_path / "in"), tmp_path / "out", "tum", copy=True)
    before = open_scene(tmp_path / "out")
    path = tmp_path / "out/groundtruth.txt"
    lines = [line.split() for line in path.read_text().splitlines()]
    reordered = [" ".join([*cells[:4], cells[7], *cells[4:7]]) for cells in lines]
    path.write_text("\n".join(["# timestamp tx ty tz qw qx qy qz", *reordered]) + "\n")
    after = open_scene(tmp_path / "out")
    np.testing.assert_allclose(after.poses.matrices, before.poses.matrices, atol=1e-12)
