"""Scenes written in other layouts."""

import os
import shutil
import subprocess
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from posenet.datasets.convert import WRITERS, convert
from posenet.datasets.registry import open_scene
from posenet.errors import PoseNetError
from posenet.geometry.camera import Camera
from posenet.geometry.metrics import position_errors, rotation_errors_deg
from posenet.io.images import read_image
from tests.helpers.scenes import make_scene

pytestmark = pytest.mark.slow


def by_content(scene):
    """Rows in the order of the images' bytes: layouts rename and reorder."""
    return scene.subset(sorted(range(len(scene)), key=lambda row: scene.paths[row].read_bytes()))


def check_same(scene, again, tolerance=1e-6):
    scene, again = by_content(scene), by_content(again)
    assert len(scene) == len(again)
    assert position_errors(again.poses, scene.poses).max() < tolerance * max(
        1, np.abs(scene.poses.positions).max()
    )
    assert rotation_errors_deg(again.poses, scene.poses).max() < np.degrees(tolerance)
    np.testing.assert_array_equal(again.splits, scene.splits)


@pytest.mark.parametrize("to", WRITERS)
def test_every_layout_reads_back(tmp_path, to):
    scene = make_scene(tmp_path / "in")
    convert(scene, tmp_path / "out", to)
    again = open_scene(tmp_path / "out", strict=True)
    check_same(scene, again)
    assert again.unit == "m"
    camera = again.cameras[0]
    assert (camera.width, camera.fx, camera.fy, camera.cx, camera.cy) == (64, 60, 60, 32, 24)


@pytest.mark.parametrize("second", WRITERS)
@pytest.mark.parametrize("first", WRITERS)
@settings(
    max_examples=2, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(seed=st.integers(0, 10**6), scale=st.sampled_from([1e-3, 1.0, 1e4]))
def test_every_pair_of_layouts(tmp_path, first, second, seed, scale):
    scene = make_scene(tmp_path / "in", seed, spread=scale)
    for folder in ("a", "b", "back"):
        shutil.rmtree(tmp_path / folder, ignore_errors=True)
    convert(scene, tmp_path / "a", first)
    convert(open_scene(tmp_path / "a"), tmp_path / "b", second)
    convert(open_scene(tmp_path / "b"), tmp_path / "back", first)
    check_same(scene, open_scene(tmp_path / "back"))


@pytest.mark.parametrize("to", ["colmap", "cambridge"])
def test_points_are_kept(tmp_path, to):
    scene = make_scene(tmp_path / "in")
    convert(scene, tmp_path / "out", to)
    points = open_scene(tmp_path / "out").points
    least = {"colmap": 50, "cambridge": 20}[
        to
    ]  # those in front of their cameras, or inside their images
    assert len(points.observations) > least
    kept = {
        tuple(np.round(point, 6))
        for point in points.positions[np.unique(points.observations[:, 1])]
    }
    assert kept <= {tuple(np.round(point, 6)) for point in scene.points.positions}
    colors = {
        tuple(np.round(p, 6)): tuple(c)
        for p, c in zip(scene.points.positions, scene.points.colors, strict=True)
    }
    for point, color in zip(points.positions, points.colors, strict=True):
        assert colors[tuple(np.round(point, 6))] == tuple(color)


def test_points_and_sequences_that_are_lost_are_named(tmp_path, caplog):
    scene = make_scene(tmp_path / "in")
    for to in WRITERS:
        convert(scene, tmp_path / to, to)
    losers = [
        message.split()[0]
        for message in caplog.messages
        if message.endswith("does not store 3-D points")
    ]
    assert losers == ["7scenes", "transforms", "tum", "kitti", "csv"]
    assert not [
        message
        for message in caplog.messages
        if "sequences that" in message or "folders" in message
    ]
    caplog.clear()
    named = replace(scene, sequences=np.repeat(["a", "b", "c"], 4), cameras=(None,) * 12)
    for to in ("colmap", "transforms", "cambridge"):
        convert(named, tmp_path / f"named_{to}", to)
    for to in ("colmap", "transforms"):
        assert (
            f"{to} does not store sequences that are not the folders of the images"
            in caplog.messages
        )
    assert (
        "cambridge does not store the folders of the images: each image is in a folder named after its sequence"
        in caplog.messages
    )
    assert "cambridge does not store 3-D points" in caplog.messages


@pytest.mark.parametrize("to", WRITERS)
def test_names_that_a_text_file_could_misread(tmp_path, to):
    scene = make_scene(tmp_path / "in")
    names = [
        name.replace("walk0", "#1 lobby").replace("walk2", "#walk\u202ftwo\u3000")
        for name in scene.names
    ]
    for old, new in zip(scene.names, names, strict=True):
        (tmp_path / "in" / new).parent.mkdir(exist_ok=True)
        (tmp_path / "in" / old).rename(tmp_path / "in" / new)
    sequences = np.array([name.split("/")[0] for name in names])
    scene = replace(scene, names=tuple(names), sequences=sequences)
    convert(scene, tmp_path / "out", to)
    check_same(scene, open_scene(tmp_path / "out", strict=True))


def test_a_test_list_of_images_beside_their_own_folder(tmp_path):
    scene = make_scene(tmp_path / "in")
    names = [f"images/{name}" for name in ("1.png", "day2/1.png", *scene.names[2:])]
    for old, new in zip(scene.names, names, strict=True):
        (tmp_path / "in" / new).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "in" / old).rename(tmp_path / "in" / new)
    splits = np.array(["test", *["train"] * 11])
    scene = replace(scene, names=tuple(names), splits=splits)
    convert(scene, tmp_path / "out", "colmap")
    check_same(scene, open_scene(tmp_path / "out", strict=True))


def test_a_scene_without_test_images_still_has_none_in_transforms(tmp_path):
    scene = replace(make_scene(tmp_path / "in"), splits=np.full(12, "train"))
    convert(scene, tmp_path / "out", "transforms")
    assert set(open_scene(tmp_path / "out").splits) == {"train"}


def test_lens_distortion_is_kept_or_said_to_be_lost(tmp_path, caplog):
    camera = Camera(64, 48, 60.0, 61.0, 31.0, 24.0, "OPENCV", (0.1, 0.01, 0.002, 0.003))
    scene = make_scene(tmp_path / "in", camera=camera, unit="scene units")
    for to in ("colmap", "transforms", "tum"):
        convert(scene, tmp_path / to, to)
        assert open_scene(tmp_path / to).cameras[0] == camera
    caplog.clear()
    for to in ("cambridge", "7scenes", "kitti", "csv"):
        convert(scene, tmp_path / to, to)
    for message in (
        "cambridge does not store lens distortion, except for a single radial coefficient",
        "cambridge does not store principal points, and the difference between fx and fy",
        "cambridge does not store the unit, scene units: readers of this format assume meters",
        "7scenes does not store lens distortion",
        "kitti does not store lens distortion",
        "csv does not store lens distortion",
    ):
        assert message in caplog.messages


def test_focal_lengths_come_back_whatever_the_principal_point(tmp_path, caplog):
    scene = make_scene(tmp_path / "in", camera=Camera(64, 48, 60.0, 60.0, 20.0, 30.0))
    convert(scene, tmp_path / "out", "cambridge")
    again = open_scene(tmp_path / "out", strict=True)
    assert {camera.fx for camera in again.cameras} == {60.0}
    kept = len(again.points.observations)
    assert (
        f"cambridge does not store {360 - kept} of 360 observations of 3-D points"
        in caplog.messages
    )


def test_points_of_lenses_that_cannot_be_computed_are_named(tmp_path, caplog):
    convert(
        make_scene(tmp_path / "in", camera=Camera(64, 48, 60, 60, 32, 24, "EUCM", (0.6, 1.1))),
        tmp_path / "out",
        "colmap",
    )
    assert "colmap does not store 360 of 360 observations of 3-D points" in caplog.messages


def test_parts_of_a_lens_that_are_lost_are_named(tmp_path, caplog):
    rational = Camera(
        64, 48, 60.0, 60.0, 32.0, 24.0, "FULL_OPENCV", (0.1, 0.01, 0, 0, 0.1, 0.2, 0, 0)
    )
    scene = make_scene(tmp_path / "rational", camera=rational)
    for to in ("transforms", "tum"):
        convert(scene, tmp_path / f"rational_{to}", to)
        assert f"{to} does not store the distortion parameters k4 to k6" in caplog.messages
    fisheye = Camera(64, 48, 60.0, 60.0, 32.0, 24.0, "FISHEYE")
    scene = make_scene(tmp_path / "fisheye", camera=fisheye)
    for to in ("kitti", "7scenes", "csv"):
        convert(scene, tmp_path / f"fisheye_{to}", to)
        assert f"{to} does not store lens distortion" in caplog.messages
    scene = make_scene(
        tmp_path / "field", camera=Camera(64, 48, 60.0, 60.0, 32.0, 24.0, "FOV", (0.9,))
    )
    convert(scene, tmp_path / "field_transforms", "transforms")
    assert "transforms does not store intrinsics of the camera models FOV" in caplog.messages


def test_unknown_intrinsics(tmp_path, caplog):
    scene = make_scene(tmp_path / "in", camera=None)
    for to in WRITERS:
        convert(scene, tmp_path / to, to)
        check_same(scene, open_scene(tmp_path / to))
    assert (
        "colmap does not store which intrinsics are unknown: it contains guessed ones"
        in caplog.messages
    )
    assert (
        "tum does not store intrinsics of several cameras, unknown ones, or of camera models other than OpenCV's"
        in caplog.messages
    )
    assert "kitti does not store intrinsics of several cameras, or unknown ones" in caplog.messages
    assert (
        "transforms does not store intrinsics, which are not known for every image"
        in caplog.messages
    )
    assert (
        "cambridge does not store intrinsics, which are not known for every image"
        in caplog.messages
    )


def test_images_are_linked_or_copied(tmp_path):
    scene = make_scene(tmp_path / "in")
    convert(scene, tmp_path / "linked", "csv")
    convert(scene, tmp_path / "copied", "csv", copy=True)
    name = scene.names[0]
    assert os.path.samefile(tmp_path / "linked" / name, tmp_path / "in" / name)
    assert not os.path.samefile(tmp_path / "copied" / name, tmp_path / "in" / name)
    assert (tmp_path / "copied" / name).read_bytes() == (tmp_path / "in" / name).read_bytes()


def test_images_outside_of_the_scene_are_named_and_copied(tmp_path, caplog):
    scene = make_scene(tmp_path / "in")
    private = tmp_path / f"private{scene.paths[0].suffix}"
    scene.paths[0].rename(private)
    scene.paths[0].symlink_to(private)
    convert(scene, tmp_path / "out", "csv")
    written = tmp_path / "out" / scene.names[0]
    assert written.read_bytes() == private.read_bytes()
    assert not os.path.samefile(written, private)
    assert os.path.samefile(tmp_path / "out" / scene.names[1], scene.paths[1])
    assert (
        f"{scene.root}: 1 image is outside of the scene and copied, such as {scene.paths[0]}"
        in caplog.messages
    )


def test_images_that_their_exif_turns_are_written_upright(tmp_path):
    scene = make_scene(tmp_path / "in")
    exif = Image.Exif()
    exif[0x0112] = 6
    deep = Image.fromarray((np.arange(48 * 64).reshape(48, 64) * 20).astype(np.uint16))
    deep.save(scene.paths[0], exif=exif)
    gray = deep.point(lambda value: value / 256).convert("L")
    names = [scene.names[0], "a.tif", "b.tif", *scene.names[3:]]
    gray.save(scene.root / "a.tif", exif=exif)
    gray.convert("RGB").save(scene.root / "b.tif", exif=exif, compression="tiff_lzw")
    scene = replace(scene, names=tuple(names))
    convert(scene, tmp_path / "out", "csv")
    for name in names[:3]:
        with Image.open(tmp_path / "out" / name) as written:
            assert written.size == (48, 64)
            assert written.getexif().get(0x0112, 1) == 1
            np.testing.assert_array_equal(written.convert("RGB"), read_image(scene.root / name))
        times = [(folder / name).stat().st_mtime_ns for folder in (scene.root, tmp_path / "out")]
        assert times[0] == times[1]


def test_nothing_is_left_behind_when_it_fails(tmp_path):
    scene = make_scene(tmp_path / "in")
    scene.paths[3].unlink()
    with pytest.raises(PoseNetError, match=r"frame003.png cannot be copied to .*: No such file"):
        convert(scene, tmp_path / "out", "colmap")
    assert [path.name for path in tmp_path.iterdir()] == ["in"]
    with pytest.raises(PoseNetError, match=r"output folder already exists: .*in"):
        convert(scene, tmp_path / "in", "colmap")


@pytest.mark.skipif(shutil.which("evo_traj") is None, reason="evo is not installed")
@pytest.mark.parametrize(
    ("to", "kind", "file"), [("tum", "tum", "groundtruth.txt"), ("kitti", "kitti", "poses.txt")]
)
def test_evo_reads_our_trajectories(tmp_path, to, kind, file):
    convert(make_scene(tmp_path / "in"), tmp_path / "out", to)
    done = subprocess.run(
        ["evo_traj", kind, tmp_path / "out" / file], capture_output=True, text=True, check=True
    )
    assert "12 poses" in done.stdout
