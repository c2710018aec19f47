"""Read images and intrinsics from ROS 2 bags, without ROS.

Messages are read with the definitions of ROS 2 Humble, which are those of later versions too. The
definitions in the bag itself are ignored: they would be compiled to code.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from posenet.environment import import_extra
from posenet.errors import PoseNetError, count, first_line
from posenet.geometry.camera import Camera
from posenet.interop.bag_images import camera_from_info, write_compressed_image, write_image

# File of a bag folder, and suffixes of its storage files.
METADATA = "metadata.yaml"
BAG_SUFFIXES = (".mcap", ".db3")
ROS1_SUFFIX = ".bag"
IMAGE_TYPES = ("sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage")
INFO_TYPE = "sensor_msgs/msg/CameraInfo"
# Ends of topics that image_transport adds to that of the raw image.
TRANSPORTS = ("/compressed",)
DEPTH_TRANSPORT = "/compressedDepth"
NANOSECONDS = 10**9


class BagImage(NamedTuple):
    """An image of a bag.

    Attributes:
        stamp: time of the exposure in nanoseconds; that of the recording if the header has none.
        message: the message, of one of `IMAGE_TYPES`.
    """

    stamp: int
    message: Any

    def write(self, folder: Path) -> Path:
        """Write the image to a file.

        Args:
            folder: the folder to write to.

        Returns:
            The file, named by the time.

        Raises:
            PoseNetError: the encoding is not supported, or the size contradicts the data.
        """
        if hasattr(self.message, "encoding"):
            return write_image(self.message, folder / format_stamp(self.stamp))
        return write_compressed_image(self.message, folder / format_stamp(self.stamp))


def format_stamp(stamp: int) -> str:
    """Return a time as the name of an image.

    Args:
        stamp: nanoseconds.

    Returns:
        Seconds, with nine decimals.
    """
    return f"{stamp // NANOSECONDS}.{stamp % NANOSECONDS:09d}"


def is_bag(path: Path) -> bool:
    """Return whether a path is a bag.

    Args:
        path: any path.

    Returns:
        True for a folder with a metadata.yaml, and for a file named as a bag.
    """
    if path.is_dir():
        return (path / METADATA).is_file()
    return path.suffix.lower() in (*BAG_SUFFIXES, ROS1_SUFFIX) and path.is_file()


@contextmanager
def open_bag(path: Path) -> Iterator[Bag]:
    """Open a bag for a block.

    Args:
        path: the folder of a bag, or an .mcap file.

    Yields:
        The bag.

    Raises:
        PoseNetError: it cannot be read, or the extra `bags` is not installed.
    """
    rosbag2 = import_extra("rosbags.rosbag2", "bags", "reading a bag")
    typesys = import_extra("rosbags.typesys", "bags", "reading a bag")
    if path.suffix.lower() == ROS1_SUFFIX:
        raise PoseNetError(
            f"{path} is a bag of ROS 1: convert it with rosbags-convert --src {path} --dst FOLDER"
        )
    with _readable(path):
        reader = rosbag2.Reader(path)
        reader.open()
    try:
        yield Bag(path, reader, typesys.get_typestore(typesys.Stores.ROS2_HUMBLE))
    finally:
        reader.close()


class Bag:
    """An open bag."""

    def __init__(self, path: Path, reader: Any, types: Any) -> None:
        """Take an open reader.

        Args:
            path: the bag.
            reader: a reader of rosbags.
            types: the type store of rosbags.
        """
        self.path = path
        self._reader = reader
        self._types = types

    def image_topic(self, wanted: str | None) -> str:
        """Return the topic of the images.

        Args:
            wanted: the topic, None for the only one.

        Returns:
            The topic.

        Raises:
            PoseNetError: the bag has no such topic, no image topic, or several and none is wanted.
        """
        topics = sorted(
            connection.topic
            for connection in self._reader.connections
            if connection.msgtype in IMAGE_TYPES and not connection.topic.endswith(DEPTH_TRANSPORT)
        )
        if wanted in topics:
            return str(wanted)
        if not topics:
            others = sorted({connection.topic for connection in self._reader.connections})
            raise PoseNetError(
                f"{self.path} must contain images, its topics are: {', '.join(others) or 'none'}"
            )
        if wanted is None and len(topics) == 1:
            return topics[0]
        raise PoseNetError(
            f"{self.path} has {count(len(topics), 'image topic')}: --topic must be one of "
            f"{', '.join(topics)}, received {wanted or 'none'}"
        )

    def camera(self, topic: str) -> Camera | None:
        """Return the intrinsics on the topic camera_info beside an image topic.

        Args:
            topic: the topic of the images.

        Returns:
            The camera; None if there is none, or if it is not calibrated.

        Raises:
            PoseNetError: the message cannot be read.
        """
        for transport in TRANSPORTS:
            topic = topic.removesuffix(transport)
        namespace, _, name = topic.rpartition("/")
        info = f"{namespace}/camera_info"
        for _, message in self._messages(info, (INFO_TYPE,)):
            return camera_from_info(message, is_rectified="rect" in name)
        return None

    def images(self, topic: str) -> Iterator[BagImage]:
        """Yield the images of a topic.

        Args:
            topic: the topic.

        Yields:
            The images in the order of their recording.

        Raises:
            PoseNetError: a message cannot be read.
        """
        for recorded, message in self._messages(topic, IMAGE_TYPES):
            stamp = message.header.stamp
            exposed = stamp.sec * NANOSECONDS + stamp.nanosec
            yield BagImage(exposed or recorded, message)

    def _messages(self, topic: str, types: tuple[str, ...]) -> Iterator[tuple[int, Any]]:
        """Yield the time of recording, in nanoseconds, and the messages of a topic."""
        connections = [
            connection
            for connection in self._reader.connections
            if connection.topic == topic and connection.msgtype in types
        ]
        if not connections:  # the reader would yield all messages
            return
        messages = self._reader.messages(connections)
        while True:
            with _readable(self.path):
                found = next(messages, None)
                if found is None:
                    return
                connection, recorded, data = found
                message = self._types.deserialize_cdr(data, connection.msgtype)
            yield recorded, message


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Turn whatever the reader raises for a damaged bag into one line."""
    try:
        yield
    except (PoseNetError, MemoryError):
        raise
    except struct.error:
        raise PoseNetError(f"{path} cannot be read as a bag: it is truncated") from None
    except Exception as error:
        raise PoseNetError(f"{path} cannot be read as a bag: {first_line(error)}") from None
