from contextlib import contextmanager

import keras
import numpy as np
import pytest

from posenet.models.layers import FastBatchNorm
from posenet.training.batch_norm import num_batches, refresh_averages
from posenet.training.losses.learned import LearnedWeightsLoss
from posenet.training.optimizer import create_optimizer
from posenet.training.trainer import Trainer

pytestmark = pytest.mark.slow


class Batches:
    """Batches of eight random images, the same in every epoch."""

    def __init__(self, count):
        rng = np.random.default_rng(0)
        self.images = rng.uniform(0, 255, (count, 8, 4, 4, 2)).astype(np.float32)

    @contextmanager
    def stream(self, epoch):
        """Yield a generator of the batches."""
        yield self.generate()

    def generate(self):
        """Yield the batches."""
        truth = {
            "position": np.zeros((8, 3), np.float32),
            "quaternion": np.tile(np.float32([1, 0, 0, 0]), (8, 1)),
        }
        for images in self.images:
            yield images, truth


def test_averages_are_the_means_over_the_batches():
    image = keras.Input((4, 4, 2))
    x = FastBatchNorm(momentum=0.9, name="norm")(image)
    x = keras.layers.GlobalAveragePooling2D()(x)
    outputs = {
        "position": keras.layers.Dense(3)(x),
        "quaternion": keras.layers.Dense(4)(x),
    }
    trainer = Trainer(keras.Model(image, outputs), LearnedWeightsLoss())
    trainer.compile(optimizer=create_optimizer(), jit_compile=False)
    weights = [np.array(keras.ops.convert_to_numpy(w)) for w in trainer.trainable_variables]
    batches = Batches(5)
    refresh_averages(trainer, batches, 5)
    norm = trainer.network.get_layer("norm")
    # The variance of each batch, not of all: the means of the batches differ.
    np.testing.assert_allclose(
        np.asarray(norm.moving_mean), batches.images.mean(axis=(0, 1, 2, 3)), rtol=1e-4
    )
    np.testing.assert_allclose(
        np.asarray(norm.moving_variance),
        batches.images.var(axis=(1, 2, 3)).mean(axis=0),
        rtol=1e-3,
    )
    for weight, before in zip(trainer.trainable_variables, weights, strict=True):
        np.testing.assert_array_equal(keras.ops.convert_to_numpy(weight), before)


def test_kept_statistics_stay():
    image = keras.Input((4, 4, 2))
    network = keras.Model(image, FastBatchNorm(name="norm")(image))
    network.get_layer("norm").keeps_statistics = True
    refresh_averages(Trainer(network, LearnedWeightsLoss()), Batches(2), 2)
    np.testing.assert_array_equal(np.asarray(network.get_layer("norm").moving_mean), [0, 0])


def test_number_of_batches_follows_the_time():
    # 4 % of 250 s are 10 s.
    assert num_batches(250.0, 0.1) == 30
    assert num_batches(250.0, 0.5) == 20
    assert num_batches(250.0, 1.0) == 0
