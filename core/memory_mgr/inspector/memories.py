"""The namespaces that the inspector shows, each opened when it is looked at."""

from __future__ import annotations

import threading
from types import TracebackType
from typing import Self

from memory_mgr.config import MemoryConfig
from memory_mgr.engine.manager import SyncMemoryManager
from memory_mgr.errors import InvalidInputError
from memory_mgr.types import Namespace


class Memories:
    """Managers by namespace, all on one store. Thread-safe.

    Args:
        config: The store, and the namespace that bounds what may be seen.
        whole_store: All namespaces may be seen.
    """

    def __init__(self, config: MemoryConfig, *, whole_store: bool = False) -> None:
        self._first = SyncMemoryManager(config)
        self._root: Namespace = () if whole_store else self._first.namespace
        self._open: dict[Namespace, SyncMemoryManager] = {self._first.namespace: self._first}
        self._lock = threading.Lock()

    @property
    def home(self) -> Namespace:
        """The namespace of the settings."""
        return self._first.namespace

    @property
    def read_only(self) -> bool:
        """Nothing may be changed."""
        return self._first.config.read_only

    def namespaces(self) -> list[Namespace]:
        """Those that hold anything and may be seen, sorted."""
        self._first._runtime.check_open()
        depth = len(self._root)
        return [n for n in self._first._runtime.store.namespaces() if n[:depth] == self._root]

    def of(self, namespace: Namespace) -> SyncMemoryManager:
        """The memory of a namespace.

        Raises:
            InvalidInputError: It may not be seen, or cannot be a namespace.
        """
        if namespace[: len(self._root)] != self._root:
            raise InvalidInputError(f"{'/'.join(namespace)} is not below {'/'.join(self._root)}")
        with self._lock:
            if namespace not in self._open:
                config = self._first.config.replaced(namespace=namespace, embedder=self._first._runtime.embedder)
                self._open[namespace] = SyncMemoryManager(config)
            return self._open[namespace]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for memory in self._open.values():
            memory.close()
