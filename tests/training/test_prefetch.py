import threading
from itertools import count

import pytest

from posenet.training.prefetch import prefetched


def threads():
    return [thread for thread in threading.enumerate() if thread.name == "posenet-batches"]


def test_items_come_in_order_and_end():
    with prefetched(iter(range(10)), ahead=2) as items:
        assert list(items) == list(range(10))
        assert list(items) == []
    assert not threads()


def test_an_endless_iterator_ends_with_the_block():
    taken = []

    def numbers():
        for number in count():
            taken.append(number)
            yield number

    with prefetched(numbers(), ahead=3) as items:
        assert [next(items) for _ in range(4)] == [0, 1, 2, 3]
    assert not threads()
    # Three that were ready, one that waited for its place, and one more after the first was removed.
    assert len(taken) <= 4 + 5
    assert list(items) == []  # whoever still asks does not wait for ever


def failing(*numbers):
    yield from numbers
    raise OSError("disk gone")


def test_an_error_reaches_who_takes_the_next_item():
    with pytest.raises(OSError, match="disk gone"), prefetched(failing(1)) as items:
        assert list(items) == [1]
    assert not threads()


def as_tensorflow(items):
    """Take the items, and raise only the text of an error."""
    try:
        list(items)
    except OSError as error:
        raise RuntimeError(f"UNKNOWN: {error}") from None


def test_an_error_is_not_hidden_by_one_that_follows_from_it():
    with pytest.raises(OSError, match="disk gone"), prefetched(failing()) as items:
        as_tensorflow(items)


def test_another_error_of_the_block_is_raised_as_it_is():
    with pytest.raises(KeyError, match="mine"), prefetched(count()):
        raise KeyError("mine")
    assert not threads()
