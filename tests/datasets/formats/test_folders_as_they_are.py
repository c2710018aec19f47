"""Scenes that were copied from another machine read as the original ones."""

import os
import re
import shutil
import unicodedata

import numpy as np
import pytest

from posenet.cli.main import main
from posenet.datasets.convert import convert
from posenet.datasets.registry import open_scene
from posenet.errors import PoseNetError
from tests.helpers.errors import refusal
from tests.helpers.images import write_image
from tests.helpers.scenes import make_scene

# What macOS writes beside a file on disks without its attributes.
APPLE_DOUBLE = b"\0\5\x16\x07\0\2\0\0Mac OS X        "
FORMATS = ("cambridge", "7scenes", "colmap", "transforms", "tum", "kitti", "csv")
# The files with names of images, and how the names start in them.
LISTS = {
    "cambridge": (["dataset_train.txt", "dataset_test.txt", "reconstruction.nvm"], "walk"),
    "colmap": (["sparse/0/images.txt", "test.txt"], "walk"),
    "transforms": (["transforms.json"], "walk"),
    "tum": (["rgb.txt", "test.txt"], "rgb"),
    "csv": (["poses.csv"], "walk[0-9]/"),
    "nvm": (["reconstruction.nvm", "test.txt"], "walk"),
    "euroc": (["mav0/cam0/data.csv"], "[0-9]+.png"),
}


def write_scene(folder, form):
    """The same twelve images in any format."""
    made = make_scene(folder / "made")
    if form == "nvm":
        convert(made, folder / "scene", "cambridge", copy=True)
        for name in ("dataset_train.txt", "dataset_test.txt"):
            (folder / "scene" / name).unlink()
        (folder / "scene/test.txt").write_text("walk2/frame001.png\n")
    elif form == "euroc":
        write_euroc(folder / "scene", made)
    elif form == "ace":
        write_ace(folder / "scene", made)
    else:
        convert(made, folder / "scene", form, copy=True)
    return folder / "scene"


def write_euroc(folder, made):
    base = folder / "mav0"
    (base / "state_groundtruth_estimate0").mkdir(parents=True)
    images, poses = [], []
    for row, path in enumerate(made.paths):
        write_image(base / f"cam0/data/{row}000.png", (48, 64), seed=row)
        images.append(f"{row}000000000,{row}000.png\n")
        numbers = (*made.poses.positions[row], *made.poses.quaternions_wxyz[row])
        poses.append(f"{row}000000000,{','.join(map(str, numbers))}\n")
        assert path.exists()
    (base / "cam0/data.csv").write_text("#timestamp [ns],filename\n" + "".join(images))
    (base / "state_groundtruth_estimate0/data.csv").write_text("".join(poses))
    (base / "cam0/sensor.yaml").write_text(
        "T_BS:\n  data: [1,0,0,0,0,1,0,0,0,0,1,0,0,0,0,1]\nresolution: [64, 48]\n"
        "intrinsics: [60, 60, 31.5, 23.5]\ndistortion_coefficients: [0, 0, 0, 0]\n"
    )
    (folder / "test.txt").write_text("1000.png\n")


def write_ace(folder, made):
    for kind in ("rgb", "poses", "calibration"):
        for split in ("train", "test"):
            (folder / split / kind).mkdir(parents=True)
    for row, path in enumerate(made.paths):
        base = folder / str(made.splits[row])
        shutil.copy(path, base / f"rgb/seq-01-{row:06d}.color.png")
        np.savetxt(base / f"poses/seq-01-{row:06d}.pose.txt", made.poses.matrices[row])
        (base / f"calibration/seq-01-{row:06d}.calibration.txt").write_text("60\n")


def assert_same(scene, original):
    assert [unicodedata.normalize("NFC", name) for name in scene.names] == list(original.names)
    np.testing.assert_array_equal(scene.poses.matrices, original.poses.matrices)
    np.testing.assert_array_equal(scene.splits, original.splits)
    sequences = [unicodedata.normalize("NFC", name) for name in scene.sequences]
    assert sequences == list(original.sequences)
    assert scene.cameras == original.cameras
    assert (scene.points is None) == (original.points is None)
    if scene.points:
        np.testing.assert_array_equal(scene.points.observations, original.points.observations)


@pytest.mark.parametrize("form", [*FORMATS, "nvm", "euroc", "ace"])
def test_files_of_operating_systems_are_no_part_of_a_scene(tmp_path, form):
    folder = write_scene(tmp_path, form)
    original = open_scene(folder)
    for path in list(folder.rglob("*")):
        if path.is_file():
            path.with_name(f"._{path.name}").write_bytes(APPLE_DOUBLE)
    shutil.copytree(folder, folder / "__MACOSX", copy_function=os.link)
    (folder / ".DS_Store").write_bytes(b"\0\0\0\1Bud1")
    assert_same(open_scene(folder), original)


@pytest.mark.parametrize("root", ["/workspace/data/room/", "C:\\Users\\me\\room\\"])
@pytest.mark.parametrize("form", LISTS)
def test_paths_of_another_machine(tmp_path, form, root, caplog):
    folder = write_scene(tmp_path, form)
    original = open_scene(folder)
    files, start = LISTS[form]
    for file in files:
        text = (folder / file).read_text()
        path = root.replace("\\", "\\\\") if file.endswith(".json") else root
        moved = re.sub(rf"(?<![\w/\\])(?={start})", lambda _, path=path: path, text)
        assert moved != text
        (folder / file).write_text(moved)
    caplog.clear()
    assert_same(open_scene(folder), original)
    tidy = root.replace("\\", "/")
    lines = [line for line in caplog.messages if "of another machine" in line]
    assert lines[0].startswith(
        "scene: 12 paths of another machine read as images of the scene that end alike, such as "
        f"{tidy}"
    )
    assert len(lines) == 1 + ("test.txt" in files)


@pytest.mark.slow
def test_info_states_what_was_read_otherwise(tmp_path, monkeypatch, capsys):
    folder = write_scene(tmp_path, "tum")
    monkeypatch.chdir(tmp_path)
    for file in ("rgb.txt", "test.txt"):
        text = (folder / file).read_text()
        (folder / file).write_text(text.replace("rgb/", "/ws/rgb/"))
    assert main(["scene", "info", str(folder), "--no-plot"]) == 0
    printed = capsys.readouterr().out.splitlines()
    moved = "of another machine read as images of the scene that end alike, such as"
    assert f"  warning      12 paths {moved} /ws/rgb/000000.png as rgb/000000.png" in printed
    line = f"{folder}/test.txt: 4 paths {moved} /ws/rgb/000008.png as rgb/000008.png"
    assert f"  warning      {line}" in printed


@pytest.mark.parametrize("form", ["cambridge", "colmap", "transforms", "tum", "csv", "nvm"])
def test_names_in_another_unicode_form(tmp_path, form):
    folder = write_scene(tmp_path, form)
    files, start = LISTS[form]
    for parent in [path for path in folder.rglob(f"{start.split('[')[0]}*") if path.is_dir()]:
        parent.rename(parent.with_name(f"\u00e9{parent.name}"))
    for file in files:
        text = (folder / file).read_text()
        text = re.sub(rf"(?<![\w/])(?={start})", "\u00e9", text)
        (folder / file).write_text(text, encoding="utf-8")
    original = open_scene(folder)
    assert len(original) == 12
    for parent in [path for path in folder.rglob("\u00e9*") if path.is_dir()]:
        parent.rename(parent.with_name(unicodedata.normalize("NFD", parent.name)))
    assert_same(open_scene(folder), original)


def test_frames_of_7_scenes_at_an_absolute_path_are_refused(tmp_path):
    name = "/data/chess/seq-01/frame-000000.color.png"
    (tmp_path / "dataset_train.txt").write_text(f"{name} 0 0 0 1 0 0 0\n")
    write_image(tmp_path / "seq-01/frame-000000.color.png")
    assert refusal(open_scene, tmp_path) == (
        f"{tmp_path}/dataset_train.txt:1: the name of a 7-Scenes frame must start with /seq-NN "
        f"(camera to world) or seq-NN (world to camera), received {name}"
    )


def test_paths_outside_the_scene_are_refused(tmp_path):
    write_image(tmp_path / "other/a.png")
    write_image(tmp_path / "scene/b.png")
    for name in (str(tmp_path / "other/a.png"), "../other/a.png", "/ws/a.png"):
        (tmp_path / "scene/poses.csv").write_text(
            f"image,x,y,z,qw,qx,qy,qz\n{name},0,0,0,1,0,0,0\n"
        )
        with pytest.raises(PoseNetError) as error:
            open_scene(tmp_path / "scene")
        assert str(error.value) == (
            f"{tmp_path}/scene/poses.csv:2: the name of an image must stay inside the scene folder, "
            f"received {name!r}"
        )
