import sys
import threading
import time
from types import ModuleType

import cv2
import pytest
from threadpoolctl import ThreadpoolController, threadpool_info

from posenet.mapping import parallel
from posenet.mapping.parallel import (
    LocalThreads,
    in_parallel,
    in_threads,
    one_blas_thread,
    run_tasks,
    use_executor,
    use_threads,
)


def test_results_are_in_order_and_opencv_threads_are_restored():
    before = cv2.getNumThreads()

    def square(item):
        time.sleep(0.01 * (5 - item))
        return item * item

    assert in_parallel(square, range(5), "x") == [0, 1, 4, 9, 16]
    assert cv2.getNumThreads() == before


def test_exception_is_raised_and_opencv_threads_are_restored():
    before = cv2.getNumThreads()
    with pytest.raises(ZeroDivisionError):
        in_parallel(lambda item: 1 / item, [1, 0], "x")
    assert cv2.getNumThreads() == before
    assert threading.active_count() < 50


def test_results_are_yielded_as_they_are_ready():
    results = run_tasks(lambda item: time.sleep(0.1 * item) or item, range(4), "x")
    started = time.monotonic()
    assert next(results) == 0
    assert time.monotonic() - started < 0.25  # the others take 0.3 s on at most two cores
    assert list(results) == [1, 2, 3]


def test_every_worker_has_one_blas_thread():
    def threads(_):
        return [each["num_threads"] for each in threadpool_info() if each["user_api"] == "blas"]

    before = threads(0)
    assert before
    assert all(set(each) == {1} for each in in_parallel(threads, range(4), "x"))
    assert threads(0) == before


def test_a_block_may_have_one_thread():
    def thread(_):
        time.sleep(0.01)
        return threading.get_ident()

    with use_threads(1):
        assert len(set(in_parallel(thread, range(8), "x"))) == 1


def test_interrupted_work_ends_soon():
    done = []

    def work(item):
        if item == 0:
            raise KeyboardInterrupt
        time.sleep(0.05)
        done.append(item)

    with pytest.raises(KeyboardInterrupt):
        in_parallel(work, range(1000), "x")
    assert len(done) < 100


def test_a_single_item_has_the_threads_of_opencv_but_not_those_of_blas():
    def state(_):
        blas = {each["num_threads"] for each in threadpool_info() if each["user_api"] == "blas"}
        return threading.current_thread(), cv2.getNumThreads(), blas

    _, before, blas = state(0)
    assert in_parallel(state, [0], "x") == [(threading.current_thread(), before, {1})]
    assert state(0)[2] == blas


def test_the_blas_of_a_later_import_is_limited_too(monkeypatch):
    searched = []

    def search():
        searched.append(True)
        return ThreadpoolController()

    with one_blas_thread():
        pass
    monkeypatch.setattr(parallel, "ThreadpoolController", search)
    with one_blas_thread():
        pass
    assert not searched
    monkeypatch.setitem(sys.modules, "brings_a_blas", ModuleType("brings_a_blas"))
    for _ in range(2):
        with one_blas_thread():
            pass
    assert len(searched) == 1


def test_threads_work_at_the_same_time_and_give_results_in_order():
    barrier = threading.Barrier(2, timeout=10)  # passed only by two threads together

    def work(item):
        barrier.wait()
        return item * item

    assert in_threads(work, range(4), 2) == [0, 1, 4, 9]
    with pytest.raises(ZeroDivisionError):
        in_threads(lambda item: 1 / item, [1, 0], 2)


def test_one_thread_is_the_own_one():
    assert (
        in_threads(lambda _: threading.current_thread(), range(2), 1)
        == [threading.current_thread()] * 2
    )


def test_tasks_are_run_by_the_executor_in_use():
    class Backwards:
        def map(self, work, items):
            yield from [work(item) for item in reversed(items)]

    with use_executor(Backwards()):
        assert list(run_tasks(str, [1, 2, 3], "x")) == ["3", "2", "1"]
        assert in_parallel(str, [1, 2, 3], "x") == ["1", "2", "3"]
        with use_executor(LocalThreads()):
            assert list(run_tasks(str, [1, 2, 3], "x")) == ["1", "2", "3"]
    assert list(run_tasks(str, [1, 2, 3], "x")) == ["1", "2", "3"]
