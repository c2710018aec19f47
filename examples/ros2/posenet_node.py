"""A ROS 2 node that localizes a camera with a trained run.

python posenet_node.py --ros-args -p run:=runs/kitchen -r image:=/camera/image_raw \
    -r camera_info:=/camera/camera_info
"""

from pathlib import Path
from tempfile import TemporaryDirectory

import rclpy
from geometry_msgs.msg import PoseWithCovarianceStamped, TransformStamped
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo, Image
from tf2_ros import TransformBroadcaster

import posenet
from posenet.errors import PoseNetError
from posenet.interop.bag_images import camera_from_info, write_image
from posenet.interop.bag_writer import covariance

MAP = "map"


class PosenetNode(Node):
    """Publishes the pose of the camera in the frame `map` for the newest image."""

    def __init__(self, localizer=None):
        super().__init__("posenet")
        run = self.declare_parameter("run", "").value
        # Images on a topic image_rect have no distortion, and the projection matrix holds.
        self.is_rectified = self.declare_parameter("rectified", False).value
        # Poses of the network alone are rough, and images of another place have one too.
        self.refined_only = self.declare_parameter("refined_only", True).value
        # False if another node publishes the frame of the camera: a frame has one parent.
        publishes_tf = self.declare_parameter("publish_tf", True).value
        self.localizer = localizer or posenet.load(run).localizer()
        self.camera = None
        self.publisher = self.create_publisher(PoseWithCovarianceStamped, "pose", 10)
        self.broadcaster = TransformBroadcaster(self) if publishes_tf else None
        # Images that arrive while one is localized are dropped, except for the last.
        newest = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
        self.create_subscription(CameraInfo, "camera_info", self.receive_info, newest)
        self.create_subscription(Image, "image", self.receive_image, newest)

    def receive_info(self, message):
        self.camera = camera_from_info(message, is_rectified=self.is_rectified)

    def receive_image(self, message):
        try:
            with TemporaryDirectory(prefix="posenet-") as folder:
                path = write_image(message, Path(folder) / "image")
                camera = self.camera and self.camera.resized(message.width, message.height)
                rows, estimates = self.localizer.localize_files([path], cameras=[camera])
        except PoseNetError as error:
            self.get_logger().error(str(error), throttle_duration_sec=5.0)
            return
        estimate = estimates.scatter(rows, 1)[0]
        if not estimate.valid or (self.refined_only and not estimate.refined):
            self.get_logger().warning("not localized", throttle_duration_sec=5.0)
            return
        self.publish(message.header, estimate)

    def publish(self, header, estimate):
        pose = PoseWithCovarianceStamped()
        transform = TransformStamped()
        for stamped in (pose, transform):
            stamped.header.stamp = header.stamp
            stamped.header.frame_id = MAP
        transform.child_frame_id = header.frame_id
        position, moved = pose.pose.pose.position, transform.transform.translation
        for axis, value in zip("xyz", estimate.position, strict=True):
            setattr(position, axis, float(value))
            setattr(moved, axis, float(value))
        rotation, turned = pose.pose.pose.orientation, transform.transform.rotation
        for axis, value in zip("wxyz", estimate.quaternion_wxyz, strict=True):
            setattr(rotation, axis, float(value))
            setattr(turned, axis, float(value))
        pose.pose.covariance = covariance(estimate.position_std, estimate.rotation_std_deg).tolist()
        self.publisher.publish(pose)
        if self.broadcaster is not None:
            self.broadcaster.sendTransform(transform)


def main():
    """Run the node until it is interrupted."""
    rclpy.init()
    rclpy.spin(PosenetNode())


if __name__ == "__main__":
    main()
