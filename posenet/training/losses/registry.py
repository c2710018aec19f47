"""The registry of training losses. To add one, add a file and a line here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras

from posenet.training.losses.geometric import GeometricLoss
from posenet.training.losses.learned import LearnedWeightsLoss
from posenet.training.losses.posenet import PoseNetLoss

# By the name of --loss: a layer from the size of the scene and --beta. Its call(truth, heads)
# returns the loss of each image, shape (b,).
LOSSES: dict[str, Callable[[float, float], keras.layers.Layer]] = {
    "learned": lambda scale, beta: LearnedWeightsLoss(scale),
    "geometric": lambda scale, beta: GeometricLoss(scale),
    "posenet": lambda scale, beta: PoseNetLoss(beta),
}


def create_loss(name: str, *, scale: float, beta: float) -> Any:
    """Create a loss by its name.

    Args:
        name: one of `LOSSES`.
        scale: size of the scene, scene units.
        beta: weight of the rotation in the posenet loss.

    Returns:
        The layer.
    """
    return LOSSES[name](scale, beta)
