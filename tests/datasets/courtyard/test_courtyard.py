"""The synthetic courtyard: layout of its files, truth of its labels, repeatability, and no half-written folder."""

import re
from pathlib import Path

import cv2
import numpy as np
import pytest
from scipy.spatial import Delaunay
from scipy.spatial.transform import Rotation

from posenet.datasets.courtyard import generate as courtyard
from posenet.datasets.courtyard.meshes import Texture, visible
from posenet.datasets.courtyard.photographs import WIDTH, courtyard_camera
from posenet.datasets.courtyard.renderer import render
from posenet.datasets.courtyard.world import make_world
from posenet.errors import PoseNetError

CENTRE = np.array([240.0, 180.0])
TRAIN, TEST = 6, 2


@pytest.fixture(scope="module")
def scene(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("made") / "courtyard"
    courtyard.make_courtyard(folder, train=TRAIN, test=TEST, seed=3, progress=False)
    return folder


def read_list(path):
    rows = [line.split() for line in path.read_text().splitlines()[3:]]
    return [row[0] for row in rows], np.array([row[1:] for row in rows], float)


def read_nvm(path):
    """Names, cameras (n, 8) = focal qw qx qy qz cx cy cz, and points with their measurements."""
    lines = path.read_text().splitlines()
    count = int(lines[2])
    cameras = [line.split() for line in lines[3 : 3 + count]]
    assert lines[3 + count] == ""
    amount = int(lines[4 + count])
    points = [np.array(line.split(), float) for line in lines[5 + count : 5 + count + amount]]
    return [row[0] for row in cameras], np.array([row[1:9] for row in cameras], float), points


def test_lists_have_the_exact_cambridge_layout(scene):
    for split, count, names in (
        ("train", TRAIN, [f"seq{s}/frame{i:05d}.jpg" for s in (1, 2, 3) for i in (1, 2)]),
        ("test", TEST, ["seq4/frame00001.jpg", "seq4/frame00002.jpg"]),
    ):
        text = (scene / f"dataset_{split}.txt").read_text()
        assert text.startswith(
            "Visual Landmark Dataset V1\nImageFile, Camera Position [X Y Z W P Q R]\n\n"
        )
        lines = text.splitlines()[3:]
        assert len(lines) == count
        assert all(
            re.fullmatch(r"seq\d/frame\d{5}\.jpg( -?\d+\.\d{9,}){7}", line) for line in lines
        )
        listed, numbers = read_list(scene / f"dataset_{split}.txt")
        assert listed == names
        np.testing.assert_allclose(np.linalg.norm(numbers[:, 3:], axis=1), 1, atol=1e-9)
        assert (numbers[:, 3] >= 0).all()


def test_images_are_all_there_and_of_the_right_size(scene):
    assert sorted(path.name for path in scene.iterdir()) == [
        "dataset_test.txt", "dataset_train.txt", "reconstruction.nvm", "seq1", "seq2", "seq3", "seq4",
    ]  # fmt: skip
    images = [cv2.imread(str(path)) for path in sorted(scene.glob("seq*/*.jpg"))]
    assert [image.shape for image in images] == [(360, 480, 3)] * (TRAIN + TEST)
    assert min(image.std() for image in images) > 25


def test_cameras_stand_upright_at_eye_height_and_look_level(scene):
    _, rows = read_list(scene / "dataset_train.txt")
    world_from_camera = Rotation.from_quat(rows[:, 3:], scalar_first=True).inv()
    assert (np.abs(rows[:, 2] - 1.6) < 0.15).all()
    assert (
        world_from_camera.apply([0, -1, 0])[:, 2] > 0.95
    ).all()  # the image's up is the world's up
    assert (np.abs(world_from_camera.apply([0, 0, 1])[:, 2]) < 0.25).all()


def test_nvm_measurements_reproject(scene):
    names, cameras, points = read_nvm(scene / "reconstruction.nvm")
    (listed, rows), (tested, more) = (
        read_list(scene / f"dataset_{split}.txt") for split in ("train", "test")
    )
    assert names == listed + tested
    rows = np.concatenate([rows, more])
    np.testing.assert_allclose(cameras[:, 5:], rows[:, :3], atol=1e-9)
    np.testing.assert_allclose(cameras[:, 1:5], rows[:, 3:], atol=1e-9)
    assert 200 < len(points) <= 1500
    for point in points:
        measured = point[7:].reshape(-1, 4)
        assert len(measured) == point[6] > 0
        for image, _, x, y in measured:
            focal, quaternion, center = (
                cameras[int(image), 0],
                cameras[int(image), 1:5],
                cameras[int(image), 5:],
            )
            local = Rotation.from_quat(quaternion, scalar_first=True).apply(point[:3] - center)
            assert local[2] > 0
            np.testing.assert_allclose((x, y), focal * local[:2] / local[2], atol=1e-3)
            assert (np.abs((x, y)) <= CENTRE).all()


def test_the_same_seed_gives_the_same_files_and_another_seed_does_not(scene, tmp_path):
    courtyard.make_courtyard(tmp_path / "again", train=TRAIN, test=TEST, seed=3, progress=False)
    files = [path.relative_to(scene) for path in scene.rglob("*") if path.is_file()]
    assert all(
        (tmp_path / "again" / name).read_bytes() == (scene / name).read_bytes() for name in files
    )
    one, other = (make_world(seed).ground.texture.pixels for seed in (3, 4))
    assert (one != other).any()


def test_the_painter_agrees_with_the_visibility_of_points():
    world, camera = make_world(0), courtyard_camera()
    for number, face in enumerate(world.faces):
        own = Texture(np.full((4, 4, 3), (number % 250 + 3, number // 250 + 3, 7), np.uint8))
        object.__setattr__(face, "texture", own)  # a color of its own for each of the frozen faces
    rng = np.random.default_rng(8)
    small = world.faces[9:]  # ground, roofs and facades first
    inside = [
        rng.dirichlet(np.ones(len(face.outline)), 3) @ np.array(face.outline) for face in small
    ]
    points = np.concatenate([face.points(place) for face, place in zip(small, inside, strict=True)])
    owners = np.repeat(np.arange(9, 9 + len(small)), 3)
    agree = []
    for pose in (courtyard.walk(sequence, 12)[i] for sequence in range(4) for i in (1, 4, 7, 10)):
        position, rotation = pose.positions[0], pose.rotations[0]
        image = render(
            camera, position, rotation, np.zeros((4, 4, 3), np.uint8), world.faces[:9], world.solids
        )
        local = rotation.inv().apply(points - position) @ camera.matrix.T
        place = np.floor(local[:, :2] / np.maximum(local[:, 2:], 0.05)).astype(int)
        seen = visible(points, camera, position, rotation, world.faces)
        for (x, y), owner in zip(place[seen], owners[seen], strict=True):
            around = image[max(y - 1, 0) : y + 2, max(x - 1, 0) : x + 2].reshape(-1, 3)
            if (around == around[0]).all():  # no edge of a face comes near
                agree.append(tuple(around[0]) == (owner % 250 + 3, owner // 250 + 3, 7))
    assert len(agree) > 500
    assert np.mean(agree) > 0.99


def test_a_mark_on_a_facade_appears_where_the_label_says():
    world = make_world(0)
    wall = world.walls[4]  # the north facade, after the four roofs
    wall.texture.pixels[:] = 120
    row, column = 300, 900
    wall.texture.pixels[row - 10 : row + 10, column - 10 : column + 10] = (255, 0, 255)
    point = wall.points(
        np.array([[column / wall.texture.pixels.shape[1], row / wall.texture.pixels.shape[0]]])
    )
    poses, camera = courtyard.walk(3, 60), courtyard_camera()
    checked = 0
    for pose in (poses[i] for i in range(0, 60, 2)):
        local = pose.rotations.inv().apply(point - pose.positions)[0]
        place = camera.matrix @ local / local[2]
        if local[2] < 1 or np.any(np.abs(place[:2] - CENTRE) > CENTRE - 20):
            continue
        sky = np.zeros((4, 4, 3), np.uint8)
        image = render(camera, pose.positions[0], pose.rotations[0], sky, [wall], [])
        shares = image.astype(float)
        weight = np.clip(np.minimum(shares[..., 0], shares[..., 2]) - shares[..., 1] - 60, 0, None)
        rows, columns = np.mgrid[:360, :480] + 0.5
        found = np.array([(columns * weight).sum(), (rows * weight).sum()]) / weight.sum()
        np.testing.assert_allclose(found, place[:2], atol=0.3)
        checked += 1
    assert checked >= 3


def test_test_walk_lies_inside_the_training_walks_and_near_them():
    train = np.concatenate([courtyard.walk(sequence, 100).positions for sequence in range(3)])
    test = courtyard.walk(3, 100).positions
    assert (Delaunay(train[:, :2]).find_simplex(test[:, :2]) >= 0).all()
    nearest = np.linalg.norm(test[:, None] - train, axis=2).min(axis=1)
    assert 0.5 < np.median(nearest) < 1.0
    for solid in make_world(0).solids:
        outside = np.clip(np.concatenate([train, test])[:, :2], solid.low[:2], solid.high[:2])
        assert np.linalg.norm(outside - np.concatenate([train, test])[:, :2], axis=1).min() > 0.5


def test_an_existing_folder_is_refused_and_left_alone(tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(PoseNetError) as error:
        courtyard.make_courtyard(tmp_path, train=TRAIN, test=TEST, progress=False)
    assert "\n" not in str(error.value)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


@pytest.mark.parametrize("counts", [(2, 1), (3, 0)])
def test_too_few_images_are_refused(tmp_path, counts):
    with pytest.raises(PoseNetError, match="needs at least 3 training and 1 test"):
        courtyard.make_courtyard(tmp_path / "new", train=counts[0], test=counts[1], progress=False)
    assert not list(tmp_path.iterdir())


def test_nothing_is_left_behind_when_rendering_fails(tmp_path, monkeypatch):
    real, calls = courtyard.photograph, []

    def failing(*arguments):
        calls.append(1)
        if len(calls) == 4:
            raise OSError("no space left")
        return real(*arguments)

    monkeypatch.setattr(courtyard, "photograph", failing)
    with pytest.raises(PoseNetError, match="new cannot be written: no space left"):
        courtyard.make_courtyard(tmp_path / "new", train=TRAIN, test=TEST, progress=False)
    assert not list(tmp_path.iterdir())


def test_field_of_view_and_principal_point():
    camera = courtyard_camera()
    assert np.degrees(2 * np.arctan(WIDTH / 2 / camera.fx)) == pytest.approx(75)
    assert (camera.cx, camera.cy) == tuple(CENTRE)
