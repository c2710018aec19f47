"""ROS 2 bags in and out, written and read back by rosbags itself."""

import sys

import cv2
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from posenet.geometry.poses import Poses
from posenet.interop.bag_reader import is_bag, open_bag
from posenet.interop.bag_writer import BagTrajectory, covariance, to_nanoseconds, write_bag
from posenet.io.images import read_image
from tests.helpers.bags import (
    START,
    compressed_message,
    image_message,
    info_message,
    message,
    typestore,
    write_messages,
)
from tests.helpers.errors import refusal

pytest.importorskip("rosbags")

COLORS = np.random.default_rng(0).integers(0, 256, (4, 6, 3), np.uint8)
GRAY = COLORS[..., 0]
ALPHA = np.full((4, 6, 1), 9, np.uint8)


def read_all(bag, folder, topic=None):
    with open_bag(bag) as opened:
        found = opened.images(opened.image_topic(topic))
        return [(image.stamp, read_image(image.write(folder))) for image in found]


@pytest.mark.parametrize(
    ("encoding", "pixels", "expected"),
    [
        ("rgb8", COLORS, COLORS),
        ("bgr8", COLORS, COLORS[..., ::-1]),
        ("8UC3", COLORS, COLORS[..., ::-1]),
        ("rgba8", np.dstack([COLORS, ALPHA]), COLORS),
        ("bgra8", np.dstack([COLORS, ALPHA]), COLORS[..., ::-1]),
        ("mono8", GRAY, np.dstack([GRAY] * 3)),
        ("8UC1", GRAY, np.dstack([GRAY] * 3)),
    ],
)
@pytest.mark.parametrize("storage", ["MCAP", "SQLITE3"])
def test_images_of_every_encoding(tmp_path, encoding, pixels, expected, storage):
    messages = [image_message(START + 5, pixels, encoding, padding=3)]
    bag = write_messages(tmp_path / "bag", {"/camera/image_raw": messages}, storage=storage)
    ((stamp, image),) = read_all(bag, tmp_path)
    assert stamp == START + 5
    np.testing.assert_array_equal(image, expected)
    assert (tmp_path / "1700000000.000000005.bmp").is_file()


def test_compressed_images_are_files(tmp_path):
    content = cv2.imencode(".png", COLORS[..., ::-1])[1].tobytes()
    topics = {"/camera/image_raw/compressed": [compressed_message(0, content, "png")]}
    bag = write_messages(tmp_path / "bag", topics)
    # Without a time in the header, that of the recording. A single .mcap file is a bag too.
    ((stamp, image),) = read_all(bag / "bag.mcap", tmp_path)
    assert stamp == START
    np.testing.assert_array_equal(image, COLORS)


def test_bags_are_recognized(tmp_path):
    bag = write_messages(tmp_path / "bag", {"/a": [image_message(0, GRAY, "mono8")]})
    assert is_bag(bag)
    assert is_bag(bag / "bag.mcap")
    assert not is_bag(tmp_path)
    assert not is_bag(tmp_path / "missing.mcap")
    (tmp_path / "photo.jpg").write_bytes(b"x")
    assert not is_bag(tmp_path / "photo.jpg")


def test_the_topic_is_chosen_or_named(tmp_path):
    gray = [image_message(0, GRAY, "mono8")]
    depth = [compressed_message(0, b"x", "16UC1; compressedDepth")]
    pose = [message("std_msgs/msg/String", "x")]
    two = write_messages(
        tmp_path / "two", {"/left": gray, "/right": gray, "/d/compressedDepth": depth, "/a": pose}
    )
    with open_bag(two) as bag:
        assert bag.image_topic("/right") == "/right"
        assert refusal(bag.image_topic, None) == (
            f"{two} has 2 image topics: --topic must be one of /left, /right, received none"
        )
        assert refusal(bag.image_topic, "/middle").endswith("received /middle")
    none = write_messages(tmp_path / "none", {"/a": pose, "/b": pose})
    with open_bag(none) as bag:
        assert refusal(bag.image_topic, None) == (
            f"{none} must contain images, its topics are: /a, /b"
        )


def camera_of(tmp_path, info, topic="/camera/image_raw", info_topic="/camera/camera_info"):
    folder = tmp_path / f"bag{len(list(tmp_path.iterdir()))}"
    write_messages(folder, {topic: [image_message(0, GRAY, "mono8")], info_topic: [info]})
    with open_bag(folder) as bag:
        return bag.camera(topic)


def test_intrinsics_are_those_beside_the_images(tmp_path):
    info = info_message(0, (640, 480), 500, (319.5, 239.5), [0.1, -0.2, 0.001, 0.002, 0.05])
    camera = camera_of(tmp_path, info)
    # Pixel centers at whole numbers in ROS, at halves here.
    assert (camera.fx, camera.fy, camera.cx, camera.cy) == (500, 500, 320, 240)
    assert camera.model == "FULL_OPENCV"
    assert camera.distortion == (0.1, -0.2, 0.001, 0.002, 0.05, 0, 0, 0)
    topic = "/camera/image_raw/compressed"
    assert camera_of(tmp_path, info, topic=topic) == camera
    assert camera_of(tmp_path, info, info_topic="/other/camera_info") is None
    fisheye = info_message(0, (640, 480), 300, (319.5, 239.5), [1, 2, 3, 4], "equidistant")
    assert camera_of(tmp_path, fisheye).model == "OPENCV_FISHEYE"
    p = [450, 0, 300, 0, 0, 460, 200, 0, 0, 0, 1, 0]
    rectified = info_message(0, (640, 480), 500, (319.5, 239.5), [0.1] * 5, projection=p)
    camera = camera_of(tmp_path, rectified, topic="/camera/image_rect")
    assert (camera.fx, camera.fy, camera.cx, camera.cy) == (450, 460, 300.5, 200.5)
    assert (camera.model, camera.distortion) == ("PINHOLE", ())


@pytest.mark.parametrize(
    "info",
    [
        ((640, 480), 0, (0, 0)),
        ((0, 0), 500, (320, 240)),
        ((640, 480), float("nan"), (320, 240)),
        ((640, 480), 500, (320, 240), [0.1] * 14, "rational_polynomial"),
        ((640, 480), 500, (320, 240), [0.1] * 4, "something"),
    ],
)
def test_unknown_intrinsics_are_none(tmp_path, info):
    assert camera_of(tmp_path, info_message(0, *info)) is None


def test_images_that_cannot_be_read_are_one_line(tmp_path):
    def line(number, item):
        bag = write_messages(tmp_path / f"bag{number}", {"/a": [item]})
        return refusal(read_all, bag, tmp_path)

    bayer = image_message(0, GRAY, "bayer_rggb8")
    assert line(0, bayer) == (
        "the encoding of images in a bag must be one of rgb8, bgr8, 8UC3, rgba8, bgra8, mono8, "
        "8UC1, received bayer_rggb8: debayer it with image_proc"
    )
    assert line(1, image_message(0, GRAY, "16UC1")).endswith("received 16UC1")
    assert line(2, image_message(0, GRAY, "rgb8")) == (
        "an image of 6 x 4 pixels in rgb8 must have rows of at least 18 bytes, "
        "received 24 bytes in rows of 6"
    )
    huge = image_message(0, GRAY, "mono8")
    huge.height = 2**31
    assert line(3, huge).startswith("an image of 6 x 2147483648 pixels in mono8 must have rows")
    assert line(4, compressed_message(0, b"GIF8", "gif")) == (
        "a compressed image in a bag must be JPEG or PNG, received 'gif' of 4 bytes"
    )


def test_damaged_bags_are_one_line(tmp_path):
    bag = write_messages(tmp_path / "bag", {"/a": [image_message(0, COLORS) for _ in range(20)]})
    content = (bag / "bag.mcap").read_bytes()
    path = tmp_path / "a.mcap"
    for damaged in (b"", b"text", content[: len(content) // 2], content[:100] + bytes(500)):
        path.write_bytes(damaged)
        assert refusal(read_all, path, tmp_path).startswith(f"{path} cannot be read as a bag: ")
    (bag / "metadata.yaml").write_text("no: [yaml")
    assert refusal(read_all, bag, tmp_path).startswith(f"{bag} cannot be read as a bag: ")
    (tmp_path / "old.bag").write_bytes(b"#ROSBAG V2.0\n")
    assert refusal(read_all, tmp_path / "old.bag", tmp_path) == (
        f"{tmp_path / 'old.bag'} is a bag of ROS 1: convert it with rosbags-convert --src "
        f"{tmp_path / 'old.bag'} --dst FOLDER"
    )


def test_definitions_of_types_in_the_bag_are_not_used(tmp_path):
    from rosbags.rosbag2 import StoragePlugin, Writer

    types = typestore()
    with Writer(tmp_path / "bag", version=8, storage_plugin=StoragePlugin.MCAP) as writer:
        connection = writer.add_connection(
            "/a", "sensor_msgs/msg/Image", msgdef="float64 height\n", rihs01="RIHS01_" + "0" * 64
        )
        item = image_message(0, COLORS)
        writer.write(connection, START, types.serialize_cdr(item, item.__msgtype__))
    ((_, image),) = read_all(tmp_path / "bag", tmp_path)
    np.testing.assert_array_equal(image, COLORS)


def test_a_missing_package_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "rosbags.rosbag2", None)
    line = " requires the extra `bags`: pip install 'camera-posenet[bags]'"
    assert refusal(read_all, tmp_path / "a.mcap", tmp_path) == f"reading a bag{line}"
    assert refusal(write_bag, tmp_path / "bag", []) == f"writing a bag{line}"


def test_trajectories_are_read_back(tmp_path):
    from rosbags.highlevel import AnyReader

    rotations = Rotation.from_euler("z", [[0], [90]], degrees=True)
    poses = Poses(np.array([[1.0, 2, 3], [4, 5, 6]]), rotations)
    stamps = to_nanoseconds(np.array([1.25, 2.000000001]))
    assert stamps.tolist() == [1_250_000_000, 2_000_000_001]
    trajectories = [
        BagTrajectory("/estimate", stamps, poses, np.array([0.3, np.nan]), np.array([9.0, np.nan])),
        BagTrajectory("/groundtruth", stamps, poses),
    ]
    write_bag(tmp_path / "new" / "bag", trajectories)
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["bag"]
    with AnyReader([tmp_path / "new" / "bag"]) as reader:
        found = [
            (connection.topic, time, reader.deserialize(data, connection.msgtype))
            for connection, time, data in reader.messages()
        ]
    assert [(topic, time) for topic, time, _ in found] == [
        ("/estimate", stamps[0]),
        ("/groundtruth", stamps[0]),
        ("/estimate", stamps[1]),
        ("/groundtruth", stamps[1]),
    ]
    first, _, second, truth = (item for _, _, item in found)
    assert first.header.frame_id == "map"
    assert (second.header.stamp.sec, second.header.stamp.nanosec) == (2, 1)
    position = first.pose.pose.position
    assert (position.x, position.y, position.z) == (1, 2, 3)
    matrix = first.pose.covariance.reshape(6, 6)
    # 0.3 over three axes is 0.3 / sqrt(3) on each.
    np.testing.assert_allclose(np.diag(matrix)[:3], 0.03)
    np.testing.assert_allclose(np.diag(matrix)[3:], np.radians(9) ** 2 / 3)
    assert np.count_nonzero(matrix) == 6
    assert not second.pose.covariance.any()
    half = truth.pose.orientation
    np.testing.assert_allclose([half.x, half.y, half.z, half.w], [0, 0, 0.5**0.5, 0.5**0.5])


def test_unknown_deviations_are_zero():
    assert not covariance(float("nan"), float("nan")).any()


def test_what_cannot_be_written_is_one_line(tmp_path):
    (tmp_path / "bag").mkdir()
    assert refusal(write_bag, tmp_path / "bag", []) == (
        f"output folder already exists: {tmp_path / 'bag'}"
    )
    (tmp_path / "file").write_text("x")
    line = refusal(write_bag, tmp_path / "file" / "bag", [])
    assert line == f"{tmp_path / 'file' / 'bag'} cannot be written: File exists"
    assert refusal(to_nanoseconds, np.array([1.0, -2.5])) == (
        "time stamps in a bag must be from 0 to 2147483647 seconds, received -2.5"
    )
