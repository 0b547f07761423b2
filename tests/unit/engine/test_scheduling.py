"""Consolidation in the background: when it is due, and that it ends."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pytest

from memory_mgr import MemoryConfig, NewMemory, SyncMemoryManager
from memory_mgr.config import AutoConsolidateConfig
from memory_mgr.engine.scheduling import Scheduler
from memory_mgr.types import Namespace

PATIENCE = 30
"""Seconds after which something that should have happened has not."""


class _Work:
    """Work that tells when it was done, and may fail or have more to do."""

    def __init__(self) -> None:
        self.done: list[Namespace] = []
        self.answers: list[bool | Exception] = []
        self._changed = threading.Condition()

    def __call__(self, namespace: Namespace, stopped: Callable[[], bool]) -> bool:
        with self._changed:
            self.done.append(namespace)
            self._changed.notify_all()
            answer = self.answers.pop(0) if self.answers else True
        if isinstance(answer, Exception):
            raise answer
        return answer

    def wait(self, times: int) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.done) >= times, PATIENCE)


@pytest.fixture
def work() -> _Work:
    """Done when it is due."""
    return _Work()


@pytest.fixture
def opened(work: _Work) -> Iterator[Callable[..., Scheduler]]:
    """Makes schedulers and closes them."""
    made: list[Scheduler] = []

    def make(after_adds: int | None = None, after_seconds: float | None = None) -> Scheduler:
        made.append(Scheduler(work, after_adds=after_adds, after_seconds=after_seconds))
        return made[-1]

    yield make
    for scheduler in made:
        scheduler.close()


def test_it_is_due_after_so_many_adds_of_one_namespace(opened: Callable[..., Scheduler], work: _Work) -> None:
    """Adds are counted by namespace, and anew after each run."""
    scheduler = opened(after_adds=3)
    scheduler.added(("a",), 2)
    scheduler.added(("b",), 2)
    assert work.done == []
    scheduler.added(("b",), 1)
    work.wait(1)
    scheduler.added(("b",), 2)
    scheduler.added(("a",), 1)
    work.wait(2)
    scheduler.close()
    assert work.done == [("b",), ("a",)]


def test_it_is_due_after_a_time(opened: Callable[..., Scheduler], work: _Work) -> None:
    """However few were added."""
    opened(after_seconds=0.01).added(("a",), 1)
    work.wait(1)
    assert work.done == [("a",)]


def test_a_failure_is_not_the_end(opened: Callable[..., Scheduler], work: _Work) -> None:
    """The next adds make it due again; a run that was cut short is gone on with at once."""
    work.answers = [RuntimeError("disk full"), False, True]
    scheduler = opened(after_adds=1)
    scheduler.added(("a",), 1)
    work.wait(1)
    scheduler.added(("a",), 1)
    work.wait(3)


def test_nothing_runs_unless_asked_for(opened: Callable[..., Scheduler], work: _Work) -> None:
    """Without settings there is no thread."""
    scheduler = opened()
    scheduler.added(("a",), 10_000)
    assert not scheduler.enabled
    assert not any(thread.name == "memory-mgr-consolidate" for thread in threading.enumerate())


def test_a_memory_consolidates_itself_and_its_thread_ends_with_it(config: MemoryConfig) -> None:
    """Duplicates are merged some adds later without a call; close returns when the thread is gone."""
    merged = threading.Event()
    auto = AutoConsolidateConfig(after_adds=2)
    with SyncMemoryManager(config.replaced(auto_consolidate=auto)) as memory:
        moment = datetime(2026, 1, 1, tzinfo=UTC)
        memory.add_memories([NewMemory(content=text, timestamp=moment) for text in ("Tea at five.", "tea at five")])
        for _ in range(PATIENCE * 10):
            if len(memory.list_memories("long_term")) == 1:
                break
            merged.wait(0.1)
        assert len(memory.list_memories("long_term")) == 1
    assert not any(thread.name == "memory-mgr-consolidate" for thread in threading.enumerate())
