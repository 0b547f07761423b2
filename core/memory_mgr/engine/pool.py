"""Open namespaces, kept under a limit: the least recently used idle one is closed first."""

from __future__ import annotations

import sys
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from memory_mgr.errors import ManagerClosedError
from memory_mgr.stores.repository import Repository
from memory_mgr.types import Namespace

CLOSING_SECONDS = 30.0
"""How long closing waits for the calls that are still at work."""


_FILES = 32
"""Open files allowed to the process for each namespace kept open. One holds three; Chroma helps itself to four fifths
of the allowance for its indexes, and the application needs some too."""


def _affordable() -> int:
    """How many namespaces may be kept open: 32 of the usual 1,024 files; at least one."""
    if sys.platform == "win32":
        return sys.maxsize
    import resource

    allowed, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return sys.maxsize if allowed == resource.RLIM_INFINITY else max(1, allowed // _FILES)


class _Slot:
    __slots__ = ("opening", "repository", "users")

    def __init__(self) -> None:
        self.opening = threading.Lock()
        self.repository: Repository | None = None
        self.users = 0


class RepositoryPool:
    """Lends repositories by namespace. Thread-safe.

    Args:
        open_repository: Opens one.
        limit: How many stay open when idle; >= 1. Fewer where the system allows the process few open files.
    """

    def __init__(self, open_repository: Callable[[Namespace], Repository], limit: int) -> None:
        self._open_repository = open_repository
        self._limit = min(limit, _affordable())
        self._lock = threading.Condition()
        self._slots: OrderedDict[Namespace, _Slot] = OrderedDict()
        self._closed = False

    @contextmanager
    def lease(self, namespace: Namespace) -> Iterator[Repository]:
        """The repository of a namespace, kept open while in use."""
        slot = self._enter(namespace)
        try:
            with slot.opening:
                if slot.repository is None:
                    slot.repository = self._open_repository(namespace)
            yield slot.repository
        finally:
            self._leave(namespace, slot)

    def _enter(self, namespace: Namespace) -> _Slot:
        with self._lock:
            if self._closed:
                raise ManagerClosedError
            slot = self._slots.setdefault(namespace, _Slot())
            self._slots.move_to_end(namespace)
            slot.users += 1
            return slot

    def _leave(self, namespace: Namespace, slot: _Slot) -> None:
        with self._lock:
            slot.users -= 1
            self._lock.notify_all()
            if slot.repository is None and slot.users == 0:
                self._slots.pop(namespace, None)
            # Closed under the lock, so that nobody opens the same catalog while it is being closed.
            for name in [name for name, s in self._slots.items() if s.users == 0]:
                if len(self._slots) <= self._limit:
                    break
                repository = self._slots.pop(name).repository
                if repository is not None:
                    repository.leave()

    def _close(self, slot: _Slot) -> None:
        if slot.repository is not None:
            slot.repository.close()

    def open_repositories(self) -> list[Repository]:
        """Every open repository."""
        with self._lock:
            return [slot.repository for slot in self._slots.values() if slot.repository is not None]

    def close(self) -> None:
        """Lend no more, wait for the calls at work, close all; a call that takes too long ends with an error."""
        with self._lock:
            self._closed = True
            self._lock.wait_for(lambda: not any(s.users for s in self._slots.values()), CLOSING_SECONDS)
            with ExitStack() as stack:
                while self._slots:
                    stack.callback(self._close, self._slots.popitem()[1])
