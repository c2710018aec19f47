"""The thread that localizes, and the requests that wait for it."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from typing import Any, NamedTuple

from posenet.errors import PoseNetError
from posenet.live.query import Query

Answer = dict[str, Any]
Localize = Callable[[Query], Answer]


class StoppedError(PoseNetError):
    """The server is stopping."""


class _Job(NamedTuple):
    query: Query
    future: Future[Answer]


class Worker:
    """One thread that localizes queries in the order in which they arrive."""

    def __init__(self, localize: Localize) -> None:
        """Start the thread.

        Args:
            localize: localizes a query; it is called in this thread only.
        """
        self._localize = localize
        self._waiting: deque[_Job] = deque()
        self._running: _Job | None = None
        self._changed = threading.Condition()
        self._stopped = False
        threading.Thread(target=self._run, name="localizer", daemon=True).start()

    def submit(self, query: Query) -> Future[Answer]:
        """Add a query to those that wait.

        Args:
            query: the query.

        Returns:
            The future of its answer. Cancelling it removes the query, unless it is being localized.

        Raises:
            StoppedError: the worker is stopped.
        """
        job = _Job(query, Future())
        with self._changed:
            if self._stopped:
                raise StoppedError("the server is stopping")
            self._waiting.append(job)
            self._changed.notify()
        return job.future

    def stop(self) -> None:
        """Stop. All queries without an answer fail at once with StoppedError."""
        with self._changed:
            self._stopped = True
            jobs = [*self._waiting, *([self._running] if self._running else [])]
            self._waiting.clear()
            self._changed.notify()
        for job in jobs:
            with suppress(InvalidStateError):  # answered or cancelled meanwhile
                job.future.set_exception(StoppedError("the server is stopping"))

    def _run(self) -> None:
        while (job := self._next_job()) is not None:
            try:
                answer = self._localize(job.query)
            except Exception as error:  # the next query is localized nevertheless
                with suppress(InvalidStateError):  # stopped meanwhile
                    job.future.set_exception(error)
            else:
                with suppress(InvalidStateError):
                    job.future.set_result(answer)

    def _next_job(self) -> _Job | None:
        """Wait for a query and return it, None when stopped."""
        with self._changed:
            self._running = None
            while not self._stopped:
                if not self._waiting:
                    self._changed.wait()
                    continue
                job = self._waiting.popleft()
                if job.future.set_running_or_notify_cancel():
                    self._running = job
                    return job
            return None
