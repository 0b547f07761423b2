"""Stores written by earlier versions are opened, complete, and written on; those of later ones are refused."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
import tarfile
from contextlib import closing
from pathlib import Path

import pytest

from memory_mgr import (
    MemoryConfig,
    SchemaVersionError,
    ShortTermConfig,
    StoreError,
    StoreUnavailableError,
    SyncMemoryManager,
)
from memory_mgr.stores import schema as schemas
from memory_mgr.stores.migration import STEPS, MigrationReport, migrate
from memory_mgr.testing import FakeClock, FakeEmbedder
from scripts.store_fixture import told
from tests.crash.checks import check_consistent

FIXTURES = sorted((Path(__file__).parents[1] / "fixtures" / "stores").glob("*.tar.xz"))
NEXT = schemas.SCHEMA_VERSION + 1


@pytest.fixture(params=FIXTURES, ids=lambda file: file.name.removesuffix(".tar.xz"))
def old(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A folder with an old store and what is in it."""
    with tarfile.open(request.param) as packed:
        packed.extractall(tmp_path, filter="data")
    return tmp_path


def _config(old: Path, **more: object) -> MemoryConfig:
    window = ShortTermConfig(max_messages=4)
    options = {"namespace": "old", "embedder": FakeEmbedder(), "clock": FakeClock(), "short_term": window} | more
    return MemoryConfig(path=old / "store", **options)


def test_an_old_store_is_complete(old: Path) -> None:
    """Every entry of every namespace, field by field; found by words; and it can be written on."""
    expected = json.loads((old / "expected.json").read_text())
    with SyncMemoryManager(_config(old)) as memory:
        for namespace, entries in expected.items():
            scoped = memory if namespace == "old" else memory.scoped(*namespace.split("/")[1:])
            assert told(scoped) == entries
            check_consistent(scoped)
        assert memory.search_memory("where does Ana live in Oslo", limit=1)[0].content == "Ana lives in Oslo"
        assert [m.content for m in memory.conversation("chat").messages()][:2] == ["question 0", "answer 0"]
        assert memory.conversation("chat").working.get("goal") == {"city": "Oslo"}
        memory.add_memory("something new")
        check_consistent(memory)


def test_a_later_store_is_refused(config: MemoryConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error names both versions, and nothing is touched."""
    with monkeypatch.context() as later:
        later.setattr(schemas, "SCHEMA_VERSION", 99)
        with SyncMemoryManager(config) as memory:
            memory.add_memory("from the future")
    with SyncMemoryManager(config) as memory, pytest.raises(SchemaVersionError, match=r"99.*upgrade memory-mgr"):
        memory.add_memory("from the past")


@pytest.fixture
def a_next_schema(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if the next version wrote sources in capitals, and read nothing else."""
    monkeypatch.setattr(schemas, "SCHEMA_VERSION", NEXT)
    monkeypatch.setattr(schemas, "OLDEST_SCHEMA", NEXT)
    loud = lambda record: record | {"src": record["src"].upper()} if "src" in record else record  # noqa: E731
    monkeypatch.setitem(STEPS, NEXT - 1, loud)


@pytest.mark.usefixtures("a_next_schema")
def test_a_store_is_migrated(old: Path) -> None:
    """Refused with the way out; a dry run counts; migrating keeps a copy, and a second time there is nothing to do."""
    expected = json.loads((old / "expected.json").read_text())
    with SyncMemoryManager(_config(old)) as memory, pytest.raises(SchemaVersionError, match="memory-mgr migrate"):
        memory.add_memory("not yet")
    would = migrate(_config(old), dry_run=True)
    assert would.backup is None
    with SyncMemoryManager(_config(old)) as memory, pytest.raises(SchemaVersionError):
        memory.add_memory("still not")
    done = migrate(_config(old))
    assert (done.namespaces, done.entries) == (would.namespaces, would.entries)
    assert done.namespaces == len(expected)
    assert done.backup is not None
    assert (done.backup / "chroma" / "chroma.sqlite3").exists()
    with SyncMemoryManager(_config(old)) as memory:
        sources = {e.source for e in memory.list_memories(limit=None, include_superseded=True)}
        assert sources == {e["source"] and e["source"].upper() for e in expected["old"]}
        check_consistent(memory)
    assert migrate(_config(old)) == MigrationReport(0, 0, None)


def test_a_store_in_use_is_not_migrated(old: Path) -> None:
    """By whomever: its owner goes on undisturbed, and what was not held is not let go of."""
    with SyncMemoryManager(_config(old)) as memory:
        for _ in range(2):
            with pytest.raises(StoreUnavailableError, match="in use by this process"):
                migrate(_config(old))
        memory.add_memory("written meanwhile")
        check_consistent(memory)
    holder = (
        "import sys, pathlib; from memory_mgr.stores.lock import FolderLock\n"
        "lock = FolderLock(pathlib.Path(sys.argv[1]), shared=False); print(flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", holder, str(old / "store" / "chroma")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        other.stdout.readline()
        with pytest.raises(StoreUnavailableError, match="in use by another process"):
            migrate(_config(old))
        other.communicate()
    migrate(_config(old))
    with SyncMemoryManager(_config(old)) as memory:
        assert memory.search_memory("written meanwhile", limit=1)[0].content == "written meanwhile"


@pytest.mark.usefixtures("a_next_schema")
def test_a_migration_that_is_interrupted_goes_on(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was converted is not converted again; the first copy stays."""
    calls = 0
    step = STEPS[NEXT - 1]

    def failing(record: dict[str, object]) -> dict[str, object]:
        nonlocal calls
        calls += 1
        if calls == 5:
            raise OSError("the power is gone")
        return step(record)

    with monkeypatch.context() as broken:
        broken.setitem(STEPS, NEXT - 1, failing)
        with pytest.raises(StoreError, match="power"):
            migrate(_config(old))
    migrate(_config(old))
    with SyncMemoryManager(_config(old)) as memory:
        assert len(memory.list_memories(limit=None, include_superseded=True)) > 5
        check_consistent(memory)


def _records(store: Path) -> dict[str, dict[str, object]]:
    """What Chroma's own table holds of each entry, by id."""
    with closing(sqlite3.connect(store / "chroma" / "chroma.sqlite3")) as db:
        sql = "SELECT embedding_id, string_value FROM embeddings JOIN embedding_metadata USING (id) WHERE key = 'entry'"
        return {memory_id: json.loads(record) for memory_id, record in db.execute(sql)}


def test_a_store_of_schema_1_stays_one(old: Path) -> None:
    """What is added to it has the form that the version which made it can read."""
    with SyncMemoryManager(_config(old)) as memory:
        memory.update_memory(memory.search_memory("where does Ana live in Oslo", limit=1)[0].id, importance_score=0.9)
        added = memory.add_memory("something new").id
    records = _records(old / "store")
    assert all(record["id"] == memory_id for memory_id, record in records.items())
    assert isinstance(records[added]["ts"], str)


def test_schema_1_becomes_schema_2(old: Path) -> None:
    """All entries stay what they were, their records get shorter, and a second time there is nothing to do."""
    expected = json.loads((old / "expected.json").read_text())
    before = _records(old / "store")
    migrate(_config(old))
    with SyncMemoryManager(_config(old)) as memory:
        for namespace, entries in expected.items():
            scoped = memory if namespace == "old" else memory.scoped(*namespace.split("/")[1:])
            assert told(scoped) == entries
            check_consistent(scoped)
    after = _records(old / "store")
    assert after.keys() == before.keys()
    assert all(isinstance(record["ts"], int) and "id" not in record for record in after.values())
    assert migrate(_config(old)) == MigrationReport(0, 0, None)
