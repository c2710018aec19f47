"""The map seen from above and the frames of a camera-path video."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from posenet.geometry.poses import Poses
from posenet.localization.pnp import CameraPose
from posenet.streams.drawing import (
    IMAGE_BOX,
    MAP_BOX,
    CameraPathDrawing,
    format_angle,
    format_length,
)
from posenet.streams.follower import LOST, FollowedFrame
from posenet.streams.map_view import draw_map
from posenet.streams.path_video import PathVideo
from posenet.streams.text import draw_text, text_width
from posenet.streams.video_file import VideoFile
from tests.helpers.scenes import walk
from tests.helpers.tracking import at
from tests.streams.test_video_file import read_back

WALK = walk()
IMAGE = np.full((120, 160, 3), [10, 120, 200], np.uint8)


@pytest.fixture(scope="module")
def view():
    points = np.random.default_rng(0).uniform(-8, 8, (500, 3))
    return draw_map(MAP_BOX[2:], WALK, "m", points=points, ground_truth=WALK)


def frame(row, lost=False):
    pose = WALK.positions[row], WALK.rotations[row]
    return FollowedFrame(row, row / 10, IMAGE, LOST if lost else at(pose), 60.0)


def test_the_map_has_its_size_and_scale(view):
    assert view.image.shape == (MAP_BOX[3], MAP_BOX[2], 3)
    origin, right, up = view.pixels(
        view.plane.origin + np.stack([0 * view.plane.axes[0], *view.plane.axes[:2]])
    )
    scale = view.pixels_per_unit
    np.testing.assert_allclose(right - origin, [scale, 0], atol=1e-6)
    np.testing.assert_allclose(up - origin, [0, -scale], atol=1e-6)  # pixels count down
    pixels = view.pixels(WALK.positions)
    assert (pixels > 0).all()
    assert (pixels < MAP_BOX[2:]).all()


def test_points_are_drawn_where_pixels_says(view):
    x, y = np.rint(view.pixels(WALK.positions)).astype(int).T
    assert (view.image[y, x].min(axis=1) < 200).all()  # the path is not white there


def test_directions_on_the_map(view):
    ahead, _, normal = view.plane.axes
    np.testing.assert_allclose(view.direction(ahead), [1, 0], atol=1e-9)
    np.testing.assert_allclose(view.direction(normal), [0, 0], atol=1e-9)


def test_colors_of_standard_deviations(view):
    middle = np.sqrt(view.smallest_std * view.largest_std)
    assert view.color(view.smallest_std / 9) == view.color(np.nan) == tuple(view.colors[0])
    assert view.color(view.largest_std * 9) == tuple(view.colors[255])
    assert view.color(middle) in (tuple(view.colors[127]), tuple(view.colors[128]))


def test_a_frame_shows_image_path_and_state(view):
    drawing = CameraPathDrawing(view, "scene: stream", "m")
    for row in range(10):
        drawing.advance(frame(row))
    canvas = drawing.compose(frame(9))
    assert canvas.shape == (720, 1280, 3)
    left, top, width, height = IMAGE_BOX
    assert canvas[top + height // 2, left + width // 2].tolist() == [10, 120, 200]
    x, y = np.rint(view.pixels(WALK.positions[4:5])[0]).astype(int) + MAP_BOX[:2]
    expected = view.color(frame(4).estimate.position_std)
    assert np.abs(canvas[y, x].astype(int) - expected).max() < 30


def test_a_lost_camera_is_marked_and_the_path_breaks(view):
    drawing = CameraPathDrawing(view, "scene", "m")
    drawing.advance(frame(0))
    drawing.advance(frame(20, lost=True))
    lost = drawing.compose(frame(20, lost=True))
    left, top = IMAGE_BOX[:2]
    assert lost[top, left + 100].tolist() == [196, 52, 62]  # a red outline
    before = drawing._map.copy()
    drawing.advance(frame(40))
    x, y = view.pixels(WALK.positions[[0, 40]]).mean(axis=0).astype(int)
    assert (drawing._map[y, x] == before[y, x]).all()  # no line across the gap


def test_true_pose_and_errors_are_drawn(view):
    drawing = CameraPathDrawing(view, "scene", "m")
    drawing.advance(frame(0))
    without = drawing.compose(frame(0))
    truth = CameraPose(WALK.positions[5], WALK.rotations[5])
    with_truth = drawing.compose(frame(0), truth)
    x, y = np.rint(view.pixels(truth.position[None])[0]).astype(int) + MAP_BOX[:2]
    np.testing.assert_allclose(with_truth[y, x], [31, 58, 95], atol=3)
    assert (without[600:660, :560] != with_truth[600:660, :560]).any()  # the line of the error


def test_cameras_outside_the_map_do_not_fail(view):
    drawing = CameraPathDrawing(view, "scene", "m")
    far = FollowedFrame(0, 0.0, IMAGE, at((np.full(3, 1e6), Rotation.identity())), 170.0)
    drawing.advance(far)
    assert drawing.compose(far).shape == (720, 1280, 3)


@pytest.mark.parametrize("training", [WALK[:1], Poses(np.zeros((4, 3)), Rotation.identity(4))])
def test_maps_of_one_place(training):
    view = draw_map((400, 300), training, "scene units", has_std=False)
    assert view.image.shape == (300, 400, 3)
    assert np.isfinite(view.pixels(np.zeros((1, 3)))).all()


def test_a_video_of_a_path(view, tmp_path):
    file = VideoFile(tmp_path / "a.mp4", 10, (1280, 720))
    with PathVideo(CameraPathDrawing(view, "scene", "m"), file) as video:
        for row in range(12):
            video.add(frame(row, lost=row == 5))
    frames = read_back(tmp_path / "a.mp4")
    assert len(frames) == 12
    assert frames[0].shape == (720, 1280, 3)
    assert video.latest is not None


def test_an_error_of_the_drawing_thread_is_raised(view, tmp_path):
    file = VideoFile(tmp_path / "a.mp4", 10, (1280, 720))
    broken = FollowedFrame(0, 0.0, IMAGE, at((np.zeros(2), Rotation.identity())), 60.0)
    video = PathVideo(CameraPathDrawing(view, "s", "m"), file)
    video.add(broken)
    with pytest.raises(ValueError, match="size|shape|mismatch"):
        video.__exit__(None)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [(0.0032, "m", "0.3 cm"), (0.5, "m", "50.0 cm"), (1.234, "m", "1.23 m")]
    + [(0.01234, "scene units", "0.0123 scene units")],
)
def test_lengths(value, unit, text):
    assert format_length(value, unit) == text


@pytest.mark.parametrize(("value", "text"), [(1.234, "1.23°"), (0.0123, "0.012°"), (0.0, "0°")])
def test_angles(value, text):
    assert format_angle(value) == text


def test_text_is_drawn_within_its_width_and_clipped():
    image = np.full((40, 100, 3), 255, np.uint8)
    draw_text(image, "Hg", (10, 30), size=20, color=(0, 0, 0))
    columns = np.flatnonzero((image < 128).any(axis=(0, 2)))
    assert 10 <= columns[0] <= 14
    assert columns[-1] <= 10 + text_width("Hg", 20)
    draw_text(image, "wide text at the border", (90, 38), size=20)
    draw_text(image, "x", (-30, 5), size=20)
