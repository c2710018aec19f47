"""Parts of a training, on the backend that Keras runs on. They need no fixtures, so that a process on
another backend can run them too (tests/helpers/backend_work.py).
"""

import math

import keras
import numpy as np
import pytest

from posenet.geometry.cropping import Crop
from posenet.models.build import build_network, get_backbone
from posenet.models.layers import FastBatchNorm
from posenet.training.batch_norm import refresh_averages
from posenet.training.batches import random_batch
from posenet.training.device import compiles_by_xla
from posenet.training.head_warmup import warm_up_heads
from posenet.training.losses.learned import LearnedWeightsLoss
from posenet.training.losses.posenet import PoseNetLoss
from posenet.training.optimizer import create_optimizer
from posenet.training.prefetch import for_fit, prefetched
from posenet.training.speed import measure_speed
from posenet.training.trainer import Trainer
from tests.helpers.tiny import register_tiny

pytestmark = pytest.mark.slow

SIZE = (64, 80)
BATCH = 4


def tensors(**values):
    return {n: keras.ops.convert_to_tensor(np.float32([v])) for n, v in values.items()}


def numpy(value):
    return np.array(keras.ops.convert_to_numpy(value))


class Batches:
    """Stands in for `TrainingBatches`: noise, the same in every epoch."""

    seed = 0
    scene = range(8)

    def epoch(self, number):
        """Yield one batch."""
        yield random_batch(Crop(SIZE, SIZE), BATCH)

    def stream(self, number):
        """Return a block with endless batches."""
        return stream_of(random_batch(Crop(SIZE, SIZE), BATCH))


class stream_of:
    """A block with endless copies of a batch."""

    def __init__(self, batch):
        self.batch = batch

    def __enter__(self):
        from itertools import repeat

        return for_fit(repeat(self.batch))

    def __exit__(self, *_):
        return None


def tiny_trainer():
    register_tiny()
    network = build_network("tiny", SIZE, head="scene-coordinates")
    backbone = get_backbone("tiny")
    backbone.keep_statistics(network)
    backbone.freeze(network, 1)
    trainer = Trainer(network, LearnedWeightsLoss())
    trainer.compile(optimizer=create_optimizer(), jit_compile=compiles_by_xla())
    trainer.optimizer.build(trainer.trainable_variables)
    return trainer


def test_losses_by_hand():
    truth = tensors(position=[1, 2, 3], quaternion=[1, 0, 0, 0])
    heads = tensors(position=[4, 6, 3], quaternion=[math.cos(0.1), math.sin(0.1), 0, 0])
    # Position errors 3 and 4: L1 7, L2 5. Rotation errors |cos 0.1 - 1| and sin 0.1.
    learned = LearnedWeightsLoss(scale=2.0)(truth, heads)
    expected = 7 / 2 + 1 - math.cos(0.1) + math.sin(0.1)
    assert float(numpy(learned)[0]) == pytest.approx(expected, rel=1e-4)
    rotation = math.hypot(math.cos(0.1) - 1, math.sin(0.1))
    posenet = PoseNetLoss(5.0)(truth, heads)
    assert float(numpy(posenet)[0]) == pytest.approx(5 + 5 * rotation, rel=1e-4)


def test_frozen_stages_stay_and_the_speed_is_measured():
    trainer = tiny_trainer()
    variables = [*trainer.network.variables, *trainer.optimizer.variables]
    before = [numpy(variable) for variable in variables]
    assert measure_speed(trainer, Crop(SIZE, SIZE), BATCH) > 0.01
    for variable, value in zip(variables, before, strict=True):
        np.testing.assert_array_equal(numpy(variable), value)
    with Batches().stream(0) as stream:
        trainer.optimizer.learning_rate = 0.01
        history = trainer.fit(stream, steps_per_epoch=3, epochs=2, verbose=0).history["loss"]
    assert history[1] < history[0]
    after = {variable.path: numpy(variable) for variable in trainer.network.variables}
    for variable, value in zip(variables, before, strict=False):
        is_kept = variable.path.startswith(("stem", "deep_bn/moving"))
        is_trained = variable.path in ("deep_fine/kernel", "deep_bn/gamma", "points_out/kernel")
        if is_kept:
            np.testing.assert_array_equal(after[variable.path], value)
        if is_trained:
            assert not np.array_equal(after[variable.path], value), variable.path


def test_averages_are_those_of_the_batches():
    image = keras.Input((4, 4, 2))
    x = FastBatchNorm(momentum=0.9, name="norm")(image)
    x = keras.layers.GlobalAveragePooling2D()(x)
    heads = {"position": keras.layers.Dense(3)(x), "quaternion": keras.layers.Dense(4)(x)}
    trainer = Trainer(keras.Model(image, heads), LearnedWeightsLoss())
    trainer.compile(optimizer=create_optimizer(), jit_compile=compiles_by_xla())
    images = np.random.default_rng(0).uniform(0, 9, (3, 4, 4, 2)).astype(np.float32)
    truth = {"position": np.zeros((3, 3)), "quaternion": np.tile([1.0, 0, 0, 0], (3, 1))}
    batch = images, {name: value.astype(np.float32) for name, value in truth.items()}

    class Same:
        def stream(self, epoch):
            return stream_of(batch)

    refresh_averages(trainer, Same(), 3)
    norm = trainer.network.get_layer("norm")
    np.testing.assert_allclose(numpy(norm.moving_mean), images.mean((0, 1, 2)), rtol=1e-4)
    np.testing.assert_allclose(numpy(norm.moving_variance), images.var((0, 1, 2)), rtol=1e-3)


def test_the_head_warmup_trains_the_heads_only():
    trainer = tiny_trainer()
    before = {variable.path: numpy(variable) for variable in trainer.network.variables}
    warm_up_heads(trainer, Batches(), 0.01)
    for variable in trainer.network.variables:
        is_same = np.array_equal(numpy(variable), before[variable.path])
        if not variable.path.startswith("points"):
            assert is_same, variable.path
        if variable.path in ("points_fine/kernel", "points_out/kernel"):
            assert not is_same


def test_an_error_of_the_batches_is_raised_by_fit():
    def batches():
        yield from [random_batch(Crop(SIZE, SIZE), BATCH)] * 2
        raise OSError("disk gone")

    trainer = tiny_trainer()
    with pytest.raises(OSError, match="disk gone"), prefetched(batches()) as stream:
        trainer.fit(for_fit(stream), steps_per_epoch=5, verbose=0)
