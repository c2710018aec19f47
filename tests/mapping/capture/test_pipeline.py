"""From photos and videos to scenes with poses."""

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
from posenet.mapping.capture import pairing, pipeline
from posenet.mapping.capture.colmap import extract_features
from posenet.mapping.capture.pairing import image_pairs
from posenet.mapping.capture.pipeline import reconstruct
from posenet.mapping.capture.state import belongs_to, is_finished
from posenet.training import train as training
from tests.helpers.errors import refusal
from tests.helpers.images import photo, write_image

pytestmark = pytest.mark.slow

# Number of frames of a walk of two rounds.
FRAMES = 300


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    """Return a video of part of a walk through the courtyard, and the true poses of its frames."""
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
def reconstructed(video, tmp_path_factory):
    """Return the reconstruction of that video and its folder."""
    folder = tmp_path_factory.mktemp("reconstructed") / "scene"
    return reconstruct((video[0],), folder), folder


def true_poses(scene, poses):
    """Return the true poses of the images of the reconstruction, images/frame000012.jpg."""
    return poses[np.array([int(name[-10:-4]) for name in scene.names])]


def test_video_becomes_a_scene_with_the_right_poses(reconstructed, video):
    result, folder = reconstructed
    assert result.placed >= 0.9 * result.images
    scene = open_scene(folder)
    assert len(scene) == result.placed
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


def test_only_the_scene_is_left(reconstructed):
    result, folder = reconstructed
    assert sorted(path.name for path in folder.iterdir()) == ["capture.json", "images", "sparse"]
    assert json.loads((folder / "capture.json").read_text())["placed"] == result.placed


def test_finished_reconstruction_is_not_overwritten(reconstructed, video):
    _, folder = reconstructed
    assert is_finished(folder, video[0])
    with pytest.raises(
        PoseNetError, match=r"is a finished reconstruction: use another folder or remove it"
    ):
        reconstruct((video[0],), folder)


def test_interrupted_reconstruction_resumes(video, tmp_path, monkeypatch):
    folder = tmp_path / "scene"

    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(pipeline, "map_images", stop)
    with pytest.raises(KeyboardInterrupt):
        reconstruct((video[0],), folder, max_frames=12)
    monkeypatch.undo()
    assert not is_finished(folder, video[0])
    with pytest.raises(
        PoseNetError,
        match=r"is an unfinished reconstruction of other inputs, or of changed ones \(",
    ):
        reconstruct((tmp_path,), folder)
    before = {path.name: path.stat().st_mtime_ns for path in (folder / "images").iterdir()}
    result = reconstruct((video[0],), folder, max_frames=12)
    assert {path.name: path.stat().st_mtime_ns for path in (folder / "images").iterdir()} == before
    assert result.images == len(before)
    assert result.placed >= 4


def test_database_of_replaced_photo_is_removed(tmp_path, monkeypatch):
    for row in range(5):
        write_image(tmp_path / f"in/{row}.jpg", (24, 32), seed=row)
    there = []

    def stop(database, *_):
        there.append(database.exists())
        database.touch()
        raise KeyboardInterrupt

    monkeypatch.setattr(pipeline, "extract_features", stop)
    for replaced in (False, False, True):
        if replaced:
            write_image(tmp_path / "other.jpg", (24, 32), seed=9)
            (tmp_path / "other.jpg").replace(tmp_path / "in/2.jpg")
        with pytest.raises(KeyboardInterrupt):
            reconstruct((tmp_path / "in",), tmp_path / "out")
    assert there == [False, True, False]
    assert (tmp_path / "out/images/2.jpg").read_bytes() == (tmp_path / "in/2.jpg").read_bytes()


def test_images_without_overlap_raise_error(tmp_path):
    for row in range(5):
        write_image(tmp_path / f"in/{row}.jpg", (240, 320), seed=row)
    with pytest.raises(
        PoseNetError, match=r"the images do not overlap enough, 0 of 5 were placed: film slowly"
    ):
        reconstruct((tmp_path / "in",), tmp_path / "out")


def test_focal_length_of_downscaled_photos_is_not_used(tmp_path):
    """Their EXIF has the focal length in pixels of the full image, which COLMAP would use."""
    pycolmap = pytest.importorskip("pycolmap")
    # 10000 pixels in 4000 x 3000.
    tags = {"x920A": 5.0, "xA20E": 20000.0, "xA210": 3, "xA002": 4000, "xA003": 3000}
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


def test_image_that_colmap_cannot_open_is_skipped(tmp_path):
    pycolmap = pytest.importorskip("pycolmap")
    write_image(tmp_path / "in/b.jpg", (240, 320))
    Image.new("RGB", (320, 240)).save(tmp_path / "in/a.jpg", format="WEBP")
    for _ in range(2):  # the second time it resumes
        extract_features(tmp_path / "a.db", tmp_path / "in", ["a.jpg", "b.jpg"])
        with pycolmap.Database.open(tmp_path / "a.db") as database:
            assert [image.name for image in database.read_all_images()] == ["b.jpg"]


def test_folder_is_locked(tmp_path):
    write_image(tmp_path / "in/1.jpg")
    (tmp_path / "out").mkdir()
    with exclusive_lock(tmp_path / "out"):
        line = refusal(reconstruct, (tmp_path / "in",), tmp_path / "out")
    assert line == f"{tmp_path / 'out'} is in use: another process writes to it"


def test_missing_pycolmap_raises_error(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pycolmap", None)
    for name in "abcd":
        write_image(tmp_path / f"in/{name}.jpg")
    line = refusal(reconstruct, (tmp_path / "in",), tmp_path / "out")
    assert line == (
        "posenet scene reconstruct requires the extra `capture`: "
        "pip install 'camera-posenet[capture]'"
    )


def test_usage_errors(tmp_path, capsys):
    write_image(tmp_path / "in/a.jpg")
    (tmp_path / "full").mkdir()
    (tmp_path / "full/x").write_text("")
    for arguments, message in (
        (
            [tmp_path / "none", tmp_path / "out"],
            "none must be a folder of photos or a video, it does not exist",
        ),
        ([], "photos or a video, and a folder to write, are required, received nothing"),
        (
            [tmp_path / "in", tmp_path / "in", tmp_path / "out"],
            f"each input must be given once, received {tmp_path / 'in'} twice",
        ),
        (
            [tmp_path / "in", tmp_path / "out", "--max-frames", "2"],
            "--max-frames must be at least 4, received 2",
        ),
        (
            [tmp_path / "in", tmp_path / "out", "--scale-bar", "a", "a", "2"],
            "--scale-bar needs two different images and a positive distance, received a a 2.0",
        ),
        (
            [tmp_path / "in"],
            f"photos or a video, and a folder to write, are required, received {tmp_path / 'in'}",
        ),
        (
            [tmp_path / "in", tmp_path / "full"],
            "full must be a new folder or an unfinished reconstruction",
        ),
        (
            [tmp_path / "in", tmp_path / "out"],
            "out: at least 4 images are required, received 1 image",
        ),
        (
            [
                tmp_path / "in",
                tmp_path / "out",
                *("--reference-positions", "x", "--scale-bar", "a", "b", "1"),
            ],
            "use either --scale-bar or --reference-positions, not both",
        ),
    ):
        assert main(["scene", "reconstruct", *map(str, arguments)]) == 1
        assert message in capsys.readouterr().err


def test_few_images_have_all_pairs(tmp_path):
    assert image_pairs(["a", "b", "c"], tmp_path) == [("a", "b"), ("a", "c"), ("b", "c")]


def test_sequence_neighbors_are_of_one_sequence(tmp_path, monkeypatch):
    names = [f"{each}/{row:02d}.jpg" for each in ("a", "b") for row in range(40)]
    for name in names:
        write_image(tmp_path / name, (48, 64))
    monkeypatch.setattr(
        pairing, "nearest_neighbors", lambda found, *_: np.arange(len(found))[:, None]
    )  # only itself
    pairs = image_pairs(names, tmp_path)
    assert all(first[0] == second[0] for first, second in pairs)
    per_sequence = sum(40 - step for step in (1, 2, 3, 4, 6, 8, 12, 16, 24, 32))
    assert len(pairs) == 2 * per_sequence


def test_many_images_have_neighbors_and_similar_images(tmp_path):
    make_courtyard(tmp_path / "yard", train=96, test=1, progress=False)
    names = [
        f"{each}/frame{row + 1:05d}.jpg" for each in ("seq1", "seq2", "seq3") for row in range(32)
    ]
    pairs = image_pairs(names, tmp_path / "yard")
    assert ("seq1/frame00001.jpg", "seq1/frame00002.jpg") in pairs
    across = [pair for pair in pairs if pair[0][:4] != pair[1][:4]]
    assert len(across) > 50
    assert len(set(pairs)) == len(pairs) < 96 * 95 / 2 / 2


def test_pairs_skip_damaged_image(tmp_path):
    names = [f"{row:02d}.jpg" for row in range(64)]
    # The second half is the first in reverse order.
    for row, name in enumerate(names):
        write_image(tmp_path / name, (48, 64), seed=min(row, 63 - row))
    alike = {(names[row], names[63 - row]) for row in range(5, 32)}
    assert alike <= set(image_pairs(names, tmp_path))
    (tmp_path / names[3]).write_bytes(b"cut off")
    assert alike <= set(image_pairs(names, tmp_path))


@pytest.fixture
def mapped(reconstructed, monkeypatch):
    """Return the images of that reconstruction; reconstructing them again takes no time."""
    pycolmap = pytest.importorskip("pycolmap")
    for name in ("extract_features", "match_pairs"):
        monkeypatch.setattr(pipeline, name, lambda *_: None)
    model = pycolmap.Reconstruction(reconstructed[1] / "sparse/0")
    monkeypatch.setattr(pipeline, "map_images", lambda *_: model)
    return reconstructed[1] / "images"


def test_scale_bar(reconstructed, mapped, tmp_path):
    names = [Path(name).name for name in open_scene(reconstructed[1]).names]
    result = reconstruct((mapped,), tmp_path / "out", scale_bar=(names[0], names[-1], 2.5))
    scene = open_scene(tmp_path / "out")
    assert (result.unit, scene.unit) == ("m", "m")
    ends = [scene.poses.positions[scene.names.index(f"images/{names[row]}")] for row in (0, -1)]
    assert np.linalg.norm(ends[1] - ends[0]) == pytest.approx(2.5, rel=1e-6)
    line = refusal(
        reconstruct, (mapped,), tmp_path / "other", scale_bar=(names[0], "none.jpg", 1.0)
    )
    assert line.startswith("--scale-bar needs names of placed images, like frame")
    assert line.endswith("received none.jpg")
    assert not (tmp_path / "other").exists()


def test_reference_positions(reconstructed, mapped, video, tmp_path):
    before = open_scene(reconstructed[1])
    truth, file = true_poses(before, video[1]).positions, tmp_path / "gps.txt"
    rows = [
        f"{Path(name).name} {x} {y} {z}"
        for name, (x, y, z) in zip(before.names, truth, strict=True)
    ]
    file.write_text("\n".join(rows))
    assert reconstruct((mapped,), tmp_path / "out", reference_positions=file).unit == "m"
    scene = open_scene(tmp_path / "out")
    off = np.linalg.norm(scene.poses.positions - true_poses(scene, video[1]).positions, axis=1)
    assert scene.unit == "m"
    assert np.median(off) < 0.01 * np.linalg.norm(np.ptp(truth, axis=0))
    file.write_text("\n".join(rows[:2]))
    line = refusal(reconstruct, (mapped,), tmp_path / "other", reference_positions=file)
    assert line.startswith(f"{file} must name at least 3 of the images, like frame")
    assert line.endswith(", it names 2")
    file.write_text(
        "\n".join(f"{Path(name).name} {row} 0 0" for row, name in enumerate(before.names))
    )
    line = refusal(reconstruct, (mapped,), tmp_path / "other", reference_positions=file)
    assert line == f"{file}: alignment requires cameras that are not all on one line"


def test_damaged_state_file_raises_error(tmp_path):
    (tmp_path / "capture.json").write_text("[")
    line = refusal(is_finished, tmp_path, tmp_path)
    file = tmp_path / "capture.json"
    assert line == f"{file} must be the state file of a reconstruction, it is damaged"


def test_changed_video_is_another_input(reconstructed, video, tmp_path):
    copy = tmp_path / "walk.avi"
    shutil.copy(video[0], copy)
    shutil.copytree(reconstructed[1], tmp_path / "scene")
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


def test_output_that_cannot_be_created_raises_error(video, tmp_path):
    (tmp_path / "file").write_text("")
    line = refusal(reconstruct, (video[0],), tmp_path / "file" / "scene")
    assert line == f"{tmp_path}/file/scene cannot be created: Not a directory"


def test_training_on_video_uses_its_scene(reconstructed, video, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(reconstructed[1], tmp_path / "scenes/court_yard")
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
    message = (
        "new walk.avi --resume: its scene scenes/new_walk must exist, it does not: "
        "use --output RUN --resume"
    )
    assert message in capsys.readouterr().err
    (tmp_path / "list.txt").write_text("x")
    assert main(["train", "list.txt"]) == 1
    message = "list.txt is neither a scene folder nor a video (.mp4, .mov, .avi, "
    assert message in capsys.readouterr().err
