"""memory-mgr for LlamaIndex: a memory for chat engines and agents, and its parts. Needs the extra `[llamaindex]`."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from llamaindex_memory_mgr.block import TieredMemoryBlock
    from llamaindex_memory_mgr.bridges import LLMImportanceScorer, memory_config
    from llamaindex_memory_mgr.chat_store import TieredChatStore
    from llamaindex_memory_mgr.connection import register_memory
    from llamaindex_memory_mgr.memory import TieredMemory
    from llamaindex_memory_mgr.retriever import TieredMemoryRetriever
    from llamaindex_memory_mgr.tools import TieredMemoryToolSpec

__all__ = [
    "LLMImportanceScorer",
    "TieredChatStore",
    "TieredMemory",
    "TieredMemoryBlock",
    "TieredMemoryRetriever",
    "TieredMemoryToolSpec",
    "memory_config",
    "register_memory",
]
_HOMES = {
    "LLMImportanceScorer": "bridges",
    "TieredChatStore": "chat_store",
    "TieredMemory": "memory",
    "TieredMemoryBlock": "block",
    "TieredMemoryRetriever": "retriever",
    "TieredMemoryToolSpec": "tools",
    "memory_config": "bridges",
    "register_memory": "connection",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        home = importlib.import_module(f"{__name__}.{_HOMES[name]}")
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "llama_index":
            raise
        from memory_mgr.errors import MissingDependencyError

        raise MissingDependencyError("llama-index-core", "llamaindex", f"llamaindex_memory_mgr.{name}") from error
    return getattr(home, name)


def __dir__() -> list[str]:
    return sorted(__all__)
