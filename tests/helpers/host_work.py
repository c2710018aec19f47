"""A training on all devices and processes, for tests: python -m tests.helpers.host_work SCENE OUTPUT
[resume] [stop]. The environment says how many there are.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from posenet.cli.startup import start_keras, start_process


def main(scene: Path, output: Path, *words: str) -> None:
    """Train two epochs; "stop" kills the first process after one, "resume" resumes."""
    start_process()
    hosts = "JAX_COORDINATOR_ADDRESS" in os.environ
    start_keras("jax", join_hosts=hosts)
    from posenet.config import TrainConfig
    from posenet.training.devices import leave_hosts, own_share
    from posenet.training.train import train
    from tests.helpers.tiny import TINY, Killed, register_tiny

    register_tiny()
    callbacks = [Killed(lambda: os.kill(os.getpid(), signal.SIGKILL))] if "stop" in words else []
    if "resume" in words:
        config = TrainConfig(None, output, resume=True, hosts=hosts)
    else:
        config = TrainConfig(scene, output, epochs=2, hosts=hosts, **TINY)
    share = own_share()
    train(config, callbacks if share.is_first else [])
    if hosts:
        leave_hosts()
    print(f"{share}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), *sys.argv[3:])
