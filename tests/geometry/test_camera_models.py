"""COLMAP's camera models. pycolmap is the independent implementation."""

import numpy as np
import pycolmap
import pytest

from posenet.geometry.camera import Camera
from posenet.geometry.camera_models import (
    CAMERA_MODELS,
    camera_from_colmap,
    colmap_parameters,
    project,
    unproject,
)

ALL = [
    model
    for number, model in enumerate(pycolmap.CameraModelId.__members__.values())
    if model.value >= 0
]


def numbers(lens):
    """Plausible parameters of a model."""
    model = CAMERA_MODELS[lens]
    rng = np.random.default_rng(model.number)
    focals = (500.0, 480.0)[: model.focals]
    extra = {"EUCM": (0.6, 1.1), "FOV": (0.4,)}.get(lens) or tuple(
        rng.uniform(-0.02, 0.02, len(model.extra))
    )
    return (*focals, 322.0, 239.0, *extra) if model.focals else (640.0, 480.0)


@pytest.mark.parametrize("model", ALL, ids=lambda model: model.name)
def test_every_model_of_colmap_is_known(model):
    lens = CAMERA_MODELS[model.name]
    assert lens.number == model.value
    theirs = pycolmap.Camera.create_from_model_id(1, model, 100.0, 640, 480)
    assert lens.num_parameters == len(theirs.params)
    if lens.focals:
        assert theirs.params_info.split(", ")[lens.focals + 2 :] == list(lens.extra)


@pytest.mark.parametrize("lens", CAMERA_MODELS)
def test_parameters_come_back(lens):
    given = numbers(lens)
    assert colmap_parameters(camera_from_colmap(lens, 640, 480, given)) == (
        lens,
        pytest.approx(given),
    )


@pytest.mark.parametrize("lens", CAMERA_MODELS)
def test_projection_is_colmaps(lens):
    camera = camera_from_colmap(lens, 640, 480, numbers(lens))
    rng = np.random.default_rng(0)
    points = (
        np.column_stack([rng.uniform(-0.5, 0.5, 20), rng.uniform(-0.4, 0.4, 20), np.ones(20)]) * 3
    )
    ours = project(camera, points)
    if ours is None:
        assert lens in ("FOV", "EUCM", "EQUIRECTANGULAR") or "DIVISION" in lens or "PRISM" in lens
        assert unproject(camera, np.ones((2, 2))) is None
        return
    theirs = pycolmap.Camera(model=lens, width=640, height=480, params=list(numbers(lens)))
    np.testing.assert_allclose(ours, [theirs.img_from_cam(point) for point in points], atol=1e-6)
    np.testing.assert_allclose(unproject(camera, ours), points[:, :2] / 3, atol=1e-4)


@pytest.mark.parametrize(
    ("width", "height", "lens", "parameters"),
    [
        (
            752,
            480,
            "OPENCV",
            (458.7, 457.3, 367.2, 248.4, -0.283, 0.0740, 0.00019, 1.8e-05),
        ),  # EuRoC's left camera
        (1920, 1080, "OPENCV", (1000.0, 1000.0, 960.0, 540.0, -0.30, 0.08, 0.0, 0.0)),
        (1280, 720, "SIMPLE_RADIAL", (700.0, 640.0, 360.0, -0.12)),
    ],
)
def test_rays_to_the_very_corners_of_strong_lenses(width, height, lens, parameters):
    camera = camera_from_colmap(lens, width, height, parameters)
    pixels = np.stack(
        np.meshgrid(np.linspace(0, width, 30), np.linspace(0, height, 20)), -1
    ).reshape(-1, 2)
    rays = unproject(camera, pixels)
    np.testing.assert_allclose(
        project(camera, np.column_stack([rays, np.ones(len(rays))])), pixels, atol=0.01
    )


def test_resized_camera_with_one_focal_length_gets_two():
    camera = camera_from_colmap("SIMPLE_RADIAL", 640, 480, (500.0, 320.0, 240.0, 0.1)).resized(
        320, 480
    )
    assert colmap_parameters(camera) == ("OPENCV", (250.0, 500.0, 160.0, 240.0, 0.1, 0.0, 0.0, 0.0))


def test_wrong_count_is_refused():
    with pytest.raises(ValueError, match=r"OPENCV has 8 parameters. Received: 4"):
        camera_from_colmap("OPENCV", 640, 480, (1.0, 1.0, 1.0, 1.0))
    assert project(Camera(4, 4, 1.0, 1.0, 2.0, 2.0), np.zeros((0, 3))).shape == (0, 2)


def test_horizontal_field_of_view():
    assert Camera(200, 100, 100.0, 100.0, 100.0, 50.0).hfov_deg == pytest.approx(90.0)
