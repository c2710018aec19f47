import json
import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow

# A process of its own: replicas must be set up before TensorFlow starts.
SCRIPT = """
import json, sys
import numpy as np, tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
import keras
from posenet.training.losses.learned import LearnedWeightsLoss
from posenet.training.losses.posenet import PoseNetLoss
from posenet.training.trainer import Trainer

sizes = {"position": 3, "quaternion": 4}
rng = np.random.default_rng(0)
images = rng.normal(size=(64, 4, 4, 3)).astype("float32")
truth = {n: rng.normal(size=(64, size)).astype("float32") for n, size in sizes.items()}
truth["quaternion"] /= np.linalg.norm(truth["quaternion"], axis=1, keepdims=True)
data = tf.data.Dataset.from_tensor_slices((images, truth)).batch(16, drop_remainder=True)

def trained(strategy):
    keras.utils.set_random_seed(0)
    with strategy.scope():
        loss = LearnedWeightsLoss(2.0) if sys.argv[1] == "learned" else PoseNetLoss(5.0)
        image = keras.Input((4, 4, 3))
        x = keras.layers.Dense(8, activation="tanh")(keras.layers.Flatten()(image))
        heads = {
            prefix + name: keras.layers.Dense(size)(x)
            for prefix in ("", "aux1_")
            for name, size in sizes.items()
        }
        trainer = Trainer(keras.Model(image, heads), loss)
        trainer.compile(optimizer=keras.optimizers.SGD(0.01))
    history = trainer.fit(data, epochs=4, verbose=0, shuffle=False).history
    total = float(sum(np.abs(np.asarray(v)).sum() for v in trainer.trainable_variables))
    return {"loss": history["loss"], "position": history["position_error"], "weights": total}

one = trained(tf.distribute.get_strategy())
print(json.dumps([one, trained(tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]))]))
"""


@pytest.mark.parametrize("loss", ["learned", "posenet"])
def test_two_replicas_train_exactly_as_one(loss):
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, loss], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr[-2000:]
    one, two = json.loads(done.stdout.strip().splitlines()[-1])
    assert one["loss"][-1] < one["loss"][0]
    assert two["loss"] == pytest.approx(one["loss"], rel=1e-4)
    assert two["position"] == pytest.approx(one["position"], rel=1e-4)
    assert two["weights"] == pytest.approx(one["weights"], rel=1e-5)
