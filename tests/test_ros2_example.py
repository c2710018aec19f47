"""The ROS 2 node of examples/, driven by stand-ins for the modules of ROS."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import ClassVar

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from posenet.errors import PoseNetError
from posenet.geometry.poses import Poses
from posenet.io.images import read_image
from posenet.localization.estimates import PoseEstimate

FILE = Path(__file__).resolve().parents[1] / "examples" / "ros2" / "posenet_node.py"


class Message:
    """A message whose fields appear when they are used, as those of ROS exist from the start."""

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        self.__dict__[name] = Message()
        return self.__dict__[name]


class FakeNode:
    parameters: ClassVar = {}

    def __init__(self, name):
        self.name = name
        self.topics = {}
        self.published = []
        self.logged = []

    def declare_parameter(self, name, default):
        return SimpleNamespace(value=self.parameters.get(name, default))

    def create_publisher(self, kind, topic, depth):
        return SimpleNamespace(publish=lambda item: self.published.append((topic, item)))

    def create_subscription(self, kind, topic, receive, qos):
        self.topics[topic] = receive

    def get_logger(self):
        def log(text, **options):
            self.logged.append(text)

        return SimpleNamespace(error=log, warning=log)


class FakeBroadcaster:
    def __init__(self, node):
        self.node = node

    def sendTransform(self, item):
        self.node.published.append(("/tf", item))


class FakeLocalizer:
    """Answers with one pose, and keeps what it was asked."""

    def __init__(self, **changes):
        values = {
            "position": np.array([1.0, 2, 3]),
            "quaternion_wxyz": np.array([0.5, -0.5, 0.5, 0.5]),
            "rotation_spread_deg": 1.0,
            "position_std": 0.3,
            "rotation_std_deg": 9.0,
            "num_inliers": 99,
            "refined": True,
            "valid": True,
        }
        self.estimate = PoseEstimate(**(values | changes))
        self.asked = []

    def localize_files(self, paths, *, cameras):
        self.asked.append((read_image(paths[0]), cameras[0]))
        found = [self.estimate]
        return np.array([0]), SimpleNamespace(scatter=lambda rows, total: found)


@pytest.fixture
def example(monkeypatch):
    """The module of the node, with stand-ins for ROS."""
    names = ("rclpy", "rclpy.node", "rclpy.qos", "geometry_msgs", "geometry_msgs.msg")
    modules = {
        name: ModuleType(name) for name in (*names, "sensor_msgs", "sensor_msgs.msg", "tf2_ros")
    }
    modules["rclpy.node"].Node = FakeNode
    modules["rclpy.qos"].QoSProfile = SimpleNamespace
    modules["rclpy.qos"].ReliabilityPolicy = SimpleNamespace(BEST_EFFORT=2)
    modules["geometry_msgs.msg"].PoseWithCovarianceStamped = Message
    modules["geometry_msgs.msg"].TransformStamped = Message
    modules["sensor_msgs.msg"].CameraInfo = modules["sensor_msgs.msg"].Image = Message
    modules["tf2_ros"].TransformBroadcaster = FakeBroadcaster
    for name, module in modules.items():
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setattr(FakeNode, "parameters", {})
    spec = importlib.util.spec_from_file_location("posenet_node", FILE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


PIXELS = np.random.default_rng(0).integers(0, 256, (4, 6, 3), np.uint8)


def image(encoding="rgb8"):
    header = SimpleNamespace(stamp="now", frame_id="camera_optical")
    return SimpleNamespace(
        header=header, height=4, width=6, encoding=encoding, step=18, data=PIXELS.tobytes()
    )


def test_one_image_goes_through(example):
    localizer = FakeLocalizer()
    node = example.PosenetNode(localizer)
    k = [50.0, 0, 2.5, 0, 60, 1.5, 0, 0, 1]
    node.topics["camera_info"](
        SimpleNamespace(width=6, height=4, k=k, d=[0.0] * 5, distortion_model="plumb_bob")
    )
    node.topics["image"](image())
    ((seen, camera),) = localizer.asked
    np.testing.assert_array_equal(seen, PIXELS)
    assert (camera.fx, camera.fy, camera.cx, camera.cy) == (50, 60, 3, 2)
    (topic, pose), (tf, transform) = node.published
    assert (topic, tf) == ("pose", "/tf")
    assert pose.header.frame_id == transform.header.frame_id == "map"
    assert pose.header.stamp == "now"
    assert transform.child_frame_id == "camera_optical"
    for position, rotation in (
        (pose.pose.pose.position, pose.pose.pose.orientation),
        (transform.transform.translation, transform.transform.rotation),
    ):
        assert (position.x, position.y, position.z) == (1, 2, 3)
        found = Rotation.from_quat([rotation.x, rotation.y, rotation.z, rotation.w])
        expected = Poses.from_quaternions([[1, 2, 3]], [[0.5, -0.5, 0.5, 0.5]]).rotations[0]
        assert (found.inv() * expected).magnitude() < 1e-12
    assert pose.pose.covariance[0] == pytest.approx(0.03)
    assert len(pose.pose.covariance) == 36


@pytest.mark.parametrize("changes", [{"refined": False}, {"valid": False}])
def test_poses_that_are_not_trusted_are_not_published(example, changes):
    node = example.PosenetNode(FakeLocalizer(**changes))
    node.topics["image"](image())
    assert node.published == []
    assert node.logged == ["not localized"]


def test_parameters_publish_regressed_poses_without_tf(example, monkeypatch):
    monkeypatch.setattr(FakeNode, "parameters", {"refined_only": False, "publish_tf": False})
    node = example.PosenetNode(FakeLocalizer(refined=False, position_std=float("nan")))
    node.topics["image"](image())
    ((topic, pose),) = node.published
    assert topic == "pose"
    assert pose.pose.covariance[0] == 0


def test_an_image_that_cannot_be_read_does_not_end_the_node(example):
    node = example.PosenetNode(FakeLocalizer())
    node.topics["image"](image("bayer_rggb8"))
    assert node.published == []
    assert "received bayer_rggb8" in node.logged[0]

    def fail(paths, *, cameras):
        raise PoseNetError("at least one image must decode")

    node.localizer.localize_files = fail
    node.topics["image"](image())
    assert node.logged[1] == "at least one image must decode"
