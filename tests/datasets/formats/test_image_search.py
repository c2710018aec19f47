"""Names and paths in a scene's files, and the files that they mean."""

import unicodedata

import pytest

from posenet.datasets.formats.image_names import common_end, match_key, tidy_name
from posenet.datasets.formats.image_search import find_images
from posenet.datasets.formats.name_index import NameIndex
from posenet.errors import PoseNetError
from tests.helpers.images import write_image

NFC = "s\u00e9quence"
NFD = unicodedata.normalize("NFD", NFC)


def scene(folder, *names):
    for name in names:
        write_image(folder / name)
    return folder


def find(folder, *names):
    notes = []
    found = find_images(
        folder, names, [f"list.txt:{line + 1}" for line in range(len(names))], notes
    )
    return found, notes


def test_another_suffix_is_found(tmp_path):
    scene(tmp_path, "a/1.jpg", "a/2.b.png", "a/5.jpg", "a/5.png", "a/6.webp", "a/7.JPG")
    # the Blender scenes omit the suffix; no file system supports the last name
    names = [
        "a/1.png",
        "a/2.b",
        "a/3.png",
        "../a/1.png",
        "a/5.tif",
        "a/6.png",
        "a/7.jpg",
        "x" * 5000,
    ]
    expected = ["a/1.jpg", "a/2.b.png", "a/3.png", "../a/1.png", "a/5.jpg", "a/6.webp", "a/7.JPG"]
    assert find(tmp_path, *names) == ([*expected, "x" * 5000], [])


@pytest.mark.parametrize(("written", "stored"), [(NFC, NFD), (NFD, NFC)])
def test_unicode_forms_are_the_same_name(tmp_path, written, stored):
    scene(tmp_path, f"{stored}/{stored}.png")
    assert find(tmp_path, f"{written}/{written}.png", f"{written}/{written}.jpg") == (
        [f"{stored}/{stored}.png"] * 2,
        [],
    )


def test_a_file_of_the_written_form_has_precedence(tmp_path):
    scene(tmp_path, f"{NFC}.png", f"{NFD}.png")
    if len(list(tmp_path.iterdir())) == 2:  # not on file systems that normalize names
        assert find(tmp_path, f"{NFC}.png", f"{NFD}.png")[0] == [f"{NFC}.png", f"{NFD}.png"]


@pytest.mark.parametrize(
    "root", ["/workspace/data/room", "C:/Users/me/room", "C:\\Users\\me\\room", "\\\\nas\\room"]
)
def test_paths_of_another_machine(tmp_path, root):
    folder = scene(tmp_path / "room", "rgb/a.jpg", "rgb/b.jpg", "half/a.jpg", "._rgb/a.jpg")
    separator = "\\" if "\\" in root else "/"
    names = [tidy_name(separator.join([root, "rgb", name])) for name in ("a.jpg", "b.png", "c.jpg")]
    found, notes = find(folder, *names, "rgb/a.jpg")
    assert found == ["rgb/a.jpg", "rgb/b.jpg", "rgb/c.jpg", "rgb/a.jpg"]  # c.jpg: a missing image
    assert notes == [
        "3 paths of another machine read as images of the scene that end alike, such as "
        f"{names[0]} as rgb/a.jpg"
    ]


def test_paths_below_the_folder_are_no_other_machine(tmp_path):
    folder = scene(tmp_path / "room", "rgb/a.jpg")
    (tmp_path / "link").symlink_to(folder)
    assert find(tmp_path / "link", str(folder / "rgb/a.jpg")) == (["rgb/a.jpg"], [])
    assert find(folder, str(folder / "rgb/a.png")) == (["rgb/a.jpg"], [])


def test_existing_files_outside_and_dots_are_not_moved(tmp_path):
    folder = scene(tmp_path / "room", "rgb/a.jpg")
    scene(tmp_path / "other", "rgb/a.jpg")
    names = [str(tmp_path / "other/rgb/a.jpg"), "/ws/../rgb/a.jpg", "/ws/rgb/z.jpg"]
    assert find(folder, *names) == (names, [])


def test_two_files_that_end_equally_are_refused(tmp_path):
    scene(tmp_path, "x/a.jpg", "y/a.jpg")
    with pytest.raises(PoseNetError) as error:
        find(tmp_path, "/ws/rgb/a.jpg")
    assert str(error.value) == (
        "list.txt:1: a path of another machine must end like one image below the scene folder, "
        "/ws/rgb/a.jpg ends equally like x/a.jpg and y/a.jpg"
    )


def test_two_paths_that_end_equally_are_refused(tmp_path):
    scene(tmp_path, "images/a.jpg")
    with pytest.raises(PoseNetError) as error:
        find(tmp_path, "/ws/cam0/a.jpg", "/ws/cam1/a.jpg")
    assert str(error.value) == (
        "list.txt:2: paths of another machine must end like different images below the scene "
        "folder, /ws/cam0/a.jpg and /ws/cam1/a.jpg end equally like images/a.jpg"
    )


def test_images_of_a_missing_sequence_are_missing(tmp_path):
    scene(tmp_path, "seq1/a.jpg")
    for names in (["/ws/seq2/a.jpg", "/ws/seq1/a.jpg"], ["/ws/seq1/a.jpg", "/ws/seq2/a.jpg"]):
        assert find(tmp_path, *names)[0] == [name.removeprefix("/ws/") for name in names]


def test_images_of_a_missing_sequence_do_not_end_like_others(tmp_path):
    scene(tmp_path, "seq1/a.jpg", "seq3/a.jpg")
    names = ["/ws/seq1/a.jpg", "/ws/seq2/a.jpg", "/ws/seq3/a.jpg"]
    assert find(tmp_path, *names)[0] == [name.removeprefix("/ws/") for name in names]


def test_a_tie_beside_a_match_of_the_same_length_is_refused(tmp_path):
    scene(tmp_path, "a.jpg", "x/b.jpg", "y/b.jpg")
    with pytest.raises(PoseNetError, match=r"^list.txt:2: a path of another machine must end like"):
        find(tmp_path, "/ws/a.jpg", "/ws/b.jpg")


def test_a_shorter_end_elsewhere_is_outside(tmp_path):
    scene(tmp_path, "seq1/a.jpg")
    names = ["/ws/seq1/a.jpg", "/other/a.jpg"]
    assert find(tmp_path, *names)[0] == ["seq1/a.jpg", "/other/a.jpg"]


def test_the_suffix_decides_between_equal_ends_only(tmp_path):
    scene(tmp_path, "rgb/a.jpg", "depth/a.png", "b/1.jpg", "b/1.png")
    assert find(tmp_path, "/ws/rgb/a.png", "/ws/b/1.png")[0] == ["rgb/a.jpg", "b/1.png"]


def test_names_are_compared_by_parts_from_the_end():
    assert common_end("/ws/b/c.png", "x/b/c.jpg") == 2
    assert common_end("/ws/bb/c.png", "b/c.png") == 1
    assert common_end("c.png", "d.png") == 0
    assert match_key("2.b") == "2.b"
    assert match_key(f"{NFD}.HEIC") == NFC


def test_index_of_names():
    index = NameIndex([f"{NFD}/1.png", "images/b/2.color.jpg", "c/1.png"])
    assert index.find(f"{NFC}/1.jpg") == f"{NFD}/1.png"
    assert index.find("images/b/2.color") == "images/b/2.color.jpg"
    assert index.find("/ws/room/c/1.png") == "c/1.png"
    assert index.find("/ws/room/d/1.png") is None
    assert index.find_ending("b/2.color.png") == ["images/b/2.color.jpg"]
    assert index.find_ending("1.png") == [f"{NFD}/1.png", "c/1.png"]
