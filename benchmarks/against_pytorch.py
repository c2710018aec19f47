"""GoogLeNet trained and run by posenet and by PyTorch, in turns, in one run.

    python -m venv pytorch && pytorch/bin/pip install torch
    python benchmarks/against_pytorch.py --pytorch pytorch/bin/python [--precision bfloat16]
    ONEDNN_MAX_CPU_ISA=AVX2 python benchmarks/against_pytorch.py --pytorch pytorch/bin/python

Both have the same layers, loss, batches and optimizer (Adam), and both compute with oneDNN, so that
the variable makes either of them play a processor without AVX512. Each runs in a process of its own
and waits while the other works. Prints images/s, milliseconds of one image, and the median of the
ratios of neighboring turns.
"""

from __future__ import annotations

import argparse
import itertools
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

SIZE = (128, 176)
BATCH = 16
PREDICTED = 32
# Task, images of a batch, and repetitions of a turn.
TASKS = (("train", BATCH, 8), ("predict", PREDICTED, 6), ("predict", 1, 30))
TURNS = 6


class Worker:
    """A process that does a task on request."""

    def __init__(self, command: list[str]) -> None:
        self.command = command
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self.name, self.parameters = self._read().split("\t")

    def seconds(self, task: str, images: int, repeats: int) -> float:
        """Return the seconds that a task takes."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{task} {images} {repeats}\n")
        self.process.stdin.flush()
        return float(self._read())

    def _read(self) -> str:
        assert self.process.stdout is not None
        line = self.process.stdout.readline().strip()
        if not line:
            raise SystemExit(f"{self.command[0]} ended without an answer")
        return line


def serve(precision: str) -> None:
    """Answer requests on standard input with posenet's network until it ends."""
    from posenet.cli.startup import start_keras

    start_keras()
    import keras
    import tensorflow as tf

    from posenet.geometry.cropping import Crop
    from posenet.models.build import build_network, inference_network
    from posenet.models.folding import fold_batch_norm
    from posenet.training.batches import random_batch
    from posenet.training.device import configure_device
    from posenet.training.losses.learned import LearnedWeightsLoss
    from posenet.training.optimizer import FastMuon
    from posenet.training.prefetch import for_fit
    from posenet.training.trainer import Trainer

    configure_device(precision)
    network = build_network("googlenet", SIZE)
    trainer = Trainer(network, LearnedWeightsLoss())
    # Adam for every layer: all of them are excluded from Muon.
    adam = FastMuon(exclude_layers=[""], adam_lr_ratio=1.0, adam_beta_2=0.999)
    trainer.compile(optimizer=adam, jit_compile=False)
    adam.learning_rate = 1e-4
    rng = np.random.default_rng(0)
    batches = for_fit(itertools.repeat(random_batch(Crop(SIZE, SIZE), BATCH)))
    predictor = fold_batch_norm(inference_network(network, "googlenet", SIZE))
    inputs = {n: rng.uniform(0, 255, (n, *SIZE, 3)).astype(np.float32) for n in (1, PREDICTED)}
    print(f"posenet, Keras {keras.__version__}, TensorFlow {tf.__version__}", end="\t")
    print(sum(int(np.prod(w.shape)) for w in trainer.trainable_variables), flush=True)
    for line in sys.stdin:
        task, number, repeats = line.split()
        start = time.perf_counter()
        if task == "train":
            trainer.fit(batches, steps_per_epoch=int(repeats), verbose=0, shuffle=False)
        else:
            for _ in range(int(repeats)):
                predictor.predict_on_batch(inputs[int(number)])
        print(time.perf_counter() - start, flush=True)


def main() -> None:
    """Measure and print the ratios."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--pytorch", help="Python of an environment with PyTorch")
    parser.add_argument("--precision", choices=("float32", "bfloat16"), default="float32")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve(options.precision)
        return
    if options.pytorch is None:
        parser.error("--pytorch is required")
    folder = Path(__file__).parent
    flags = ["--precision", options.precision]
    height, width = map(str, SIZE)
    theirs = Worker(
        [options.pytorch, str(folder / "pytorch_googlenet.py"), *flags]
        + ["--size", height, width, "--batch", str(BATCH)]
    )
    ours = Worker([sys.executable, __file__, "--serve", *flags])
    instructions = os.environ.get("ONEDNN_MAX_CPU_ISA", "native")
    print(f"{ours.name}; {theirs.name}; {options.precision}, {instructions} instructions")
    print(f"parameters: {ours.parameters} and {theirs.parameters}")
    for task, images, repeats in TASKS:
        for worker in (ours, theirs):
            worker.seconds(task, images, 3)  # compiles
        turns = np.array(
            [[w.seconds(task, images, repeats) for w in (ours, theirs)] for _ in range(TURNS)]
        )
        own, other = np.median(turns, axis=0) / repeats
        speedup = np.median(turns[:, 1] / turns[:, 0])
        print(
            f"{task}, batch {images}: {images / own:.1f} and {images / other:.1f} images/s "
            f"({1000 * own:.1f} and {1000 * other:.1f} ms), {speedup:.2f} times as fast"
        )


if __name__ == "__main__":
    main()
