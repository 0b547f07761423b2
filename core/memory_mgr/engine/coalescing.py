"""Group commit: what arrives while a batch is being written becomes the next batch."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Generic, TypeVar

T = TypeVar("T")
R = TypeVar("R")
_PATIENCE_SECONDS = 0.025
"""Longest wait for the next of the callers on their way; about what one more write to Chroma would cost."""
_LONGEST_WAIT_SECONDS = 0.25
"""However steadily they come, so that nobody waits for ever."""
ENOUGH = 64
"""Callers whose items are processed without waiting for more; the async facade has threads for so many."""


class _Ticket(Generic[T, R]):
    """One caller's item and, later, its result or error."""

    __slots__ = ("done", "error", "item", "result")

    def __init__(self, item: T) -> None:
        self.item = item
        self.done = False
        self.result: R | None = None
        self.error: BaseException | None = None


class Coalescer(Generic[T, R]):
    """Runs `process` on the items of many threads together; each caller gets its own result.

    The first caller becomes the leader and processes what has queued up; those who come meanwhile wait for the end of
    its batch, after which one of those whose items are not done leads. A leader waits a moment for those who have
    announced an item. No thread of its own, no delay when there is only one caller.

    Args:
        process: Given items, returns one result each, in order; an exception in place of a result is raised to
            that caller only. If `process` raises, every caller of the batch gets the exception.
        size: Weight of an item (entries in it).
        limit: Greatest weight of a batch; a single heavier item is processed alone.
        patience_seconds: Longest wait for the next of the callers that are on their way.
    """

    def __init__(
        self,
        process: Callable[[list[T]], Sequence[R | BaseException]],
        size: Callable[[T], int],
        limit: int,
        patience_seconds: float = _PATIENCE_SECONDS,
    ) -> None:
        self._process = process
        self._size = size
        self._limit = limit
        self._patience_seconds = patience_seconds
        self._queue: deque[_Ticket[T, R]] = deque()
        self._coming = 0
        self._led = False
        self._lock = threading.Lock()
        self._arrival = threading.Condition(self._lock)
        self._end = threading.Condition(self._lock)  # of a batch: all whose items are done leave at once

    @contextmanager
    def announced(self) -> Iterator[None]:
        """While an item is being made that will be queued."""
        with self._lock:
            self._coming += 1
        try:
            yield
        finally:
            with self._lock:
                self._coming -= 1
                if not self._awaited():
                    self._arrival.notify_all()

    def submit(self, item: T) -> R:
        """Wait until `item` was processed; its result."""
        return self.queue(item)()

    def queue(self, item: T) -> Callable[[], R]:
        """Let `item` be processed with the others; what waits for its result, and sees to it if nobody else does."""
        ticket: _Ticket[T, R] = _Ticket(item)
        self._queue.append(ticket)
        if len(self._queue) >= ENOUGH:
            with self._lock:
                self._arrival.notify_all()
        return lambda: self._result(ticket)

    def _result(self, ticket: _Ticket[T, R]) -> R:
        while self._leads(ticket):
            try:
                self._lead()
            finally:
                with self._lock:
                    self._led = False
                    self._end.notify_all()
        if ticket.error is not None:
            raise ticket.error
        return ticket.result  # type: ignore[return-value]

    def _leads(self, ticket: _Ticket[T, R]) -> bool:
        """Wait until the item is done (False) or nobody leads; then its caller does (True)."""
        with self._lock:
            while self._led and not ticket.done:
                self._end.wait()
            if not ticket.done:
                self._led = True
            return not ticket.done

    def _lead(self) -> None:
        self._await_those_coming()
        batch = self._next_batch()
        try:
            results = self._process([ticket.item for ticket in batch])
            for ticket, result in zip(batch, results, strict=True):
                if isinstance(result, BaseException):
                    ticket.error = result
                else:
                    ticket.result = result
        except BaseException as error:
            for ticket in batch:
                ticket.error = error
            if not isinstance(error, Exception):
                raise
        finally:
            for ticket in batch:
                ticket.done = True

    def _await_those_coming(self) -> None:
        """Wait as long as one after the other arrives; a write would hold them up, for it holds the interpreter."""
        until = time.monotonic() + _LONGEST_WAIT_SECONDS
        with self._arrival:
            while (before := self._awaited()) and time.monotonic() < until:
                self._arrival.wait(self._patience_seconds)
                if self._coming == before:
                    return

    def _awaited(self) -> int:
        """How many are worth waiting for."""
        return self._coming if len(self._queue) < ENOUGH else 0

    def _next_batch(self) -> list[_Ticket[T, R]]:
        batch, weight = [self._queue.popleft()], 0
        weight = self._size(batch[0].item)
        while self._queue and weight + self._size(self._queue[0].item) <= self._limit:
            batch.append(self._queue.popleft())
            weight += self._size(batch[-1].item)
        return batch
