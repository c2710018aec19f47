"""Items from another thread: all in order, or the newest."""

import threading
import time

import pytest

from posenet.streams.handover import Handover, work_ahead


def test_all_items_arrive_in_order():
    with Handover(lambda: iter(range(50)), ahead=3) as items:
        assert list(items) == list(range(50))
    assert items.num_dropped == 0


def test_the_newest_item_replaces_one_that_was_not_taken():
    produced = threading.Event()

    def produce():
        yield from range(10)
        produced.set()

    with Handover(produce, newest=True) as items:
        assert produced.wait(5)
        # Nothing was taken meanwhile: nine of ten were replaced.
        assert list(items) == [9]
        assert items.num_dropped == 9


def test_an_exception_arrives_after_the_items_before_it():
    def produce():
        yield 1
        raise ValueError("broken")

    taken = []
    with Handover(produce) as items, pytest.raises(ValueError, match="broken"):
        taken.extend(items)
    assert taken == [1]


def test_the_thread_ends_when_the_block_does():
    def forever():
        while True:
            yield 0

    with Handover(forever) as items:
        assert next(iter(items)) == 0
    assert not items._thread.is_alive()


def test_a_waiting_thread_is_woken_by_the_end():
    waited = []
    items = Handover(lambda: iter([waited.append(items.wait(30))]))
    with items:
        time.sleep(0.05)
    assert waited == [True]


def test_work_is_done_one_item_ahead():
    done = []

    def work(item):
        done.append(item)
        return 10 * item

    with work_ahead(work, iter([1, 2, 3])) as results:
        assert list(results) == [10, 20, 30]
    assert done == [1, 2, 3]
