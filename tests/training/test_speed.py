import keras
import numpy as np
import pytest

from posenet.geometry.cropping import Crop
from posenet.models.build import build_network
from posenet.training.losses.learned import LearnedWeightsLoss
from posenet.training.optimizer import create_optimizer
from posenet.training.speed import measure_speed
from posenet.training.trainer import Trainer

pytestmark = pytest.mark.slow


def test_measuring_leaves_the_trainer_as_it_was():
    network = build_network("efficientnet_lite0", (64, 64), head="scene-coordinates")
    trainer = Trainer(network, LearnedWeightsLoss())
    trainer.compile(optimizer=create_optimizer(), jit_compile=False)
    trainer.optimizer.build(trainer.trainable_variables)
    variables = [*trainer.variables, *trainer.optimizer.variables]
    before = [np.array(keras.ops.convert_to_numpy(variable)) for variable in variables]
    speed = measure_speed(trainer, Crop((64, 64), (64, 64)), 4)
    assert 0.1 < speed < 10_000
    assert int(trainer.optimizer.iterations) == 0
    for variable, value in zip(variables, before, strict=True):
        np.testing.assert_array_equal(keras.ops.convert_to_numpy(variable), value)
