"""Compare an exported network, in its own runtime, with the network of the run in Keras."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from posenet.errors import PoseNetError
from posenet.io.images import load_image
from posenet.localization.retrieval import normalize_descriptors, with_descriptor_output
from posenet.models.inference import Network
from posenet.models.legacy_layers import OLD_KEYS
from posenet.run import Run

log = logging.getLogger("posenet")

NUM_IMAGES = 8
# Largest differences: of lengths as a fraction of the position scale, of the numbers of a unit
# quaternion, and of a unit descriptor.
LENGTH_TOLERANCE = 1e-4
QUATERNION_TOLERANCE = 1e-5
DESCRIPTOR_TOLERANCE = 1e-4
# Images that are predicted one by one for the time, and before that. The shortest time counts:
# other work of the machine only adds to it.
TIMED = 30
WARM_UP = 3


@dataclass(frozen=True, eq=False)
class CheckImages:
    """The images that networks are compared on.

    Attributes:
        images: network inputs, shape (n, h, w, 3), float32, 0-255.
        source: what they are, such as "8 training images".
    """

    images: np.ndarray
    source: str


@dataclass(frozen=True)
class CheckResult:
    """How an exported network differs from Keras.

    Attributes:
        source: the images that they were compared on.
        differences: largest absolute difference of each output; of quaternions up to their sign.
        milliseconds: shortest time of one image in the format's runtime.
        keras_milliseconds: the same of the run's network in Keras.
    """

    source: str
    differences: dict[str, float]
    milliseconds: float
    keras_milliseconds: float


def check_images(run: Run) -> CheckImages:
    """Return eight training images of a run, or noise if they are not there any more.

    Args:
        run: the run.

    Returns:
        The images as the network takes them.
    """
    try:
        paths = run.training_scene().paths
        rows = np.unique(np.linspace(0, len(paths) - 1, NUM_IMAGES).astype(int))
        images = np.stack([load_image(paths[row], *run.crop.resized) for row in rows])
        source = f"{len(rows)} training images"
    except PoseNetError as error:
        log.warning("the export is checked with random noise: %s", error)
        rng = np.random.default_rng(0)
        images = rng.integers(0, 256, (NUM_IMAGES, *run.crop.resized, 3), np.uint8)
        source = f"{NUM_IMAGES} images of random noise"
    return CheckImages(run.crop.center(images).astype(np.float32), source)


def compare(network: Network, model: keras.Model, check: CheckImages) -> CheckResult:
    """Compare an exported network with Keras.

    Args:
        network: the exported network in its own runtime.
        model: the network of the run.
        check: the images.

    Returns:
        The differences and times.

    Raises:
        PoseNetError: the exported network lacks an output.
    """
    reference = with_descriptor_output(model)
    expected = _reference_outputs(reference.predict_on_batch(check.images))
    found = network.predict_on_batch(check.images)
    missing = sorted(set(expected) - set(found))
    if missing:
        raise PoseNetError(f"the exported network lacks the output {missing[0]}")
    one = check.images[:1]
    return CheckResult(
        check.source,
        {name: _difference(name, found[name], value) for name, value in expected.items()},
        _milliseconds(network, one),
        _milliseconds(reference, one),
    )


def require_agreement(result: CheckResult, position_scale: float) -> None:
    """Check that an exported network agrees with Keras.

    Args:
        result: how they differ.
        position_scale: the scale of the run's positions, scene units.

    Raises:
        PoseNetError: a difference exceeds its tolerance, or is not a number.
    """
    length = LENGTH_TOLERANCE * position_scale
    tolerances = {"quaternion": QUATERNION_TOLERANCE, "pooled": DESCRIPTOR_TOLERANCE}
    for name, difference in result.differences.items():
        tolerance = tolerances.get(name, length)
        if not difference <= tolerance:
            raise PoseNetError(
                f"the exported network must agree with Keras, its {name} differs by "
                f"{difference:.2g} on {result.source} (at most {tolerance:.2g})"
            )


def _reference_outputs(outputs: dict[str, Any]) -> dict[str, np.ndarray]:
    """Return the outputs of a run's network under the names of exported ones."""
    new_names = {old: new for new, old in OLD_KEYS.items()}
    named = {new_names.get(name, name): np.asarray(value) for name, value in outputs.items()}
    return named | {"pooled": normalize_descriptors(named["pooled"])}


def _difference(name: str, found: np.ndarray, expected: np.ndarray) -> float:
    """Return the largest difference; q and -q are the same rotation."""
    if found.shape != expected.shape:
        return float("nan")
    difference = np.abs(found - expected)
    if name == "quaternion":
        opposite = np.abs(found + expected)
        is_opposite = opposite.max(axis=1) < difference.max(axis=1)
        difference = np.where(is_opposite[:, None], opposite, difference)
    return float(difference.max())


def _milliseconds(network: Network, image: np.ndarray) -> float:
    """Return the shortest time of predicting one image."""
    seconds = []
    for _ in range(WARM_UP + TIMED):
        start = time.perf_counter()
        network.predict_on_batch(image)
        seconds.append(time.perf_counter() - start)
    return 1000 * min(seconds[WARM_UP:])
