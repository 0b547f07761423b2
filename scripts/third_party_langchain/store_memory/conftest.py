"""LangGraph's own tests of InMemoryStore, run on TieredMemoryStore: the name is bound anew before they import it."""

from __future__ import annotations

from typing import Any

import langgraph.store.memory

from langchain_memory_mgr import TieredMemoryStore
from memory_mgr import MemoryConfig
from memory_mgr.testing import FakeEmbedder


class InMemoryStore(TieredMemoryStore):
    """A store that keeps nothing."""

    def __init__(self, *, index: Any = None) -> None:
        embedder = None if index else FakeEmbedder()
        super().__init__(config=MemoryConfig(path=":memory:", embedder=embedder), index=index)


langgraph.store.memory.InMemoryStore = InMemoryStore  # type: ignore[misc]
