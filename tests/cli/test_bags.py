"""Bags in the commands `predict` and `evaluate`."""

import numpy as np
import pytest

from posenet.cli.main import main
from posenet.io.images import read_image
from tests.helpers.bags import START, STEP, image_message, info_message, write_messages

pytest.importorskip("rosbags")
pytestmark = pytest.mark.slow


@pytest.fixture
def bag(cambridge, tmp_path):
    """A bag of the test images of the scene `cambridge`."""
    paths = sorted(cambridge.glob("seq3/*.png"))
    images = [image_message(START + row * STEP, read_image(path)) for row, path in enumerate(paths)]
    return write_messages(tmp_path / "bag", {"/camera/image_raw": images})


def read_poses(folder, topic):
    from rosbags.highlevel import AnyReader

    with AnyReader([folder]) as reader:
        chosen = [connection for connection in reader.connections if connection.topic == topic]
        return [
            (time, reader.deserialize(data, connection.msgtype))
            for connection, time, data in reader.messages(chosen)
        ]


def test_a_bag_has_the_poses_of_its_images(trained, cambridge, bag, tmp_path, capsys):
    assert main(["predict", str(trained), str(cambridge / "seq3")]) == 0
    header, *expected = capsys.readouterr().out.splitlines()
    out = tmp_path / "poses"
    assert main(["predict", str(trained), str(bag), "--output-bag", str(out)]) == 0
    again, *lines = capsys.readouterr().out.splitlines()
    assert again == header
    assert [line.split()[0] for line in lines] == [f"1700000000.{row}00000000" for row in range(4)]
    numbers = [np.array(line.split()[1:8], float) for line in lines]
    np.testing.assert_allclose(
        numbers, [np.array(line.split()[1:8], float) for line in expected], atol=2e-5
    )
    found = read_poses(out, "/estimate")
    assert [time for time, _ in found] == [START + row * STEP for row in range(4)]
    position = found[1][1].pose.pose.position
    np.testing.assert_allclose([position.x, position.y, position.z], numbers[1][:3], atol=1e-6)


def test_the_batches_of_a_bag_are_printed_as_one(trained, bag, capsys, monkeypatch):
    assert main(["predict", str(trained), str(bag)]) == 0
    expected = capsys.readouterr().out
    monkeypatch.setattr("posenet.cli.bags.BATCH", 3)
    assert main(["predict", str(trained), str(bag), "--topic", "/camera/image_raw"]) == 0
    assert capsys.readouterr().out == expected


def test_intrinsics_of_the_bag_are_used(trained, cambridge, tmp_path, monkeypatch):
    from posenet.localization.localizer import Localizer

    image = read_image(cambridge / "seq3" / "frame00001.png")
    height, width = image.shape[:2]
    info = info_message(START, (2 * width, 2 * height), 200, (width - 0.5, height - 0.5))
    folder = write_messages(
        tmp_path / "bag",
        {"/cam/image_raw": [image_message(START, image)], "/cam/camera_info": [info]},
    )
    seen = []
    estimate = Localizer.estimate

    def spy(self, images, paths, cameras, *args, **kwargs):
        seen.extend(cameras)
        return estimate(self, images, paths, cameras, *args, **kwargs)

    monkeypatch.setattr(Localizer, "estimate", spy)
    assert main(["predict", str(trained), str(folder)]) == 0
    (camera,) = seen
    assert (camera.width, camera.fx, camera.cx) == (width, 100, width / 2)


def test_wrong_inputs_are_one_line(trained, cambridge, bag, tmp_path, capsys):
    def line(*arguments):
        assert main(["predict", str(trained), *map(str, arguments)]) == 1
        return capsys.readouterr().err.strip().splitlines()[-1]

    image = cambridge / "seq3"
    assert line(bag, image) == "error: a bag must be the only input, received 2 inputs"
    assert line(image, "--topic", "/a") == f"error: --topic requires a bag, received {image}"
    assert line(image, "--output-bag", bag) == f"error: output folder already exists: {bag}"
    video = tmp_path / "walk.mp4"
    video.write_bytes(b"x")
    assert line(video, "--output-bag", tmp_path / "new") == (
        "error: --topic and --output-bag cannot be used with a stream"
    )
    assert "--topic must be one of /camera/image_raw, received /a" in line(bag, "--topic", "/a")


def test_an_evaluation_writes_both_trajectories(trained, tmp_path):
    out = tmp_path / "out"
    command = ["evaluate", str(trained), "--output", str(out), "--no-plot"]
    assert main([*command, "--bag"]) == 0
    assert main([*command, "--bag"]) == 0  # replaces the first
    truth = read_poses(out / "bag", "/groundtruth")
    estimate = read_poses(out / "bag", "/estimate")
    rows = np.loadtxt(out / "groundtruth.tum")
    assert [time for time, _ in truth] == (rows[:, 0] * 1e9).tolist()
    for kind, name in ((truth, "groundtruth"), (estimate, "estimate")):
        poses = [getattr(item.pose, "pose", item.pose) for _, item in kind]
        numbers = [
            [*(getattr(pose.position, axis) for axis in "xyz")]
            + [getattr(pose.orientation, axis) for axis in "xyzw"]
            for pose in poses
        ]
        np.testing.assert_allclose(numbers, np.loadtxt(out / f"{name}.tum")[:, 1:], atol=1e-8)
    assert not estimate[0][1].pose.covariance.any()  # not refined: unknown
    assert main(command) == 0
    assert not (out / "bag").exists()
