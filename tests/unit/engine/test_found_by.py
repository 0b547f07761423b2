"""Entries that are found by texts of their own, plain vector search, and what stands beside them."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest

from memory_mgr import InvalidInputError, MemoryConfig, NewMemory, SyncMemoryManager
from memory_mgr.testing import FakeClock, FakeEmbedder


def test_an_entry_is_found_by_the_best_of_its_texts(memory: SyncMemoryManager) -> None:
    """Each text has a vector of its own, and the entry comes once, with the best cosine."""
    texts = ["what do I drink", "hot beverage of choice"]
    memory.add_memories([NewMemory(content="tea", id="tea", found_by=texts), NewMemory(content="rain", id="rain")])
    for text in texts:
        first, second = memory.similar_memories(text)
        assert (first.id, second.id) == ("tea", "rain")
        assert first.score == pytest.approx(1, abs=2e-3)
        assert first.content == "tea"


def test_an_entry_with_no_texts_is_kept_but_never_found(memory: SyncMemoryManager) -> None:
    """Without a text nothing is embedded; the entry can be read and listed all the same."""
    memory.add_memory("tea with milk")
    embedder = memory.config.embedder
    before = embedder.texts
    memory.add_memories([NewMemory(content="tea in secret", id="secret", found_by=[])])
    assert embedder.texts == before
    assert [e.content for e in memory.similar_memories("tea in secret")] == ["tea with milk"]
    assert [e.content for e in memory.search_memory("tea in secret")] == ["tea with milk"]
    assert memory.get_memory("secret").content == "tea in secret"
    memory.rebuild_catalog()
    assert [e.content for e in memory.similar_memories("tea in secret")] == ["tea with milk"]


def test_putting_again_replaces_every_vector(memory: SyncMemoryManager) -> None:
    """No vector of what an id held before is found, whether the new one has fewer texts or none."""
    memory.put_memories([NewMemory(content="x", id="x", found_by=["zebra crossing", "red lamp"])])
    memory.put_memories([NewMemory(content="x", id="x", found_by=["zebra crossing"])])
    assert memory.similar_memories("red lamp")[0].score < 0.5
    memory.put_memories([NewMemory(content="x", id="x", found_by=[])])
    assert memory.similar_memories("zebra crossing") == []
    memory.put_memories([NewMemory(content="x", id="x", found_by=["red lamp"])])
    assert memory.similar_memories("red lamp")[0].score == pytest.approx(1, abs=2e-3)


def test_pages_of_similar_memories_follow_each_other(memory: SyncMemoryManager) -> None:
    """However deep the page, each memory comes once."""
    memory.add_memories([NewMemory(content=f"note {i}") for i in range(250)])
    pages = [memory.similar_memories("note", limit=50, offset=start) for start in range(0, 300, 50)]
    assert len({entry.id for page in pages for entry in page}) == 250
    scores = [entry.score or 0 for page in pages for entry in page]
    assert all(first >= second - 2e-3 for first, second in pairwise(scores))


def test_found_by_must_be_texts(memory: SyncMemoryManager) -> None:
    """A single string is refused rather than taken apart."""
    with pytest.raises(InvalidInputError, match="found_by must be a list"):
        memory.add_memories([NewMemory(content="x", found_by="text")])


def test_metadata_values_are_what_is_there(memory: SyncMemoryManager) -> None:
    """Each text once, sorted, of what is not hidden; what was deleted is gone."""
    for place in ("b", "a", "b"):
        memory.add_memory("x", metadata={"at": {"place": place}, "n": 1})
    last = memory.add_memory("x", metadata={"at": {"place": "c"}})
    assert memory.metadata_values("at.place") == ["a", "b", "c"]
    assert memory.metadata_values("at.place", filters={"n": 1}) == ["a", "b"]
    memory.delete_memory(last.id)
    assert memory.metadata_values("at.place") == ["a", "b"]


def test_expired_entries_are_deleted_on_request(tmp_path: Path) -> None:
    """At once and for good, passages too, whatever the grace period; the others stay."""
    clock = FakeClock()
    with SyncMemoryManager(MemoryConfig(path=tmp_path, embedder=FakeEmbedder(), clock=clock)) as memory:
        memory.add_memories([NewMemory(content="word " * 500, id="short", ttl_seconds=5), NewMemory(content="stays")])
        assert memory.delete_expired() == 0
        clock.advance(5)
        assert memory.delete_expired() == 1
        assert memory.get_memories(["short"]) == []
        assert memory.stats().total == 1
        assert [e.content for e in memory.similar_memories("word")] == ["stays"]
