import threading
from pathlib import Path

import pytest

from posenet.live.query import Query
from posenet.live.worker import StoppedError, Worker


def query(name):
    return Query(Path(name), 1, 1, name)


class Gate:
    """Answers when it is opened, and records what it is given."""

    def __init__(self, fails=()):
        self.open, self.entered = threading.Event(), threading.Event()
        self.names, self.fails = [], fails

    def __call__(self, query):
        self.entered.set()
        self.open.wait(10)
        self.names.append(query.name)
        if query.name in self.fails:
            raise ValueError(f"{query.name} failed")
        return {"name": query.name}


def submit_behind_first(gate, names):
    """Submit queries while the first one is localized; return the futures."""
    worker = Worker(gate)
    first = worker.submit(query("first"))
    assert gate.entered.wait(5)
    return worker, [first, *(worker.submit(query(name)) for name in names)]


def test_images_are_localized_in_their_order():
    gate = Gate()
    _, futures = submit_behind_first(gate, "abcde")
    gate.open.set()
    assert [each.result(5)["name"] for each in futures] == ["first", *"abcde"]
    assert gate.names == ["first", *"abcde"]


def test_a_cancelled_image_is_not_localized():
    gate = Gate()
    _, futures = submit_behind_first(gate, "ab")
    assert futures[1].cancel()
    assert not futures[0].cancel()  # it is being localized
    gate.open.set()
    assert futures[2].result(5) == {"name": "b"}
    assert gate.names == ["first", "b"]


def test_a_failure_does_not_end_the_thread():
    gate = Gate(fails=("a",))
    gate.open.set()
    worker = Worker(gate)
    with pytest.raises(ValueError, match="^a failed$"):
        worker.submit(query("a")).result(5)
    assert worker.submit(query("b")).result(5) == {"name": "b"}


def test_stopping_fails_all_that_wait_at_once():
    gate = Gate()
    worker, futures = submit_behind_first(gate, "a")
    worker.stop()
    for future in futures:
        with pytest.raises(StoppedError, match="^the server is stopping$"):
            future.result(0)
    with pytest.raises(StoppedError, match="^the server is stopping$"):
        worker.submit(query("b"))
    gate.open.set()
