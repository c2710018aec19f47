"""Train on several devices and hosts: data parallel, by `keras.distribution` on JAX.

Every device holds all weights and takes an equal part of each batch. Networks are built, started
and validated on one device of each host; only `fit` is distributed.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import keras

from posenet.errors import PoseNetError, first_line

# Environment variables that name the first process, the number of processes, and this one.
VARIABLES = ("JAX_COORDINATOR_ADDRESS", "JAX_NUM_PROCESSES", "JAX_PROCESS_ID")


@dataclass(frozen=True)
class Share:
    """The part of each batch that a process prepares.

    Attributes:
        index: number of the process, from 0.
        count: number of processes.
        devices: number of devices of all processes; batches are a multiple of it.
    """

    index: int = 0
    count: int = 1
    devices: int = 1

    @property
    def is_first(self) -> bool:
        """Whether this process writes the run."""
        return self.index == 0

    @property
    def is_alone(self) -> bool:
        """Whether there is a single device."""
        return self.devices == 1


def join_hosts() -> None:
    """Connect the processes of a job, before JAX uses a device.

    They are named by `VARIABLES`. Without them, JAX detects those of SLURM, Open MPI and Cloud TPU.

    Raises:
        PoseNetError: Keras does not run on JAX, the variables are incomplete, or the first process
            cannot be reached.
    """
    if (backend := keras.backend.backend()) != "jax":
        raise PoseNetError(f"--hosts requires Keras on jax, here it runs on {backend}")
    import jax

    if jax.distributed.is_initialized():
        return
    address, *numbers = (os.environ.get(name) for name in VARIABLES)
    if address and not all(text and text.isdigit() for text in numbers):
        raise PoseNetError(
            f"--hosts requires {VARIABLES[1]} and {VARIABLES[2]} beside {VARIABLES[0]}, "
            f"received {numbers[0]} and {numbers[1]}"
        )
    count, index = (int(text) if address and text else None for text in numbers)
    try:
        jax.distributed.initialize(address, count, index)
    except (RuntimeError, ValueError, TypeError) as error:
        raise PoseNetError(
            f"--hosts requires {', '.join(VARIABLES)}, or a job of SLURM or Open MPI "
            f"({first_line(error)})"
        ) from None
    with _patient_threads():
        jax.devices()  # connects the processes and starts the threads that exchange sums


@contextmanager
def _patient_threads() -> Iterator[None]:
    """Let threads that are started in a block wait for their turn on a core, on Linux.

    The thread that receives sums from other processes (of Gloo) polls for a lock. Woken in place of
    the thread that holds the lock, on the same core, it would poll for its whole turn: 4 ms for
    each of the hundreds of sums of a step, instead of 0.1 ms.
    """
    policy = getattr(os, "SCHED_BATCH", None)
    if policy is None:
        yield
        return
    before = os.sched_getscheduler(0)
    with suppress(OSError):
        os.sched_setscheduler(0, policy, os.sched_param(0))
    try:
        yield
    finally:
        with suppress(OSError):
            os.sched_setscheduler(0, before, os.sched_param(0))


def leave_hosts() -> None:
    """Disconnect the processes of a job; those that are done do not wait for an evaluation."""
    import jax

    jax.distributed.shutdown()


def own_share() -> Share:
    """Return the part of each batch that this process prepares.

    Returns:
        The whole batch, unless Keras runs on JAX with several devices or processes.
    """
    if keras.backend.backend() != "jax":
        return Share()
    import jax

    return Share(jax.process_index(), jax.process_count(), jax.device_count())


def wait_for_hosts(name: str) -> None:
    """Wait until all processes have come to the same point.

    Args:
        name: name of the point.
    """
    from jax.experimental import multihost_utils

    multihost_utils.sync_global_devices(name)


@contextmanager
def distributed(trainer: Any, share: Share) -> Iterator[None]:
    """Let the `fit` of a block run on all devices; each weight is copied to all of them.

    Args:
        trainer: the trainer, with the same weights in all processes.
        share: the share of this process.

    Yields:
        Nothing.
    """
    if share.is_alone:
        yield
        return
    distribution = keras.distribution.DataParallel(auto_shard_dataset=False)
    keras.distribution.set_distribution(distribution)
    try:
        _place(trainer, distribution)
        yield
    finally:
        keras.distribution.set_distribution(None)
        _place(trainer, None)


@contextmanager
def on_one_device() -> Iterator[None]:
    """Let a block within `distributed` build and run other networks on one device."""
    distribution = keras.distribution.distribution()
    if distribution is None:
        yield
        return
    keras.distribution.set_distribution(None)
    try:
        yield
    finally:
        keras.distribution.set_distribution(distribution)


def _place(trainer: Any, distribution: Any) -> None:
    """Move the variables of a trainer to the devices of a distribution, or to the first one."""
    for variable in {id(v): v for v in _all_variables(trainer)}.values():
        value = keras.ops.convert_to_numpy(variable)
        variable._layout = None  # Keras sets it when a variable is made, from the distribution then
        if distribution is not None:
            variable._layout = distribution.get_variable_layout(variable)
        variable.assign(value)
    trainer.train_function = None  # it was compiled for other devices


def _all_variables(trainer: Any) -> list[Any]:
    return [*trainer.variables, *trainer.metrics_variables, *trainer.optimizer.variables]
