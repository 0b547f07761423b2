"""Chroma's log gets an index by collection, as soon as nobody has its file open."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import chromadb
import pytest
from chromadb.config import Settings

from memory_mgr import MemoryConfig, SyncMemoryManager
from memory_mgr.stores import embedded
from memory_mgr.stores.chroma_log import index_log
from memory_mgr.testing import FakeEmbedder


@pytest.fixture
def config(tmp_path: Path) -> MemoryConfig:
    """Of a store that was opened once, and has something in it."""
    config = MemoryConfig(path=tmp_path, namespace="app", embedder=FakeEmbedder())
    with SyncMemoryManager(config) as memory:
        memory.scoped("ann").add_memory("ann likes rivers")
    assert not _is_indexed(tmp_path)
    return config


def _is_indexed(folder: Path) -> bool:
    """Whether what Chroma asks its log is answered by an index."""
    asked = "SELECT seq_id, operation, id, vector FROM embeddings_queue WHERE topic = ? AND seq_id > ? ORDER BY seq_id"
    with closing(sqlite3.connect(folder / "chroma" / "chroma.sqlite3")) as db:
        plan = db.execute(f"EXPLAIN QUERY PLAN {asked}", ("a", 1)).fetchall()
    return len(plan) == 1 and "(topic=? AND rowid>?)" in plan[0][3]


def _check(memory: SyncMemoryManager) -> None:
    """What was there is found, and writing goes on."""
    memory.scoped("bob").add_memory("bob likes seas")
    assert [e.content for e in memory.scoped("bob").search_memory("seas")] == ["bob likes seas"]
    ann = memory.scoped("ann")
    assert [e.content for e in ann.similar_memories("ann likes rivers", "long_term")] == ["ann likes rivers"]


def test_who_opens_a_store_finds_it_or_makes_it(config: MemoryConfig, tmp_path: Path) -> None:
    """Any number of times."""
    for _ in range(3):
        with SyncMemoryManager(config) as memory:
            _check(memory)
            memory.scoped("bob").forget()
        assert _is_indexed(tmp_path)


def test_a_new_store_gets_it_when_its_client_begins_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Which it does once there are many collections."""
    monkeypatch.setattr(embedded, "INDEXES", 2)
    with SyncMemoryManager(MemoryConfig(path=tmp_path, namespace="app", embedder=FakeEmbedder())) as memory:
        for n in range(4):
            memory.scoped(n).add_memory("tea is green")
        memory.scoped("ann").add_memory("ann likes rivers")
        _check(memory)
    assert _is_indexed(tmp_path)


def test_who_only_reads_does_not_make_it(config: MemoryConfig, tmp_path: Path) -> None:
    """Nor anything else."""
    with SyncMemoryManager(config.model_copy(update={"read_only": True})) as memory:
        assert memory.scoped("ann").search_memory("rivers")
    assert not _is_indexed(tmp_path)


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="open files are told by /proc")
def test_not_while_the_application_has_a_client_of_its_own(config: MemoryConfig, tmp_path: Path) -> None:
    """Neither copy of SQLite would see what the other is about to write."""
    own = chromadb.PersistentClient(str(tmp_path / "chroma"), settings=Settings(anonymized_telemetry=False))
    with SyncMemoryManager(config) as memory:
        _check(memory)
    own._system.stop()
    assert not _is_indexed(tmp_path)


def test_before_chroma_has_made_its_tables_there_is_nothing_to_do(tmp_path: Path) -> None:
    """No file, or an empty one, as a kill may leave it."""
    assert not index_log(tmp_path)
    (tmp_path / "chroma.sqlite3").touch()
    assert not index_log(tmp_path)


def test_a_file_that_cannot_be_read_is_left_to_chroma(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Which says what ails it."""
    (tmp_path / "chroma.sqlite3").write_bytes(b"no database" * 100)
    assert not index_log(tmp_path)
    assert "costs time" in caplog.text
