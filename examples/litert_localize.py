"""Localize images with an exported LiteRT network, without TensorFlow and posenet.

python examples/litert_localize.py model.tflite photo.jpg

Needs numpy, opencv-python and ai-edge-litert, and model.tflite.json beside the network.
"""

import argparse
import json
from pathlib import Path

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from exported_input import load_input


def main() -> None:
    """Print name, camera center and quaternion wxyz of each image."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("network", help="file written by posenet export --to litert")
    parser.add_argument("images", nargs="+", help="image files")
    arguments = parser.parse_args()
    description = json.loads(Path(f"{arguments.network}.json").read_text(encoding="utf-8"))
    if description.get("area_offsets"):
        parser.error("a place of several areas requires `posenet predict`, which knows the area")
    network = Interpreter(arguments.network).get_signature_runner()
    for path in arguments.images:
        outputs = network(image=load_input(path, description["preprocessing"]))
        center = outputs["position"][0].astype(np.float64) + description["origin"]
        print(path, *(f"{value:.6f}" for value in (*center, *outputs["quaternion"][0])))


if __name__ == "__main__":
    main()
