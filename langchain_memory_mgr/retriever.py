"""`TieredMemoryRetriever`: what is remembered, as documents for a chain or a tool."""

from __future__ import annotations

from typing import Any

from langchain_core.callbacks import AsyncCallbackManagerForRetrieverRun, CallbackManagerForRetrieverRun
from langchain_core.documents import Document
from langchain_core.retrievers import BaseRetriever
from pydantic import ConfigDict, Field, PrivateAttr

from memory_mgr import MemoryConfig, MemoryEntry, MemoryManager, MemoryType, SyncMemoryManager
from memory_mgr.connection import Connection
from memory_mgr.types import Filters, Tiers

KNOWLEDGE = (MemoryType.LONG_TERM, MemoryType.EPISODIC)
"""What outlives a conversation."""


class TieredMemoryRetriever(BaseRetriever):
    """Finds memories; every setting can also be given to `invoke`, for one call: `invoke(query, k=3)`.

    Args:
        memory: An open memory; else one is opened with `config`, or with MemoryConfig()'s ./memory.
        config: Settings of a memory to open.

    Raises:
        ConfigurationError: Both a memory and a config are given.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True, extra="forbid")

    k: int = Field(default=5, ge=0, description="Documents at most.")
    tiers: Any = Field(
        default=KNOWLEDGE, description="One tier, several, or None for all; windows are in prompts anyway."
    )
    filter: dict[str, Any] | None = Field(
        default=None, description="What may be found; see `memory_mgr.stores.filters`."
    )
    score_threshold: float | None = Field(default=None, ge=0, le=1, description="Leave out what scores less.")

    _connection: Connection = PrivateAttr()

    def __init__(
        self,
        *,
        memory: MemoryManager | SyncMemoryManager | None = None,
        config: MemoryConfig | None = None,
        **fields: Any,
    ) -> None:
        super().__init__(**fields)
        self._connection = Connection(memory, config)

    def _get_relevant_documents(
        self,
        query: str,
        *,
        run_manager: CallbackManagerForRetrieverRun,
        k: int | None = None,
        tiers: Tiers | object = ...,
        filter: Filters | None | object = ...,
        score_threshold: float | None | object = ...,
    ) -> list[Document]:
        if not query.strip():
            return []
        given = {"memory_type": tiers, "filters": filter, "min_score": score_threshold}
        own = {"memory_type": self.tiers, "filters": self.filter, "min_score": self.score_threshold}
        options: dict[str, Any] = own | {name: value for name, value in given.items() if value is not ...}
        found = self._connection.sync.search_memory(query, limit=self.k if k is None else k, **options)
        return [as_document(entry) for entry in found]

    async def _aget_relevant_documents(
        self, query: str, *, run_manager: AsyncCallbackManagerForRetrieverRun, **options: Any
    ) -> list[Document]:
        return await self._connection.run(
            self._get_relevant_documents, query, run_manager=run_manager.get_sync(), **options
        )


def as_document(entry: MemoryEntry) -> Document:
    """A memory as a document: its text verbatim, its own metadata, and where and when it is from."""
    about = {
        "score": entry.score,
        "memory_type": entry.memory_type.value,
        "namespace": list(entry.namespace),
        "timestamp": entry.timestamp.isoformat(),
        "created_at": entry.created_at.isoformat(),
        "source": entry.source,
        "speaker": entry.speaker,
        "importance_score": entry.importance_score,
    }
    own = dict(entry.metadata)
    return Document(
        id=entry.id,
        page_content=entry.content,
        metadata=own | {"id": entry.id} | {name: value for name, value in about.items() if value is not None},
    )
