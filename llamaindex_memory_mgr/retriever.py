"""`TieredMemoryRetriever`: what is remembered, as nodes for a query engine or a chat engine's context."""

from __future__ import annotations

from typing import Any

from llama_index.core.callbacks import CallbackManager
from llama_index.core.retrievers import BaseRetriever
from llama_index.core.schema import NodeWithScore, QueryBundle, TextNode

from llamaindex_memory_mgr.connection import Connection
from memory_mgr import MemoryConfig, MemoryEntry, MemoryManager, MemoryType, SyncMemoryManager
from memory_mgr.types import Filters, Tiers

KNOWLEDGE = (MemoryType.LONG_TERM, MemoryType.EPISODIC)
"""What outlives a conversation."""


class TieredMemoryRetriever(BaseRetriever):
    """Finds memories.

    Args:
        memory: An open memory; else one is opened with `config`, or with MemoryConfig()'s ./memory.
        config: Settings of a memory to open.
        tiers: The tiers to search, None = all; default: not the windows of conversations, which prompts hold anyway.
        similarity_top_k: Nodes at most; >= 0.
        filters: What may be found.
        min_score: Leave out what scores less; in [0, 1].
        callback_manager: LlamaIndex's.

    Raises:
        ConfigurationError: Both a memory and a config are given.
    """

    def __init__(
        self,
        *,
        memory: MemoryManager | SyncMemoryManager | None = None,
        config: MemoryConfig | None = None,
        tiers: Tiers = KNOWLEDGE,
        similarity_top_k: int = 5,
        filters: Filters | None = None,
        min_score: float | None = None,
        callback_manager: CallbackManager | None = None,
    ) -> None:
        super().__init__(callback_manager=callback_manager)
        self._connection = Connection(memory, config)
        self._options: dict[str, Any] = {
            "memory_type": tiers,
            "limit": similarity_top_k,
            "filters": filters,
            "min_score": min_score,
        }

    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        if not query_bundle.query_str.strip():
            return []
        found = self._connection.sync.search_memory(query_bundle.query_str, **self._options)
        return [as_node(entry) for entry in found]

    async def _aretrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        return await self._connection.run(self._retrieve, query_bundle)


def as_node(entry: MemoryEntry) -> NodeWithScore:
    """A memory as a node: its text verbatim, its own metadata, and where and when it is from."""
    about = {
        "memory_type": entry.memory_type.value,
        "timestamp": entry.timestamp.isoformat(),
        "source": entry.source,
        "speaker": entry.speaker,
    }
    metadata = dict(entry.metadata) | {name: value for name, value in about.items() if value is not None}
    # Shown to a model: when it was said and by whom. The rest is for programs.
    hidden = [name for name in metadata if name not in {"timestamp", "speaker"}]
    node = TextNode(
        id_=entry.id,
        text=entry.content,
        metadata=metadata,
        excluded_llm_metadata_keys=hidden,
        excluded_embed_metadata_keys=list(metadata),
    )
    return NodeWithScore(node=node, score=entry.score)
