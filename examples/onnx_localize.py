"""Localize images with an exported ONNX network, without TensorFlow and posenet.

python examples/onnx_localize.py model.onnx photo.jpg

Needs numpy, opencv-python and onnxruntime, and model.onnx.json beside the network.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import onnxruntime
from exported_input import load_input


def main() -> None:
    """Print name, camera center and quaternion wxyz of each image."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("network", help="file written by posenet export --to onnx")
    parser.add_argument("images", nargs="+", help="image files")
    arguments = parser.parse_args()
    description = json.loads(Path(f"{arguments.network}.json").read_text(encoding="utf-8"))
    if description.get("area_offsets"):
        parser.error("a place of several areas requires `posenet predict`, which knows the area")
    session = onnxruntime.InferenceSession(arguments.network, providers=["CPUExecutionProvider"])
    for path in arguments.images:
        image = load_input(path, description["preprocessing"])
        position, quaternion = session.run(["position", "quaternion"], {"image": image})
        center = position[0].astype(np.float64) + description["origin"]
        print(path, *(f"{value:.6f}" for value in (*center, *quaternion[0])))


if __name__ == "__main__":
    main()
