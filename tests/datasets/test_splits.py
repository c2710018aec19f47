"""Which images are for testing."""

import logging

import pytest

from posenet.datasets.registry import open_scene, resolve_split
from posenet.datasets.splits import SPLIT_FORMS, choose_splits
from posenet.errors import PoseNetError


def names(count):
    return [f"images/{row:04d}.jpg" for row in range(count)]


def split(choice, count=32, sequences=None):
    chosen = choose_splits(choice, names(count), sequences or ["all"] * count)
    return [row for row, each in enumerate(chosen) if each == "test"]


def test_blocks_are_every_fourth_of_sixteen():
    assert split("blocks") == [4, 5, 12, 13, 20, 21, 28, 29]
    assert len(split("blocks", 180)) == 44
    assert split("blocks", 2) == []
    assert split("blocks", 0) == split("every:2", 0) == []


def test_random_is_seeded(caplog):
    with caplog.at_level(logging.WARNING):
        assert len(split("random")) == 8
    assert "neighboring frames" in caplog.text
    assert len(split("random:0.5:3", 100)) == 50
    assert split("random:0.5:3", 100) == split("random:0.5:3", 100)
    assert split("random:0.5:3", 100) != split("random:0.5:4", 100)


def test_every_nth_and_sequence():
    assert split("every:8") == [7, 15, 23, 31]
    assert split("sequence:b", 4, ["a", "b", "b", "c"]) == [1, 2]
    assert split("sequence:\u00e9", 2, ["e", "e\u0301"]) == [1]  # another Unicode form


def test_list_by_name_or_by_its_end(tmp_path):
    (tmp_path / "list.txt").write_text("# test\nimages/0001.jpg\n0003.png\n\n")
    assert split(str(tmp_path / "list.txt")) == [1, 3]


def test_list_with_paths_of_another_machine_or_another_unicode_form(tmp_path):
    notes = []
    names = ["images/s\u00e9q/1.png", "images/b/1.png", "images/b/2.png"]
    (tmp_path / "list.txt").write_text("C:\\room\\b\\1.png\nse\u0301q/1.jpg\n", encoding="utf-8")
    splits = choose_splits(str(tmp_path / "list.txt"), names, ["all"] * 3, notes=notes)
    assert splits == ["test", "test", "train"]
    assert notes == [
        f"{tmp_path}/list.txt: 1 path of another machine read as images of the scene that end "
        "alike, such as C:/room/b/1.png as images/b/1.png"
    ]
    (tmp_path / "list.txt").write_text("/room/c/1.png\n")
    with pytest.raises(PoseNetError) as refusal:
        choose_splits(str(tmp_path / "list.txt"), names, ["all"] * 3)
    assert str(refusal.value) == (
        f"{tmp_path}/list.txt:1: '/room/c/1.png' is not an image of the scene, names look like "
        "'images/s\u00e9q/1.png'"
    )


def test_a_listed_name_is_first_of_all_its_own_image(tmp_path):
    names = ["images/1.JPG", "images/1.PNG", "images/day2/1.JPG", "images/2.jpg"]
    for line, test in (("images/1.JPG", 0), ("1.PNG", 1), ("day2/1.JPG", 2), ("2.png", 3)):
        (tmp_path / "list.txt").write_text(f"{line}\n")
        splits = choose_splits(str(tmp_path / "list.txt"), names, ["all"] * 4)
        assert [row for row, each in enumerate(splits) if each == "test"] == [test]
    (tmp_path / "list.txt").write_text("images/1\n")
    with pytest.raises(PoseNetError, match=r"list.txt:1: 'images/1' matches several images"):
        choose_splits(str(tmp_path / "list.txt"), names, ["all"] * 4)


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ("often", f"--split must be {SPLIT_FORMS}, received 'often'"),
        ("every:0", f"--split must be {SPLIT_FORMS}, received 'every:0'"),
        ("random:2", f"--split must be {SPLIT_FORMS}, received 'random:2'"),
        ("sequence:d", "--split sequence:d: the sequence must be one of all"),
        ("every:100", "--split every:100 must leave images to test, none of 32 is one"),
        ("no/such.txt", "--split no/such.txt: list not found"),
        ("every:1", "--split every:1 must leave images to train on, all 32 are test images"),
    ],
)
def test_wrong_choices(choice, message):
    with pytest.raises(PoseNetError) as refusal:
        split(choice)
    assert str(refusal.value) == message


def test_list_with_an_unknown_name(tmp_path):
    (tmp_path / "list.txt").write_text("images/0001.jpg\nimages/x.jpg\n")
    with pytest.raises(
        PoseNetError,
        match=r"list.txt:2: 'images/x.jpg' is not an image of the scene, names look like",
    ):
        split(str(tmp_path / "list.txt"))
    (tmp_path / "list.txt").write_text("1.jpg\n")  # fits a/1.jpg and b/1.jpg
    with pytest.raises(PoseNetError, match=r"list.txt:1: '1.jpg' matches several images"):
        choose_splits(str(tmp_path / "list.txt"), ["a/1.jpg", "b/1.jpg"], ["a", "b"])


def test_scene_takes_its_own_split_then_a_list_then_blocks(cambridge, tmp_path):
    assert resolve_split(cambridge) == "own"
    table = [
        "image,x,y,z,qw,qx,qy,qz",
        *(f"{name},{row},0,0,1,0,0,0" for row, name in enumerate(names(32))),
    ]
    folder = tmp_path / "plain"
    folder.mkdir()
    (folder / "poses.csv").write_text("\n".join(table))
    assert resolve_split(folder) == "blocks"
    scene = open_scene(folder, need_images=False)
    assert (scene.splits == "test").sum() == 8
    (folder / "test.txt").write_text("0005.jpg\n")
    assert resolve_split(folder) == str((folder / "test.txt").absolute())
    assert list((open_scene(folder, need_images=False).splits == "test").nonzero()[0]) == [5]
    other = open_scene(folder, need_images=False, split="every:16")
    assert list((other.splits == "test").nonzero()[0]) == [15, 31]
