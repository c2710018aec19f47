"""The simulated city: its files, poses, repeatability, resumption and refusals."""

import json
import shutil
import threading
from pathlib import Path

import cv2
import numpy as np
import pytest

from posenet.cli.main import main
from posenet.datasets.courtyard import city as module
from posenet.datasets.courtyard.city import City, make_city
from posenet.datasets.courtyard.photographs import LIGHTS, courtyard_camera, lit_ground, photograph
from posenet.datasets.courtyard.variation import WALK_X, WALK_Y, vary
from posenet.datasets.courtyard.world import HALF_X, HALF_Y, make_world
from posenet.datasets.registry import open_scene
from posenet.errors import PoseNetError

pytestmark = pytest.mark.slow

IMAGES, COURTYARDS = 42, 2


def make(folder, processes=1, **options):
    options = {"images": IMAGES, "courtyards": COURTYARDS, "size": (64, 48), "seed": 3} | options
    return make_city(folder, processes=processes, progress=False, **options)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("made") / "city"
    make(folder)
    return folder


def contents(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_the_city_is_a_scene_of_the_size_asked_for(folder):
    scene = open_scene(folder, strict=True)
    # 42 images in two courtyards: 21 each, in walks of 6, 5, 5 and 5.
    assert list(scene.names[:7]) == [
        *(f"court1/seq1/frame{i:05d}.jpg" for i in range(1, 7)), "court1/seq2/frame00007.jpg"
    ]  # fmt: skip
    assert scene.names[-1] == "court2/seq4/frame00042.jpg"
    sequences, numbers = np.unique(scene.sequences, return_counts=True)
    assert sequences.tolist() == [f"court{c}/seq{s}" for c in (1, 2) for s in (1, 2, 3, 4)]
    assert numbers.tolist() == [6, 5, 5, 5] * 2
    assert set(scene.sequences[scene.splits == "test"]) == {"court1/seq4", "court2/seq4"}
    # 75 degrees of horizontal field of view: f = 32 / tan(37.5 deg) = 41.703.
    camera = scene.cameras[0]
    assert (camera.width, camera.height, round(camera.fx, 3)) == (64, 48, 41.703)
    assert set(scene.cameras) == {camera}
    image = cv2.imread(str(scene.paths[0]))
    assert image.shape == (48, 64, 3)
    assert image.std() > 20


def test_courtyards_are_40_m_apart_and_cameras_upright(folder):
    scene = open_scene(folder)
    for number, center in enumerate([(0, 0), (40, 0)]):
        of_court = [name.startswith(f"court{number + 1}/") for name in scene.names]
        positions = scene.poses.positions[of_court]
        distances = np.linalg.norm(positions[:, :2] - center, axis=1)
        # The lanes of the walks are ellipses with half axes from 4.6 x 3.2 to 9.0 x 6.3 m.
        assert 3.1 < distances.min() < distances.max() < 9.1
        assert (np.abs(positions[:, 2] - 1.6) < 0.1).all()
    up = scene.poses.rotations.apply([0, -1, 0])
    assert (up[:, 2] > 0.95).all()


def test_poses_are_those_of_the_images(folder):
    """Images rendered at the true poses are like those of the files; from elsewhere they are not."""
    city = City(IMAGES, COURTYARDS, 64, 48, 3)
    seed = int(np.random.SeedSequence([3, 1]).generate_state(1)[0])
    world = vary(make_world(seed), np.random.default_rng([3, 1, 0]))
    poses = city.local_walks(1)[3]
    ground = lit_ground(world, LIGHTS[3])
    camera = courtyard_camera(64, 48)
    written = cv2.imread(str(folder / "court2/seq4/frame00040.jpg"))[:, :, ::-1].astype(float)

    def difference(row):
        rng = np.random.default_rng([3, 1, 3, 3, 2])
        image = photograph(world, ground, 3, poses[row], rng, camera)
        return np.abs(image - written).mean()

    assert difference(2) < 4 < 12 < difference(0)
    # The frame of the courtyard is turned about z and moved: relative poses stay the same.
    scene = open_scene(folder)
    rows = [scene.names.index(f"court2/seq4/frame000{i}.jpg") for i in (38, 41)]
    first, last = scene.poses[rows[:1]], scene.poses[rows[1:]]
    placed = first.rotations.inv().apply(last.positions - first.positions)
    local = poses[:1].rotations.inv().apply(poses[3:4].positions - poses[:1].positions)
    np.testing.assert_allclose(placed, local, atol=1e-9)


def test_the_number_of_processes_does_not_matter(folder, tmp_path):
    make(tmp_path / "again", processes=2)
    assert contents(tmp_path / "again") == contents(folder)
    make(tmp_path / "other", seed=4)
    assert contents(tmp_path / "other") != contents(folder)


def test_an_interrupted_city_resumes(folder, tmp_path, monkeypatch):
    partial = tmp_path / "city"
    rendered = []

    def interrupt(target, *arguments):
        if len(rendered) == 5:
            (target / "frame00001.jpg").write_bytes(b"half")
            raise KeyboardInterrupt
        rendered.append(target)
        render(target, *arguments)

    render = module._render_walk
    monkeypatch.setattr(module, "_render_walk", interrupt)
    with pytest.raises(KeyboardInterrupt):
        make(partial)
    monkeypatch.undo()
    # Only whole walks are left, and no table that would make it a scene.
    assert sorted(str(path.relative_to(partial)) for path in partial.rglob("*seq*")) == [
        "court1/seq1", "court1/seq2", "court1/seq3", "court1/seq4", "court2/seq1",
    ]  # fmt: skip
    assert not (partial / "poses.csv").exists()
    # A killed process leaves an unfinished folder.
    (partial / "court2" / ".seq2.0a.unfinished").mkdir()
    kept = (partial / "court1/seq1/frame00001.jpg").stat().st_mtime_ns
    make(partial)
    assert contents(partial) == contents(folder)
    assert (partial / "court1/seq1/frame00001.jpg").stat().st_mtime_ns == kept


def test_courtyards_differ_and_leave_the_walks_free():
    for seed in range(4):
        base = make_world(seed) if seed == 0 else base  # noqa: F821
        world = vary(base, np.random.default_rng(seed))
        assert 5 < len(world.solids) <= len(base.solids)
        for solid in world.solids[1:]:
            nearest = np.clip(0.0, solid.low[:2], solid.high[:2]) / (WALK_X, WALK_Y)
            assert nearest @ nearest > 1
            assert (np.maximum(-solid.low, solid.high)[:2] < (HALF_X, HALF_Y)).all()
        boxes = [(solid.low[:2], solid.high[:2]) for solid in world.solids]
        for i, (low, high) in enumerate(boxes):
            assert all((low >= b).any() or (high <= a).any() for a, b in boxes[:i])
        for facade, height in zip(world.walls[4:], world.wall_heights, strict=True):
            assert facade.corner[2] == pytest.approx(height)
    one, two = (vary(base, np.random.default_rng(seed)) for seed in (1, 2))
    assert one.wall_heights != two.wall_heights
    assert not np.array_equal(one.walls[4].texture.pixels, two.walls[4].texture.pixels)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"images": 7},
            "a city needs at least 1 courtyard and 4 images for each, received 2 courtyards and 7 images",
        ),
        (
            {"courtyards": 0},
            "a city needs at least 1 courtyard and 4 images for each, received 0 courtyards and 42 images",
        ),
        (
            {"size": (16, 48)},
            "the size of the images must be 32 to 4096 pixels, received 16 x 48",
        ),
        ({"seed": -1}, "the seed must be 0 or more, received -1"),
    ],
)
def test_refuses(options, message, tmp_path):
    with pytest.raises(PoseNetError) as caught:
        make(tmp_path / "city", **options)
    assert str(caught.value) == message
    assert not (tmp_path / "city").exists()


def test_refuses_other_folders_and_options(folder, tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(PoseNetError, match=f"^output folder already exists: {tmp_path}$"):
        make(tmp_path)
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    with pytest.raises(PoseNetError) as caught:
        make(copy, seed=4)
    assert str(caught.value) == (
        f"{copy} is a city with other options (images 42, courtyards 2, width 64, height 48, seed 3, "
        "version 1), received (images 42, courtyards 2, width 64, height 48, seed 4, version 1): "
        "remove it, or choose another folder"
    )
    (copy / "city.json").write_text("{")
    with pytest.raises(PoseNetError, match=r"with other options \(unreadable\)"):
        make(copy)


def test_refuses_a_disk_that_is_too_small(tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)._replace(free=10**9)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage)
    with pytest.raises(PoseNetError) as caught:
        make(tmp_path / "city", images=100_000, size=(320, 240))
    # 1000 + 0.62 x 76,800 = 48,616 bytes in 12 blocks of 4096, 100,000 times.
    assert str(caught.value) == (
        f"{tmp_path / 'city'} needs 4.92 GB of free space, its disk has 1.00 GB"
    )


def test_command(folder, tmp_path, capsys):
    options = ["--images", "8", "--courtyards", "1", "--size", "64x48", "--processes", "1"]
    assert main(["scene", "city", "--output", str(tmp_path / "city"), *options]) == 0
    written = f"written: {tmp_path / 'city'} (6 training images, 2 test images, 1 courtyard)\n"
    assert capsys.readouterr().out == written
    assert json.loads((tmp_path / "city/city.json").read_text())["images"] == 8
    for option, value, message in (
        ("--size", "64", "--size must be WIDTHxHEIGHT in pixels, received '64'"),
        ("--processes", "0", "--processes must be 1 or more, received 0"),
    ):
        assert main(["scene", "city", "--output", str(tmp_path / "no"), option, value]) == 1
        assert capsys.readouterr().err.splitlines()[-1] == f"error: {message}"
    assert not (tmp_path / "no").exists()


def test_processes_stop_when_the_main_process_is_interrupted(tmp_path, monkeypatch):
    stop = threading.Event()
    stop.set()
    monkeypatch.setattr(module, "_stop", stop)
    with pytest.raises(module._StopError):
        make(tmp_path / "city")
    assert not list((tmp_path / "city").rglob("*.jpg"))
