"""The plain table, poses.csv."""

from functools import partial

import numpy as np
import pytest

from posenet.datasets.formats import csv_table
from posenet.datasets.registry import open_scene
from tests.helpers.errors import refusal
from tests.helpers.images import write_image

TABLE = """# unit: ft
image,split,x,y,z,qw,qx,qy,qz,sequence,fx
a/1.png,train,1,2,3,0.5,-0.5,0.5,-0.5,left,50
"a/2, b.png",test,4,5,6,2,0,0,0,right,
"""


def write(folder, table=TABLE):
    folder.mkdir()
    (folder / "poses.csv").write_text(table)
    write_image(folder / "a/1.png", (48, 64))
    write_image(folder / "a/2, b.png", (48, 64))
    return folder


refused = partial(refusal, open_scene, strict=True)


def test_columns_in_any_order(tmp_path):
    folder = write(tmp_path / "scene")
    assert csv_table.recognizes(folder)
    scene = open_scene(folder)
    assert scene.names == ("a/1.png", "a/2, b.png")
    np.testing.assert_array_equal(scene.poses.positions, [[1, 2, 3], [4, 5, 6]])
    # facing x, z up
    np.testing.assert_allclose(
        scene.poses.rotations[0].as_matrix(), [[0, 0, 1], [-1, 0, 0], [0, -1, 0]], atol=1e-12
    )
    assert list(scene.splits) == ["train", "test"]
    assert list(scene.sequences) == ["left", "right"]
    assert scene.unit == "ft"
    camera = scene.cameras[0]
    assert (camera.fx, camera.fy, camera.cx, camera.cy) == (50, 50, 32, 24)
    assert scene.cameras[1].source == "assumed"


def test_only_required_columns(tmp_path):
    scene = open_scene(
        write(tmp_path / "scene", "image,x,y,z,qw,qx,qy,qz\na/1.png,1,2,3,1,0,0,0\n")
    )
    assert (scene.unit, list(scene.sequences), scene.cameras[0].source) == ("m", ["a"], "assumed")


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("", "poses.csv:1: a table must start with the names of its columns, the file is empty"),
        (
            "image,x,y,z\n",
            "poses.csv:1: the columns must be image,x,y,z,qw,qx,qy,qz and optionally split,sequence,fx",
        ),
        ("image,x,y,z\n", "received 'none named qw, qx, qy, qz'"),
        ("image,x,y,z,qw,qx,qy,qz,mood\n", "received 'mood'"),
        ("image,x,y,z,qw,qx,qy,qz,x\n", "received 'the same column twice'"),
        (
            "image,x,y,z,qw,qx,qy,qz\na/1.png,1,2\n",
            "poses.csv:2: a line must have 8 columns, received 3",
        ),
        (
            "image,x,y,z,qw,qx,qy,qz\na/1.png,1,2,c,1,0,0,0\n",
            "a pose must be 7 numbers, received 'c'",
        ),
        (
            "image,x,y,z,qw,qx,qy,qz\na/1.png,1,\r2,3,1,0,0,0\n",
            "poses.csv:2: a line must be comma-separated values",
        ),
        (
            TABLE.replace("test", "exam"),
            "poses.csv:4: a split must be train or test, received 'exam'",
        ),
        (
            TABLE.replace(",50", ",-50"),
            "poses.csv:3: intrinsics must be finite and focal lengths above 0",
        ),
        (TABLE.replace(",50", ",wide"), "intrinsics must be numbers, received 'wide'"),
        (TABLE.replace("a/1", "../a/1"), "must stay inside the scene folder"),
    ],
)
def test_malformed(tmp_path, table, message):
    assert message in refused(write(tmp_path / "scene", table))
