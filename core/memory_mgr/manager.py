"""`MemoryManager`: the async face of `SyncMemoryManager`. Same names, same arguments, awaited.

Each call runs in a worker thread of a pool of its own, with the caller's context variables, so nothing blocks the
event loop and nothing is bound to one. Cancelling an await does not stop a write that has begun. Embedded Chroma
holds the interpreter lock while it writes: a busy async service does better with a Chroma server (`url=`).
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Coroutine, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

from memory_mgr.config import MemoryConfig
from memory_mgr.engine.manager import SyncMemoryManager
from memory_mgr.errors import ConfigurationError, ManagerClosedError
from memory_mgr.policy.eviction import EvictionConfig
from memory_mgr.types import JSON, MemoryEntry, MemoryType, Namespace, NewMemory
from memory_mgr.workers import Workers

if TYPE_CHECKING:
    from memory_mgr.conversation import ConversationContext

P = ParamSpec("P")
R = TypeVar("R")


def asynchronous(
    method: Callable[Concatenate[SyncMemoryManager, P], R],
) -> Callable[Concatenate[MemoryManager, P], Coroutine[Any, Any, R]]:
    """The async twin of a method of `SyncMemoryManager`, with its signature and documentation."""

    @functools.wraps(method)
    async def call(self: MemoryManager, /, *args: P.args, **kwargs: P.kwargs) -> R:
        return await self.workers.run(self._call, method, *args, **kwargs)

    return call


def twin_of(
    method: Callable[Concatenate[SyncMemoryManager, P], R],
) -> Callable[[Callable[..., Coroutine[Any, Any, R]]], Callable[Concatenate[MemoryManager, P], Coroutine[Any, Any, R]]]:
    """Gives a method that is written out the signature and documentation of its blocking twin."""
    return functools.wraps(method)


class MemoryManager:
    """Remembers, recalls, and forgets, for one namespace, without blocking the event loop.

    The store is opened by the first call (or by `async with`), in a worker thread.

    Args:
        config: The settings; default: an embedded store in ./memory.
        settings: Single settings in place of, or on top of, `config`.

    Raises:
        ConfigurationError: A setting cannot work.
    """

    def __init__(self, config: MemoryConfig | None = None, /, **settings: Any) -> None:
        if config is not None and not isinstance(config, MemoryConfig):
            raise ConfigurationError(f"expected a MemoryConfig, not {config!r:.80}; or pass path=...")
        self.config = MemoryConfig(**settings) if config is None else config.replaced(**settings)
        self._bind(lambda: SyncMemoryManager(self.config), Workers(), owner=True)

    def _bind(
        self,
        opener: Callable[[], SyncMemoryManager],
        workers: Workers,
        sync: SyncMemoryManager | None = None,
        *,
        owner: bool,
    ) -> None:
        self.workers = workers
        self._opener = opener
        self._owner = owner
        self._opening = threading.Lock()
        self._sync = sync
        self._closed = False

    @classmethod
    def wrapping(cls, memory: SyncMemoryManager) -> MemoryManager:
        """The async face of a memory that is open already; closing it leaves that one open."""
        manager = object.__new__(cls)
        manager.config = memory.config
        manager._bind(lambda: memory, Workers(), memory, owner=False)
        return manager

    @property
    def sync(self) -> SyncMemoryManager:
        """The blocking twin, opened if it is not open yet; for worker threads and plain code."""
        with self._opening:
            if self._closed:
                raise ManagerClosedError
            if self._sync is None:
                self._sync = self._opener()
            return self._sync

    @property
    def namespace(self) -> Namespace:
        """Whose memory it is."""
        return self.config.namespace

    def _call(self, method: Callable[Concatenate[SyncMemoryManager, P], R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        return method(self.sync, *args, **kwargs)

    def scoped(self, *labels: str | int) -> MemoryManager:
        """A manager for the namespace below this one that `labels` name; it shares the store and is not closed."""
        from memory_mgr.engine.validation import checked_namespace

        manager = object.__new__(type(self))
        opened = None if self._sync is None else self._sync.scoped(*labels)
        namespace = (*self.namespace, *checked_namespace(labels))
        manager.config = self.config.below(namespace) if opened is None else opened.config
        manager._bind(lambda: self.sync.scoped(*labels), self.workers, opened, owner=False)
        return manager

    def conversation(self, conversation_id: str, *, short_term: EvictionConfig | None = None) -> ConversationContext:
        """One conversation in this namespace, its window kept within `short_term` (default: the config's)."""
        from memory_mgr.conversation import ConversationContext

        return ConversationContext(conversation_id, memory=self, short_term=short_term)

    @twin_of(SyncMemoryManager.add_memory)
    async def add_memory(
        self,
        content: str,
        memory_type: MemoryType | str = MemoryType.LONG_TERM,
        metadata: Mapping[str, JSON] | None = None,
        **fields: Any,
    ) -> MemoryEntry:
        """As its twin."""
        new = NewMemory(content=content, metadata=metadata, **fields)
        return (await self.add_memories([new], memory_type))[0]

    @twin_of(SyncMemoryManager.add_memories)
    async def add_memories(
        self, memories: Sequence[NewMemory | str], memory_type: MemoryType | str = MemoryType.LONG_TERM
    ) -> list[MemoryEntry]:
        """As its twin; what is added in the same turn of the event loop is written together."""
        sync = self._sync
        if sync is None or sync._runtime.writer.prepares_slowly:
            return await self.workers.run(self._call, SyncMemoryManager.add_memories, memories, memory_type)
        return await self.workers.run_with_others(lambda: self.sync._begin_adding(memories, memory_type))

    put_memories = asynchronous(SyncMemoryManager.put_memories)
    search_memory = asynchronous(SyncMemoryManager.search_memory)
    similar_memories = asynchronous(SyncMemoryManager.similar_memories)
    build_context = asynchronous(SyncMemoryManager.build_context)
    explain_importance = asynchronous(SyncMemoryManager.explain_importance)
    get_memory = asynchronous(SyncMemoryManager.get_memory)
    get_memories = asynchronous(SyncMemoryManager.get_memories)
    list_memories = asynchronous(SyncMemoryManager.list_memories)
    update_memory = asynchronous(SyncMemoryManager.update_memory)
    renew_memories = asynchronous(SyncMemoryManager.renew_memories)
    supersede_memory = asynchronous(SyncMemoryManager.supersede_memory)
    metadata_values = asynchronous(SyncMemoryManager.metadata_values)
    history = asynchronous(SyncMemoryManager.history)
    delete_memory = asynchronous(SyncMemoryManager.delete_memory)
    delete_memories = asynchronous(SyncMemoryManager.delete_memories)
    delete_expired = asynchronous(SyncMemoryManager.delete_expired)
    prune = asynchronous(SyncMemoryManager.prune)
    consolidate = asynchronous(SyncMemoryManager.consolidate)
    undo = asynchronous(SyncMemoryManager.undo)
    summarize = asynchronous(SyncMemoryManager.summarize)
    forget = asynchronous(SyncMemoryManager.forget)
    namespaces = asynchronous(SyncMemoryManager.namespaces)
    stats = asynchronous(SyncMemoryManager.stats)
    export_memories = asynchronous(SyncMemoryManager.export_memories)
    import_memories = asynchronous(SyncMemoryManager.import_memories)
    rebuild_catalog = asynchronous(SyncMemoryManager.rebuild_catalog)
    flush = asynchronous(SyncMemoryManager.flush)

    async def open(self) -> MemoryManager:
        """Open the store now rather than at the first call."""
        await self.workers.run(lambda: self.sync)
        return self

    async def close(self) -> None:
        """Let go of the store. Twice does no harm; a scoped manager leaves it to the one it came from."""
        if not self._closed:
            await self.workers.run(self.close_now)

    def close_now(self) -> None:
        """As `close`, for code that cannot await."""
        with self._opening:
            if self._closed:
                return
            self._closed = True
        if self._owner:
            if self._sync is not None:
                self._sync.close()
            self.workers.close()

    aclose = close

    async def __aenter__(self) -> MemoryManager:
        return await self.open()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()
