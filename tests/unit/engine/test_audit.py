"""Who changed what, when, and what was there before."""

from __future__ import annotations

import asyncio
from pathlib import Path

from memory_mgr import MemoryConfig, MemoryManager, SyncMemoryManager, acting_as
from memory_mgr.testing import FakeClock


def test_changes_are_told_with_who_when_and_what_was_before(config: MemoryConfig, clock: FakeClock) -> None:
    """Kept with the entry: after a rebuilt catalog, a restart, and in `history`."""
    with SyncMemoryManager(config, actor="service") as memory:
        with acting_as("ann"):
            entry = memory.add_memory("Ana lives in Rome", metadata={"n": 1})
        assert entry.created_by == "ann"
        clock.advance(60)
        memory.update_memory(entry.id, content="Ana lives in Oslo", importance_score=0.9)
        clock.advance(60)
        with acting_as("bob"):
            memory.update_memory(entry.id, metadata={"n": 2})
        memory.update_memory(entry.id, metadata={"n": 2})
        memory.rebuild_catalog()
        assert memory.add_memory("unnamed").created_by == "service"
    with SyncMemoryManager(config) as memory:
        first, second = memory.history(entry.id)[0].changes
        assert (first.by, first.kind, first.fields) == ("service", "update", ("content", "importance_score"))
        assert first.before["content"] == "Ana lives in Rome"
        assert (second.by, second.before) == ("bob", {"metadata": {"n": 1}})
        assert (second.at - first.at).total_seconds() == 60


def test_upkeep_signs_too(config: MemoryConfig, clock: FakeClock) -> None:
    """What consolidation and pruning did is among the changes, with the id to undo it by."""
    with SyncMemoryManager(config, actor="cron") as memory:
        entry = memory.add_memory("Ana likes chess")
        report = memory.prune(quota=0)
        (change,) = memory.get_memory(entry.id).changes
        assert (change.kind, change.by, change.operation_id) == ("prune", "cron", report.operation_id)


def test_values_can_be_left_out_and_the_record_is_bounded(config: MemoryConfig) -> None:
    """Names only, or nothing; twenty changes at most."""
    with SyncMemoryManager(config, audit="names") as memory:
        entry = memory.add_memory("a secret")
        (change,) = memory.update_memory(entry.id, content="nothing").changes
        assert (change.fields, change.before) == (("content",), {})
        for n in range(30):
            memory.update_memory(entry.id, content=f"version {n}")
        assert len(memory.get_memory(entry.id).changes) == 20
    with SyncMemoryManager(config, audit="off") as memory:
        assert memory.update_memory(memory.add_memory("x").id, content="y").changes == ()


def test_who_acts_is_known_across_awaits(tmp_path: Path, config: MemoryConfig) -> None:
    """The async face runs in threads with the caller's context."""

    async def added(name: str, memory: MemoryManager) -> str | None:
        with acting_as(name):
            await asyncio.sleep(0)
            return (await memory.add_memory(f"by {name}")).created_by

    async def all_of_them() -> list[str | None]:
        async with MemoryManager(config) as memory:
            return list(await asyncio.gather(*(added(f"user-{n}", memory) for n in range(10))))

    assert asyncio.run(all_of_them()) == [f"user-{n}" for n in range(10)]
