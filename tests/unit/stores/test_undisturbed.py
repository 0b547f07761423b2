"""A namespace that was closed to open others is not compared with Chroma again, unless something may have happened."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from memory_mgr import MemoryConfig, StoreError, SyncMemoryManager
from memory_mgr.stores.chroma import ChromaStore
from memory_mgr.testing import FakeEmbedder


@pytest.fixture
def config(tmp_path: Path) -> MemoryConfig:
    """Every namespace closes the one before."""
    return MemoryConfig(path=tmp_path / "memory", namespace="app", embedder=FakeEmbedder(), open_namespaces=1)


@pytest.fixture
def memory(config: MemoryConfig) -> Iterator[SyncMemoryManager]:
    """A memory with two users, of whom the second is open."""
    with SyncMemoryManager(config) as manager:
        for user in ("ann", "bob"):
            manager.scoped(user).add_memory(f"{user} likes rivers")
        yield manager


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The namespaces that Chroma is asked to count."""
    asked: list[Any] = []
    count = ChromaStore.count
    monkeypatch.setattr(ChromaStore, "count", lambda *place: asked.append(place[1]) or count(*place))
    return asked


def _contents(memory: SyncMemoryManager, user: str) -> set[str]:
    found = {entry.content for entry in memory.scoped(user).search_memory("rivers", limit=10)}
    assert found == {entry.content for entry in memory.scoped(user).list_memories(limit=None)}
    return found


def test_what_was_closed_in_order_is_opened_without_a_look_at_chroma(
    memory: SyncMemoryManager, counted: list[Any]
) -> None:
    """However often; writing goes on as if it had stayed open."""
    for turn in range(3):
        for user in ("ann", "bob"):
            assert _contents(memory, user) == {f"{user} likes rivers", *(f"{user} saw {n}" for n in range(turn))}
            memory.scoped(user).add_memory(f"{user} saw {turn}")
    assert not counted


def test_another_process_looks_once(memory: SyncMemoryManager, config: MemoryConfig, counted: list[Any]) -> None:
    """What the last one left in order may have been changed since it ended."""
    memory.scoped("ann").stats()
    memory.close()
    with SyncMemoryManager(config) as later:
        for user in ("bob", "ann", "bob", "ann"):
            assert _contents(later, user) == {f"{user} likes rivers"}
    assert set(counted) == {("app", "ann"), ("app", "bob")}
    assert len(counted) == 2 * 4, "one for each tier"


def test_a_catalog_that_was_taken_away_is_made_anew(memory: SyncMemoryManager, config: MemoryConfig) -> None:
    """Deleting catalogs is safe, even while the memory is in use."""
    assert config.catalogs is not None
    for file in config.catalogs.iterdir():
        file.unlink()
    assert _contents(memory, "ann") == {"ann likes rivers"}


def test_a_write_that_failed_is_looked_into_by_who_comes_next(
    memory: SyncMemoryManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Chroma has the entry, the catalog does not know yet, and the namespace is closed meanwhile."""
    _contents(memory, "ann")
    _contents(memory, "bob")
    upsert = ChromaStore.upsert

    def stored_but_failed(*arguments: Any) -> None:
        upsert(*arguments)
        raise StoreError("the answer got lost")

    with monkeypatch.context() as patched:
        patched.setattr(ChromaStore, "upsert", stored_but_failed)
        with pytest.raises(StoreError):
            memory.scoped("ann").add_memory("ann likes seas")
    _contents(memory, "bob")
    assert _contents(memory, "ann") == {"ann likes rivers", "ann likes seas"}


def test_forgetting_that_failed_is_completed_by_who_comes_next(
    memory: SyncMemoryManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though the namespace had been left in order before."""
    _contents(memory, "ann")
    _contents(memory, "bob")

    def unable(*arguments: Any) -> None:
        raise StoreError("not now")

    with monkeypatch.context() as patched:
        patched.setattr(ChromaStore, "drop", unable)
        with pytest.raises(StoreError):
            memory.scoped("ann").forget()
    _contents(memory, "bob")
    assert _contents(memory, "ann") == set()


def test_what_another_memory_of_this_process_changed_is_noticed(
    memory: SyncMemoryManager, config: MemoryConfig, tmp_path: Path
) -> None:
    """One that keeps its catalogs elsewhere, while the namespace is closed here; it may be closed or still be open."""
    elsewhere = config.model_copy(update={"catalog_path": tmp_path / "elsewhere"})
    for number, stays in enumerate((False, True)):
        _contents(memory, "ann")
        _contents(memory, "bob")
        other = SyncMemoryManager(elsewhere)
        other.scoped("ann").add_memory(f"news {number}")
        if not stays:
            other.close()
        assert f"news {number}" in _contents(memory, "ann")
    other.close()
