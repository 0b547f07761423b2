"""What every part of `SyncMemoryManager` stands on: one namespace of a runtime, and its life."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import replace
from types import TracebackType
from typing import Self

from memory_mgr.config import MemoryConfig
from memory_mgr.engine import validation as check
from memory_mgr.engine.contexts import ContextBuilder
from memory_mgr.engine.recall import Recaller
from memory_mgr.engine.runtime import Runtime
from memory_mgr.engine.upkeep import Upkeep
from memory_mgr.errors import UsageError
from memory_mgr.events import Observer
from memory_mgr.protocols import TokenCounter
from memory_mgr.stores.filters import parse_filter
from memory_mgr.stores.repository import Repository
from memory_mgr.stores.selection import Selection
from memory_mgr.types import Filters, Namespace, Tiers


class Scope:
    """One namespace of an open store."""

    config: MemoryConfig
    namespace: Namespace

    def _bind(self, runtime: Runtime, namespace: Namespace, *, owner: bool) -> None:
        self._runtime = runtime
        self._owner = owner
        self.namespace = namespace
        self._recaller = Recaller(runtime)
        self._contexts = ContextBuilder(runtime, self._recaller)
        self._upkeep = Upkeep(runtime, namespace)
        self._observer = Observer(runtime.config.on_event, namespace)

    @property
    def counter(self) -> TokenCounter:
        """What budgets are counted with."""
        return self._runtime.counter

    def flush(self) -> None:
        """Write what was only noted so far (access counts); memories are stored before add returns."""
        self._open()
        self._runtime.flush()

    def close(self) -> None:
        """Let go of the store. Twice does no harm; a scoped manager leaves it to the one it came from."""
        if self._owner:
            self._runtime.close()

    def __enter__(self) -> Self:
        self._open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _open(self) -> None:
        self._runtime.check_open()

    def _writable(self) -> None:
        self._open()
        if self.config.read_only:
            raise UsageError("this memory was opened with read_only=True; open it without to write")

    def _lease(self) -> AbstractContextManager[Repository]:
        return self._runtime.lease(self.namespace)

    def _selection(self, memory_type: Tiers, filters: Filters | None, *, hidden: bool) -> Selection:
        tiers = check.checked_tiers(memory_type)
        parsed = None if filters is None or filters == {} else parse_filter(filters)
        return Selection(tiers, self._runtime.now(), parsed, hidden)

    def _recallable(self, memory_type: Tiers, filters: Filters | None, *, hidden: bool = False) -> Selection:
        """As `_selection`, without what is in quarantine."""
        selection = self._selection(memory_type, filters, hidden=hidden)
        return replace(selection, harmless=self.config.suspicion.hides)
