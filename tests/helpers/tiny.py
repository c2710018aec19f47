"""A backbone that compiles in seconds on every backend."""

from __future__ import annotations

from functools import partial
from typing import Any

import keras
from keras import layers

from posenet.models.build import BACKBONES, Backbone
from posenet.models.layers import FastBatchNorm, FastDepthwise
from tests.helpers.scenes import SMALL

# Settings of a training with it.
TINY = SMALL | {"backbone": "tiny", "weights": "none"}


def tiny_feature_maps(image: Any) -> tuple[Any, Any]:
    """Return feature maps of stride 16 and 32."""
    x = layers.Rescaling(1 / 255, name="stem_scale")(image)
    x = layers.Conv2D(8, 5, strides=8, padding="same", use_bias=False, name="stem")(x)
    x = FastBatchNorm(momentum=0.9, name="stem_bn")(x)
    x = layers.ReLU(name="stem_relu")(x)
    x = FastDepthwise(3, strides=2, padding="same", use_bias=False, name="deep")(x)
    x = FastBatchNorm(momentum=0.9, name="deep_bn")(x)
    fine = layers.Conv2D(16, 1, activation="relu", name="deep_fine")(x)
    return fine, layers.Conv2D(16, 3, strides=2, padding="same", name="deep_coarse")(fine)


def no_heads(*_: Any, **__: Any) -> dict[str, Any]:
    raise NotImplementedError("the tiny backbone has the scene-coordinate head only")


def register_tiny() -> None:
    """Add the backbone "tiny"."""
    BACKBONES["tiny"] = Backbone(
        partial(no_heads),
        2e-3,
        auxiliary=False,
        feature_maps=tiny_feature_maps,
        stages=(("stem",), ("deep",)),
    )


class StopAfter(keras.callbacks.Callback):
    """Stops a training after some epochs, as Ctrl-C does."""

    def __init__(self, epochs: int) -> None:
        super().__init__()
        self.epochs = epochs

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Stop."""
        self.model.stop_training = epoch + 1 >= self.epochs


class Killed(keras.callbacks.Callback):
    """Ends the process in the second epoch, as a failing machine does."""

    def __init__(self, kill: Any) -> None:
        super().__init__()
        self.kill = kill

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """End."""
        if epoch == 1:
            self.kill()
