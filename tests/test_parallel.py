import threading
import time

import cv2
import pytest

from posenet.parallel import in_parallel


def test_results_come_in_order_and_opencv_gets_its_threads_back():
    before = cv2.getNumThreads()
    assert in_parallel(lambda item: (time.sleep(0.01 * (5 - item)), item * item)[1], range(5), "x") == [0, 1, 4, 9, 16]
    assert cv2.getNumThreads() == before


def test_a_failure_is_raised_and_opencv_gets_its_threads_back():
    before = cv2.getNumThreads()
    with pytest.raises(ZeroDivisionError):
        in_parallel(lambda item: 1 / item, [1, 0], "x")
    assert cv2.getNumThreads() == before
    assert threading.active_count() < 50
