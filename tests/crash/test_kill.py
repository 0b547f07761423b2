"""A process that is killed in the middle of its work loses nothing that it acknowledged."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from memory_mgr import MemoryType, SyncMemoryManager
from memory_mgr.stores.chroma import ChromaStore

from .checks import check_consistent
from .faulty import Killed
from .home import settings
from .kill import Killing


@pytest.mark.parametrize("rounds", [4, pytest.param(60, marks=pytest.mark.slow)])
def test_every_acknowledged_entry_is_there_once(tmp_path: Path, rounds: int) -> None:
    """After each kill: all that was acknowledged is there once, no turn is torn, catalog and Chroma agree."""
    killing = Killing(tmp_path / "memory", seed=rounds, longest=2.0)
    kills = 0
    while kills < rounds or killing.record.count <= rounds:  # a slow machine may be killed before it has written
        killing.once()
        kills += 1


@pytest.mark.parametrize("rounds", [5, pytest.param(40, marks=pytest.mark.slow)])
def test_no_index_that_a_kill_left_torn_takes_an_entry_with_it(tmp_path: Path, rounds: int) -> None:
    """Chroma saves its indexes all the time here, and is killed while it does."""
    killing = Killing(tmp_path / "memory", seed=7, save_every=20, at_saves=True)
    while killing.kills < rounds or not killing.repaired:
        killing.once()


def test_forgetting_that_was_interrupted_is_completed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Some tiers are dropped, then the process dies: who opens the namespace next finds nothing of it."""
    config = settings(path=tmp_path)
    with SyncMemoryManager(config) as memory:
        for tier in ("working", "long_term", "episodic"):
            memory.add_memory(f"a river of {tier}", tier)
        with monkeypatch.context() as patched:
            patched.setattr(ChromaStore, "_drop", _dropping_once(ChromaStore._drop))
            with pytest.raises(Killed):
                memory.forget()
            left = sum(memory._runtime.store.count(memory.namespace, tier) for tier in MemoryType)
            assert 0 < left < 3
    with SyncMemoryManager(config) as memory:
        assert memory.list_memories(limit=None) == []
        check_consistent(memory)
        memory.add_memory("a new river")
    with SyncMemoryManager(config) as memory:
        assert len(memory.list_memories()) == 1


def _dropping_once(drop: Callable[[ChromaStore, str], None]) -> Callable[[ChromaStore, str], None]:
    """Drops until something was there to drop, then dies."""

    def dropping(store: ChromaStore, name: str) -> None:
        before = len(store._connection.client.list_collections())
        drop(store, name)
        if len(store._connection.client.list_collections()) < before:
            raise Killed

    return dropping
