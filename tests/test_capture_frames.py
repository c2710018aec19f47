"""Pictures from photographs and videos."""

import cv2
import numpy as np
import pytest
from PIL import Image

from posenet.datasets.capture_frames import (
    STEP,
    choose_frames,
    collect_photos,
    collect_pictures,
    collect_video,
    drop_others,
    is_video,
    median_flow,
)
from posenet.errors import PoseNetError
from posenet.images import picture_size
from tests.conftest import refusal, write_picture


def texture(width=900, height=240, seed=0):
    small = np.random.default_rng(seed).integers(0, 255, (height // 8, width // 8, 3), np.uint8)
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)


def write_video(path, shifts, blurred=()):
    """A view of 320 x 240 that slides over a texture, some frames blurred."""
    wide = texture()
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 30, (320, 240))
    for row, shift in enumerate(shifts):
        view = wide[:, shift : shift + 320]
        writer.write(cv2.GaussianBlur(view, (0, 0), 4) if row in blurred else view)
    writer.release()
    return path


def test_sharpest_frame_of_each_stretch():
    flow = np.array([0, 0.4, 0.4, 0.4, 0.4, 0.4]) * STEP  # stretches: rows 0-2 (0 to 0.8 steps), 3-5 (1.2 to 2.0)
    sharpness = np.array([1, 5, 2, 1, 9, 3.0])
    np.testing.assert_array_equal(choose_frames(sharpness, flow, 100)[:2], [1, 4])


def test_at_most_so_many_frames():
    chosen = choose_frames(np.ones(1000), np.full(1000, STEP), 40)
    assert len(chosen) == 40
    assert np.diff(chosen).max() <= 26
    assert len(choose_frames(np.zeros(0), np.zeros(0), 5)) == 0


def test_a_still_video_gives_one_frame():
    assert len(choose_frames(np.arange(50.0), np.zeros(50), 10)) == 1


def test_flow_is_in_picture_widths():
    wide = cv2.cvtColor(texture(), cv2.COLOR_BGR2GRAY)
    assert median_flow(wide[:, :320], wide[:, 8:328]) == pytest.approx(8 / 320, rel=0.05)
    assert median_flow(np.zeros((240, 320), np.uint8), wide[:, :320]) == 0.0


def test_video_frames_are_well_spaced_and_sharp(tmp_path):
    shifts = [4 * row for row in range(100)]
    video = write_video(tmp_path / "walk.avi", shifts, blurred=range(0, 100, 2))
    (tmp_path / "out").mkdir()
    names = collect_video(video, tmp_path / "out", 250)
    rows = [int(name[5:11]) for name in names]
    assert all(row % 2 for row in rows)  # every even frame is blurred
    gaps = np.diff(rows) * 4 / 320
    assert 0.5 * STEP < np.median(gaps) < 1.6 * STEP
    assert picture_size(tmp_path / "out" / names[0]) == (320, 240)
    assert collect_video(video, tmp_path / "out", 250) == names


def test_photographs_are_linked_in_natural_order(tmp_path):
    for number in (10, 9, 1):
        write_picture(tmp_path / "in" / f"shot {number}.jpg", seed=number)
    (tmp_path / "in" / "notes.txt").write_text("not a picture")
    (tmp_path / "in" / "broken.jpg").write_bytes(b"")
    (tmp_path / "out").mkdir()
    names = collect_photos(tmp_path / "in", tmp_path / "out")
    assert names == ["shot_1.jpg", "shot_9.jpg", "shot_10.jpg"]
    assert (tmp_path / "out" / "shot_9.jpg").read_bytes() == (tmp_path / "in" / "shot 9.jpg").read_bytes()


def test_turned_photographs_become_upright_and_keep_their_exif(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "out").mkdir()
    exif = Image.Exif()
    exif[0x0112] = 6
    exif.get_ifd(0x8769)[0xA405] = 28
    Image.fromarray(texture(64, 48)).save(tmp_path / "in" / "a.jpg", exif=exif)
    collect_photos(tmp_path / "in", tmp_path / "out")
    with Image.open(tmp_path / "out" / "a.jpg") as upright:
        assert upright.size == (48, 64)
        assert upright.getexif().get(0x0112, 1) == 1
        assert upright.getexif().get_ifd(0x8769)[0xA405] == 28


def test_photographs_whose_names_differ_by_a_blank_stay_two(tmp_path):
    for number, name in enumerate(("a b.jpg", "a_b.jpg")):
        write_picture(tmp_path / "in" / name, seed=number)
    (tmp_path / "out").mkdir()
    assert sorted(collect_photos(tmp_path / "in", tmp_path / "out")) == ["a_b.jpg", "a_b_.jpg"]
    for name, photo in (("a_b.jpg", "a_b.jpg"), ("a_b_.jpg", "a b.jpg")):
        assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "in" / photo).read_bytes()


def test_a_damaged_picture_is_left_out(tmp_path, caplog):
    (tmp_path / "in").mkdir()
    exif = Image.Exif()
    exif[0x0112] = 6
    for name in ("a.jpg", "b.png"):
        Image.fromarray(texture(640, 480)).save(tmp_path / "in" / name, exif=exif)
    data = bytearray((tmp_path / "in" / "b.png").read_bytes())
    data[len(data) // 2 : len(data) // 2 + 999] = bytes(999)
    (tmp_path / "in" / "b.png").write_bytes(data)
    (tmp_path / "out").mkdir()
    assert collect_photos(tmp_path / "in", tmp_path / "out") == ["a.jpg"]
    assert "b.png is left out: " in caplog.text


def test_what_the_inputs_have_no_more_is_dropped(tmp_path):
    for name in ("a/1.jpg", "a/2.jpg", "3.jpg"):
        write_picture(tmp_path / name)
    assert drop_others(tmp_path, ["a/1.jpg"])
    assert [path.name for path in tmp_path.rglob("*.jpg")] == ["1.jpg"]
    assert not drop_others(tmp_path, ["a/1.jpg"])


def test_several_inputs_become_folders(tmp_path):
    for walk in ("a b", "c"):
        write_picture(tmp_path / walk / "1.jpg")
    names = collect_pictures((tmp_path / "a b", tmp_path / "c"), tmp_path / "out", 10)
    assert names == ["a_b/1.jpg", "c/1.jpg"]
    assert all((tmp_path / "out" / name).is_file() for name in names)


def test_wrong_inputs_are_refused(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.mp4").write_text("no video")
    (tmp_path / "list.txt").write_text("x")
    (tmp_path / "out").mkdir()
    with pytest.raises(PoseNetError, match=r"empty must hold photographs \(.*\), none is usable"):
        collect_photos(tmp_path / "empty", tmp_path / "out")
    with pytest.raises(PoseNetError, match=r"text.mp4 must be a video that OpenCV can read"):
        collect_video(tmp_path / "text.mp4", tmp_path / "out", 5)
    with pytest.raises(PoseNetError, match=r"list.txt must be a folder of photographs or a video"):
        collect_pictures((tmp_path / "list.txt",), tmp_path / "out", 5)
    assert is_video(tmp_path / "text.mp4")
    assert not is_video(tmp_path / "empty")


def test_webp_becomes_jpeg_and_an_orientation_of_0_goes(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "out").mkdir()
    exif = Image.Exif()
    exif[0x0112] = 0
    for name in ("a.webp", "B.webp", "B.jpg", "c.JPG"):
        Image.fromarray(texture(64, 48)).save(tmp_path / "in" / name, exif=exif)
    names = collect_photos(tmp_path / "in", tmp_path / "out")
    assert sorted(names) == ["B.jpg", "B_.jpg", "a.jpg", "c.JPG"]
    for name in names:
        with Image.open(tmp_path / "out" / name) as placed:
            assert (placed.format, placed.size, placed.getexif().get(0x0112)) == ("JPEG", (64, 48), None)


def test_frames_that_cannot_be_written_are_one_line(tmp_path, monkeypatch):
    write_video(tmp_path / "walk.avi", [0, 60, 120])
    (tmp_path / "out").mkdir()
    monkeypatch.setattr(cv2, "imwrite", lambda *_: False)
    line = refusal(collect_video, tmp_path / "walk.avi", tmp_path / "out", 10)
    assert line.endswith("cannot be written: the disk may be full")
    assert list((tmp_path / "out").iterdir()) == []
