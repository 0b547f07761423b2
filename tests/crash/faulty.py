"""A store that fails, or whose process dies, right before or right after a chosen call."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from memory_mgr.errors import StoreUnavailableError
from memory_mgr.stores.base import VectorStore

When = Literal["before", "after"]


class Killed(BaseException):
    """The process is gone: nothing that handles errors sees it."""


class FaultyStore:
    """Passes every verb on to a store; one of them fails.

    Args:
        store: What does the work.
    """

    VERBS = (
        "upsert", "update", "get", "vectors", "query", "delete", "compact", "count", "scan", "drop", "scrub",
        "namespaces",
    )  # fmt: skip

    def __init__(self, store: VectorStore) -> None:
        self._store = store
        self.calls: list[str] = []
        self._at = 0
        self._when: When = "before"
        self._error: Callable[[], BaseException] = Killed

    def arm(self, at: int, when: When, *, kill: bool) -> None:
        """Fail at the `at`-th call from now, counted from 1; 0 = never."""
        self.calls = []
        self._at = at
        self._when = when
        self._error = Killed if kill else lambda: StoreUnavailableError("the store is gone, as planned")

    def __getattr__(self, verb: str) -> Any:
        if verb not in self.VERBS:
            return getattr(self._store, verb)

        def call(*args: Any, **options: Any) -> Any:
            self.calls.append(verb)
            due = len(self.calls) == self._at
            if due and self._when == "before":
                raise self._error()
            result = getattr(self._store, verb)(*args, **options)
            if verb == "scan":
                result = iter(list(result))
            if due:
                raise self._error()
            return result

        return call

    def close(self) -> None:
        """The store outlives those who use it, as a folder does."""
