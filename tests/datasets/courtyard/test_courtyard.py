"""The synthetic courtyard: file layout, correct labels, repeatability, and failures."""

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

pytestmark = pytest.mark.slow

CENTER = np.array([240.0, 180.0])
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
    """Return names, cameras (n, 8) = focal qw qx qy qz cx cy cz, and points with measurements."""
    lines = path.read_text().splitlines()
    count = int(lines[2])
    cameras = [line.split() for line in lines[3 : 3 + count]]
    assert lines[3 + count] == ""
    amount = int(lines[4 + count])
    points = [np.array(line.split(), float) for line in lines[5 + count : 5 + count + amount]]
    return [row[0] for row in cameras], np.array([row[1:9] for row in cameras], float), points


def test_lists_have_the_cambridge_layout(scene):
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


def test_all_images_are_written_in_full_size(scene):
    assert sorted(path.name for path in scene.iterdir()) == [
        "dataset_test.txt", "dataset_train.txt", "reconstruction.nvm", "seq1", "seq2", "seq3", "seq4",
    ]  # fmt: skip
    images = [cv2.imread(str(path)) for path in sorted(scene.glob("seq*/*.jpg"))]
    assert [image.shape for image in images] == [(360, 480, 3)] * (TRAIN + TEST)
    assert min(image.std() for image in images) > 25


def test_cameras_are_upright_and_at_eye_height(scene):
    _, rows = read_list(scene / "dataset_train.txt")
    world_from_camera = Rotation.from_quat(rows[:, 3:], scalar_first=True).inv()
    assert (np.abs(rows[:, 2] - 1.6) < 0.15).all()
    # The up direction of the images is that of the world.
    assert (world_from_camera.apply([0, -1, 0])[:, 2] > 0.95).all()
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
            assert (np.abs((x, y)) <= CENTER).all()


def test_files_depend_only_on_the_seed(scene, tmp_path):
    courtyard.make_courtyard(tmp_path / "again", train=TRAIN, test=TEST, seed=3, progress=False)
    files = [path.relative_to(scene) for path in scene.rglob("*") if path.is_file()]
    assert all(
        (tmp_path / "again" / name).read_bytes() == (scene / name).read_bytes() for name in files
    )
    one, other = (make_world(seed).ground.texture.pixels for seed in (3, 4))
    assert (one != other).any()


def test_renderer_agrees_with_visible():
    world, camera = make_world(0), courtyard_camera()
    for number, face in enumerate(world.faces):
        own = Texture(np.full((4, 4, 3), (number % 250 + 3, number // 250 + 3, 7), np.uint8))
        # Faces are frozen; each gets a color of its own.
        object.__setattr__(face, "texture", own)
    rng = np.random.default_rng(8)
    # Skip the ground, the roofs and the facades.
    small = world.faces[9:]
    inside = [
        rng.dirichlet(np.ones(len(face.outline)), 3) @ np.array(face.outline) for face in small
    ]
    points = np.concatenate([face.points(each) for face, each in zip(small, inside, strict=True)])
    owners = np.repeat(np.arange(9, 9 + len(small)), 3)
    agree = []
    for pose in (courtyard.walk(sequence, 12)[i] for sequence in range(4) for i in (1, 4, 7, 10)):
        position, rotation = pose.positions[0], pose.rotations[0]
        image = render(
            camera, position, rotation, np.zeros((4, 4, 3), np.uint8), world.faces[:9], world.solids
        )
        local = rotation.inv().apply(points - position) @ camera.matrix.T
        pixels = np.floor(local[:, :2] / np.maximum(local[:, 2:], 0.05)).astype(int)
        seen = visible(points, camera, position, rotation, world.faces)
        for (x, y), owner in zip(pixels[seen], owners[seen], strict=True):
            around = image[max(y - 1, 0) : y + 2, max(x - 1, 0) : x + 2].reshape(-1, 3)
            # Skip pixels near the edge of a face.
            if (around == around[0]).all():
                agree.append(tuple(around[0]) == (owner % 250 + 3, owner // 250 + 3, 7))
    assert len(agree) > 500
    assert np.mean(agree) > 0.99


def test_mark_on_a_facade_matches_the_labels():
    world = make_world(0)
    # The north facade is after the four roofs.
    wall = world.walls[4]
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
        pixel = camera.matrix @ local / local[2]
        if local[2] < 1 or np.any(np.abs(pixel[:2] - CENTER) > CENTER - 20):
            continue
        sky = np.zeros((4, 4, 3), np.uint8)
        image = render(camera, pose.positions[0], pose.rotations[0], sky, [wall], [])
        red, green, blue = np.moveaxis(image.astype(float), -1, 0)
        weight = np.clip(np.minimum(red, blue) - green - 60, 0, None)
        rows, columns = np.mgrid[:360, :480] + 0.5
        found = np.array([(columns * weight).sum(), (rows * weight).sum()]) / weight.sum()
        np.testing.assert_allclose(found, pixel[:2], atol=0.3)
        checked += 1
    assert checked >= 3


def test_test_walk_is_between_the_training_walks():
    train = np.concatenate([courtyard.walk(sequence, 100).positions for sequence in range(3)])
    test = courtyard.walk(3, 100).positions
    assert (Delaunay(train[:, :2]).find_simplex(test[:, :2]) >= 0).all()
    nearest = np.linalg.norm(test[:, None] - train, axis=2).min(axis=1)
    assert 0.5 < np.median(nearest) < 1.0
    for solid in make_world(0).solids:
        outside = np.clip(np.concatenate([train, test])[:, :2], solid.low[:2], solid.high[:2])
        assert np.linalg.norm(outside - np.concatenate([train, test])[:, :2], axis=1).min() > 0.5


def test_existing_folder_raises_and_is_unchanged(tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(PoseNetError) as error:
        courtyard.make_courtyard(tmp_path, train=TRAIN, test=TEST, progress=False)
    assert "\n" not in str(error.value)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


@pytest.mark.parametrize("counts", [(2, 1), (3, 0)])
def test_too_few_images_raise(tmp_path, counts):
    with pytest.raises(PoseNetError, match="needs at least 3 training and 1 test"):
        courtyard.make_courtyard(tmp_path / "new", train=counts[0], test=counts[1], progress=False)
    assert not list(tmp_path.iterdir())


def test_failed_rendering_leaves_no_files(tmp_path, monkeypatch):
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
    assert (camera.cx, camera.cy) == tuple(CENTER)
