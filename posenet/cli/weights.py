"""The commands `weights inspect`, `convert` and `evaluate`, and `classify`."""

from __future__ import annotations

import json

from posenet.cli.evaluate import print_evaluation
from posenet.cli.options import (
    ClassifyConfig,
    ConvertWeightsConfig,
    EvaluateWeightsConfig,
    InspectConfig,
)
from posenet.errors import count


def inspect_weights(config: InspectConfig) -> None:
    """List the layers of a weight file.

    Args:
        config: the options.
    """
    from posenet.cli.startup import start_keras

    start_keras()
    from posenet.models.weights.load import read_weights, weight_format

    name = weight_format(config.file)
    weights = read_weights(config.file, config.kernel_order)
    shapes = {
        layer: {part: list(array.shape) for part, array in arrays.items()}
        for layer, arrays in weights.items()
    }
    total = sum(array.size for arrays in weights.values() for array in arrays.values())
    if config.json:
        print(json.dumps({"format": name, "parameters": total, "layers": shapes}, indent=2))
        return
    for layer, parts in shapes.items():
        listed = ", ".join(f"{part} {' x '.join(map(str, s))}" for part, s in parts.items())
        print(f"{layer:<40} {listed}")
    print(f"{name}: {count(len(shapes), 'layer')}, {total:,} parameters")


def convert_weights(config: ConvertWeightsConfig) -> None:
    """Convert a weight file.

    Args:
        config: the options.
    """
    from posenet.cli.startup import start_keras

    start_keras()
    from posenet.models.weights import convert

    report = convert.convert_weights(
        config.file,
        config.output,
        variant=config.variant,
        kernel_order=config.kernel_order,
        overwrite=config.overwrite,
    )
    print(report)


def evaluate_weights(config: EvaluateWeightsConfig) -> None:
    """Evaluate published weights on a scene.

    Args:
        config: the options.
    """
    from posenet.cli.startup import start_keras

    start_keras()
    from posenet.evaluation import published

    result = published.evaluate_weights(
        config.file,
        config.scene,
        variant=config.variant,
        legacy=config.legacy,
        mean_image=config.mean_image,
        strict=config.strict,
        split=config.split,
        batchnorm_epsilon=config.batchnorm_epsilon,
    )
    print_evaluation(
        result, config.output, plot=config.plot, formats=config.figures, as_json=config.json
    )


def classify(config: ClassifyConfig) -> None:
    """Print the most likely ImageNet classes of an image.

    Args:
        config: the options.
    """
    from posenet.cli.startup import start_keras

    start_keras()
    from posenet.models import classify as classification

    for name, probability in classification.classify(config.image, config.backbone, config.weights):
        print(f"{probability:6.1%}  {name}")
