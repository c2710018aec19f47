"""The weights and classify commands; like cli.py they print results and import heavy libraries inside."""

from __future__ import annotations

import json

from posenet.cli.options import ClassifyConfig, ConvertWeightsConfig, InspectConfig


def inspect_weights(config: InspectConfig) -> None:
    """The weights inspect command."""
    from posenet.cli.startup import start_tensorflow

    start_tensorflow()
    from posenet.models.weights.load import read_weights, weight_format

    kind = weight_format(config.file)
    weights = read_weights(config.file, config.order)
    shapes = {
        layer: {name: list(array.shape) for name, array in arrays.items()}
        for layer, arrays in weights.items()
    }
    count = sum(array.size for arrays in weights.values() for array in arrays.values())
    if config.json:
        print(json.dumps({"format": kind, "parameters": count, "layers": shapes}, indent=2))
        return
    for layer, parts in shapes.items():
        print(
            f"{layer:<40} "
            + ", ".join(f"{name} {' x '.join(map(str, shape))}" for name, shape in parts.items())
        )
    print(f"{kind}: {len(shapes)} layers, {count:,} numbers")


def convert_weights(config: ConvertWeightsConfig) -> None:
    """The weights convert command."""
    from posenet.cli.startup import start_tensorflow

    start_tensorflow()
    from posenet.models.weights.convert import convert_weights as convert_file

    print(convert_file(config.file, config.output, config.graph, config.order, config.overwrite))


def classify(config: ClassifyConfig) -> None:
    """The classify command."""
    from posenet.cli.startup import start_tensorflow

    start_tensorflow()
    from posenet.models.classify import classify as classes_of

    for name, share in classes_of(config.image, config.backbone, config.weights):
        print(f"{share:6.1%}  {name}")
