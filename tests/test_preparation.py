from dataclasses import replace

from posenet.preparation import _one_camera
from posenet.scene import Camera
from tests.planes import CAMERA, plane_scene


def test_one_camera_is_one_view_angle(tmp_path):
    scene = plane_scene(tmp_path, 3)
    assert _one_camera(scene, CAMERA)
    half_size, longer = CAMERA.resized(160, 120), Camera(320, 240, 300.0, 300.0, 160.0, 120.0)
    assert _one_camera(replace(scene, cameras=(CAMERA, half_size, half_size)), CAMERA)
    assert not _one_camera(replace(scene, cameras=(CAMERA, CAMERA, longer)), CAMERA)
    assert not _one_camera(replace(scene, cameras=(CAMERA, CAMERA, None)), CAMERA)
    assert not _one_camera(scene, None)
