"""`TieredChatStore`: a durable backend of LlamaIndex's own `Memory`."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any, ParamSpec, TypeVar

from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.bridge.pydantic import ConfigDict, PrivateAttr
from llama_index.core.storage.chat_store.base_db import AsyncDBChatStore, MessageStatus

from llamaindex_memory_mgr.connection import Connection
from llamaindex_memory_mgr.history import common
from llamaindex_memory_mgr.insertion import without_recalled
from llamaindex_memory_mgr.messages import as_chat_message, as_message, copied, fingerprint
from memory_mgr import (
    MemoryConfig,
    MemoryEntry,
    MemoryManager,
    MemoryType,
    Message,
    SyncConversationContext,
    SyncMemoryManager,
)
from memory_mgr.defaults.adapters import as_token_counter
from memory_mgr.engine.messages import MESSAGE, as_new_memory
from memory_mgr.engine.messages import as_message as entry_message
from memory_mgr.policy.eviction import EvictionConfig

P = ParamSpec("P")
R = TypeVar("R")
_TIERS = {MessageStatus.ACTIVE: MemoryType.SHORT_TERM, MessageStatus.ARCHIVED: MemoryType.LONG_TERM}
_UNLIMITED = EvictionConfig(max_messages=None, max_tokens=None)
"""`Memory` decides what is archived."""


class TieredChatStore(AsyncDBChatStore):
    """Keeps the messages of `Memory(sql_store=...)` or `Memory.from_defaults(chat_store=...)` in the memory's tiers.

    A key is a conversation; active messages are its window, archived ones are in long_term, where other
    conversations recall them. Positions count from the oldest message, in the order messages were added.

    Args:
        memory: An open memory; else one is opened with `config`, or with MemoryConfig()'s ./memory.
        config: Settings of a memory to open.

    Raises:
        ConfigurationError: Both a memory and a config are given.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True)

    _connection: Connection = PrivateAttr()
    _lock: Any = PrivateAttr(default_factory=threading.RLock)

    def __init__(
        self,
        *,
        memory: MemoryManager | SyncMemoryManager | None = None,
        config: MemoryConfig | None = None,
        **fields: Any,
    ) -> None:
        super().__init__(**fields)
        self._connection = Connection(memory, config)

    @classmethod
    def class_name(cls) -> str:
        """Names the class in what LlamaIndex saves."""
        return "TieredChatStore"

    def to_dict(self, **kwargs: Any) -> dict[str, Any]:
        """Where the memory is, in JSON primitives."""
        return {"connection": self._connection.handle(), "class_name": self.class_name()}

    @classmethod
    def from_dict(cls, data: dict[str, Any], **kwargs: Any) -> TieredChatStore:
        """The store that `to_dict` was called on; it connects at first use."""
        store = cls.model_construct()
        store._connection = Connection(handle=data["connection"])
        store._lock = threading.RLock()
        return store

    def __deepcopy__(self, memo: object = None) -> TieredChatStore:
        """Itself."""
        return self

    # --- reading -------------------------------------------------------------------------------------------

    async def get_messages(
        self,
        key: str,
        status: MessageStatus | None = MessageStatus.ACTIVE,
        limit: int | None = None,
        offset: int | None = None,
    ) -> list[ChatMessage]:
        """Messages in order; with `status=None` archived ones first, as they were said first."""
        start = offset or 0
        end = None if limit is None else start + limit
        entries = await self._run(self._entries, key, status)
        return [_chat_message(entry) for entry in entries[start:end]]

    async def count_messages(self, key: str, status: MessageStatus | None = MessageStatus.ACTIVE) -> int:
        """How many messages there are."""
        return len(await self._run(self._entries, key, status))

    async def get_keys(self) -> list[str]:
        """Every conversation that has messages, sorted."""
        return await self._run(self._keys)

    # --- adding --------------------------------------------------------------------------------------------

    async def add_message(self, key: str, message: ChatMessage, status: MessageStatus = MessageStatus.ACTIVE) -> None:
        """Append a message."""
        await self.add_messages(key, [message], status)

    async def add_messages(
        self, key: str, messages: list[ChatMessage], status: MessageStatus = MessageStatus.ACTIVE
    ) -> None:
        """Append messages in one write."""
        await self._run(self._add, key, _kept(messages), status)

    async def set_messages(
        self, key: str, messages: list[ChatMessage], status: MessageStatus = MessageStatus.ACTIVE
    ) -> None:
        """Replace the messages of this status; those that stay the same at the beginning are not written again."""
        await self._run(self._set, key, _kept(messages), status)

    # --- moving and deleting ---------------------------------------------------------------------------------

    async def archive_oldest_messages(self, key: str, n: int) -> list[ChatMessage]:
        """Archive the oldest `n` active messages, atomically; those that were archived."""
        archived = await self._run(lambda: self._locked(lambda: self._conversation(key).archive(n)))
        return [as_chat_message(message) for message in archived]

    async def delete_oldest_messages(self, key: str, n: int) -> list[ChatMessage]:
        """Delete the oldest `n` active messages; those that were deleted."""
        return await self._run(self._delete, key, MessageStatus.ACTIVE, slice(0, n))

    async def delete_message(self, key: str, idx: int) -> ChatMessage | None:
        """Delete the active message at a position; None if there is none."""
        if idx < 0:
            return None
        gone = await self._run(self._delete, key, MessageStatus.ACTIVE, slice(idx, idx + 1))
        return gone[0] if gone else None

    async def delete_messages(self, key: str, status: MessageStatus | None = None) -> None:
        """Delete all messages of a status, or all; summaries of them stay."""
        await self._run(self._delete, key, status, slice(None))

    # --- the same, blocking ----------------------------------------------------------------------------------

    async def _run(self, call: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        return await self._connection.run(call, *args, **kwargs)

    def _locked(self, call: Callable[[], list[Message]]) -> list[Message]:
        with self._lock:
            return call()

    def _conversation(self, key: str) -> SyncConversationContext:
        return self._connection.sync.conversation(key, short_term=_UNLIMITED)

    def _entries(self, key: str, status: MessageStatus | None) -> list[MemoryEntry]:
        tiers = set(_TIERS.values()) if status is None else {_TIERS[status]}
        return [entry for entry in self._conversation(key).entries() if entry.memory_type in tiers]

    def _keys(self) -> list[str]:
        entries = self._connection.sync.list_memories(list(_TIERS.values()), limit=None)
        return sorted({entry.source for entry in entries if entry.kind == MESSAGE and entry.source})

    def _add(self, key: str, messages: Sequence[Message], status: MessageStatus) -> None:
        if not messages:
            return
        if status is MessageStatus.ACTIVE:
            self._conversation(key).add_messages(messages)
            return
        memory = self._connection.sync
        counter = as_token_counter(memory.config.token_counter)
        memory.add_memories([as_new_memory(message, key, counter) for message in messages], MemoryType.LONG_TERM)

    def _set(self, key: str, messages: Sequence[Message], status: MessageStatus) -> None:
        with self._lock:
            entries = self._entries(key, status)
            kept = common(
                [fingerprint(entry_message(entry)) for entry in entries], [fingerprint(message) for message in messages]
            )
            if entries[kept:]:
                self._connection.sync.delete_memories([entry.id for entry in entries[kept:]])
            self._add(key, messages[kept:], status)

    def _delete(self, key: str, status: MessageStatus | None, which: slice) -> list[ChatMessage]:
        with self._lock:
            entries = self._entries(key, status)[which]
            if entries:
                self._connection.sync.delete_memories([entry.id for entry in entries])
            return [_chat_message(entry) for entry in entries]


def _kept(messages: Sequence[ChatMessage]) -> list[Message]:
    said = [without_recalled(message) for message in messages]
    return [as_message(copied(message)) for message in said if message is not None]


def _chat_message(entry: MemoryEntry) -> ChatMessage:
    return as_chat_message(entry_message(entry))
