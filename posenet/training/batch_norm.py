"""Average the statistics of batch normalization again at the end of a training.

The moving averages cover roughly the last ten batches and are noisy. With unchanged weights, the
mean over more batches is worth 5 to 10 % of the error (docs/lab-notes.md).
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from posenet.models.layers import FastBatchNorm
from posenet.training.batches import TrainingBatches
from posenet.training.trainer import Trainer

# Batches that are averaged, and the fewest that are better than the moving averages.
BATCHES = 30
MIN_BATCHES = 15
# Fraction of the training time that they may take.
TIME_FRACTION = 0.04
# Epoch of the batches' stream that training itself never reaches.
EPOCH = 2_000_000


def num_batches(seconds: float, seconds_per_step: float) -> int:
    """Return how many batches to average.

    Args:
        seconds: time of the whole training.
        seconds_per_step: time of a training step.

    Returns:
        At most 30; 0 if there is no time for enough of them.
    """
    affordable = int(min(BATCHES, TIME_FRACTION * seconds / seconds_per_step))
    return affordable if affordable >= MIN_BATCHES else 0


def refresh_averages(trainer: Trainer, batches: TrainingBatches, count: int) -> None:
    """Set the averages of the trained batch normalization to the means over some batches.

    The weights do not change: the training function, which is compiled already, runs with a
    learning rate of zero.

    Args:
        trainer: the trainer after its training.
        batches: the training batches.
        count: number of batches.
    """
    means = _BatchMeans(_trained_layers(trainer.network))
    if not means.layers:
        return
    trainer.optimizer.learning_rate = 0.0
    with batches.stream(EPOCH) as stream:
        trainer.fit(stream, steps_per_epoch=count, callbacks=[means], verbose=0, shuffle=False)
    means.assign()


def _trained_layers(network: keras.Model) -> list[FastBatchNorm]:
    return [
        layer
        for layer in network.layers
        if isinstance(layer, FastBatchNorm) and layer.trainable and not layer.keeps_statistics
    ]


class _BatchMeans(keras.callbacks.Callback):
    """Sums the statistics of each batch, which follow from the steps of the moving averages."""

    def __init__(self, layers: list[FastBatchNorm]) -> None:
        super().__init__()
        self.layers = layers
        self.before = [self._averages(layer) for layer in layers]
        self.sums = [np.zeros_like(values) for values in self.before]
        self.count = 0

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Add the statistics of a batch: after = momentum * before + (1 - momentum) * batch."""
        assert self.model  # on JAX, to ask for it brings the layers' variables up to date
        for row, layer in enumerate(self.layers):
            after = self._averages(layer)
            self.sums[row] += (after - layer.momentum * self.before[row]) / (1 - layer.momentum)
            self.before[row] = after
        self.count += 1

    def assign(self) -> None:
        """Set the averages."""
        for layer, total in zip(self.layers, self.sums, strict=True):
            mean, variance = total / self.count
            layer.moving_mean.assign(mean)
            layer.moving_variance.assign(np.maximum(variance, 0))

    @staticmethod
    def _averages(layer: FastBatchNorm) -> np.ndarray:
        """Return mean and variance, shape (2, c), float64."""
        variables = (layer.moving_mean, layer.moving_variance)
        return np.stack([keras.ops.convert_to_numpy(v).astype(float) for v in variables])
