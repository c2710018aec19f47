"""Weight files for tests."""

from __future__ import annotations

import numpy as np

# In; 1x1, reduction and 3x3, reduction and 5x5, projection: as the 2015 prototxt has them.
CHANNELS = {
    "icp1": (192, 64, 96, 128, 16, 32, 32),
    "icp2": (256, 128, 128, 192, 32, 96, 64),
    "icp3": (480, 192, 96, 208, 16, 48, 64),
    "icp4": (512, 160, 112, 224, 24, 64, 64),
    "icp5": (512, 128, 128, 256, 24, 64, 64),
    "icp6": (512, 112, 144, 288, 32, 64, 64),
    "icp7": (528, 256, 160, 320, 32, 128, 128),
    "icp8": (832, 256, 160, 320, 32, 128, 128),
    "icp9": (832, 384, 192, 384, 48, 128, 128),
}


def random_weights(batch_norm=False):
    """{layer: {weights, biases}} for the backbone and the final head."""
    rng = np.random.default_rng(0)
    shapes = {"conv1": (7, 7, 3, 64), "reduction2": (1, 1, 64, 64), "conv2": (3, 3, 64, 192)}
    for name, (given, one, reduce3, three, reduce5, five, projection) in CHANNELS.items():
        shapes |= {f"{name}_out0": (1, 1, given, one), f"{name}_out3": (1, 1, given, projection)}
        shapes |= {
            f"{name}_reduction1": (1, 1, given, reduce3),
            f"{name}_out1": (3, 3, reduce3, three),
        }
        shapes |= {
            f"{name}_reduction2": (1, 1, given, reduce5),
            f"{name}_out2": (5, 5, reduce5, five),
        }
    shapes |= {
        "cls3_fc1_pose": (1024, 2048),
        "cls3_fc_pose_xyz": (2048, 3),
        "cls3_fc_pose_wpqr": (2048, 4),
    }
    weights = {
        name: {
            "weights": rng.normal(0, (2 / np.prod(shape[:-1])) ** 0.5, shape).astype("f4"),
            "biases": rng.normal(0, 0.1, shape[-1]).astype("f4"),
        }
        for name, shape in shapes.items()
    }
    for name, size in (("norm1", 64), ("norm2", 192)) if batch_norm else ():
        parts = rng.uniform(0.5, 1.5, (4, size)).astype("f4")
        weights[name] = dict(
            zip(("gamma", "beta", "running_mean", "running_std"), parts, strict=True)
        )
    return weights


def save_npy(path, weights):
    np.save(path, np.array(weights, object), allow_pickle=True)
    return path


def varint(number):
    out = bytearray()
    while True:
        out.append((number & 0x7F) | (0x80 if number > 0x7F else 0))
        number >>= 7
        if not number:
            return bytes(out)


def field(number, content):
    """A length-delimited field of the wire format."""
    return varint(number << 3 | 2) + varint(len(content)) + content


def blob(array, packed=True, legacy=False):
    """A BlobProto by hand."""
    numbers = np.asarray(array, "<f4").ravel()
    if packed:
        data = field(5, numbers.tobytes())
    else:
        data = b"".join(varint(5 << 3 | 5) + number.tobytes() for number in numbers)
    shape = np.shape(array)
    if legacy:
        sides = (1,) * (4 - len(shape)) + shape
        return data + b"".join(
            varint(number << 3) + varint(side) for number, side in enumerate(sides, 1)
        )
    return data + field(7, field(1, b"".join(varint(side) for side in shape)))
