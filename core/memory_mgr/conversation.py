"""`ConversationContext`: the async face of one conversation."""

from __future__ import annotations

import functools
from collections.abc import Callable, Coroutine
from typing import Any, Concatenate, ParamSpec, TypeVar

from memory_mgr.config import MemoryConfig
from memory_mgr.engine.conversation import SyncConversationContext
from memory_mgr.engine.manager import SyncMemoryManager
from memory_mgr.engine.working import WorkingMemory
from memory_mgr.errors import ConfigurationError
from memory_mgr.manager import MemoryManager
from memory_mgr.policy.eviction import EvictionConfig
from memory_mgr.types import Context

P = ParamSpec("P")
R = TypeVar("R")


def _asynchronous(
    method: Callable[Concatenate[SyncConversationContext, P], R],
) -> Callable[Concatenate[ConversationContext, P], Coroutine[Any, Any, R]]:
    @functools.wraps(method)
    async def call(self: ConversationContext, /, *args: P.args, **kwargs: P.kwargs) -> R:
        return await self.memory.workers.run(lambda: method(self.sync, *args, **kwargs))

    return call


def _working(
    method: Callable[Concatenate[WorkingMemory, P], R],
) -> Callable[Concatenate[ConversationContext, P], Coroutine[Any, Any, R]]:
    @functools.wraps(method)
    async def call(self: ConversationContext, /, *args: P.args, **kwargs: P.kwargs) -> R:
        return await self.memory.workers.run(lambda: method(self.sync.working, *args, **kwargs))

    return call


class ConversationContext:
    """The messages, slots and summaries of one conversation, without blocking the event loop.

    Args:
        conversation_id: Names it within the namespace.
        config: Settings of a memory that this object opens and closes.
        memory: A memory that is open already, async or not.
        short_term: Limits of the window as this object keeps it; default: the memory's.
        settings: Single settings, when no `memory` is given.

    Raises:
        ConfigurationError: Both a config and a memory are given.
    """

    def __init__(
        self,
        conversation_id: str,
        config: MemoryConfig | None = None,
        *,
        memory: MemoryManager | SyncMemoryManager | None = None,
        short_term: EvictionConfig | None = None,
        **settings: Any,
    ) -> None:
        if memory is not None and (config is not None or settings):
            raise ConfigurationError("give a memory or a config, not both: the memory brings its own settings")
        self._owned = memory is None
        if isinstance(memory, SyncMemoryManager):
            memory = MemoryManager.wrapping(memory)
        self.memory = memory if memory is not None else MemoryManager(config, **settings)
        self.conversation_id = conversation_id
        self._short_term = short_term
        self._sync: SyncConversationContext | None = None

    @property
    def sync(self) -> SyncConversationContext:
        """The blocking twin, opened if it is not open yet."""
        if self._sync is None:
            self._sync = SyncConversationContext(
                self.conversation_id, memory=self.memory.sync, short_term=self._short_term
            )
        return self._sync

    add_message = _asynchronous(SyncConversationContext.add_message)
    add_messages = _asynchronous(SyncConversationContext.add_messages)
    window = _asynchronous(SyncConversationContext.window)
    messages = _asynchronous(SyncConversationContext.messages)
    entries = _asynchronous(SyncConversationContext.entries)
    summaries = _asynchronous(SyncConversationContext.summaries)
    archive = _asynchronous(SyncConversationContext.archive)
    evict = _asynchronous(SyncConversationContext.evict)
    reset = _asynchronous(SyncConversationContext.reset)
    delete = _asynchronous(SyncConversationContext.delete)

    async def build_context(self, query: str, budget_tokens: int = 1000, **options: Any) -> Context:
        """As `MemoryManager.build_context`, for this conversation."""
        return await self.memory.build_context(query, budget_tokens, self.conversation_id, **options)

    set_slot = _working(WorkingMemory.set)
    get_slot = _working(WorkingMemory.get)
    slots = _working(WorkingMemory.slots)
    delete_slot = _working(WorkingMemory.delete)
    add_note = _working(WorkingMemory.add_note)
    notes = _working(WorkingMemory.notes)
    clear_working = _working(WorkingMemory.clear)

    async def close(self) -> None:
        """Close the memory if this object opened it."""
        if self._owned:
            await self.memory.close()

    async def __aenter__(self) -> ConversationContext:
        await self.memory.open()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.close()
