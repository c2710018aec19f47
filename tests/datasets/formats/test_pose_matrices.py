"""Matrices of files: which are normalized, which are refused, and the words for it."""

import json

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from posenet.datasets.convert import convert
from posenet.datasets.formats.pose_matrices import from_matrices, normalize_matrices
from posenet.datasets.registry import open_scene_with_issues
from tests.helpers.errors import refusal
from tests.helpers.scenes import make_scene

# A camera at (1, 2, 3), rotated by 90 degrees about z.
POSE = np.array([[0.0, -1, 0, 1], [1, 0, 0, 2], [0, 0, 1, 3], [0, 0, 0, 1]])
QUATERNION = [0.5**0.5, 0, 0, 0.5**0.5]


def random_matrices(count):
    poses = np.tile(np.eye(4), (count, 1, 1))
    poses[:, :3, :3] = Rotation.random(count, random_state=0).as_matrix()
    poses[:, :3, 3] = np.random.default_rng(0).normal(size=(count, 3))
    return poses


def described(matrices):
    """Return kind, action and rows of the issues."""
    issues = normalize_matrices(np.array(matrices)).issues
    return [(issue.kind, issue.action, np.flatnonzero(issue.rows).tolist()) for issue in issues]


def block_times(factor):
    matrix = POSE.copy()
    matrix[:3, :3] = matrix[:3, :3] @ (factor * np.eye(3))
    return matrix


def test_rigid_matrices_stay_unchanged():
    given = random_matrices(5)
    rigid, issues = normalize_matrices(given)
    np.testing.assert_array_equal(rigid, given)
    assert issues == []
    poses = from_matrices(given)
    np.testing.assert_array_equal(poses.positions, given[:, :3, 3])
    rotations = Rotation.from_quat(poses.quaternions_wxyz, scalar_first=True)
    np.testing.assert_allclose(rotations.as_matrix(), given[:, :3, :3], atol=1e-12)
    assert from_matrices(np.zeros((0, 4, 4))).quaternions_wxyz.shape == (0, 4)


def test_rounding_is_no_scale():
    # 1.004 squared is 1.008, within 1e-2 of 1.
    given = np.array([block_times(1.004), POSE * 1.0000005])
    rigid, issues = normalize_matrices(given)
    assert issues == []
    np.testing.assert_array_equal(rigid[:, :3], given[:, :3])


def test_scale_of_the_rotation_does_not_move_the_camera():
    given = np.array([block_times(0.02), POSE, block_times(25)])
    poses = from_matrices(given)
    np.testing.assert_allclose(poses.positions, [[1, 2, 3]] * 3)
    np.testing.assert_allclose(poses.quaternions_wxyz, [QUATERNION] * 3)
    assert described(given) == [("rotation with a scale of 0.02 to 25", "scale removed", [0, 2])]


def test_last_element_divides_the_position_too():
    rotation_alone = POSE.copy()
    rotation_alone[3, 3] = 0.5
    given = np.array([POSE * 0.00118, POSE * -2, rotation_alone])
    poses = from_matrices(given)
    np.testing.assert_allclose(poses.positions, [[1, 2, 3], [1, 2, 3], [2, 4, 6]])
    np.testing.assert_allclose(poses.quaternions_wxyz, [QUATERNION] * 3)
    assert described(given) == [
        ("matrix whose last element is -2 to 0.5", "divided by it", [0, 1, 2]),
        ("rotation with a scale of 2", "scale removed", [2]),
    ]


def test_every_fault_has_its_own_words():
    not_finite, translated, no_last, zero, sheared, stretched, mirrored = (
        POSE.copy() for _ in range(7)
    )
    not_finite[0, 0] = np.nan
    translated[3] = [0, 0, 1, 1]
    no_last[3, 3] = 0
    zero[:3, :3] = 0
    sheared[:3, :3] @= np.array([[1, 0.3, 0], [0, 1, 0], [0, 0, 1]])
    stretched[:3, :3] @= np.diag([1, 1, 2])
    mirrored[:3, 0] *= -1
    given = [not_finite, translated, no_last, zero, sheared, stretched, mirrored]
    assert described(given) == [
        ("matrix whose last row is not 0 0 0 x", "dropped", [1, 2]),
        ("singular rotation", "dropped", [3]),
        ("rotation with shear or unequal scales", "dropped", [4, 5]),
        ("mirrored rotation", "dropped", [6]),
    ]
    poses = from_matrices(np.array(given))
    assert np.isnan(poses.positions).all()
    assert np.isnan(poses.quaternions_wxyz).all()


@pytest.mark.parametrize("layout", ["transforms", "7scenes", "kitti", "ace"])
def test_readers_name_file_and_scale(tmp_path, layout):
    """The scene is read as before, and one line describes what was removed."""
    scene = make_scene(tmp_path / "in")
    if layout == "ace":
        folder, places = write_ace(scene, tmp_path / "out"), 2
    else:
        folder, places = tmp_path / "out", 12
        convert(scene, folder, layout, copy=True)
    before, _ = open_scene_with_issues(folder)
    first = scale_rotations(folder, layout)
    after, issues = open_scene_with_issues(folder)
    np.testing.assert_allclose(after.poses.matrices, before.poses.matrices, atol=1e-9)
    assert [str(issue) for issue in issues] == [
        f"{len(before)} x rotation with a scale of 1.7, scale removed (first: {first})"
    ]
    assert len(before) >= places


def write_ace(scene, folder):
    """Write two images of a scene as ACE does."""
    for row, split in enumerate(("train", "test")):
        for kind in ("rgb", "poses"):
            (folder / split / kind).mkdir(parents=True)
        (folder / split / "rgb" / "a.png").write_bytes((scene.root / scene.names[row]).read_bytes())
        np.savetxt(folder / split / "poses" / "a.txt", scene.poses.matrices[row])
    return folder


def scale_rotations(folder, layout):
    """Multiply all rotation blocks by 1.7; return where the first is and its image."""
    if layout == "transforms":
        path = folder / "transforms.json"
        content = json.loads(path.read_text())
        for frame in content["frames"]:
            matrix = np.array(frame["transform_matrix"])
            matrix[:3, :3] *= 1.7
            frame["transform_matrix"] = matrix.tolist()
        path.write_text(json.dumps(content))
        return f"{path}: frame 0 {content['frames'][0]['file_path']}"
    if layout == "kitti":
        path = folder / "poses.txt"
        matrices = np.loadtxt(path).reshape(-1, 3, 4)
        matrices[:, :, :3] *= 1.7
        np.savetxt(path, matrices.reshape(-1, 12))
        return f"{path}:1 image_2/000000.png"
    pattern = "*/*.pose.txt" if layout == "7scenes" else "*/poses/*.txt"
    for path in folder.glob(pattern):
        matrix = np.loadtxt(path)
        matrix[:3, :3] *= 1.7
        np.savetxt(path, matrix)
    if layout == "ace":
        return f"{folder}/train/poses/a.txt:1 train/rgb/a.png"
    return f"{folder}/seq-01/frame-000000.pose.txt:1 seq-01/frame-000000.color.png"


def test_unusable_scene_names_the_fault(tmp_path):
    convert(make_scene(tmp_path / "in"), tmp_path / "out", "7scenes", copy=True)
    for path in (tmp_path / "out").glob("*/*.pose.txt"):
        np.savetxt(path, np.loadtxt(path) @ np.diag([-1, 1, 1, 1]))
    message = refusal(open_scene_with_issues, tmp_path / "out")
    number = len(list((tmp_path / "out").glob("*/*.pose.txt")))
    assert message == (
        f"{tmp_path}/out must contain at least one usable image: {number} x mirrored rotation, "
        f"dropped (first: {tmp_path}/out/seq-01/frame-000000.pose.txt:1 "
        "seq-01/frame-000000.color.png)"
    )
