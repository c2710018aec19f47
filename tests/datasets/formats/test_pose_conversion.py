"""Convert poses of files to raw labels."""

import numpy as np
from scipy.spatial.transform import Rotation

from posenet.datasets.formats.pose_conversion import OPENCV_FROM_OPENGL, from_camera_from_world


def matrices(count):
    poses = np.tile(np.eye(4), (count, 1, 1))
    poses[:, :3, :3] = Rotation.random(count, random_state=0).as_matrix()
    poses[:, :3, 3] = np.random.default_rng(0).normal(size=(count, 3))
    return poses


def test_camera_from_world():
    given = matrices(4)
    back = np.linalg.inv(given)
    quaternions = Rotation.from_matrix(back[:, :3, :3]).as_quat(scalar_first=True)
    positions, inverted = from_camera_from_world(2 * quaternions, back[:, :3, 3])
    np.testing.assert_allclose(positions, given[:, :3, 3], atol=1e-12)
    np.testing.assert_allclose(
        Rotation.from_quat(inverted, scalar_first=True).as_matrix(), given[:, :3, :3], atol=1e-12
    )
    broken = np.array([[0.0, 0, 0, 0], [np.nan, 0, 0, 1]])
    np.testing.assert_array_equal(
        np.abs(from_camera_from_world(broken, np.ones((2, 3)))[1]), np.abs(broken)
    )


def test_opengl_axes():
    # a camera facing world x with z up, in OpenGL: right -y, up z, back -x
    opengl = np.array([[0, 0, -1.0], [-1, 0, 0], [0, 1, 0]])
    opencv = opengl @ OPENCV_FROM_OPENGL
    np.testing.assert_array_equal(opencv @ [0, 0, 1], [1, 0, 0])  # forward
    np.testing.assert_array_equal(opencv @ [0, 1, 0], [0, 0, -1])  # down
