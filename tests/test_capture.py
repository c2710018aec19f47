"""Photographs and videos to scenes with poses."""

import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from posenet import training
from posenet.cli import main
from posenet.datasets import capture as capturing
from posenet.datasets import open_scene
from posenet.datasets.capture import belongs_to, capture, is_finished, picture_pairs
from posenet.datasets.courtyard import make_courtyard, walk
from posenet.datasets.courtyard_pictures import LIGHTS, lit_ground, photograph
from posenet.datasets.courtyard_world import make_world
from posenet.errors import PoseNetError
from posenet.poses import align_similarity, position_errors, rotation_errors_deg
from posenet.storage import files_digest
from tests.conftest import refusal, write_picture

FRAMES = 300  # of a walk of two rounds


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    """A third of a walk through the courtyard as a video, 24 frames of it, and the true poses of its frames."""
    path = tmp_path_factory.mktemp("film") / "court yard.avi"
    world = make_world(0)
    lit = lit_ground(world, LIGHTS[0])
    poses = walk(0, FRAMES)[slice(0, 90, 2)]
    writer = None
    for row in range(len(poses)):
        picture = photograph(world, lit, 0, poses[row], np.random.default_rng(row))
        if writer is None:
            fourcc = cv2.VideoWriter_fourcc(*"MJPG")
            writer = cv2.VideoWriter(str(path), fourcc, 30, (picture.shape[1], picture.shape[0]))
            writer.set(cv2.VIDEOWRITER_PROP_QUALITY, 95)
        writer.write(cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
    writer.release()
    return path, poses


@pytest.fixture(scope="module")
def captured(video, tmp_path_factory):
    """The capture of that video."""
    folder = tmp_path_factory.mktemp("captured") / "scene"
    return capture((video[0],), folder), folder


def true_poses(scene, poses):
    """The true poses of a captured scene's pictures, images/frame000012.jpg."""
    return poses[np.array([int(name[-10:-4]) for name in scene.names])]


def test_video_becomes_a_scene_with_the_right_poses(captured, video):
    told, folder = captured
    assert told.placed >= 0.9 * told.pictures
    scene = open_scene(folder)
    assert len(scene) == told.placed
    truth = true_poses(scene, video[1])
    moved = align_similarity(scene.poses, truth).apply(scene.poses)
    extent = np.linalg.norm(np.ptp(truth.positions, axis=0))
    assert np.median(position_errors(moved, truth)) < 0.01 * extent
    assert np.median(rotation_errors_deg(moved, truth)) < 1
    assert scene.unit == "scene units"
    assert len(scene.points.positions) > 200
    assert set(scene.splits) == {"train", "test"}
    focal = scene.cameras[0].fx / scene.cameras[0].width
    assert focal == pytest.approx(312.774 / 480, rel=0.05)


def test_nothing_but_the_scene_is_left(captured):
    told, folder = captured
    assert sorted(path.name for path in folder.iterdir()) == ["capture.json", "images", "sparse"]
    assert json.loads((folder / "capture.json").read_text())["placed"] == told.placed


def test_finished_captures_are_not_overwritten(captured, video):
    _, folder = captured
    assert is_finished(folder, video[0])
    with pytest.raises(PoseNetError, match=r"is a finished capture; give another folder, or remove it"):
        capture((video[0],), folder)


def test_a_stopped_capture_goes_on(video, tmp_path, monkeypatch):
    folder = tmp_path / "scene"

    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(capturing, "map_pictures", stop)
    with pytest.raises(KeyboardInterrupt):
        capture((video[0],), folder, most=12)
    monkeypatch.undo()
    assert not is_finished(folder, video[0])
    with pytest.raises(PoseNetError, match=r"is an unfinished capture of other inputs"):
        capture((tmp_path,), folder)
    before = {path.name: path.stat().st_mtime_ns for path in (folder / "images").iterdir()}
    told = capture((video[0],), folder, most=12)
    assert {path.name: path.stat().st_mtime_ns for path in (folder / "images").iterdir()} == before
    assert told.pictures == len(before)
    assert told.placed >= 4


def test_nothing_of_a_replaced_photograph_comes_back(tmp_path, monkeypatch):
    for row in range(5):
        write_picture(tmp_path / f"in/{row}.jpg", (24, 32), seed=row)
    there = []

    def stop(database, *_):
        there.append(database.exists())
        database.touch()
        raise KeyboardInterrupt

    monkeypatch.setattr(capturing, "extract_features", stop)
    for replaced in (False, False, True):
        if replaced:
            write_picture(tmp_path / "other.jpg", (24, 32), seed=9)
            (tmp_path / "other.jpg").replace(tmp_path / "in/2.jpg")
        with pytest.raises(KeyboardInterrupt):
            capture((tmp_path / "in",), tmp_path / "out")
    assert there == [False, True, False]
    assert (tmp_path / "out/images/2.jpg").read_bytes() == (tmp_path / "in/2.jpg").read_bytes()


def test_pictures_that_do_not_overlap_are_refused_kindly(tmp_path):
    for row in range(5):
        write_picture(tmp_path / f"in/{row}.jpg", (240, 320), seed=row)
    with pytest.raises(PoseNetError, match=r"the pictures do not overlap enough, 0 of 5 could be placed; film slowly"):
        capture((tmp_path / "in",), tmp_path / "out")


def test_wrong_use(tmp_path, capsys):
    write_picture(tmp_path / "in/a.jpg")
    (tmp_path / "full").mkdir()
    (tmp_path / "full/x").write_text("")
    for arguments, message in (
        ([tmp_path / "none", tmp_path / "out"], "none: a folder of photographs or a video is needed, there is none"),
        ([], "photographs or a video and a folder to write are needed, received nothing"),
        ([tmp_path / "in", tmp_path / "in", tmp_path / "out"], "each input must be given once"),
        ([tmp_path / "in", tmp_path / "out", "--pictures", "2"], "--pictures must be at least 4, received 2"),
        (
            [tmp_path / "in", tmp_path / "out", "--scale", "a", "a", "2"],
            "--scale needs two different pictures",
        ),
        ([tmp_path / "in"], "photographs or a video and a folder to write are needed, received"),
        ([tmp_path / "in", tmp_path / "full"], "full must be a new folder, or an unfinished capture"),
        ([tmp_path / "in", tmp_path / "out"], "out: at least 4 pictures are needed, received 1"),
        (
            [tmp_path / "in", tmp_path / "out", "--align", "x", "--scale", "a", "b", "1"],
            "give --scale or --align, not both",
        ),
    ):
        assert main(["scene", "capture", *map(str, arguments)]) == 1
        assert message in capsys.readouterr().err


def test_pairs_of_few_pictures_are_all(tmp_path):
    assert picture_pairs(["a", "b", "c"], tmp_path) == [("a", "b"), ("a", "c"), ("b", "c")]


def test_neighbours_in_time_are_of_one_sequence(tmp_path, monkeypatch):
    names = [f"{each}/{row:02d}.jpg" for each in ("a", "b") for row in range(40)]
    for name in names:
        write_picture(tmp_path / name, (48, 64))
    monkeypatch.setattr(capturing, "nearest_pictures", lambda looks, *_: np.arange(len(looks))[:, None])  # itself alone
    pairs = picture_pairs(names, tmp_path)
    assert all(first[0] == second[0] for first, second in pairs)
    per_sequence = sum(40 - step for step in (1, 2, 3, 4, 6, 8, 12, 16, 24, 32))
    assert len(pairs) == 2 * per_sequence


def test_pairs_of_many_are_neighbours_and_lookalikes(tmp_path):
    make_courtyard(tmp_path / "yard", train=96, test=1, progress=False)
    names = [f"{each}/frame{row + 1:05d}.jpg" for each in ("seq1", "seq2", "seq3") for row in range(32)]
    pairs = picture_pairs(names, tmp_path / "yard")
    assert ("seq1/frame00001.jpg", "seq1/frame00002.jpg") in pairs
    across = [pair for pair in pairs if pair[0][:4] != pair[1][:4]]
    assert len(across) > 50
    assert len(set(pairs)) == len(pairs) < 96 * 95 / 2 / 2


def test_pairs_skip_a_picture_that_does_not_decode(tmp_path):
    names = [f"{row:02d}.jpg" for row in range(64)]
    for row, name in enumerate(names):  # the second half shows the same as the first, the other way round
        write_picture(tmp_path / name, (48, 64), seed=min(row, 63 - row))
    alike = {(names[row], names[63 - row]) for row in range(5, 32)}
    assert alike <= set(picture_pairs(names, tmp_path))
    (tmp_path / names[3]).write_bytes(b"cut off")
    assert alike <= set(picture_pairs(names, tmp_path))


def test_a_video_that_was_filmed_anew_is_another(captured, video, tmp_path):
    copy = tmp_path / "walk.avi"
    shutil.copy(video[0], copy)
    shutil.copytree(captured[1], tmp_path / "scene")
    state = json.loads((tmp_path / "scene" / "capture.json").read_text())
    state |= {"inputs": [str(copy)], "videos": files_digest([copy])}
    (tmp_path / "scene" / "capture.json").write_text(json.dumps(state))
    assert is_finished(tmp_path / "scene", copy)
    copy.write_bytes(copy.read_bytes() + b"more")
    assert not is_finished(tmp_path / "scene", copy)
    assert not belongs_to(tmp_path / "scene", copy)


def test_an_output_that_cannot_be_made_is_one_line(video, tmp_path):
    (tmp_path / "file").write_text("")
    line = refusal(capture, (video[0],), tmp_path / "file" / "scene")
    assert line == f"{tmp_path}/file/scene cannot be made: Not a directory"


def test_train_on_a_video_takes_its_scene(captured, video, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(captured[1], tmp_path / "scenes/court_yard")
    given = []
    monkeypatch.setattr(training, "train", lambda config: given.append(config) or SimpleNamespace(folder=config.output))
    assert main(["train", str(video[0]), "--no-evaluate"]) == 0
    assert (given[0].scene, given[0].output) == (Path("scenes/court_yard"), Path("runs/court_yard"))
    (tmp_path / "list.txt").write_text("x")
    assert main(["train", "list.txt"]) == 1
    assert "list.txt must be a scene's folder or a video, it is another file" in capsys.readouterr().err
