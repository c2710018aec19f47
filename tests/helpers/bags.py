"""Write ROS 2 bags with images for tests."""

import numpy as np

START = 1_700_000_000 * 10**9
STEP = 10**8


def typestore():
    from rosbags.typesys import Stores, get_typestore

    return get_typestore(Stores.ROS2_HUMBLE)


def message(name, *values):
    return typestore().types[name](*values)


def header(stamp):
    time = message("builtin_interfaces/msg/Time", stamp // 10**9, stamp % 10**9)
    return message("std_msgs/msg/Header", time, "camera")


def image_message(stamp, pixels, encoding="rgb8", *, padding=0):
    """An Image of pixels (h, w) or (h, w, channels), with padded rows."""
    height, width = pixels.shape[:2]
    rows = pixels.reshape(height, -1)
    padded = np.pad(rows, ((0, 0), (0, padding)), constant_values=7)
    step = padded.shape[1]
    return message(
        "sensor_msgs/msg/Image", header(stamp), height, width, encoding, 0, step, padded.ravel()
    )


def compressed_message(stamp, content, name="jpeg"):
    data = np.frombuffer(content, np.uint8)
    return message("sensor_msgs/msg/CompressedImage", header(stamp), name, data)


def info_message(stamp, size, focal, center, distortion=(), model="plumb_bob", projection=None):
    width, height = size
    k = np.array([focal, 0, center[0], 0, focal, center[1], 0, 0, 1.0])
    region = message("sensor_msgs/msg/RegionOfInterest", 0, 0, 0, 0, False)
    p = np.zeros(12) if projection is None else np.array(projection, float)
    return message(
        "sensor_msgs/msg/CameraInfo",
        *(header(stamp), height, width, model, np.array(distortion, float)),
        *(k, np.eye(3).ravel(), p, 0, 0, region),
    )


def write_messages(folder, topics, *, storage="MCAP"):
    """Write a bag of {topic: messages}, one every tenth of a second."""
    from rosbags.rosbag2 import StoragePlugin, Writer

    types = typestore()
    with Writer(folder, version=8, storage_plugin=StoragePlugin[storage]) as writer:
        for topic, messages in topics.items():
            kind = messages[0].__msgtype__
            connection = writer.add_connection(topic, kind, typestore=types)
            for row, item in enumerate(messages):
                writer.write(connection, START + row * STEP, types.serialize_cdr(item, kind))
    return folder
