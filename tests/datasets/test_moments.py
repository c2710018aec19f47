"""Moments are numbered by time, and divided by every split."""

import json
import logging
import time
from dataclasses import replace

import numpy as np
import pytest

from posenet.datasets.convert import convert
from posenet.datasets.moments import (
    _number_by_time,
    describe_shared_moments,
    merge_sequences,
    number_moments,
)
from posenet.datasets.registry import open_scene, read_scene
from posenet.datasets.rig_names import RigImage
from posenet.datasets.scene import order_by_sequence
from posenet.datasets.splits import choose_splits
from posenet.errors import PoseNetError
from posenet.training.validation_split import validation_mask
from tests.helpers.rigs import write_rig


def moment_of(name):
    return int("".join(filter(str.isdigit, name.split("/")[-1])))


def taken(scene, split):
    return {moment_of(name) for name in np.array(scene.names)[scene.splits == split]}


@pytest.mark.parametrize("cameras", [2, 3, 5, 6, 8, 12])
def test_no_moment_is_tested_and_trained_on(tmp_path, cameras):
    scene = open_scene(write_rig(tmp_path, cameras, 16))
    # Every fourth of 16 blocks, from the third on.
    assert taken(scene, "test") == {2, 6, 10, 14}
    assert not taken(scene, "test") & taken(scene, "train")
    training = scene.split("train")
    mask = validation_mask(training, 0.25)
    validation = {moment_of(name) for name in np.array(training.names)[mask]}
    assert len(validation) == 3
    assert mask.sum() == 3 * cameras


@pytest.mark.parametrize(("rule", "test"), [("every:8", {7, 15}), ("random:0.25:0", None)])
def test_other_rules_divide_moments_too(tmp_path, rule, test):
    scene = open_scene(write_rig(tmp_path), split=rule)
    assert not taken(scene, "test") & taken(scene, "train")
    if test is None:
        # The first quarter of the permutation, as if there were one image for each moment.
        test = set(np.random.default_rng(0).permutation(16)[:4].tolist())
    assert taken(scene, "test") == test


def test_a_sequence_takes_the_other_cameras_with_it(caplog):
    names = ["a/l/1", "a/l/2", "a/r/1", "b/l/1"]
    sequences, moments = ["a/l", "a/l", "a/r", "b/l"], [0, 1, 0, 2]
    assert choose_splits("sequence:a/r", names, sequences, moments) == [
        "test",
        "train",
        "test",
        "train",
    ]
    assert caplog.messages == [
        "--split sequence:a/r: the test includes 1 image that other cameras took at the same moments"
    ]
    with pytest.raises(PoseNetError) as refusal:
        choose_splits("sequence:l", names[:1] + names[2:3], ["l", "r"], [0, 0])
    assert str(refusal.value) == (
        "--split sequence:l must leave images to train on, the other cameras of the rig took all "
        "of theirs at the same moments: use blocks"
    )


def test_a_list_that_parts_moments_is_followed_with_a_warning(tmp_path, caplog):
    write_rig(tmp_path / "rig")
    names = ["pano_camera0/000003.jpg", "pano_camera0/000004.jpg"]
    (tmp_path / "list.txt").write_text("\n".join(names))
    with caplog.at_level(logging.WARNING):
        scene = open_scene(tmp_path / "rig", split=str(tmp_path / "list.txt"))
    assert list(np.array(scene.names)[scene.splits == "test"]) == names
    assert (
        "rig: another camera of the rig took training images at the same moments as 2 of 2 test "
        "images: the test error looks better than it is"
    ) in caplog.messages


def test_shared_moments():
    assert describe_shared_moments(["train", "test", "test"], [0, 1, 1]) == []
    assert describe_shared_moments(["train", "test"], None) == []
    assert describe_shared_moments(None, [0, 0]) == []
    assert describe_shared_moments(np.array(["train", "test", "test"]), np.array([0, 0, 1])) == [
        "another camera of the rig took training images at the same moments as 1 of 2 test images: "
        "the test error looks better than it is"
    ]


def numbered(raw, moments, cameras, sequences):
    rig = [RigImage(moment, camera) for moment, camera in zip(moments, cameras, strict=True)]
    names = [f"{row}.png" for row in range(len(rig))]
    return number_moments(
        replace(
            raw,
            rig_images=rig,
            times=None,
            names=names,
            sequences=list(sequences),
            positions=np.zeros((len(rig), 3)),
            quaternions_wxyz=np.tile([1.0, 0, 0, 0], (len(rig), 1)),
        )
    )


def test_moments_are_in_the_order_of_time(cambridge):
    raw = read_scene(cambridge)
    # The first camera lacks the moments s, u and w.
    found = numbered(raw, "tvxstuvw", "aaabbbbb", "aaabbbbb")
    assert found.moments == [1, 3, 5, 0, 1, 2, 3, 4]
    assert found.sequences == list("aaabbbbb")
    # Two days: the second comes after the first.
    found = numbered(raw, "121 2 3434".replace(" ", ""), "aabbaabb", "aabbccdd")
    assert found.moments == [0, 1, 0, 1, 2, 3, 2, 3]


def test_each_camera_in_a_folder_is_a_sequence(cambridge):
    raw = read_scene(cambridge)
    found = numbered(raw, "1122", "lrlr", ["all"] * 4)
    assert found.sequences == ["all/l", "all/r", "all/l", "all/r"]
    assert found.moments == [0, 0, 1, 1]
    # Two images of a camera at one moment are not those of a rig.
    assert numbered(raw, "1122", "llrr", ["all"] * 4).moments is None
    assert numbered(raw, "1234", "llrr", ["all"] * 4).moments is None


def test_sequences_that_share_moments_are_one_walk():
    sequences = np.array(["a0", "a0", "a1", "b0", "b1", "c"])
    merged = merge_sequences(sequences, np.array([0, 1, 1, 2, 2, 3]))
    assert merged.tolist() == ["a0", "a0", "a0", "b0", "b0", "c"]


def test_order_by_sequence():
    assert order_by_sequence(["b", "a", "b", "a", "c"]).tolist() == [0, 2, 1, 3, 4]
    assert order_by_sequence(["b", "b", "a"]).tolist() == [0, 1, 2]


def test_blocks_of_validation_stay_blocks_if_a_camera_lacks_images(tmp_path):
    write_rig(tmp_path, 3, 40)
    lines = (tmp_path / "poses.csv").read_text().splitlines()
    # The first camera lacks every third image.
    kept = [line for row, line in enumerate(lines) if row == 0 or row > 40 or row % 3]
    (tmp_path / "poses.csv").write_text("\n".join(kept) + "\n")
    training = open_scene(tmp_path, split="every:40").split("train")
    mask = validation_mask(training, 0.2)
    chosen = {moment_of(name) for name in np.array(training.names)[mask]}
    assert len(chosen) == 8
    assert not chosen & {moment_of(name) for name in np.array(training.names)[~mask]}
    blocks = np.split(sorted(chosen), np.flatnonzero(np.diff(sorted(chosen)) > 1) + 1)
    assert [len(block) for block in blocks] == [2, 2, 2, 2]


def test_equal_times_in_two_folders_are_one_moment(tmp_path):
    lines = []
    for row in range(16):
        for folder in ("rgb0", "rgb1"):
            lines.append(f"{1e9 + row / 10:.6f} {folder}/{row + 5 * int(folder[-1])}.png")
    (tmp_path / "rgb.txt").write_text("\n".join(lines))
    poses = [f"{1e9 + row / 10:.6f} {row} 0 0 0 0 0 1" for row in range(16)]
    (tmp_path / "groundtruth.txt").write_text("\n".join(poses))
    scene = open_scene(tmp_path, need_images=False)
    assert scene.dense_moments.tolist() == np.repeat(np.arange(16), 2).tolist()
    assert scene.sequences.tolist() == ["all/rgb0", "all/rgb1"] * 16
    # A video whose times are whole seconds.
    lines = [f"{row // 2} rgb/{row}.png" for row in range(16)]
    (tmp_path / "rgb.txt").write_text("\n".join(lines))
    (tmp_path / "groundtruth.txt").write_text(
        "\n".join(f"{row} {row} 0 0 0 0 0 1" for row in range(8))
    )
    assert open_scene(tmp_path, need_images=False).moments is None


def test_timestamps_of_nerfstudio(tmp_path):
    frames = [
        {
            "file_path": f"images/camera-{camera}_{1000 * row + 7 * (camera == 'rgb')}.jpg",
            "timestamp": 1000 * row,
            "transform_matrix": np.eye(4).tolist(),
        }
        for camera in ("rgb", "slam")
        for row in range(16)
    ]
    (tmp_path / "transforms.json").write_text(json.dumps({"frames": frames}))
    scene = open_scene(tmp_path, need_images=False)
    assert scene.dense_moments.tolist() == [*range(16), *range(16)]
    assert set(scene.sequences) == {
        "images/camera-rgb",
        "images/camera-slam",
    }
    for frame in frames:
        frame["timestamp"] = 0
    (tmp_path / "transforms.json").write_text(json.dumps({"frames": frames}))
    assert open_scene(tmp_path, need_images=False).moments is None


@pytest.mark.parametrize("to", ["cambridge", "7scenes", "colmap", "transforms", "csv"])
def test_conversions_that_keep_the_moments(tmp_path, to, caplog):
    scene = open_scene(write_rig(tmp_path / "rig"))
    convert(scene, tmp_path / "out", to)
    assert "same moment" not in caplog.text
    again = open_scene(tmp_path / "out")
    assert len(set(again.dense_moments.tolist())) == 16
    assert describe_shared_moments(again.splits, again.moments) == []


@pytest.mark.parametrize("to", ["tum", "kitti"])
def test_conversions_that_lose_the_moments(tmp_path, to, caplog):
    convert(open_scene(write_rig(tmp_path / "rig")), tmp_path / "out", to)
    assert (
        f"{to} does not store which images were taken at the same moment: use its split, not "
        "another one"
    ) in caplog.messages


def number_slowly(moments, sequences):
    """Insert into a list: quadratic, but plain."""
    order = []
    for sequence in dict.fromkeys(sequences):
        own = [m for m, s in zip(moments, sequences, strict=True) if s == sequence]
        first = next((m for m in own if m in order), None)
        place = len(order) if first is None else order.index(first)
        for moment in own:
            if moment in order:
                place = order.index(moment) + 1
            else:
                order.insert(place, moment)
                place += 1
    return [order.index(moment) for moment in moments]


def test_moments_are_numbered_as_by_insertion_into_a_list():
    # B has 2 before 3, which it shares with A, and 5 after it: 1 2 3 5 4.
    assert _number_by_time(list("134235"), list("AAABBB")) == [0, 2, 4, 1, 2, 3]
    rng = np.random.default_rng(0)
    for _ in range(200):
        count = rng.integers(1, 30)
        moments = [str(number) for number in rng.integers(0, 15, count)]
        sequences = [str(number) for number in rng.integers(0, 4, count)]
        assert _number_by_time(moments, sequences) == number_slowly(moments, sequences)


def test_100_000_moments_are_numbered_in_a_moment():
    # The second camera lacks every other image of the first, and has one of its own instead.
    first = [str(2 * number) for number in range(100_000)]
    second = [str(4 * number + shift) for number in range(50_000) for shift in (0, 1)]
    start = time.process_time()
    _number_by_time([*first, *second], ["A"] * len(first) + ["B"] * len(second))
    assert time.process_time() - start < 5
