"""Photographs and videos to scenes with poses."""

import json
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from PIL import Image

from posenet.cli.main import main
from posenet.datasets.courtyard.generate import make_courtyard, walk
from posenet.datasets.courtyard.photographs import LIGHTS, lit_ground, photograph
from posenet.datasets.courtyard.world import make_world
from posenet.datasets.registry import open_scene
from posenet.errors import PoseNetError
from posenet.geometry.alignment import align_similarity
from posenet.geometry.metrics import position_errors, rotation_errors_deg
from posenet.io.files import exclusive_lock, fingerprint_files
from posenet.mapping.capture import pipeline as capturing
from posenet.mapping.capture.colmap import extract_features
from posenet.mapping.capture.pipeline import belongs_to, capture, image_pairs, is_finished
from posenet.training import train as training
from tests.helpers.errors import refusal
from tests.helpers.images import photo, write_image

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
        image = photograph(world, lit, 0, poses[row], np.random.default_rng(row))
        if writer is None:
            fourcc = cv2.VideoWriter_fourcc(*"MJPG")
            writer = cv2.VideoWriter(str(path), fourcc, 30, (image.shape[1], image.shape[0]))
            writer.set(cv2.VIDEOWRITER_PROP_QUALITY, 95)
        writer.write(cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    writer.release()
    return path, poses


@pytest.fixture(scope="module")
def captured(video, tmp_path_factory):
    """The capture of that video."""
    folder = tmp_path_factory.mktemp("captured") / "scene"
    return capture((video[0],), folder), folder


def true_poses(scene, poses):
    """The true poses of a captured scene's images, images/frame000012.jpg."""
    return poses[np.array([int(name[-10:-4]) for name in scene.names])]


def test_video_becomes_a_scene_with_the_right_poses(captured, video):
    told, folder = captured
    assert told.placed >= 0.9 * told.images
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
    with pytest.raises(
        PoseNetError, match=r"is a finished capture; give another folder, or remove it"
    ):
        capture((video[0],), folder)


def test_a_stopped_capture_goes_on(video, tmp_path, monkeypatch):
    folder = tmp_path / "scene"

    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(capturing, "map_images", stop)
    with pytest.raises(KeyboardInterrupt):
        capture((video[0],), folder, most=12)
    monkeypatch.undo()
    assert not is_finished(folder, video[0])
    with pytest.raises(PoseNetError, match=r"is an unfinished capture of other inputs"):
        capture((tmp_path,), folder)
    before = {path.name: path.stat().st_mtime_ns for path in (folder / "images").iterdir()}
    told = capture((video[0],), folder, most=12)
    assert {path.name: path.stat().st_mtime_ns for path in (folder / "images").iterdir()} == before
    assert told.images == len(before)
    assert told.placed >= 4


def test_nothing_of_a_replaced_photograph_comes_back(tmp_path, monkeypatch):
    for row in range(5):
        write_image(tmp_path / f"in/{row}.jpg", (24, 32), seed=row)
    there = []

    def stop(database, *_):
        there.append(database.exists())
        database.touch()
        raise KeyboardInterrupt

    monkeypatch.setattr(capturing, "extract_features", stop)
    for replaced in (False, False, True):
        if replaced:
            write_image(tmp_path / "other.jpg", (24, 32), seed=9)
            (tmp_path / "other.jpg").replace(tmp_path / "in/2.jpg")
        with pytest.raises(KeyboardInterrupt):
            capture((tmp_path / "in",), tmp_path / "out")
    assert there == [False, True, False]
    assert (tmp_path / "out/images/2.jpg").read_bytes() == (tmp_path / "in/2.jpg").read_bytes()


def test_images_that_do_not_overlap_are_refused_kindly(tmp_path):
    for row in range(5):
        write_image(tmp_path / f"in/{row}.jpg", (240, 320), seed=row)
    with pytest.raises(
        PoseNetError, match=r"the images do not overlap enough, 0 of 5 could be placed; film slowly"
    ):
        capture((tmp_path / "in",), tmp_path / "out")


def test_photographs_that_were_shrunk_are_not_taken_for_whole_ones(tmp_path):
    """Their EXIF tells a focal length in pixels of the whole image, which COLMAP would believe."""
    pycolmap = pytest.importorskip("pycolmap")
    tags = {
        "x920A": 5.0,
        "xA20E": 20000.0,
        "xA210": 3,
        "xA002": 4000,
        "xA003": 3000,
    }  # 10000 pixels in 4000 x 3000
    photo(tmp_path / "in/shrunk.jpg", size=(400, 300), **tags)
    photo(tmp_path / "in/phone.jpg", size=(400, 300), xA405=26)
    extract_features(tmp_path / "a.db", tmp_path / "in", ["shrunk.jpg", "phone.jpg"])
    with pycolmap.Database.open(tmp_path / "a.db") as database:
        cameras = {
            image.name: database.read_camera(image.camera_id)
            for image in database.read_all_images()
        }
    assert cameras["shrunk.jpg"].params[0] == pytest.approx(1.2 * 400)
    assert cameras["phone.jpg"].params[0] == pytest.approx(26 / 43.2666 * 500, rel=1e-4)
    assert [cameras[name].has_prior_focal_length for name in ("shrunk.jpg", "phone.jpg")] == [
        False,
        True,
    ]


def test_a_image_that_colmap_cannot_open_is_passed_over(tmp_path):
    pycolmap = pytest.importorskip("pycolmap")
    write_image(tmp_path / "in/b.jpg", (240, 320))
    Image.new("RGB", (320, 240)).save(tmp_path / "in/a.jpg", format="WEBP")
    for _ in range(2):  # and when it goes on
        extract_features(tmp_path / "a.db", tmp_path / "in", ["a.jpg", "b.jpg"])
        with pycolmap.Database.open(tmp_path / "a.db") as database:
            assert [image.name for image in database.read_all_images()] == ["b.jpg"]


def test_two_captures_never_share_a_folder(tmp_path):
    write_image(tmp_path / "in/1.jpg")
    (tmp_path / "out").mkdir()
    with exclusive_lock(tmp_path / "out"):
        line = refusal(capture, (tmp_path / "in",), tmp_path / "out")
    assert line == f"{tmp_path / 'out'} is in use: another process writes to it"


def test_without_pycolmap_the_line_that_installs_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pycolmap", None)
    for name in "abcd":
        write_image(tmp_path / f"in/{name}.jpg")
    line = refusal(capture, (tmp_path / "in",), tmp_path / "out")
    assert line == 'capture needs pycolmap: pip install "camera-posenet[capture]"'


def test_wrong_use(tmp_path, capsys):
    write_image(tmp_path / "in/a.jpg")
    (tmp_path / "full").mkdir()
    (tmp_path / "full/x").write_text("")
    for arguments, message in (
        (
            [tmp_path / "none", tmp_path / "out"],
            "none: a folder of photographs or a video is needed, there is none",
        ),
        ([], "photographs or a video and a folder to write are needed, received nothing"),
        ([tmp_path / "in", tmp_path / "in", tmp_path / "out"], "each input must be given once"),
        (
            [tmp_path / "in", tmp_path / "out", "--images", "2"],
            "--images must be at least 4, received 2",
        ),
        (
            [tmp_path / "in", tmp_path / "out", "--scale", "a", "a", "2"],
            "--scale needs two different images",
        ),
        ([tmp_path / "in"], "photographs or a video and a folder to write are needed, received"),
        (
            [tmp_path / "in", tmp_path / "full"],
            "full must be a new folder, or an unfinished capture",
        ),
        ([tmp_path / "in", tmp_path / "out"], "out: at least 4 images are needed, received 1"),
        (
            [tmp_path / "in", tmp_path / "out", "--align", "x", "--scale", "a", "b", "1"],
            "give --scale or --align, not both",
        ),
    ):
        assert main(["scene", "capture", *map(str, arguments)]) == 1
        assert message in capsys.readouterr().err


def test_pairs_of_few_images_are_all(tmp_path):
    assert image_pairs(["a", "b", "c"], tmp_path) == [("a", "b"), ("a", "c"), ("b", "c")]


def test_neighbors_in_time_are_of_one_sequence(tmp_path, monkeypatch):
    names = [f"{each}/{row:02d}.jpg" for each in ("a", "b") for row in range(40)]
    for name in names:
        write_image(tmp_path / name, (48, 64))
    monkeypatch.setattr(
        capturing, "nearest_neighbors", lambda looks, *_: np.arange(len(looks))[:, None]
    )  # itself alone
    pairs = image_pairs(names, tmp_path)
    assert all(first[0] == second[0] for first, second in pairs)
    per_sequence = sum(40 - step for step in (1, 2, 3, 4, 6, 8, 12, 16, 24, 32))
    assert len(pairs) == 2 * per_sequence


def test_pairs_of_many_are_neighbors_and_lookalikes(tmp_path):
    make_courtyard(tmp_path / "yard", train=96, test=1, progress=False)
    names = [
        f"{each}/frame{row + 1:05d}.jpg" for each in ("seq1", "seq2", "seq3") for row in range(32)
    ]
    pairs = image_pairs(names, tmp_path / "yard")
    assert ("seq1/frame00001.jpg", "seq1/frame00002.jpg") in pairs
    across = [pair for pair in pairs if pair[0][:4] != pair[1][:4]]
    assert len(across) > 50
    assert len(set(pairs)) == len(pairs) < 96 * 95 / 2 / 2


def test_pairs_skip_a_image_that_does_not_decode(tmp_path):
    names = [f"{row:02d}.jpg" for row in range(64)]
    for row, name in enumerate(
        names
    ):  # the second half shows the same as the first, the other way round
        write_image(tmp_path / name, (48, 64), seed=min(row, 63 - row))
    alike = {(names[row], names[63 - row]) for row in range(5, 32)}
    assert alike <= set(image_pairs(names, tmp_path))
    (tmp_path / names[3]).write_bytes(b"cut off")
    assert alike <= set(image_pairs(names, tmp_path))


@pytest.fixture
def mapped(captured, monkeypatch):
    """The images of that capture, which are placed at once as they were there."""
    pycolmap = pytest.importorskip("pycolmap")
    for name in ("extract_features", "match"):
        monkeypatch.setattr(capturing, name, lambda *_: None)
    model = pycolmap.Reconstruction(captured[1] / "sparse/0")
    monkeypatch.setattr(capturing, "map_images", lambda *_: model)
    return captured[1] / "images"


def test_a_known_distance_makes_meters(captured, mapped, tmp_path):
    names = [Path(name).name for name in open_scene(captured[1]).names]
    told = capture((mapped,), tmp_path / "out", scale=(names[0], names[-1], 2.5))
    scene = open_scene(tmp_path / "out")
    assert (told.unit, scene.unit) == ("m", "m")
    ends = [scene.poses.positions[scene.names.index(f"images/{names[row]}")] for row in (0, -1)]
    assert np.linalg.norm(ends[1] - ends[0]) == pytest.approx(2.5, rel=1e-6)
    line = refusal(capture, (mapped,), tmp_path / "other", scale=(names[0], "none.jpg", 1.0))
    assert line.startswith("--scale needs the names of placed images, like frame")
    assert line.endswith("received none.jpg")
    assert not (tmp_path / "other").exists()


def test_known_positions_make_the_world_theirs(captured, mapped, video, tmp_path):
    before = open_scene(captured[1])
    truth, file = true_poses(before, video[1]).positions, tmp_path / "gps.txt"
    rows = [
        f"{Path(name).name} {x} {y} {z}"
        for name, (x, y, z) in zip(before.names, truth, strict=True)
    ]
    file.write_text("\n".join(rows))
    assert capture((mapped,), tmp_path / "out", align=file).unit == "m"
    scene = open_scene(tmp_path / "out")
    off = np.linalg.norm(scene.poses.positions - true_poses(scene, video[1]).positions, axis=1)
    assert scene.unit == "m"
    assert np.median(off) < 0.01 * np.linalg.norm(np.ptp(truth, axis=0))
    file.write_text("\n".join(rows[:2]))
    line = refusal(capture, (mapped,), tmp_path / "other", align=file)
    assert line.startswith(f"{file} must name at least 3 of the images, like frame")
    file.write_text(
        "\n".join(f"{Path(name).name} {row} 0 0" for row, name in enumerate(before.names))
    )
    line = refusal(capture, (mapped,), tmp_path / "other", align=file)
    assert line == f"{file}: alignment needs cameras that do not all stand on one line"


def test_a_record_that_capture_did_not_write_is_refused(tmp_path):
    (tmp_path / "capture.json").write_text("[")
    line = refusal(is_finished, tmp_path, tmp_path)
    assert line == f"{tmp_path / 'capture.json'} must be what capture wrote, it cannot be read"


def test_a_video_that_was_filmed_anew_is_another(captured, video, tmp_path):
    copy = tmp_path / "walk.avi"
    shutil.copy(video[0], copy)
    shutil.copytree(captured[1], tmp_path / "scene")
    state = json.loads((tmp_path / "scene" / "capture.json").read_text())
    state |= {"inputs": [str(copy)], "videos": fingerprint_files([copy])}
    (tmp_path / "scene" / "capture.json").write_text(json.dumps(state))
    assert is_finished(tmp_path / "scene", copy)
    (tmp_path / "moved").mkdir()
    shutil.copy2(copy, tmp_path / "moved")
    assert is_finished(tmp_path / "scene", tmp_path / "moved" / copy.name)
    shutil.copy2(copy, tmp_path / "moved" / "other.avi")
    assert not is_finished(tmp_path / "scene", tmp_path / "moved" / "other.avi")
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
    monkeypatch.setattr(
        training,
        "train",
        lambda config: given.append(config) or SimpleNamespace(folder=config.output),
    )
    assert main(["train", str(video[0]), "--no-evaluate"]) == 0
    assert (given[0].scene, given[0].output) == (Path("scenes/court_yard"), Path("runs/court_yard"))
    assert main(["train", str(video[0]), "--resume", "--no-evaluate"]) == 0
    assert given[1].output == Path("runs/court_yard")
    shutil.copy(video[0], tmp_path / "new walk.avi")
    assert main(["train", "new walk.avi", "--resume"]) == 1
    says = "new walk.avi --resume: scenes/new_walk must be its scene, which is not made: give --output RUN --resume"
    assert says in capsys.readouterr().err
    (tmp_path / "list.txt").write_text("x")
    assert main(["train", "list.txt"]) == 1
    assert (
        "list.txt must be a scene's folder or a video, it is another file"
        in capsys.readouterr().err
    )
