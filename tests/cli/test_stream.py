"""The commands that follow a stream and draw a camera path."""

import shutil

import cv2
import numpy as np
import pytest

from posenet.cli.main import main
from posenet.errors import PoseNetError
from posenet.evaluation.saved import read_estimates
from posenet.run import open_run
from posenet.streams.follower import Follower
from tests.cli.test_cli import failure
from tests.streams.test_video_file import read_back

pytestmark = pytest.mark.slow


@pytest.fixture
def video(cambridge, tmp_path):
    """Return a video of the four test images, and one black image in their middle."""
    path = tmp_path / "walk.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10, (320, 240))
    rng = np.random.default_rng(0)
    for number in range(5):
        noise = rng.integers(0, 255, (24, 32, 3), np.uint8)
        image = cv2.resize(noise, (320, 240), interpolation=cv2.INTER_CUBIC)
        writer.write(image * (number != 2))
    writer.release()
    return path


def test_a_video_is_followed_by_the_network_alone(trained, video, tmp_path, capsys, caplog):
    caplog.set_level("INFO", "posenet")
    output = tmp_path / "path.mp4"
    arguments = ["predict", trained, video, "--no-refine", "--output", output]
    assert main([str(argument) for argument in arguments]) == 0
    header, *lines = capsys.readouterr().out.splitlines()
    assert header == (
        "# frame seconds x y z qw qx qy qz, camera to world; then rotation_spread_deg, "
        "num_inliers, position_std"
    )
    cells = [line.split() for line in lines]
    assert [line[:2] for line in cells] == [
        ["0", "0.000"],
        ["1", "0.100"],
        ["3", "0.300"],
        ["4", "0.400"],
    ]
    assert all(len(line) == 12 for line in cells)
    quaternions = np.array([line[5:9] for line in cells], float)
    np.testing.assert_allclose(np.linalg.norm(quaternions, axis=1), 1, atol=1e-5)
    messages = [record.getMessage() for record in caplog.records]
    assert "frame 2, 0.2 s: lost" in messages
    assert "frame 3, 0.3 s: found again" in messages
    assert any(line.startswith("5 frames: 4 followed, 1 lost, ") for line in messages)
    assert messages[-1] == f"written: {output}"
    assert len(read_back(output)) == 5


def test_an_interrupted_stream_ends_properly(trained, video, tmp_path, monkeypatch, caplog):
    caplog.set_level("INFO", "posenet")
    follow = Follower.follow

    def interrupted(self, frames):
        for number, frame in enumerate(follow(self, frames)):
            if number == 2:
                raise KeyboardInterrupt
            yield frame

    monkeypatch.setattr(Follower, "follow", interrupted)
    output = tmp_path / "path.mp4"
    arguments = ["predict", trained, video, "--no-refine", "--output", output]
    assert main([str(argument) for argument in arguments]) == 0
    assert "interrupted after 2 frames: 2 followed, 0 lost" in caplog.text
    assert len(read_back(output)) == 2


def test_options_that_do_not_fit(trained, video, tmp_path, capsys):
    images = trained.parent / "Square" / "seq3"
    for option in (["--output", tmp_path / "a.mp4"], ["--show"], ["--realtime"]):
        assert failure(capsys, "predict", trained, images, *option) == (
            f"error: {option[0]} requires one stream: a video file, the number of a camera or a URL"
        )
    for option in (["--plot", tmp_path / "a.png"], ["--show-retrieved"]):
        assert failure(capsys, "predict", trained, video, *option) == (
            f"error: {option[0]} requires images, {video} is a stream"
        )
    assert failure(capsys, "predict", trained, video, images) == (
        f"error: {video} is a stream, which must be the only input, received 2"
    )
    assert failure(capsys, "predict", trained, video, "--output", tmp_path / "a.avi") == (
        f"error: a video must be written to a file *.mp4, received {tmp_path}/a.avi"
    )
    assert failure(capsys, "predict", trained, tmp_path / "none.mp4") == (
        f"error: video not found: {tmp_path}/none.mp4"
    )


def test_a_window_shows_the_stream_until_it_is_closed(trained, video, monkeypatch, capsys):
    shown = []

    class FakeWindow:
        def __init__(self, title):
            shown.append(title)

        def show(self, image):
            shown.append(image)
            return len(shown) < 4

        def close(self):
            shown.append("closed")

    monkeypatch.setattr("posenet.streams.window.require_window", lambda: None)
    monkeypatch.setattr("posenet.streams.window.Window", FakeWindow)
    assert main(["predict", str(trained), str(video), "--no-refine", "--show"]) == 0
    assert shown[0] == "posenet: walk.avi"
    assert shown[-1] == "closed"
    assert len(shown) == 5  # three images


def evaluate(run):
    assert main(["evaluate", str(run), "--no-refine", "--no-plot"]) == 0


def test_animate_draws_the_poses_of_the_evaluation(trained, monkeypatch, caplog, tmp_path):
    evaluate(trained)
    monkeypatch.setattr("posenet.localization.localizer.Localizer.estimate", None)
    caplog.set_level("INFO", "posenet")
    assert main(["animate", str(trained), "--fps", "5"]) == 0
    path = trained / "evaluation" / "camera_path.mp4"
    assert len(read_back(path)) == 4
    assert cv2.VideoCapture(str(path)).get(cv2.CAP_PROP_FPS) == 5
    assert f"{trained / 'evaluation' / 'errors.csv'}: its poses are drawn" in caplog.text


def test_animate_localizes_without_an_evaluation(trained, tmp_path, caplog):
    caplog.set_level("INFO", "posenet")
    output = tmp_path / "a.mp4"
    assert main(["animate", str(trained), "--output", str(output), "--sequence", "seq3"]) == 0
    assert len(read_back(output)) == 4
    assert "localizing 4 images: there is no evaluation of them" in caplog.text


def test_animate_refuses(trained, tmp_path, capsys):
    assert failure(capsys, "animate", trained, "--sequence", "seq1") == (
        f"error: --sequence must be a test sequence of {trained.parent}/Square (seq3), received seq1"
    )
    for fps in ("0", "61", "nan"):
        assert failure(capsys, "animate", trained, "--fps", fps) == (
            f"error: --fps must be above 0 and at most 60, got {float(fps):g}"
        )
    assert failure(capsys, "animate", trained, "--output", tmp_path / "a.gif") == (
        f"error: a video must be written to a file *.mp4, received {tmp_path}/a.gif"
    )


def test_images_that_cannot_be_read_are_gray(trained, tmp_path, monkeypatch, caplog):
    evaluate(trained)

    def unreadable(path, at_least):
        raise PoseNetError(f"{path}: not a valid image")

    monkeypatch.setattr("posenet.io.images.read_image", unreadable)
    output = tmp_path / "a.mp4"
    assert main(["animate", str(trained), "--output", str(output)]) == 0
    frames = read_back(output)
    assert np.abs(frames[1][200:300, 100:400].astype(int) - 128).max() < 12
    assert "frame00002.png: not a valid image" in caplog.text


def test_saved_estimates(trained):
    evaluate(trained)
    test = open_run(trained).open_scene().split("test")
    folder = trained / "evaluation"
    estimates = read_estimates(folder, test)
    assert len(estimates) == 4
    row = (folder / "errors.csv").read_text().splitlines()[2].split(",")
    assert row[0] == test.names[1]
    numbers = [float(cell) for cell in row[-14:-7]]
    np.testing.assert_array_equal(estimates[1].position, numbers[:3])
    np.testing.assert_array_equal(estimates[1].quaternion_wxyz, numbers[3:])
    assert estimates[1].valid
    assert not estimates[1].refined


@pytest.mark.parametrize("damage", ["missing", "other poses", "image missing", "not a table"])
def test_an_evaluation_that_does_not_fit(trained, damage):
    evaluate(trained)
    folder = trained / "evaluation"
    lines = (folder / "errors.csv").read_text().splitlines()
    if damage == "missing":
        shutil.rmtree(folder)
    elif damage == "other poses":
        lines[1] = lines[1].rsplit(",", 1)[0] + ",0.123"
    elif damage == "image missing":
        del lines[2]
    else:
        lines = ["<html>"]
    if folder.exists():
        (folder / "errors.csv").write_text("\n".join(lines))
    assert read_estimates(folder, open_run(trained).open_scene().split("test")) is None


def test_the_input_is_never_overwritten(trained, video, capsys):
    video = video.rename(video.with_suffix(".mp4"))
    content = video.read_bytes()
    for given, message in (
        ([], f"output file already exists: {video} (use --overwrite to replace it)"),
        (["--overwrite"], f"--output must be another file than the input, got {video}"),
    ):
        assert main(["predict", str(trained), str(video), "--output", str(video), *given]) == 1
        assert f"error: {message}\n" in capsys.readouterr().err
    assert video.read_bytes() == content
