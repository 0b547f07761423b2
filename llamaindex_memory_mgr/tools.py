"""`TieredMemoryToolSpec`: tools with which an agent remembers on purpose."""

from __future__ import annotations

from typing import Any, ClassVar

from llama_index.core.tools.tool_spec.base import BaseToolSpec

from llamaindex_memory_mgr.connection import Connection
from llamaindex_memory_mgr.insertion import neutralised
from llamaindex_memory_mgr.retriever import KNOWLEDGE
from memory_mgr import (
    InvalidInputError,
    MemoryConfig,
    MemoryEntry,
    MemoryManager,
    MemoryNotFoundError,
    SyncMemoryManager,
)
from memory_mgr.policy.rendering import attributed, day
from memory_mgr.types import Filters


class TieredMemoryToolSpec(BaseToolSpec):
    """`to_tool_list()` gives the tools; whose memory they use is fixed here and not visible to the model.

    Args:
        memory: An open memory; else one is opened with `config`, or with MemoryConfig()'s ./memory.
        config: Settings of a memory to open.
        limit: Memories that `recall_memories` returns at most; >= 1.
        filters: What may be recalled.
        source: The stream that what is remembered is said to come from.

    Raises:
        ConfigurationError: Both a memory and a config are given.
    """

    spec_functions: ClassVar[list[Any]] = [  # type: ignore[misc]
        ("remember", "aremember"),
        ("recall_memories", "arecall_memories"),
        ("correct_memory", "acorrect_memory"),
        ("forget_memory", "aforget_memory"),
    ]

    def __init__(
        self,
        *,
        memory: MemoryManager | SyncMemoryManager | None = None,
        config: MemoryConfig | None = None,
        limit: int = 5,
        filters: Filters | None = None,
        source: str = "agent",
    ) -> None:
        self._connection = Connection(memory, config)
        self._limit = limit
        self._filters = filters
        self._source = source

    def remember(self, fact: str) -> str:
        """Store one lasting fact about the user or the task, in a full sentence, for later conversations."""
        try:
            entry = self._connection.sync.add_memory(fact, source=self._source, origin="assistant")
        except InvalidInputError as error:
            return f"Not stored: {error}"
        return f"Stored as {entry.id}."

    async def aremember(self, fact: str) -> str:
        """As `remember`."""
        return await self._connection.run(self.remember, fact)

    def recall_memories(self, query: str) -> str:
        """Search what is remembered from earlier; returns one memory per line with its id, date and text."""
        if not query.strip():
            return "Nothing was asked."
        found = self._connection.sync.search_memory(query, KNOWLEDGE, limit=self._limit, filters=self._filters)
        return "\n".join(map(_line, found)) or "Nothing is remembered about this."

    async def arecall_memories(self, query: str) -> str:
        """As `recall_memories`."""
        return await self._connection.run(self.recall_memories, query)

    def correct_memory(self, memory_id: str, fact: str) -> str:
        """Replace a memory that is no longer true by a new fact; the old one is kept as history."""
        try:
            entry = self._connection.sync.supersede_memory(memory_id, fact, origin="assistant")
        except (MemoryNotFoundError, InvalidInputError) as error:
            return f"Not corrected: {error}"
        return f"Stored as {entry.id} in place of {memory_id}."

    async def acorrect_memory(self, memory_id: str, fact: str) -> str:
        """As `correct_memory`."""
        return await self._connection.run(self.correct_memory, memory_id, fact)

    def forget_memory(self, memory_id: str) -> str:
        """Delete a memory for good, when the user asks for it to be forgotten."""
        try:
            count = self._connection.sync.delete_memory(memory_id)
        except InvalidInputError as error:
            return f"Not deleted: {error}"
        return "Deleted." if count else f"There is no memory {memory_id}."

    async def aforget_memory(self, memory_id: str) -> str:
        """As `forget_memory`."""
        return await self._connection.run(self.forget_memory, memory_id)


def _line(entry: MemoryEntry) -> str:
    return neutralised(f"{entry.id} [{day(entry.timestamp)}] {attributed(entry.content, entry.speaker)}")
