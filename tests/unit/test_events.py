"""`on_event`: each call is told once, without content, and the hook can break nothing."""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import pytest

from memory_mgr import (
    ConfigurationError,
    Event,
    InvalidInputError,
    MemoryConfig,
    MemoryManager,
    Message,
    ShortTermConfig,
    SummarizationError,
    SyncMemoryManager,
)

SECRET = "xylophone"


def _watched(config: MemoryConfig, **more: Any) -> tuple[SyncMemoryManager, list[Event]]:
    events: list[Event] = []
    return SyncMemoryManager(config, on_event=events.append, **more), events


def test_each_call_is_told_once_with_its_counts(config: MemoryConfig) -> None:
    """Name, namespace, time and how many; in the order of the calls."""
    memory, events = _watched(config)
    with memory:
        entry, _ = memory.add_memories(["tea is green", "coffee is black"])
        memory.search_memory("tea", limit=1)
        context = memory.build_context("tea", 200)
        memory.update_memory(entry.id, pinned=True)
        memory.prune(quota=1, dry_run=True)
        memory.consolidate()
        memory.delete_memory(entry.id)
        memory.forget()
    told = [(e.name, dict(e.counts)) for e in events]
    assert told == [
        ("add", {"entries": 2}),
        ("search", {"entries": 1}),
        ("context", {"entries": len(context.entries), "tokens": context.tokens}),
        ("update", {"entries": 1}),
        ("prune", {"actions": 1, "deleted": 0}),
        ("consolidate", {"actions": 0, "deleted": 0}),
        ("delete", {"entries": 1}),
        ("forget", {"entries": 1}),
    ]
    for event in events:
        assert event.namespace == ("tests",)
        assert event.error is None
        assert 0 < event.seconds < 60
        assert abs((datetime.now(UTC) - event.started_at).total_seconds()) < 60


def test_messages_and_their_summaries_are_told(config: MemoryConfig) -> None:
    """A message that pushes others out of the window tells of itself and of the summary."""
    memory, events = _watched(config, short_term=ShortTermConfig(max_messages=2))
    with memory:
        chat = memory.conversation("chat")
        for n in range(4):
            chat.add_message(Message(role="user", content=f"My {n}th cat is called Tom{n}."))
    assert {"add", "summary"} == {event.name for event in events}
    assert all(event.counts["summarized"] >= 1 for event in events if event.name == "summary")


def test_nothing_that_was_said_is_in_an_event(config: MemoryConfig) -> None:
    """Neither texts nor metadata nor queries nor error messages."""
    memory, events = _watched(config)
    with memory:
        memory.add_memory(f"my {SECRET}", metadata={SECRET: SECRET}, id=SECRET, source=SECRET)
        memory.search_memory(SECRET)
        memory.build_context(SECRET)
        with pytest.raises(InvalidInputError):
            memory.search_memory(SECRET, SECRET)
    assert len(events) == 4
    assert SECRET not in str([asdict(event) for event in events])


def test_a_failed_call_is_told_by_the_class_of_its_error(config: MemoryConfig) -> None:
    """The error reaches the caller unchanged."""

    def broken(*_: object, **__: object) -> str:
        raise OSError("no")

    memory, events = _watched(config, summarizer=broken)
    with memory:
        memory.conversation("chat").add_message(Message(role="user", content="hello there"))
        with pytest.raises(SummarizationError):
            memory.summarize("chat")
    assert [(e.name, e.error) for e in events] == [("add", None), ("summary", "SummarizationError")]
    assert events[-1].counts == {}


def test_a_hook_that_raises_breaks_nothing(config: MemoryConfig, caplog: pytest.LogCaptureFixture) -> None:
    """What it raises is logged under `memory_mgr.events`."""

    def broken(_: Event) -> None:
        raise RuntimeError("hook")

    with SyncMemoryManager(config, on_event=broken) as memory, caplog.at_level(logging.WARNING, "memory_mgr.events"):
        entry = memory.add_memory("tea is green")
        assert memory.search_memory("tea")[0].id == entry.id
    assert len(caplog.records) == 2


def test_the_async_face_and_scoped_managers_tell_too(config: MemoryConfig) -> None:
    """One hook hears of every namespace."""
    events: list[Event] = []

    async def use() -> None:
        async with MemoryManager(config, on_event=events.append) as memory:
            await memory.scoped("below").add_memory("tea is green")

    asyncio.run(use())
    assert [(e.name, e.namespace) for e in events] == [("add", ("tests", "below"))]


async def _awaited(_: Event) -> None: ...


@pytest.mark.parametrize("hook", ["print", 3, _awaited])
def test_a_hook_that_cannot_work_is_refused(config: MemoryConfig, hook: object) -> None:
    """Not callable, or a coroutine function that nobody would await."""
    with pytest.raises(ConfigurationError, match="on_event"):
        SyncMemoryManager(config, on_event=hook)


def test_an_unset_hook_costs_next_to_nothing(memory: SyncMemoryManager) -> None:
    """The way around an unset hook takes less than ten microseconds a call."""
    calls = 2000
    plain = type(memory).delete_memories.__wrapped__  # type: ignore[attr-defined]

    def seconds(method: Any) -> float:
        start = time.thread_time()
        for _ in range(calls):
            with pytest.raises(InvalidInputError):
                method(memory, "x")
        return time.thread_time() - start

    around = min(seconds(type(memory).delete_memories) for _ in range(5))
    direct = min(seconds(plain) for _ in range(5))
    assert (around - direct) / calls < 1e-5
