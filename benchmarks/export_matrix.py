"""Export every backbone and head to every format: size, largest differences, time of one image.

    python benchmarks/export_matrix.py [--runs RUN ...] [--formats onnx litert] [--output TABLE.md]

The networks have random weights, with the batch statistics of the random images that they are
compared with Keras on, except those of the given runs. Differences of lengths are fractions of the
position scale. Quaternions of untrained networks are far from unit length before they are
normalized, which magnifies their rounding errors.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from posenet.cli.startup import start_keras

start_keras()

import keras  # noqa: E402
import numpy as np  # noqa: E402

from posenet.config import Rotation  # noqa: E402
from posenet.errors import PoseNetError, first_line  # noqa: E402
from posenet.export.check import CheckImages, CheckResult, check_images, compare  # noqa: E402
from posenet.export.export import quiet  # noqa: E402
from posenet.export.network import export_network  # noqa: E402
from posenet.export.registry import FORMATS, get_format  # noqa: E402
from posenet.models.build import BACKBONES, NetworkSpec  # noqa: E402
from posenet.run import open_run  # noqa: E402

# Height and width of networks that take any size, and side of those of 2015.
SIZE = (128, 176)
APPLICATIONS = ("MobileNetV2", "EfficientNetV2B0", "ResNet50")
ROTATIONS: tuple[Rotation, ...] = ("quaternion", "log", "6d")
NUM_IMAGES = 8


@dataclass(frozen=True)
class Case:
    """A network to export.

    Attributes:
        name: what it is.
        model: the network of a run.
        images: what it is compared on.
        scale: the position scale.
    """

    name: str
    model: keras.Model
    images: CheckImages
    scale: float


def random_cases(only: str) -> Iterator[Case]:
    """Build every backbone with every head and rotation, with random weights.

    Those of keras.applications all have the same head.
    """
    start = NetworkSpec("", SIZE, (1.0, 2.0, 3.0), 5.0, "pose", "quaternion")
    for name in (*BACKBONES, *APPLICATIONS):
        known = BACKBONES.get(name)
        size = (known.fixed_size if known else None) or SIZE
        spec = replace(start, backbone=name, size=size)
        specs = [spec]
        if known and not known.fixed_size:
            specs = [replace(spec, rotation=each) for each in ROTATIONS]
        if known and known.feature_maps:
            specs.append(replace(spec, head="scene-coordinates"))
        for each in specs:
            head = each.rotation if each.head == "pose" else each.head
            if only not in f"{name}, {head}":
                continue
            keras.utils.set_random_seed(0)
            rng = np.random.default_rng(0)
            noise = rng.integers(0, 256, (NUM_IMAGES, *size, 3)).astype(np.float32)
            model = each.build_inference(_with_statistics(each.build(), noise))
            yield Case(f"{name}, {head}", model, CheckImages(noise, "noise"), 5.0)
            keras.backend.clear_session()


def _with_statistics(network: keras.Model, images: np.ndarray) -> keras.Model:
    """Set the averages of batch normalization, without which deep features are nearly constant."""
    for layer in network._flatten_layers():
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.0
    network(images, training=True)
    return network


def run_cases(folders: list[Path]) -> Iterator[Case]:
    """Load the networks of runs."""
    for folder in folders:
        run = open_run(folder)
        images = check_images(run)
        head = run.config.rotation if run.head == "pose" else run.head
        name = f"{run.config.backbone}, {head}, trained ({images.source})"
        yield Case(name, run.load_model(), images, run.position_scale)


def row(case: Case, formats: list[str]) -> Iterator[list[str]]:
    """Export one network to every format; yield the cells of a table."""
    network = export_network(case.model)
    for name in formats:
        module = get_format(name)
        with tempfile.TemporaryDirectory() as folder:
            try:
                with quiet(name):
                    module.write(network, Path(folder) / module.FILE)
                    result = compare(
                        module.load(Path(folder) / module.FILE), case.model, case.images
                    )
            except PoseNetError as error:
                yield [case.name, name, "", first_line(error), "", "", ""]
                continue
            size = sum(path.stat().st_size for path in Path(folder).rglob("*") if path.is_file())
        yield [case.name, name, f"{size / 1e6:.1f}", *_cells(result, case.scale)]


def _cells(result: CheckResult, scale: float) -> list[str]:
    differences = result.differences
    lengths = [differences[name] for name in ("position", "residual_rms") if name in differences]
    return [
        f"{max(lengths) / scale:.0e}",
        f"{differences['quaternion']:.0e}",
        f"{result.milliseconds:.1f}",
        f"{result.keras_milliseconds:.1f}",
    ]


def main() -> None:
    """Export, print the table and write it."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--runs", type=Path, nargs="*", default=[])
    parser.add_argument("--formats", nargs="+", default=list(FORMATS), choices=list(FORMATS))
    parser.add_argument("--only", default="", help="random networks whose name contains this text")
    parser.add_argument("--output", type=Path, help="file to write the table to")
    options = parser.parse_args()
    header = ["network", "format", "MB", "length", "quaternion", "ms", "Keras ms"]
    lines = [f"| {' | '.join(header)} |", f"|{'---|' * len(header)}"]
    print("\n".join(lines))
    for cases in (run_cases(options.runs), random_cases(options.only)):
        for case in cases:
            for cells in row(case, options.formats):
                lines.append(f"| {' | '.join(cells)} |")
                print(lines[-1], flush=True)
    if options.output:
        options.output.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
