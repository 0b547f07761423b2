"""Consolidation, pruning and undo: what is hidden, what is linked, and the way back."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta

import pytest

from memory_mgr import (
    MemoryConfig,
    MemoryEntry,
    Message,
    NewMemory,
    ShortTermConfig,
    SyncConversationContext,
    SyncMemoryManager,
)
from memory_mgr.engine import consolidating
from memory_mgr.engine.upkeep import Upkeep
from memory_mgr.policy.retention import RetentionConfig
from memory_mgr.testing import FakeClock


def _day(number: int) -> datetime:
    return datetime(2026, 1, 1, 9, tzinfo=UTC) + timedelta(days=number)


def _everything(memory: SyncMemoryManager) -> dict[str, MemoryEntry]:
    """All entries, hidden ones too, but for the count of their changes."""
    entries = memory.list_memories(limit=None, include_superseded=True)
    return {e.id: dataclasses.replace(e, revision=0) for e in memory.get_memories([e.id for e in entries])}


def test_a_newer_fact_hides_the_older_and_history_knows_both(memory: SyncMemoryManager) -> None:
    """Search shows the newer one, unless asked for all."""
    old = memory.add_memory("I live in Paris.", speaker="Ann", timestamp=_day(0))
    new = memory.add_memory("I moved to Berlin.", speaker="Ann", timestamp=_day(40))
    report = memory.consolidate()
    assert [(a.kind, a.id, a.other) for a in report.actions] == [("supersede", old.id, new.id)]
    assert [h.id for h in memory.search_memory("where does Ann live, Paris or Berlin?")] == [new.id]
    assert len(memory.search_memory("where does Ann live?", include_superseded=True)) == 2
    for entry in (old, new):
        assert [e.id for e in memory.history(entry.id)] == [old.id, new.id]


def test_much_that_is_new_is_looked_at_in_few_slices(
    memory: SyncMemoryManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a slice costs grows with the facts there are; duplicates are found across slices all the same."""
    monkeypatch.setattr(consolidating, "_SLICE", 5)
    texts = [f"the key of room {n % 60} is under stone {n % 60}" for n in range(103)]
    memory.add_memories([NewMemory(content=text, timestamp=_day(n)) for n, text in enumerate(texts)])
    looked_at: list[int] = []
    report = memory.consolidate(progress=lambda done, total: looked_at.append(done))
    assert looked_at == [*range(10, 101, 10), 103]
    assert len([a for a in report.actions if a.kind == "merge"]) == 43


def test_undo_puts_everything_back(memory: SyncMemoryManager) -> None:
    """Also an entry that one run changed more than once; and the next run leaves it so."""
    memory.add_memories(
        [
            NewMemory(content=text, speaker="Ann", timestamp=_day(number), source=f"chat-{number}")
            for number, text in enumerate(
                ["I live in Paris.", "i live in paris", "I work as a nurse.", "I moved to Berlin.", "I live in Berlin."]
            )
        ]
    )
    before = _everything(memory)
    report = memory.consolidate()
    assert {a.kind for a in report.actions} >= {"merge", "supersede"}
    assert report.operation_id is not None
    assert _everything(memory) != before
    assert memory.undo(report.operation_id) > 0
    assert _everything(memory) == before
    assert memory.consolidate().actions == ()


def test_a_dry_run_says_the_same_and_changes_nothing(memory: SyncMemoryManager) -> None:
    """What it lists is what the run then does."""
    memory.add_memories([NewMemory(content=c, timestamp=_day(0)) for c in ["Tea at five.", "tea at five", "Other."]])
    before = _everything(memory)
    planned = memory.consolidate(dry_run=True)
    assert _everything(memory) == before
    assert planned.dry_run
    assert memory.consolidate().actions == planned.actions


def test_a_run_out_of_time_is_gone_on_with(memory: SyncMemoryManager) -> None:
    """The watermark moves slice by slice; what is left is for the next run, and then nothing is."""
    memory.add_memories([NewMemory(content=f"fact {n // 2}", timestamp=_day(0)) for n in range(600)])
    done: list[tuple[int, int]] = []
    first = memory.consolidate(max_seconds=1e-9, progress=lambda now, total: done.append((now, total)))
    assert not first.complete
    assert memory.consolidate(progress=lambda now, total: done.append((now, total))).complete
    assert done[-1] == (600, 600)
    assert len(memory.list_memories("long_term", limit=None)) == 300
    assert memory.consolidate().actions == ()


def test_facts_are_linked_to_the_talk_they_come_from(config: MemoryConfig) -> None:
    """By their source and time."""
    with SyncMemoryManager(config) as memory:
        chat = memory.conversation("chat")
        chat.add_messages(
            [Message(role="user", content=f"We painted room {n} blue.", timestamp=_day(n)) for n in (1, 3)]
        )
        summary = memory.summarize("chat")
        assert summary is not None
        fact = memory.add_memory("Ann likes blue rooms", source="chat", timestamp=_day(2))
        elsewhere = memory.add_memory("Bob likes red rooms", source="other", timestamp=_day(2))
        assert [(a.kind, a.id, a.other) for a in memory.consolidate().actions] == [("link", fact.id, summary.id)]
        assert memory.get_memory(fact.id).details["told_in"] == summary.id
        assert "told_in" not in memory.get_memory(elsewhere.id).details


def test_what_is_idle_leaves_its_window(config: MemoryConfig, clock: FakeClock) -> None:
    """A conversation that nobody goes on with is archived and summarised when its turns are too old."""
    window = ShortTermConfig(max_age_seconds=86_400)
    with SyncMemoryManager(config.replaced(short_term=window)) as memory:
        chat = memory.conversation("chat")
        chat.add_messages([Message(role="user", content="We planted an oak."), Message(role="assistant", content="Ok")])
        memory.consolidate()
        assert len(chat.window()) == 2
        clock.advance(timedelta(days=2))
        memory.consolidate()
        assert chat.window() == []
        assert [m.content for m in chat.messages()] == ["We planted an oak.", "Ok"]
        assert "oak" in chat.summaries()[0].content


def test_pruning_bounds_history_too_and_can_be_taken_back(config: MemoryConfig, clock: FakeClock) -> None:
    """Superseded entries count for the quota and go first; hidden for the grace period, then deleted."""
    with SyncMemoryManager(config) as memory:
        old = memory.add_memory("I live in Paris.", speaker="Ann", timestamp=_day(-9))
        memory.add_memory("I moved to Berlin.", speaker="Ann", timestamp=_day(-8))
        memory.consolidate()
        before = _everything(memory)
        planned = memory.prune(quota=1, dry_run=True)
        assert [(a.kind, a.id) for a in planned.actions] == [("prune", old.id)]
        assert "quota, retention" in planned.actions[0].why
        report = memory.prune(quota=1)
        assert report.actions == planned.actions
        assert report.operation_id is not None
        assert memory.undo(report.operation_id) == 1
        assert _everything(memory) == before
        memory.prune(quota=1)
        clock.advance(timedelta(days=config.grace_days + 1))
        assert memory.prune(quota=1).deleted == 1
        assert [e.content for e in _everything(memory).values()] == ["I moved to Berlin."]


def test_pinned_and_recalled_entries_are_kept(config: MemoryConfig, clock: FakeClock) -> None:
    """Pinning always, recalling if all else is equal; recalls are noted without a write and survive a restart."""
    retention = RetentionConfig(importance_weight=0, recency_weight=0.1)
    with SyncMemoryManager(config.replaced(retention=retention)) as memory:
        for name in ("alpha", "beta", "gamma", "delta"):
            memory.add_memory(f"{name} thing", id=name, timestamp=_day(0), pinned=name == "delta")
        memory.search_memory("beta thing", limit=1)
    with SyncMemoryManager(config.replaced(retention=retention)) as memory:
        gone = {a.id for a in memory.prune(quota=2).actions}
        assert gone == {"alpha", "gamma"}


def test_later_turns_that_left_first_hide_no_earlier_ones_from_summaries(config: MemoryConfig) -> None:
    """With importance deciding who leaves, a message may stay behind others; it is summarised when it leaves."""
    window = ShortTermConfig(max_messages=4, importance_weight=1.0, evict_to=0.75)
    with SyncMemoryManager(config.replaced(short_term=window)) as memory:
        chat = memory.conversation("chat")
        chat.add_message(Message(role="user", content="Remember that my daughter Zoe is allergic to peanuts."))
        chat.add_messages([Message(role="user", content=f"hm, ok {n}") for n in range(6)])
        assert "peanuts" in chat.window()[0].content
        memory.summarize("chat")
        covered = {i for summary in chat.summaries() for i in summary.derived_from}
        assert covered == {entry.id for entry in chat.entries()}


def test_a_roll_up_that_a_crash_cut_short_is_finished(config: MemoryConfig) -> None:
    """Sources of a higher summary that are still in sight are hidden; nothing is rolled up twice."""
    with SyncMemoryManager(config.replaced(short_term=ShortTermConfig(max_messages=2))) as memory:
        chat = memory.conversation("chat")
        number = 0
        while not any(s.details["level"] == 2 for s in chat.summaries()):
            chat.add_messages([Message(role="user", content=f"Fact {number + i} about Rome.") for i in range(3)])
            number += 3
        before = [s.id for s in chat.summaries()]
        above = next(s for s in chat.summaries() if s.details["level"] == 2)
        with memory._lease() as repository:
            for source in above.derived_from[3:]:
                memory._runtime.writer.change(repository, source, superseded_by=None)
        assert len(chat.summaries()) > len(before)
        memory.summarize("chat")
        after = [s.id for s in chat.summaries()]
        assert [i for i in after if i in before] == before
        assert len({i for s in chat.summaries() for i in s.derived_from}) == sum(
            len(s.derived_from) for s in chat.summaries()
        )


def test_two_runs_at_once_do_no_harm(memory: SyncMemoryManager) -> None:
    """A run that works on what another one has changed meanwhile leaves it alone."""
    memory.add_memories([NewMemory(content=c, timestamp=_day(0)) for c in ("Tea at five.", "tea at five")])
    with memory._lease() as repository:
        seen: list[object] = []

        def meanwhile(done: int, total: int) -> None:
            seen.append(
                Upkeep(memory._runtime, memory.namespace).consolidate(repository, dry_run=False, max_seconds=None)
            )

        Upkeep(memory._runtime, memory.namespace).consolidate(
            repository, dry_run=False, max_seconds=None, progress=meanwhile
        )
    assert seen
    assert len(memory.list_memories("long_term")) == 1


def test_an_entry_whose_text_changed_is_looked_at_again(memory: SyncMemoryManager) -> None:
    """Wherever it stands; once."""
    first = memory.add_memory("Tea at four.", timestamp=_day(0))
    memory.add_memory("Tea at five.", timestamp=_day(0))
    assert memory.consolidate().actions == ()
    memory.update_memory(first.id, content="tea at five")
    assert [a.kind for a in memory.consolidate().actions] == ["merge"]
    assert memory.consolidate().actions == ()


def test_a_message_archived_late_hides_what_it_replaces(memory: SyncMemoryManager) -> None:
    """Though everything stored after it was consolidated long before it left its window."""
    old = memory.add_memory("I live in Paris.", speaker="Ann", timestamp=_day(0))
    chat = SyncConversationContext("chat", memory=memory)
    chat.add_messages([Message(role="user", content="I moved to Berlin.", name="Ann", timestamp=_day(40))])
    memory.add_memory("Tea is at five.", timestamp=_day(41))
    assert memory.consolidate().actions == ()
    chat.archive(1)
    (archived,) = chat.entries()
    assert [(a.id, a.other) for a in memory.consolidate().actions] == [(old.id, archived.id)]
    assert memory.consolidate().actions == ()
