"""Prepare batches in a thread beside the training step, for every backend of Keras."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain
from typing import Any, TypeVar

import keras

# Number of batches that are prepared ahead.
PREFETCH = 3

Item = TypeVar("Item")
_END = object()


@contextmanager
def prefetched(items: Iterator[Item], ahead: int = PREFETCH) -> Iterator[Iterator[Item]]:
    """Take items from an iterator in a thread, which ends with the block.

    An error of the iterator is raised where the next item is taken. Keras on TensorFlow takes items
    in a thread of its own and only repeats the text of errors; the block raises the error itself.

    Args:
        items: the iterator.
        ahead: number of items that are prepared ahead.

    Yields:
        A generator of the same items.

    Raises:
        BaseException: the error that the iterator raised, at the end of the block.
    """
    ready: queue.Queue[Any] = queue.Queue(ahead)
    stopped = threading.Event()
    errors: list[BaseException] = []

    def prepare() -> None:
        try:
            for item in items:
                ready.put(item)
                if stopped.is_set():
                    return
        except BaseException as error:
            errors.append(error)
        ready.put(_END)

    def take() -> Iterator[Item]:
        while (item := ready.get()) is not _END:
            yield item
        if errors:
            raise errors[0]
        ready.put(_END)  # for whoever else asks

    thread = threading.Thread(target=prepare, name="posenet-batches", daemon=True)
    thread.start()
    try:
        yield take()
    except Exception:
        if errors:
            raise errors[0] from None
        raise
    finally:
        stopped.set()
        _drain(ready)  # a waiting `put` goes on and sees that it must stop
        thread.join()
        _drain(ready)
        ready.put(_END)  # a waiting `get` of another thread ends


def for_fit(batches: Iterator[Any]) -> Any:
    """Return endless batches in the form that `fit` takes.

    Keras on TensorFlow would make a dataset with a tuner of them, for which `fit` waits 1 to 2 s at
    its end.

    Args:
        batches: batches of one shape, nested arrays.

    Returns:
        A generator; a dataset without a tuner on TensorFlow.
    """
    if keras.backend.backend() != "tensorflow":
        return (batch for batch in batches)
    import tensorflow as tf

    first = next(batches)
    dataset = tf.data.Dataset.from_generator(
        lambda: chain([first], batches),
        output_signature=tf.nest.map_structure(tf.type_spec_from_value, first),
    )
    options = tf.data.Options()
    options.autotune.enabled = False
    return dataset.prefetch(1).with_options(options)


def _drain(items: queue.Queue[Any]) -> None:
    """Remove all items that are in a queue."""
    try:
        while True:
            items.get_nowait()
    except queue.Empty:
        return
