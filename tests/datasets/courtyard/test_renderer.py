"""The renderer: projection, occlusion, near plane and visibility."""

import numpy as np
from scipy.spatial.transform import Rotation

from posenet.datasets.courtyard.meshes import Face, Solid, Texture, visible
from posenet.datasets.courtyard.renderer import far_to_near, render
from posenet.geometry.camera import Camera

CAMERA = Camera(320, 240, 210.0, 210.0, 160.0, 120.0)
SKY = np.full((4, 4, 3), (10, 20, 30), np.uint8)
# A camera that looks along y, z up.
FORWARD = Rotation.from_matrix([[1, 0, 0], [0, 0, 1], [0, -1, 0]])


def plain(color, size=(8, 8)):
    return Texture(np.full((*size, 3), color, np.uint8))


def panel(corner, width, height, color):
    """Return an upright face whose normal is -y."""
    return Face(
        np.array(corner, float),
        np.array([width, 0.0, 0]),
        np.array([0.0, 0, -height]),
        plain(color),
    )


def box(low, high, color):
    """Return a solid that has only the side towards -y."""
    face = panel((low[0], low[1], high[2]), high[0] - low[0], high[2] - low[2], color)
    return Solid([[face]], np.array(low, float), np.array(high, float))


def project(point, position, rotation):
    x, y, depth = CAMERA.matrix @ (rotation.as_matrix().T @ (np.array(point) - position))
    return np.array([x, y]) / depth


def red_centroid(image):
    """Return the centroid of the red color in pixels; pixel (0, 0) has its center at (0.5, 0.5)."""
    weight = np.clip(image[..., 0].astype(float) - image[..., 1] - 20, 0, None)
    rows, columns = np.mgrid[: weight.shape[0], : weight.shape[1]] + 0.5
    return np.array([(columns * weight).sum(), (rows * weight).sum()]) / weight.sum()


def test_render_matches_the_pinhole_model():
    rng = np.random.default_rng(5)
    for _ in range(12):
        pixels = np.full((480, 800, 3), 120, np.uint8)
        row, column = rng.integers(100, 380), rng.integers(200, 600)
        pixels[row - 6 : row + 6, column - 6 : column + 6] = (255, 0, 0)
        wall = Face(
            np.array([-5.0, 6, 4]), np.array([10.0, 0, 0]), np.array([0, 0, -6.0]), Texture(pixels)
        )
        mark = (-5 + column / 80, 6.0, 4 - row / 80)
        position = rng.uniform((-1.5, -1, 0.5), (1.5, 2, 2))
        look = np.array(mark) - position
        yaw = np.degrees(np.arctan2(-look[0], look[1])) + rng.uniform(-18, 18)
        rotation = (
            Rotation.from_euler(
                "ZXY", [yaw, rng.uniform(-8, 8), rng.uniform(-10, 10)], degrees=True
            )
            * FORWARD
        )
        image = render(CAMERA, position, rotation, SKY, [wall], [])
        np.testing.assert_allclose(red_centroid(image), project(mark, position, rotation), atol=0.3)


def test_nearer_solid_hides_the_farther_in_any_order():
    near, far = box((-1, 3, 0), (1, 3.5, 2), (255, 0, 0)), box((-2, 6, 0), (2, 6.5, 4), (0, 255, 0))
    for solids in ([near, far], [far, near]):
        image = render(CAMERA, np.array([0, 0, 1.0]), FORWARD, SKY, [], solids)
        assert tuple(image[120, 160]) == (255, 0, 0)
        edge = project((1.5, 6.0, 1.0), np.array([0, 0, 1.0]), FORWARD)
        # Still inside the outline of the nearer solid.
        assert tuple(image[int(edge[1]), int(edge[0])]) == (255, 0, 0)
        assert tuple(image[40, 160]) == (0, 255, 0)


def test_long_solid_does_not_hide_one_in_front_of_it():
    hedge, person = (
        box((-4, 1.9, 0), (4, 2.5, 1), (0, 255, 0)),
        box((2.9, 1.5, 0), (3.1, 1.6, 2), (255, 0, 0)),
    )
    ordered = far_to_near([person, hedge], np.array([0, 0, 1.6]))
    assert ordered == [hedge, person]


def test_ground_under_the_camera_is_clipped():
    ground = Face(
        np.array([-20.0, 20, 0]),
        np.array([40.0, 0, 0]),
        np.array([0, -40.0, 0]),
        plain((90, 90, 90)),
    )
    whole = Face(ground.corner, ground.across, ground.down, ground.texture, tile=1000.0)
    for face in (ground, whole):
        image = render(CAMERA, np.array([0.3, 0.2, 1.5]), FORWARD, SKY, [face], [])
        horizon = 120 + 210 * 1.5 / 19.8
        below, above = image[int(horizon) + 2 :], image[: int(horizon) - 1]
        assert (below == 90).all()
        assert (above == SKY[0, 0]).all()


def test_clipped_wall_keeps_its_texture_coordinates():
    pixels = np.zeros((64, 640, 3), np.uint8)
    # White from y = 5 on.
    pixels[:, 480:] = (255, 255, 255)
    wall = Face(
        np.array([-1.0, -10, 3]),
        np.array([0, 20.0, 0]),
        np.array([0, 0, -3.0]),
        Texture(pixels),
        tile=1e3,
    )
    position = np.array([0, 0, 1.5])
    image = render(CAMERA, position, FORWARD, SKY, [wall], [])
    change, _ = project((-1, 5, 1.5), position, FORWARD)
    row = image[120, :, 0].astype(int)
    assert (row[: int(change) - 2] == 0).all()
    assert row[int(change) + 3] > 250


def test_faces_seen_from_behind_are_not_drawn():
    face = panel((-1, 3, 2), 2, 2, (255, 0, 0))
    image = render(
        CAMERA,
        np.array([0, 6.0, 1]),
        Rotation.from_euler("z", 180, degrees=True) * FORWARD,
        SKY,
        [face],
        [],
    )
    assert (image == SKY[0, 0]).all()


def test_minified_fine_pattern_does_not_alias():
    pixels = np.zeros((1024, 1024, 3), np.uint8)
    pixels[:, ::2] = 255
    wall = Face(
        np.array([-20.0, 20, 20]), np.array([40.0, 0, 0]), np.array([0, 0, -40.0]), Texture(pixels)
    )
    image = render(CAMERA, np.array([0, 0, 0.0]), FORWARD, SKY, [wall], [])
    assert np.ptp(image[40:200, 60:260].astype(int)) <= 4


def test_visible_detects_occlusion():
    wall, screen = panel((-6, 8, 5), 12, 5, (0, 0, 255)), panel((-1, 4, 2), 2, 2, (255, 0, 0))
    points = np.array(
        [(0, 8, 1), (0, 8, 4), (3, 8, 1), (0.5, 4, 1), (0, -3, 1), (30, 8, 1), (0, 3, 1)], float
    )
    seen = visible(points, CAMERA, np.array([0, 0, 1.0]), FORWARD, [wall, screen])
    assert seen.tolist() == [False, True, True, True, False, False, True]
