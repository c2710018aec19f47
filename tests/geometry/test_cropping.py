import numpy as np

from posenet.geometry.camera import Camera
from posenet.geometry.cropping import Crop, full_image_crop, square_crop
from posenet.io.images import resize_to_cover


def test_whole_frame_keeps_the_shape_of_the_images():
    assert full_image_crop([(640, 480)], 192) == Crop((192, 256), (192, 256))
    assert full_image_crop([(1920, 1080)], 192).size == (192, 336)
    assert full_image_crop([(360, 640)] * 3 + [(640, 480)], 192).size == (336, 192)
    assert full_image_crop([(4000, 500)], 192).size == (192, 384)  # at most 2:1


def test_square_cut_is_posenets_own():
    assert square_crop([(1920, 1080)]) == Crop((256, 456), (224, 224))
    assert square_crop([(640, 480)]).corner == (16, 59)


def test_middle_is_the_center():
    crop = Crop((6, 8), (2, 4))
    image = np.arange(6 * 8 * 3).reshape(6, 8, 3)
    np.testing.assert_array_equal(crop.center(image), image[2:4, 2:6])
    np.testing.assert_array_equal(crop.center(image[None])[0], image[2:4, 2:6])


def test_the_stored_camera_projects_where_the_stored_image_shows():
    # A white square around the projection of a point must lie there after resizing and cutting too.
    camera = Camera(800, 400, 500.0, 500.0, 400.0, 200.0)
    x, y = (camera.matrix @ [0.2, 0.1, 1])[:2]  # (500, 250)
    image = np.zeros((400, 800, 3), np.uint8)
    image[int(y) - 10 : int(y) + 10, int(x) - 10 : int(x) + 10] = 255
    crop = Crop((200, 300), (200, 300))
    stored = resize_to_cover(image, 200, 300)
    ys, xs = np.nonzero(stored[..., 0] > 127)
    u, v = (crop.resized_camera(camera).matrix @ [0.2, 0.1, 1])[:2]
    assert abs(xs.mean() + 0.5 - u) < 0.51
    assert abs(ys.mean() + 0.5 - v) < 0.51


def test_the_camera_of_an_image_cut_by_an_odd_number_of_columns():
    # 640 x 480 covers 208 x 160 as 213 x 160: 2 columns go on the left, 3 on the right.
    stored = Crop((160, 208), (160, 208)).resized_camera(
        Camera(640, 480, 480.0, 480.0, 320.0, 240.0)
    )
    assert (stored.width, stored.height) == (208, 160)
    np.testing.assert_allclose(
        (stored.fx, stored.fy, stored.cx, stored.cy), (159.75, 160, 104.5, 80)
    )
