"""Maps as PLY and GLB, read back by hand and by trimesh."""

import json
import struct
import sys

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from posenet.geometry.camera import Camera
from posenet.geometry.poses import Poses
from posenet.interop.glb import to_y_up, write_glb
from posenet.interop.map_export import CameraGroup, MapExport, frustum_corners
from posenet.interop.ply import write_ply
from posenet.interop.rrd import Recording, write_rrd
from tests.helpers.errors import refusal

CAMERA = Camera(100, 80, 50, 40, 50, 20)
FAR = np.array([4e6, 5e5, 100.0])  # as projected coordinates of a country


@pytest.fixture
def exported():
    """Two points and two cameras, z up; the cameras look along x of the world."""
    look_along_x = Rotation.from_matrix([[0, 0, 1], [-1, 0, 0], [0, -1, 0]])
    poses = Poses(FAR + [[0.0, 0, 0], [200, 0, 0]], Rotation.concatenate([look_along_x] * 2))
    return MapExport(
        name="squäre\nnew",
        unit="m",
        axes=np.eye(3),
        center=FAR,
        positions=FAR + [[1.0, 2, 3], [4, 5, 6]],
        colors=np.array([[255, 0, 0], [0, 188, 255]], np.uint8),
        groups=[CameraGroup("training images", poses, [CAMERA, None], (10, 20, 30))],
    )


def test_frusta_have_the_field_of_view(exported):
    # 1.5 % of 200 m.
    assert exported.frustum_size == pytest.approx(3)
    corners = frustum_corners(exported.groups[0], 3.0) - FAR
    assert corners.shape == (2, 5, 3)
    # Left is -50 / 50 at depth 1, so 3 to the left, which is +y; the top is 20 / 40 above.
    expected = [[0, 0, 0], [3, 3, 1.5], [3, -3, 1.5], [3, -3, -4.5], [3, 3, -4.5]]
    np.testing.assert_allclose(corners[0], expected, atol=1e-6)
    np.testing.assert_allclose(corners[1, 2] - [200, 0, 0], [3, -1.8, 1.35], atol=1e-6)


def test_a_ply_file_has_points_and_dotted_frusta(exported, tmp_path):
    write_ply(tmp_path / "map.ply", exported)
    header, _, body = (tmp_path / "map.ply").read_bytes().partition(b"end_header\n")
    number = 2 + 2 * 8 * 12
    assert header.decode().splitlines() == [
        "ply",
        "format binary_little_endian 1.0",
        "comment squ?re new, unit: m",
        f"element vertex {number}",
        *(f"property double {axis}" for axis in "xyz"),
        *(f"property uchar {name}" for name in ("red", "green", "blue")),
    ]
    assert len(body) == number * 27
    assert struct.unpack_from("<dddBBB", body) == (*(FAR + [1, 2, 3]), 255, 0, 0)
    # The first dot of the first frustum is its center.
    assert struct.unpack_from("<dddBBB", body, 2 * 27) == (*FAR, 10, 20, 30)
    assert [path.name for path in tmp_path.iterdir()] == ["map.ply"]


def test_trimesh_reads_the_same_ply_points(exported, tmp_path):
    trimesh = pytest.importorskip("trimesh")
    write_ply(tmp_path / "map.ply", exported)
    cloud = trimesh.load(tmp_path / "map.ply")
    assert isinstance(cloud, trimesh.PointCloud)
    np.testing.assert_array_equal(cloud.vertices[:2], exported.positions)
    np.testing.assert_array_equal(cloud.colors[:2, :3], exported.colors)


def test_a_glb_file_is_valid(exported, tmp_path):
    write_glb(tmp_path / "map.glb", exported)
    data = (tmp_path / "map.glb").read_bytes()
    magic, version, length, json_length, kind = struct.unpack_from("<4sIII4s", data)
    assert (magic, version, length, kind) == (b"glTF", 2, len(data), b"JSON")
    content = json.loads(data[20 : 20 + json_length])
    binary_length, kind = struct.unpack_from("<I4s", data, 20 + json_length)
    binary = data[28 + json_length :]
    assert kind == b"BIN\0"
    assert binary_length == len(binary) == content["buffers"][0]["byteLength"]
    assert [mesh["name"] for mesh in content["meshes"]] == ["points", "training images"]
    sizes = {"VEC3": 12, "VEC4": 8, "SCALAR": 4}
    for accessor in content["accessors"]:
        view = content["bufferViews"][accessor["bufferView"]]
        assert view["byteOffset"] % 4 == 0
        assert view["byteLength"] == accessor["count"] * sizes[accessor["type"]]
        assert view["byteOffset"] + view["byteLength"] <= len(binary)
    positions, colors = (
        content["accessors"][content["meshes"][0]["primitives"][0]["attributes"][name]]
        for name in ("POSITION", "COLOR_0")
    )
    # x stays, z is up and becomes y, y to the left becomes -z.
    assert positions["min"] == [1, 3, -5]
    assert positions["max"] == [4, 6, -2]
    start = content["bufferViews"][colors["bufferView"]]["byteOffset"]
    # sRGB 188 is 0.5029 in linear light: ((188 / 255 + 0.055) / 1.055) ** 2.4.
    values = np.frombuffer(binary, "<u2", 8, start).reshape(2, 4) / 65535
    np.testing.assert_allclose(values, [[1, 0, 0, 1], [0, 0.5029, 1, 1]], atol=1e-4)
    extras = content["scenes"][0]["extras"]
    assert extras["unit"] == "m"
    back = np.array([[1.0, 3, -2]]) @ np.array(extras["world_from_gltf"]).T + extras["center"]
    np.testing.assert_allclose(back[0], exported.positions[0])
    np.testing.assert_allclose(to_y_up(exported, exported.positions)[0], [1, 3, -2])


def test_trimesh_reads_the_same_glb_meshes(exported, tmp_path):
    trimesh = pytest.importorskip("trimesh")
    write_glb(tmp_path / "map.glb", exported)
    scene = trimesh.load(tmp_path / "map.glb")
    points = scene.geometry["points"]
    cameras = scene.geometry["training images"]
    np.testing.assert_allclose(points.vertices, [[1, 3, -2], [4, 6, -5]])
    assert cameras.faces.shape == (12, 3)
    corners = to_y_up(exported, frustum_corners(exported.groups[0], 3.0).reshape(-1, 3))
    np.testing.assert_allclose(cameras.vertices, corners, atol=1e-5)
    # All sides of a pyramid face outward: its volume is positive, base area times height / 3.
    assert cameras.split()[0].volume == pytest.approx(6 * 6 * 3 / 3)


@pytest.mark.parametrize("write", [write_ply, write_glb])
def test_a_map_without_points_or_cameras_is_written(exported, tmp_path, write):
    from dataclasses import replace

    nothing = np.zeros((0, 3))
    write(
        tmp_path / "a",
        replace(exported, positions=nothing, colors=nothing.astype(np.uint8)),
    )
    write(tmp_path / "b", replace(exported, groups=[]))
    assert all(path.stat().st_size > 100 for path in tmp_path.iterdir())


@pytest.mark.parametrize("write", [write_ply, write_glb])
def test_a_missing_folder_is_one_line(exported, tmp_path, write):
    path = tmp_path / "nowhere" / "map"
    assert refusal(write, path, exported) == f"{path} cannot be written: No such file or directory"


def test_a_missing_rerun_is_one_line(exported, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "rerun", None)
    assert refusal(write_rrd, tmp_path / "a.rrd", exported, None) == (
        "writing an .rrd file requires the extra `rerun`: pip install 'camera-posenet[rerun]'"
    )


def test_a_recording_is_written(exported, tmp_path):
    pytest.importorskip("rerun")
    poses = exported.groups[0].poses
    errors = np.array([0.5, np.inf])
    recording = Recording(
        [b"", b""], [CAMERA, None], poses, poses, np.array([True, False]), errors, errors
    )
    write_rrd(tmp_path / "a.rrd", exported, recording)
    content = (tmp_path / "a.rrd").read_bytes()
    assert content[:2] == b"RR"
    for entity in (b"world/points", b"world/cameras/training_images", b"errors/position"):
        assert entity in content
    assert [path.name for path in tmp_path.iterdir()] == ["a.rrd"]
