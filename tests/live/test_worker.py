import threading
from pathlib import Path

import pytest

from posenet.live.query import Query
from posenet.live.worker import StoppedError, Worker


def query(name, track=None):
    return Query(Path(name), 1, 1, name, track)


class Gate:
    """Answers when it is opened, and records what it is given."""

    def __init__(self, fails=()):
        self.open, self.entered, self.batches, self.fails = (
            threading.Event(),
            threading.Event(),
            [],
            fails,
        )

    def __call__(self, queries):
        self.entered.set()
        self.open.wait(10)
        names = [each.name for each in queries]
        self.batches.append(names)
        if set(names) & set(self.fails):
            raise ValueError(f"{names} failed")
        return [{"name": name} for name in names]


def submit_behind_first(gate, queries, max_batch=8):
    """Submit queries while the first one is localized; return the futures."""
    worker = Worker(gate, max_batch)
    first = worker.submit(query("first"))
    assert gate.entered.wait(5)
    return worker, [first, *(worker.submit(each) for each in queries)]


def test_waiting_images_are_localized_together_in_their_order():
    gate = Gate()
    _, futures = submit_behind_first(gate, [query(name) for name in "abcde"], max_batch=3)
    gate.open.set()
    assert [each.result(5)["name"] for each in futures] == ["first", *"abcde"]
    assert gate.batches == [["first"], ["a", "b", "c"], ["d", "e"]]


def test_an_image_of_a_track_is_localized_alone_in_its_turn():
    gate = Gate()
    queries = [query("a"), query("b"), query("t1", "t"), query("t2", "t"), query("c")]
    _, futures = submit_behind_first(gate, queries)
    gate.open.set()
    assert [each.result(5)["name"] for each in futures] == ["first", "a", "b", "t1", "t2", "c"]
    assert gate.batches == [["first"], ["a", "b"], ["t1"], ["t2"], ["c"]]


def test_a_cancelled_image_is_not_localized():
    gate = Gate()
    _, futures = submit_behind_first(gate, [query("a"), query("b")])
    assert futures[1].cancel()
    assert not futures[0].cancel()  # it is being localized
    gate.open.set()
    assert futures[2].result(5) == {"name": "b"}
    assert gate.batches == [["first"], ["b"]]


def test_a_failure_does_not_end_the_thread():
    gate = Gate(fails=("a",))
    gate.open.set()
    worker = Worker(gate, 1)
    with pytest.raises(ValueError, match="failed"):
        worker.submit(query("a")).result(5)
    assert worker.submit(query("b")).result(5) == {"name": "b"}


def test_an_answer_may_be_an_error_of_one_image():
    worker = Worker(lambda queries: [ValueError(each.name) for each in queries], 4)
    with pytest.raises(ValueError, match="^a$"):
        worker.submit(query("a")).result(5)


def test_stopping_fails_all_that_wait_at_once():
    gate = Gate()
    worker, futures = submit_behind_first(gate, [query("a")])
    worker.stop()
    for future in futures:
        with pytest.raises(StoppedError, match="^the server is stopping$"):
            future.result(0)
    with pytest.raises(StoppedError, match="^the server is stopping$"):
        worker.submit(query("b"))
    gate.open.set()
