"""Joined scenes."""

from dataclasses import replace

import numpy as np

from posenet.datasets.join import join_scenes
from posenet.datasets.registry import open_scene
from posenet.datasets.scene import ScenePoints
from posenet.geometry.poses import Poses
from tests.helpers.errors import refusal
from tests.helpers.scenes import scene_of, write_cambridge


def made(count, folder, points=None):
    poses = Poses.from_quaternions(np.arange(3 * count).reshape(-1, 3), [[1, 0, 0, 0]] * count)
    return replace(scene_of(poses, points=points), root=folder)


def test_names_files_and_sequences_of_added_scenes_stay_apart(tmp_path):
    first = open_scene(write_cambridge(tmp_path / "a", train=4, test=2, seed=1))
    other = open_scene(write_cambridge(tmp_path / "b", train=2, test=2, seed=2))
    joined = join_scenes(first, [("b", other), ("b-2", other)])
    assert len(joined) == 6 + 4 + 4
    assert joined.names[:6] == first.names
    assert joined.names[6] == f"b/{other.names[0]}"
    assert joined.names[10] == f"b-2/{other.names[0]}"
    assert joined.paths[:7] == [*first.paths, other.paths[0]]
    assert all(path.is_file() for path in joined.paths)
    assert joined.parts.tolist() == ["a"] * 6 + ["b"] * 4 + ["b-2"] * 4
    assert set(joined.sequences) == {
        *("seq1", "seq2", "seq3"),
        *("b/seq1", "b/seq2", "b/seq3", "b-2/seq1", "b-2/seq2", "b-2/seq3"),
    }
    np.testing.assert_array_equal(joined.poses.positions[6:10], other.poses.positions)
    test = joined.split("test")
    assert test.parts.tolist() == ["a"] * 2 + ["b"] * 2 + ["b-2"] * 2
    assert test.paths[2] == other.split("test").paths[0]


def test_moments_of_rigs_stay_apart(tmp_path):
    rig = replace(made(4, tmp_path / "rig"), moments=np.array([7, 7, 9, 9]))
    joined = join_scenes(made(3, tmp_path / "single"), [("rig", rig)])
    assert joined.moments.tolist() == [0, 1, 2, 3, 3, 4, 4]
    assert join_scenes(made(3, tmp_path), [("b", made(2, tmp_path))]).moments is None


def test_points_and_times_are_joined_if_all_have_them(tmp_path):
    points = ScenePoints(np.eye(3), np.array([[0, 2], [1, 0]]))
    timed = replace(made(2, tmp_path / "a", points), times=np.array([1.0, 2.0]))
    joined = join_scenes(timed, [("b", replace(timed, root=tmp_path / "b"))])
    assert joined.times.tolist() == [1, 2, 1, 2]
    assert joined.points.observations.tolist() == [[0, 2], [1, 0], [2, 5], [3, 3]]
    np.testing.assert_array_equal(joined.points.positions, [*np.eye(3), *np.eye(3)])
    partly = join_scenes(timed, [("b", made(2, tmp_path / "b"))])
    assert partly.times is None
    assert partly.points is None


def test_units_and_names_must_fit(tmp_path):
    first = made(2, tmp_path / "a")
    feet = replace(made(2, tmp_path / "b"), unit="ft")
    assert refusal(lambda: join_scenes(first, [("b", feet)])) == (
        f"scenes in one world frame must have one unit: {tmp_path}/a has m, b in {tmp_path}/b has ft"
    )
    clash = replace(first, names=("b/0.png", "1.png"))
    assert refusal(lambda: join_scenes(clash, [("b", made(2, tmp_path / "b"))])) == (
        "images of joined scenes must have different names, two are b/0.png"
    )
