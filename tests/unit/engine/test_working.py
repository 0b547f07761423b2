"""Working memory: slots and notes of a task, within their time and budget."""

from __future__ import annotations

from datetime import timedelta

import pytest

from memory_mgr import InvalidInputError, MemoryConfig, SyncMemoryManager, WorkingConfig
from memory_mgr.testing import FakeClock


def test_a_slot_keeps_any_json_value(memory: SyncMemoryManager) -> None:
    """What was set is what is read, nested or null."""
    task = memory.conversation("task").working
    for value in ("text", 3, 2.5, True, None, ["a", {"b": [1, None]}], {}):
        task.set("slot", value)
        assert task.get("slot", default="missing") == value
    assert task.slots() == {"slot": {}}


def test_tasks_do_not_see_each_other(memory: SyncMemoryManager) -> None:
    """The same key of two tasks is two slots."""
    one, two = memory.conversation("one").working, memory.conversation("two").working
    one.set("city", "Lisbon")
    assert two.get("city") is None
    two.set("city", "Oslo")
    assert one.get("city") == "Lisbon"
    assert one.clear() == 1
    assert two.slots() == {"city": "Oslo"}


def test_deleting_says_whether_it_was_set(memory: SyncMemoryManager) -> None:
    """1 the first time, 0 the second."""
    task = memory.conversation("task").working
    task.set("city", "Lisbon")
    assert (task.delete("city"), task.delete("city"), task.get("city")) == (1, 0, None)


def test_a_slot_expires(memory: SyncMemoryManager, clock: FakeClock) -> None:
    """After its time a slot is not set any more; setting it again starts anew."""
    task = memory.conversation("task").working
    task.set("code", "1234", ttl_seconds=60)
    clock.advance(timedelta(seconds=61))
    assert task.get("code") is None
    task.set("code", "5678")
    clock.advance(timedelta(days=400))
    assert task.get("code") == "5678"


def test_the_budget_drops_the_oldest_notes_first(config: MemoryConfig) -> None:
    """Notes make room before slots do, and what was just written stays."""
    tight = config.replaced(working=WorkingConfig(max_tokens=40))
    with SyncMemoryManager(tight) as memory:
        task = memory.conversation("task").working
        task.set("goal", "book a table")
        for number in range(20):
            task.add_note(f"note number {number} about the restaurant")
        notes = [note.content for note in task.notes()]
        assert notes[-1] == "note number 19 about the restaurant"
        assert "note number 0 about the restaurant" not in notes
        assert task.get("goal") == "book a table"
        counter = memory._runtime.counter
        assert sum(counter.count(e.content) for e in task.entries()) <= 40


@pytest.mark.parametrize("value", [float("nan"), object(), {1: "int key"}, "\ud800"])
def test_what_is_not_json_is_refused(memory: SyncMemoryManager, value: object) -> None:
    """A slot that could not be read back is not set."""
    task = memory.conversation("task").working
    with pytest.raises(InvalidInputError):
        task.set("slot", value)  # type: ignore[arg-type]
    assert task.slots() == {}


def test_one_thing_over_the_whole_budget_is_refused(config: MemoryConfig) -> None:
    """It is said rather than silently dropped."""
    tight = config.replaced(working=WorkingConfig(max_tokens=5))
    with SyncMemoryManager(tight) as memory, pytest.raises(InvalidInputError, match="max_tokens"):
        memory.conversation("task").working.add_note("far more words than five tokens could ever hold")


def test_slots_survive_a_restart(config: MemoryConfig) -> None:
    """Working memory is kept like everything else."""
    with SyncMemoryManager(config) as memory:
        memory.conversation("task").working.set("city", "Lisbon")
    with SyncMemoryManager(config) as memory:
        assert memory.conversation("task").working.slots() == {"city": "Lisbon"}
