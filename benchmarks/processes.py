"""Train with one, two and four processes of one core each on this machine (Keras on JAX).

    python benchmarks/processes.py [--processes 1 2 4] [--steps 10] [--backbone googlenet]

The global batch is the same. Prints images/s and the losses. They are equal but for rounding, which
deep networks amplify.
"""

from __future__ import annotations

import argparse
import os
import socket
import subprocess
import sys
import time
from itertools import repeat

# The default input and batch of a training.
SIZE = (192, 256)
BATCH = 32


def work(backbone: str, steps: int) -> None:
    """Train as one process of a job, and print seconds per step and losses."""
    from posenet.cli.startup import start_keras

    start_keras("jax", join_hosts="JAX_COORDINATOR_ADDRESS" in os.environ)
    import keras
    import numpy as np

    from posenet.geometry.cropping import Crop
    from posenet.models.build import build_network
    from posenet.training.batches import random_batch
    from posenet.training.devices import distributed, own_share
    from posenet.training.losses.learned import LearnedWeightsLoss
    from posenet.training.optimizer import create_optimizer
    from posenet.training.trainer import Trainer

    keras.utils.set_random_seed(0)
    share = own_share()
    trainer = Trainer(build_network(backbone, SIZE), LearnedWeightsLoss())
    trainer.compile(optimizer=create_optimizer(), jit_compile=True)
    trainer.optimizer.build(trainer.trainable_variables)
    images, truth = random_batch(Crop(SIZE, SIZE), BATCH)
    own = slice(share.index * BATCH // share.count, (share.index + 1) * BATCH // share.count)
    batch = images[own], {name: values[own] for name, values in truth.items()}
    losses, ends = [], []

    class Record(keras.callbacks.Callback):
        def on_train_batch_end(self, step: int, logs: dict[str, float] | None = None) -> None:
            losses.append(float((logs or {})["loss"]))
            ends.append(time.perf_counter())

    with distributed(trainer, share):
        trainer.fit(
            (each for each in repeat(batch)),
            steps_per_epoch=steps + 1,
            callbacks=[Record()],
            verbose=0,
            shuffle=False,
        )
    if share.is_first:
        speed = BATCH / float(np.median(np.diff(ends)))
        print(f"{speed:.2f}, {' '.join(f'{loss:.5f}' for loss in losses)}", flush=True)


def main() -> None:
    """Start the processes of each job and print its line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--processes", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--backbone", default="googlenet")
    parser.add_argument("--work", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        work(options.backbone, options.steps)
        return
    cores = sorted(os.sched_getaffinity(0))
    command = [sys.executable, __file__, "--work", "--backbone", options.backbone]
    print("processes, images/s, losses")
    for number in options.processes:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            address = f"127.0.0.1:{probe.getsockname()[1]}"
        job = {"JAX_COORDINATOR_ADDRESS": address, "JAX_NUM_PROCESSES": str(number)}
        jobs = [
            subprocess.Popen(
                ["taskset", "-c", str(cores[index % len(cores)]), *command]
                + ["--steps", str(options.steps)],
                env=os.environ | (job | {"JAX_PROCESS_ID": str(index)} if number > 1 else {}),
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
            )
            for index in range(number)
        ]
        outputs = [process.communicate()[0] for process in jobs]
        # The library that connects the processes prints a line too.
        print(f"{number}, {outputs[0].splitlines()[-1]}", flush=True)


if __name__ == "__main__":
    main()
