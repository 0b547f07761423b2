"""A year of one person's conversations, the clock in our hands: what is known at the end, and how much is kept."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from memory_mgr import MemoryConfig, MemoryEntry, Message, NewMemory, ShortTermConfig, SyncMemoryManager
from memory_mgr.config import EpisodicConfig, LongTermConfig
from memory_mgr.testing import FakeClock, FakeEmbedder

CONVERSATIONS = 200
MESSAGES = 8
START = datetime(2025, 1, 1, 8, tzinfo=UTC)
STEP = timedelta(days=365) / CONVERSATIONS
QUOTA, SUMMARIES = 300, 60
CITIES = ("Lisbon", "Vienna", "Oslo", "Madrid", "Dublin")
JOBS = ("nurse", "baker", "pilot", "teacher")
STABLE = (
    "I am allergic to penicillin.",
    "My sister is called Ines.",
    "My birthday is on the 3rd of June.",
    "I play the cello in an amateur orchestra.",
)


def _messages(number: int) -> list[Message]:
    """Talk that differs every time, half of it the assistant's."""
    topics = ("garden", "bicycle", "soup", "holiday", "cinema", "tax return", "neighbour", "marathon")
    topic = topics[number % len(topics)]
    return [
        message
        for turn in range(MESSAGES // 2)
        for message in (
            Message(role="user", content=f"About the {topic} number {number}: detail {number * 10 + turn} is settled."),
            Message(role="assistant", content=f"Noted, I will keep that about the {topic} in mind."),
        )
    ]


def _facts(number: int) -> Iterator[NewMemory]:
    """What an application notes down: changes now and then, the same things again and again, codes for a week."""
    source = f"chat-{number}"
    if number % 40 == 0:
        yield NewMemory(content=f"I live in {CITIES[number // 40]}.", speaker="Eva", source=source)
    if number % 50 == 10:
        yield NewMemory(content=f"I work as a {JOBS[number // 50]}.", speaker="Eva", source=source)
    if number % 5 == 0:
        text = STABLE[number // 5 % len(STABLE)]
        yield NewMemory(
            content=text.upper() if number % 10 else text, speaker="Eva", source=source, importance_score=0.9
        )
    if number % 7 == 0:
        yield NewMemory(content=f"The door code is {1000 + number}.", source=source, ttl_seconds=7 * 86_400)


@pytest.fixture
def year(tmp_path: Path) -> Iterator[tuple[SyncMemoryManager, FakeClock, list[Counter[str]]]]:
    """The memory at the end of the year, reopened, and what it held at the end of each month."""
    clock = FakeClock(START)
    config = MemoryConfig(
        path=tmp_path / "memory",
        embedder=FakeEmbedder(),
        clock=clock,
        short_term=ShortTermConfig(max_age_seconds=14 * 86_400),
        long_term=LongTermConfig(quota=QUOTA),
        episodic=EpisodicConfig(quota=SUMMARIES),
        grace_days=30,
    )
    held: list[Counter[str]] = []
    with SyncMemoryManager(config) as memory:
        for number in range(CONVERSATIONS):
            memory.conversation(f"chat-{number}").add_messages(_messages(number))
            if facts := list(_facts(number)):
                memory.add_memories(facts)
            clock.advance(STEP)
            if number % 17 == 16:
                _look_after(memory)
                held.append(Counter({tier.value: n for tier, n in memory.stats().counts.items()}))
    with SyncMemoryManager(config) as memory:
        _look_after(memory)
        yield memory, clock, held


def _look_after(memory: SyncMemoryManager) -> None:
    assert not memory.consolidate().errors
    memory.prune("long_term")
    memory.prune("episodic")


def _everything(memory: SyncMemoryManager) -> list[MemoryEntry]:
    """All entries with their vectors, but for the count of their changes."""
    ids = [entry.id for entry in memory.list_memories(limit=None, include_superseded=True)]
    return [dataclasses.replace(memory.get_memory(i, with_embedding=True), revision=0) for i in ids]


@pytest.mark.slow
def test_a_year(year: tuple[SyncMemoryManager, FakeClock, list[Counter[str]]]) -> None:
    """The state is as the script has it, a second run changes nothing, undo restores, and no tier grows on."""
    memory, clock, held = year
    _is_known(memory)
    _is_bounded(held)
    assert memory.consolidate().actions == ()
    assert memory.prune("long_term").actions == ()
    _can_be_undone(memory, clock)


def _is_known(memory: SyncMemoryManager) -> None:
    facts = {e.content for e in memory.list_memories("long_term", limit=None) if e.kind == "memory"}
    assert {fact for fact in facts if "live in" in fact} == {f"I live in {CITIES[-1]}."}
    assert {fact for fact in facts if "work as" in fact} == {f"I work as a {JOBS[-1]}."}
    stable = [fact for fact in facts if "live in" not in fact and "work as" not in fact and "code" not in fact]
    assert sorted(fact.casefold() for fact in stable) == sorted(fact.casefold() for fact in STABLE)
    assert not [fact for fact in facts if "code" in fact]  # the last one expired hours ago
    assert memory.search_memory("where do I live?", "long_term", limit=1)[0].content == f"I live in {CITIES[-1]}."
    home = next(e for e in memory.list_memories("long_term", limit=None) if "live in" in e.content)
    assert [e.content for e in memory.history(home.id)][-1] == home.content
    assert len(memory.history(home.id)) > 1


def _is_bounded(held: list[Counter[str]]) -> None:
    """Every tier holds at the end of the year what it held in the middle, or what its limits allow."""
    monthly = CONVERSATIONS * MESSAGES / 12
    for counts in held:
        assert counts["short_term"] <= monthly
        assert counts["long_term"] <= QUOTA + 3 * monthly  # what was pruned can be brought back for a month
        assert counts["episodic"] <= SUMMARIES + 3 * CONVERSATIONS / 12
        assert counts["working"] == 0
    assert held[-1].total() <= 1.1 * held[len(held) // 2].total()


def _can_be_undone(memory: SyncMemoryManager, clock: FakeClock) -> None:
    memory.add_memories(
        [
            NewMemory(content=text, speaker="Eva")
            for text in ("I moved to Porto.", "my sister is called ines", STABLE[3])
        ]
    )
    before = _everything(memory)
    report = memory.consolidate()
    assert {action.kind for action in report.actions} == {"merge", "supersede"}
    assert report.operation_id is not None
    assert _everything(memory) != before
    memory.undo(report.operation_id)
    assert _everything(memory) == before
    pruned = memory.prune("long_term", quota=QUOTA // 2)
    assert pruned.operation_id is not None
    memory.undo(pruned.operation_id)
    assert _everything(memory) == before
