"""Two halves of a call at the same time: Chroma, SQLite and embedders let go of the interpreter while at work."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

A = TypeVar("A")
B = TypeVar("B")
_THREADS = 4
"""More calls than this at once run their halves one after the other."""


class Beside:
    """Threads for the other half. They are started when they are needed first."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(_THREADS, "memory-mgr-beside")

    def both(self, other: Callable[[], A], own: Callable[[], B]) -> tuple[A, B]:
        """The results of two calls, `own` made here, `other` in another thread if one is free."""
        try:
            half = self._threads.submit(other)
        except RuntimeError:  # closed meanwhile: who closes waits for this search
            return other(), own()
        try:
            mine = own()
        except BaseException:
            if not half.cancel():
                half.exception()
            raise
        return other() if half.cancel() else half.result(), mine

    def close(self) -> None:
        """Let the threads end."""
        self._threads.shutdown(wait=False)
