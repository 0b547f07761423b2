"""How an embedded store is opened: one client a folder, few indexes in memory."""

from __future__ import annotations

from pathlib import Path

import chromadb
import pytest
from chromadb.config import Settings

from memory_mgr import MemoryConfig, SyncMemoryManager
from memory_mgr.stores import opening
from memory_mgr.testing import FakeEmbedder


def test_what_leaves_memory_is_there_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Far more collections than indexes are kept: each is found, changed and deleted as if it were the only one."""
    monkeypatch.setattr(opening, "_INDEXES", 2)
    with opening.connected(MemoryConfig(path=tmp_path / "other")) as client:
        assert client._server.hnsw_cache_size == 2
    with SyncMemoryManager(MemoryConfig(path=tmp_path, namespace="app", embedder=FakeEmbedder())) as memory:
        users = [memory.scoped(f"user-{n}") for n in range(12)]
        for _ in range(2):
            for number, user in enumerate(users):
                user.add_memory(f"user {number} likes rivers")
                user.add_memory("an answer", "short_term")
        for number, user in enumerate(users):
            found = user.similar_memories(f"user {number} likes rivers", "long_term")
            assert [e.content for e in found] == [f"user {number} likes rivers"] * 2
            assert len(user.search_memory("rivers", limit=10)) == 4
            user.delete_memories([found[0].id])
        assert all(user.stats().total == 3 for user in users)


def test_a_client_of_the_application_is_shared(tmp_path: Path) -> None:
    """An application that has opened the folder with chromadb itself goes on using it beside the memory."""
    own = chromadb.PersistentClient(str(tmp_path), settings=Settings(anonymized_telemetry=False))
    kept = own.create_collection("documents", embedding_function=None)
    with SyncMemoryManager(MemoryConfig(path=tmp_path, namespace="app", embedder=FakeEmbedder())) as memory:
        memory.add_memory("tea is green")
        kept.add(ids=["a"], embeddings=[[1.0, 0.0]])
        assert memory.search_memory("tea")[0].content == "tea is green"
    assert kept.count() == 1
