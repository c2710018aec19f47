"""Poses against values derived by hand, and their properties."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.spatial.transform import Rotation

from posenet.errors import PoseNetError
from posenet.geometry.alignment import Sim3, align_similarity, estimate_up, principal_axes
from posenet.geometry.metrics import mean_pose, position_errors, rotation_errors_deg
from posenet.geometry.poses import Poses, concatenate

HALF = np.sqrt(0.5)
vectors = arrays(np.float64, 3, elements=st.floats(-100, 100))
turns = arrays(np.float64, 3, elements=st.floats(-3, 3))


def pose(position=(0, 0, 0), rotvec=(0, 0, 0)):
    return Poses([position], Rotation.from_rotvec([rotvec]))


def random_poses(count, seed=0):
    rng = np.random.default_rng(seed)
    return Poses(rng.normal(size=(count, 3)), Rotation.from_rotvec(rng.normal(size=(count, 3))))


def test_quaternion_becomes_the_matrix_derived_by_hand():
    quarter_about_z = Poses.from_quaternions([[1, 2, 3]], [[HALF, 0, 0, HALF]])
    expected = [[0, -1, 0, 1], [1, 0, 0, 2], [0, 0, 1, 3], [0, 0, 0, 1]]
    np.testing.assert_allclose(quarter_about_z.matrices[0], expected, atol=1e-15)


def test_quaternions_are_normalized_and_w_is_not_negative():
    poses = Poses.from_quaternions(np.zeros((2, 3)), [[-2, 0, 0, 0], [0, 0, 3, -4]])
    assert (poses.quaternions_wxyz[:, 0] >= 0).all()
    np.testing.assert_allclose(np.abs(poses.quaternions_wxyz), [[1, 0, 0, 0], [0, 0, 0.6, 0.8]])


def test_zero_quaternion_is_refused():
    with pytest.raises(ValueError, match="zero norm"):
        Poses.from_quaternions([[0, 0, 0]], [[0, 0, 0, 0]])


def test_matrices_read_back():
    poses = random_poses(5)
    again = Poses.from_matrices(poses.matrices[:, :3])
    np.testing.assert_allclose(again.matrices, poses.matrices, atol=1e-14)


def test_inverse_by_hand():
    # Camera at x = 5, turned a quarter about z: world (5, 1, 0) lies one ahead on the camera's x
    # axis.
    inverse = pose((5, 0, 0), (0, 0, np.pi / 2)).inverse()
    np.testing.assert_allclose(inverse.matrices[0] @ [5, 1, 0, 1], [1, 0, 0, 1], atol=1e-15)


@given(vectors, turns)
def test_inverse_twice_is_the_same(position, turn):
    one = pose(position, turn)
    np.testing.assert_allclose(one.inverse().inverse().matrices, one.matrices, atol=1e-10)
    np.testing.assert_allclose(one.matrices[0] @ one.inverse().matrices[0], np.eye(4), atol=1e-10)


def test_wrong_shapes_are_refused():
    with pytest.raises(ValueError, match=r"positions must have shape \(n, 3\). Received: \(3,\)"):
        Poses(np.zeros(3), Rotation.identity(1))
    with pytest.raises(
        ValueError,
        match=r"the number of rotations must be that of the positions \(2\). Received: \(1,\)",
    ):
        Poses(np.zeros((2, 3)), Rotation.identity(1))


def test_indexing_and_concatenation():
    poses = random_poses(4)
    assert len(poses[1]) == 1
    assert len(poses[np.array([True, False, True, False])]) == 2
    assert len(poses[:0]) == 0
    joined = concatenate([poses[:1], poses[1:]])
    np.testing.assert_array_equal(joined.matrices, poses.matrices)


def test_position_error_by_hand():
    np.testing.assert_allclose(position_errors(pose((1, 2, 3)), pose((4, 6, 3))), [5])


@pytest.mark.parametrize("degrees", [0, 1e-9, 1e-4, 1, 90, 179, 180 - 1e-7, 180])
@pytest.mark.parametrize("axis", [(1, 0, 0), (0, 0.6, 0.8)])
def test_rotation_error_is_the_angle_turned(degrees, axis):
    turned = pose(rotvec=np.radians(degrees) * np.array(axis))
    assert rotation_errors_deg(turned, pose())[0] == pytest.approx(degrees, rel=1e-12, abs=1e-13)


def test_rotation_error_ignores_the_quaternions_sign():
    one, other = (
        Poses.from_quaternions([[0, 0, 0]], [q]) for q in ([0.6, 0, 0.8, 0], [-0.6, 0, -0.8, 0])
    )
    assert rotation_errors_deg(one, other)[0] == 0


@given(turns, turns, turns)
def test_rotation_error_is_symmetric_bounded_and_invariant(a, b, world):
    first, second = pose(rotvec=a), pose(rotvec=b)
    error = rotation_errors_deg(first, second)[0]
    assert 0 <= error <= 180
    assert rotation_errors_deg(second, first)[0] == pytest.approx(error, abs=1e-9)
    moved = Sim3(1.0, Rotation.from_rotvec(world), np.zeros(3))
    assert rotation_errors_deg(moved.apply(first), moved.apply(second))[0] == pytest.approx(
        error, abs=1e-6
    )
    by_trace = np.trace(first.rotations.as_matrix()[0].T @ second.rotations.as_matrix()[0])
    assert np.cos(np.radians(error)) == pytest.approx((by_trace - 1) / 2, abs=1e-9)


def test_mean_by_hand():
    # Turns of 10 and 50 degrees about one axis: the mean turns 30 degrees. One quaternion has its
    # sign flipped.
    turns = [np.radians(10), np.radians(50)]
    quaternions = [
        [np.cos(t / 2) * s, 0, np.sin(t / 2) * s, 0] for t, s in zip(turns, (1, -1), strict=True)
    ]
    mean = mean_pose(Poses.from_quaternions([[0, 0, 2], [4, 0, 0]], quaternions))
    assert len(mean) == 1
    np.testing.assert_allclose(mean.positions, [[2, 0, 1]])
    np.testing.assert_allclose(mean.rotations.as_rotvec(degrees=True), [[0, 30, 0]], atol=1e-12)


def test_mean_of_none_is_refused():
    with pytest.raises(ValueError, match="the mean pose requires at least one pose"):
        mean_pose(random_poses(3)[:0])


@given(turns, vectors, st.floats(0.1, 10), st.integers(3, 9))
def test_alignment_recovers_a_known_similarity(turn, shift, scale, count):
    known = Sim3(scale, Rotation.from_rotvec(turn), shift)
    source = random_poses(count, seed=count)
    found = align_similarity(source, known.apply(source))
    assert found.scale == pytest.approx(scale, rel=1e-9)
    np.testing.assert_allclose(found.translation, shift, atol=1e-8)
    np.testing.assert_allclose(found.rotation.as_matrix(), known.rotation.as_matrix(), atol=1e-8)
    assert rotation_errors_deg(found.apply(source), known.apply(source)).max() < 1e-5


def test_alignment_of_three_cameras_in_a_plane_does_not_mirror():
    source = Poses([[0, 0, 0], [1, 0, 0], [0, 1, 0]], Rotation.identity(3))
    target = Poses([[0, 0, 0], [-1, 0, 0], [0, 1, 0]], Rotation.identity(3))
    found = align_similarity(source, target)
    assert np.linalg.det(found.rotation.as_matrix()) == pytest.approx(1)
    np.testing.assert_allclose(found.apply(source).positions, target.positions, atol=1e-12)


def test_alignment_without_scale_keeps_one():
    source = random_poses(6)
    target = Poses(3 * source.positions, source.rotations)
    assert align_similarity(source, target, with_scale=False).scale == 1.0
    assert align_similarity(source, target).scale == pytest.approx(3)


def test_alignment_scale_is_umeyamas_under_noise():
    # Umeyama's scale: trace(D S) / var(source), with the singular values of the cross covariance.
    rng = np.random.default_rng(1)
    source, target = random_poses(20), random_poses(20, seed=1)
    target = Poses(2 * source.positions + rng.normal(0, 0.3, (20, 3)), target.rotations)
    x, y = (p.positions - p.positions.mean(axis=0) for p in (source, target))
    left, spread, right = np.linalg.svd(y.T @ x)
    sign = np.array([1, 1, np.sign(np.linalg.det(left) * np.linalg.det(right))])
    assert align_similarity(source, target).scale == pytest.approx(
        (spread * sign).sum() / (x**2).sum()
    )


def test_alignment_needs_three_poses_and_equal_lengths():
    with pytest.raises(PoseNetError, match="at least 3 poses, received 2 and 2"):
        align_similarity(random_poses(2), random_poses(2))
    with pytest.raises(
        PoseNetError,
        match="alignment requires two lists of equal length with at least 3 poses, received 3 and 4",
    ):
        align_similarity(random_poses(3), random_poses(4))


def test_alignment_refuses_cameras_on_a_line():
    line = Poses(np.outer(np.arange(4), [1, 2, 3]), Rotation.identity(4))
    for source, target in (
        (line, random_poses(4)),
        (random_poses(4), line),
        (line[[0, 0, 0]], line[[0, 0, 0]]),
    ):
        with pytest.raises(
            PoseNetError, match="alignment requires cameras that are not all on one line"
        ):
            align_similarity(source, target)


def test_up_of_cameras_that_all_look_one_way_is_their_own():
    rng = np.random.default_rng(0)
    level = Rotation.from_matrix([[0, 0, 1], [-1, 0, 0], [0, -1, 0]])  # looks along x, z up
    noise = Rotation.from_euler("zyx", rng.normal(0, (3, 2, 2), (40, 3)), degrees=True)
    np.testing.assert_allclose(estimate_up(noise * level), [0, 0, 1], atol=0.02)
    same = Rotation.concatenate([level] * 8)
    np.testing.assert_allclose(estimate_up(same), [0, 0, 1], atol=1e-12)


@pytest.mark.parametrize("headings", [(0, 180), (0, 90, 180, 270)])
def test_cameras_that_look_down_in_all_headings_have_up_behind_them(headings):
    rng = np.random.default_rng(0)
    turned = np.column_stack([np.resize(headings, 200), np.zeros((200, 2))]) + rng.normal(
        0, 1.5, (200, 3)
    )
    down = Rotation.from_euler("zyx", turned, degrees=True) * Rotation.from_euler(
        "x", 180, degrees=True
    )  # along -z
    np.testing.assert_allclose(estimate_up(down), [0, 0, 1], atol=0.02)


def test_principal_axes_are_those_of_the_singular_values():
    vectors = np.random.default_rng(0).normal(size=(50, 3)) * (5, 1, 3)
    spreads, axes = principal_axes(vectors)
    _, singular, right = np.linalg.svd(vectors, full_matrices=False)
    np.testing.assert_allclose(spreads, singular)
    np.testing.assert_allclose(np.abs(axes), np.abs(right), atol=1e-9)
