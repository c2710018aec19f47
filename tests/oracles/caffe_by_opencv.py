"""Our Caffe graph against OpenCV 4's own Caffe importer, with random weights.

    python tests/oracles/caffe_by_opencv.py --python OTHER/bin/python

OTHER is a virtual environment with "opencv-python-headless<5" (OpenCV 5 has no Caffe importer).
Writes the network of the 2015 prototxt and a .caffemodel, runs both, prints the largest relative
difference, and fails above 1e-4.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from posenet.models.googlenet import BLOCKS
from posenet.models.weights.caffe import _message_class
from posenet.models.weights.load import load_network

RUN = """
import sys, cv2, numpy as np
folder = sys.argv[1]
net = cv2.dnn.readNetFromCaffe(folder + "/net.prototxt", folder + "/net.caffemodel")
net.setInput(np.load(folder + "/input.npy"))
outputs = net.forward(["cls3_fc_pose_xyz", "cls3_fc_pose_wpqr"])
np.savez(folder + "/theirs.npz", position=outputs[0], quaternion=outputs[1])
"""


class Net:
    """Collects a prototxt and the layers of a .caffemodel."""

    def __init__(self):
        self.text = 'name: "PoseNet"\ninput: "data"\ninput_dim: 2\ninput_dim: 3\ninput_dim: 224\ninput_dim: 224\n'
        self.file = _message_class("NetParameter")()
        self.rng = np.random.default_rng(0)

    def add(self, name: str, kind: str, bottoms, top: str, settings: str = "", *blobs):
        bottoms = [bottoms] if isinstance(bottoms, str) else bottoms
        inputs = "".join(f' bottom: "{bottom}"' for bottom in bottoms)
        self.text += f'layer {{ name: "{name}" type: "{kind}"{inputs} top: "{top}" {settings} }}\n'
        layer = self.file.layer.add(name=name, type=kind, bottom=bottoms, top=[top])
        for blob in blobs:
            entry = layer.blobs.add(data=blob.ravel().astype(np.float32).tolist())
            entry.shape.dim.extend(blob.shape)
        return top

    def conv(self, x, channels, filters, size, name, stride=1, pad=0):
        settings = f"convolution_param {{ num_output: {filters} kernel_size: {size} stride: {stride} pad: {pad} }}"
        kernel = self.rng.normal(
            0, (2 / (channels * size * size)) ** 0.5, (filters, channels, size, size)
        )
        self.add(name, "Convolution", x, name, settings, kernel, self.rng.normal(0, 0.1, filters))
        return self.add(f"{name}_relu", "ReLU", name, name)

    def pool(self, x, name, size, stride, pad=0, kind="MAX"):
        settings = (
            f"pooling_param {{ pool: {kind} kernel_size: {size} stride: {stride} pad: {pad} }}"
        )
        return self.add(name, "Pooling", x, name, settings)

    def norm(self, x, name):
        return self.add(
            name, "LRN", x, name, "lrn_param { local_size: 5 alpha: 0.0001 beta: 0.75 }"
        )

    def dense(self, x, inputs, outputs, name):
        blobs = (
            self.rng.normal(0, inputs**-0.5, (outputs, inputs)),
            self.rng.normal(0, 0.1, outputs),
        )
        return self.add(
            name,
            "InnerProduct",
            x,
            name,
            f"inner_product_param {{ num_output: {outputs} }}",
            *blobs,
        )


def posenet() -> Net:
    """The backbone and the final head of train_posenet.prototxt."""
    net = Net()
    x = net.norm(net.pool(net.conv("data", 3, 64, 7, "conv1", 2, 3), "pool1", 3, 2), "norm1")
    x = net.norm(net.conv(net.conv(x, 64, 64, 1, "reduction2"), 64, 192, 3, "conv2", 1, 1), "norm2")
    x, channels = net.pool(x, "pool2", 3, 2), 192
    for name, (one, reduce3, three, reduce5, five, projection) in BLOCKS.items():
        if name in ("icp3", "icp8"):
            x = net.pool(x, f"{name}_in", 3, 2)
        parts = [
            net.conv(x, channels, one, 1, f"{name}_out0"),
            net.conv(
                net.conv(x, channels, reduce3, 1, f"{name}_reduction1"),
                reduce3,
                three,
                3,
                f"{name}_out1",
                1,
                1,
            ),
            net.conv(
                net.conv(x, channels, reduce5, 1, f"{name}_reduction2"),
                reduce5,
                five,
                5,
                f"{name}_out2",
                1,
                2,
            ),
            net.conv(net.pool(x, f"{name}_pool", 3, 1, 1), channels, projection, 1, f"{name}_out3"),
        ]
        x, channels = (
            net.add(f"{name}_out", "Concat", parts, f"{name}_out"),
            one + three + five + projection,
        )
    x = net.dense(net.pool(x, "cls3_pool", 7, 1, 0, "AVE"), 1024, 2048, "cls3_fc1_pose")
    x = net.add("cls3_relu", "ReLU", x, x)
    net.dense(x, 2048, 3, "cls3_fc_pose_xyz")
    net.dense(x, 2048, 4, "cls3_fc_pose_wpqr")
    return net


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--python", required=True, help="the other environment's Python")
    other = parser.parse_args().python
    with tempfile.TemporaryDirectory() as folder:
        net = posenet()
        (Path(folder) / "net.prototxt").write_text(net.text)
        (Path(folder) / "net.caffemodel").write_bytes(net.file.SerializeToString())
        image = np.random.default_rng(1).uniform(-120, 140, (2, 224, 224, 3)).astype(np.float32)
        np.save(Path(folder) / "input.npy", image.transpose(0, 3, 1, 2).copy())
        subprocess.run([other, "-c", RUN, folder], check=True)
        theirs = np.load(Path(folder) / "theirs.npz")
        ours = load_network(Path(folder) / "net.caffemodel", labels="world_from_camera").predict(
            image, verbose=0
        )
        worst = 0.0
        for name in ("position", "quaternion"):
            worst = max(
                worst, float(np.abs(ours[name] - theirs[name]).max() / np.abs(theirs[name]).max())
            )
    print(f"largest relative difference to OpenCV's Caffe: {worst:.2g}")
    return int(worst > 1e-4)


if __name__ == "__main__":
    sys.exit(main())
