"""One way to call a memory, whether it is the blocking or the async one."""

from __future__ import annotations

import asyncio
from typing import Any, Literal

from memory_mgr import MemoryConfig, MemoryManager, SyncMemoryManager

Face = Literal["sync", "async"]


class Driver:
    """A memory that is called by method name; each call of the async face runs in an event loop of its own.

    Args:
        config: Of the memory.
        face: Which one.
    """

    def __init__(self, config: MemoryConfig, face: Face) -> None:
        self._config = config
        self._memory = SyncMemoryManager(config) if face == "sync" else MemoryManager(config)
        self._scopes: dict[str, Any] = {}

    @property
    def sync(self) -> SyncMemoryManager:
        """The blocking memory, for looking inside."""
        return self._memory if isinstance(self._memory, SyncMemoryManager) else self._memory.sync

    def call(self, scope: str, method: str, *args: Any, **options: Any) -> Any:
        """The result of a method of the memory of a scope."""
        memory = self._scopes.setdefault(scope, self._memory.scoped(scope))
        return _awaited(getattr(memory, method)(*args, **options))

    def chat(self, scope: str, conversation: str, method: str, *args: Any, **options: Any) -> Any:
        """The result of a method of a conversation; `slot.set` and the like are those of its working memory."""
        memory = self._scopes.setdefault(scope, self._memory.scoped(scope))
        chat = memory.conversation(conversation)
        target, name = chat, method
        if method.startswith("slot."):
            name = {"slot.set": "set_slot", "slot.delete": "delete_slot", "slot.all": "slots"}[method]
            if isinstance(self._memory, SyncMemoryManager):
                target, name = chat.working, {"slot.set": "set", "slot.delete": "delete", "slot.all": "slots"}[method]
        return _awaited(getattr(target, name)(*args, **options))

    def close(self) -> None:
        """Let go of it."""
        _awaited(self._memory.close())


def _awaited(result: Any) -> Any:
    return asyncio.run(_wait_for(result)) if asyncio.iscoroutine(result) else result


async def _wait_for(coroutine: Any) -> Any:
    return await coroutine
