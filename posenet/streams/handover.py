"""Hand items from one thread to another: all of them in order, or only the newest."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

# Seconds between two looks at whether the other side has gone.
POLL_SECONDS = 0.1
# Seconds to wait for the other thread at the end; a network stream may block for longer.
JOIN_SECONDS = 2.0


class Handover(Generic[Item]):
    """A thread that produces items, and an iterator over them. Use it in a `with` block.

    Attributes:
        num_dropped: number of items that were replaced by newer ones before they were taken.
    """

    def __init__(
        self, produce: Callable[[], Iterator[Item]], *, ahead: int = 1, newest: bool = False
    ) -> None:
        """Describe the thread.

        Args:
            produce: yields the items, in the other thread. Its exceptions are raised here.
            ahead: number of items that may wait.
            newest: replace an item that has not been taken yet by the next one.
        """
        self.num_dropped = 0
        self._produce = produce
        self._newest = newest
        self._queue: queue.Queue[tuple[Item | None, BaseException | None]] = queue.Queue(
            1 if newest else ahead
        )
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Handover[Item]:
        """Start the thread."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End the thread."""
        self._closed.set()
        self._thread.join(JOIN_SECONDS)

    def __iter__(self) -> Iterator[Item]:
        """Yield the items as they come, and raise what ended the thread."""
        while True:
            item, error = self._queue.get()
            if error is not None:
                raise error
            if item is None:
                return
            yield item

    def wait(self, seconds: float) -> bool:
        """Let the producing thread wait.

        Args:
            seconds: how long.

        Returns:
            True if the other side has gone.
        """
        return self._closed.wait(max(0.0, seconds))

    def _run(self) -> None:
        error: BaseException | None = None
        try:
            for item in self._produce():
                if not self._put((item, None)):
                    return
        except BaseException as raised:  # the other thread raises it
            error = raised
        self._put((None, error))

    def _put(self, item: tuple[Item | None, BaseException | None]) -> bool:
        """Wait until an item can be handed over; False if the other side has gone."""
        replaces = self._newest and item[0] is not None
        while not self._closed.is_set():
            with suppress(queue.Full):
                self._queue.put(item, timeout=0 if replaces else POLL_SECONDS)
                return True
            if replaces:
                with suppress(queue.Empty):
                    self._queue.get_nowait()
                    self.num_dropped += 1
        return False


def work_ahead(work: Callable[[Item], Result], items: Iterator[Item]) -> Handover[Result]:
    """Call a function for each item in another thread, one item ahead.

    Args:
        work: the function.
        items: its arguments.

    Returns:
        The results in order, for a `with` block.
    """
    return Handover(lambda: map(work, items))
