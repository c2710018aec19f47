"""The thread that localizes, and the requests that wait for it."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from typing import Any, NamedTuple

from posenet.errors import PoseNetError
from posenet.live.query import Query

Answer = dict[str, Any]
# Localizes queries; a query that fails has its exception instead of an answer.
Localize = Callable[[Sequence[Query]], Sequence[Answer | Exception]]


class StoppedError(PoseNetError):
    """The server is stopping."""


class _Job(NamedTuple):
    query: Query
    future: Future[Answer]


class Worker:
    """One thread that localizes queries in the order in which they arrive.

    Single images that wait one after the other are localized together, which is faster.
    """

    def __init__(self, localize: Localize, max_batch: int) -> None:
        """Start the thread.

        Args:
            localize: localizes queries; it is called in this thread only.
            max_batch: number of queries that it is given at once, at most.
        """
        self._localize = localize
        self._max_batch = max_batch
        self._waiting: deque[_Job] = deque()
        self._running: list[_Job] = []
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
            jobs = [*self._running, *self._waiting]
            self._waiting.clear()
            self._changed.notify()
        for job in jobs:
            with suppress(InvalidStateError):  # answered or cancelled meanwhile
                job.future.set_exception(StoppedError("the server is stopping"))

    def _run(self) -> None:
        while batch := self._next_batch():
            try:
                answers = self._localize([job.query for job in batch])
            except Exception as error:  # the next queries are localized nevertheless
                answers = [error] * len(batch)
            for job, answer in zip(batch, answers, strict=True):
                with suppress(InvalidStateError):  # stopped meanwhile
                    if isinstance(answer, Exception):
                        job.future.set_exception(answer)
                    else:
                        job.future.set_result(answer)
            del batch, answers, job, answer  # not kept while the thread waits

    def _next_batch(self) -> list[_Job]:
        """Wait for queries and return the next; an image of a track alone. Empty when stopped."""
        with self._changed:
            batch: list[_Job] = []
            while not batch:
                self._running = []
                while not self._waiting and not self._stopped:
                    self._changed.wait()
                if self._stopped:
                    return []
                while self._waiting and len(batch) < self._max_batch:
                    tracked = self._waiting[0].query.track is not None
                    if batch and tracked:
                        break
                    job = self._waiting.popleft()
                    if job.future.set_running_or_notify_cancel():
                        batch.append(job)
                        if tracked:
                            break
            self._running = batch
            return batch
