"""Frames of a COLMAP model: which images a rig took at one moment. pycolmap writes them."""

import struct

import numpy as np
import pycolmap
import pytest

from posenet.datasets.formats import colmap_binary, colmap_text
from posenet.datasets.registry import open_scene
from tests.helpers.errors import refusal
from tests.helpers.images import write_image
from tests.helpers.scenes import walk


def write_model(folder, cameras, moments, *, text=False):
    """Write a rig whose image names show neither camera nor moment."""
    model = pycolmap.Reconstruction()
    rig = pycolmap.Rig()
    rig.rig_id = 1
    for camera in range(1, cameras + 1):
        model.add_camera(
            pycolmap.Camera(
                camera_id=camera, model="PINHOLE", width=32, height=24, params=[30, 30, 16, 12]
            )
        )
        sensor = pycolmap.sensor_t(pycolmap.SensorType.CAMERA, camera)
        if camera == 1:
            rig.add_ref_sensor(sensor)
        else:
            rig.add_sensor(
                sensor, pycolmap.Rigid3d(pycolmap.Rotation3d(), np.array([camera, 0, 0]))
            )
    model.add_rig(rig)
    for moment, matrix in enumerate(walk(moments).matrices):
        frame = pycolmap.Frame()
        frame.frame_id, frame.rig_id = 100 + moment, 1
        frame.rig_from_world = pycolmap.Rigid3d(np.linalg.inv(matrix)[:3])
        images = []
        for camera in range(1, cameras + 1):
            image = pycolmap.Image()
            image.image_id = camera * moments + moment
            image.camera_id, image.frame_id = camera, frame.frame_id
            image.name = f"img{image.image_id:05d}.png"
            frame.add_data_id(image.data_id)
            images.append(image)
            write_image(folder / "images" / image.name, (24, 32), seed=image.image_id)
        model.add_frame(frame)
        for image in images:
            model.add_image(image)
        model.register_frame(frame.frame_id)
    (folder / "sparse/0").mkdir(parents=True)
    (model.write_text if text else model.write_binary)(folder / "sparse/0")
    return folder


@pytest.mark.parametrize("text", [False, True])
def test_frames_are_moments(tmp_path, text):
    scene = open_scene(write_model(tmp_path / "rig", 3, 16, text=text))
    # The names are in the order of cameras, then of moments.
    assert scene.dense_moments.tolist() == [*range(16)] * 3
    assert scene.sequences.tolist() == ["all/1"] * 16 + ["all/2"] * 16 + ["all/3"] * 16
    test = np.flatnonzero(scene.splits == "test")
    assert test.tolist() == [16 * camera + row for camera in range(3) for row in (2, 6, 10, 14)]


def test_trivial_frames_leave_every_image_its_own_moment(tmp_path):
    assert open_scene(write_model(tmp_path / "one", 1, 16)).moments is None


def test_models_without_frames_or_with_too_few_are_read(tmp_path):
    folder = write_model(tmp_path / "rig", 2, 16, text=True)
    file = folder / "sparse/0/frames.txt"
    file.write_text("\n".join(file.read_text().splitlines()[:-1]))
    assert open_scene(folder).moments is None
    file.unlink()
    assert open_scene(folder).moments is None


def test_other_sensors_of_a_rig(tmp_path):
    frame = [7, 1, 1.0, 0, 0, 0, 0, 0, 0, 2, 1, 9, 5, 0, 2, 33]
    (tmp_path / "frames.bin").write_bytes(struct.pack("<QII7dIiIQiIQ", 1, *frame))
    (read,) = colmap_binary.read_frames(tmp_path / "frames.bin")
    assert (read.number, read.images) == (7, [33])
    (tmp_path / "frames.txt").write_text("# Frames\n7 1 1 0 0 0 0 0 0 2 IMU 9 5 CAMERA 2 33\n")
    (read,) = colmap_text.read_frames(tmp_path / "frames.txt")
    assert (read.number, read.images) == (7, [33])


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (
            "7 1 1 0 0 0 0 0 0 2 CAMERA 2 33",
            "frames.txt:1: a frame line must be FRAME_ID RIG_ID QW QX QY QZ TX TY TZ NUM_DATA_IDS "
            "and as many times SENSOR_TYPE SENSOR_ID DATA_ID, received '7 1 1 0 0 0 0 0 0 2 CAMERA "
            "2 33'",
        ),
        (
            "7 1 1 0 0 0 0 0 0 1 CAMERA 2 x",
            "frames.txt:1: DATA_ID must be a whole number, received 'x'",
        ),
        (
            "7 1 1 0 0 0 0 0 0 1 CAMERA 1 16\n8 1 1 0 0 0 0 0 0 1 CAMERA 1 16",
            "frames.txt:2: an image must be in one frame, received IMAGE_ID 16 in the frames 7 and "
            "8",
        ),
    ],
)
def test_malformed_frames(tmp_path, line, message):
    folder = write_model(tmp_path / "rig", 2, 16, text=True)
    (folder / "sparse/0/frames.txt").write_text(line + "\n")
    assert refusal(open_scene, folder) == f"{folder / 'sparse/0'}/{message}"


def test_truncated_frames(tmp_path):
    folder = write_model(tmp_path / "rig", 2, 16)
    file = folder / "sparse/0/frames.bin"
    content = file.read_bytes()
    # A frame with two images takes 100 bytes: 4 + 4 + 7 * 8 + 4 + 2 * (4 + 4 + 8).
    assert len(content) == 8 + 16 * 100
    file.write_bytes(content[:-1])
    assert refusal(open_scene, folder) == (
        f"{file}: 16 more bytes are needed at byte 1592, only 15 follow"
    )
