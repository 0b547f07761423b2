"""Importance as the engine gives it: in context, explainable, never in the way of storing."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from memory_mgr import MemoryConfig, Message, NewMemory, ShortTermConfig, SyncMemoryManager
from memory_mgr.config import ModelConfig
from memory_mgr.policy.importance import combine

FACT = "My sister Lena moved to Oslo in May because of her new job at the harbour."


def test_what_was_said_before_counts_whether_or_not_it_comes_in_the_same_call(memory: SyncMemoryManager) -> None:
    """One by one gives what a batch gives, but for what is only known from the next message."""
    talk = ["Where did she move to?", FACT]
    together = memory.add_memories([NewMemory(content=text, source="one") for text in talk])
    apart = [memory.scoped("other").add_memory(text, source="two") for text in talk]
    assert apart[1].importance_score == pytest.approx(together[1].importance_score)


def test_words_that_were_heard_often_are_worth_less(memory: SyncMemoryManager) -> None:
    """Rarity is within the namespace."""
    first = memory.add_memory(FACT)
    memory.add_memories([f"{FACT} ({number})" for number in range(5)])
    assert memory.add_memory(FACT).importance_score < first.importance_score
    assert memory.scoped("fresh").add_memory(FACT).importance_score == first.importance_score


def test_what_the_caller_says_stays(config: MemoryConfig) -> None:
    """An importance that was given, at once or later, is not scored again when the message leaves the window."""
    with SyncMemoryManager(config.replaced(short_term=ShortTermConfig(max_messages=2))) as memory:
        chat = memory.conversation("chat")
        chat.add_message(Message(role="user", content=FACT, id="m"))
        entry = memory.update_memory(chat.entries()[0].id, importance_score=0.123)
        chat.add_messages([Message(role="user", content=f"Really? {n}") for n in range(4)])
        moved = memory.get_memory(entry.id)
        assert (moved.memory_type, moved.importance_score) == ("long_term", 0.123)
        assert memory.add_memory(FACT, importance_score=0.5).importance_score == 0.5


def test_the_parts_of_a_score_make_the_score(memory: SyncMemoryManager) -> None:
    """`explain_importance` sums to what the text gets when it is stored."""
    parts = memory.explain_importance(FACT)
    assert combine(parts) == pytest.approx(memory.add_memory(FACT).importance_score)
    assert parts["relations"] > 0


class _Broken:
    def score(self, text: str, *, role: str | None = None, previous: str | None = None) -> float:
        raise RuntimeError("no connection")


@pytest.fixture
def hanging() -> Iterator[object]:
    """A scorer that answers only after the test."""
    over = threading.Event()
    yield lambda text, *, role=None, previous=None: over.wait(60) and 0.5
    over.set()


@pytest.mark.parametrize("answer", [_Broken(), lambda *_, **__: float("nan"), lambda *_, **__: "high"])
def test_a_scorer_that_is_no_use_is_done_without(config: MemoryConfig, answer: object) -> None:
    """It raises or answers nonsense: the heuristic stands in, everything is stored."""
    with SyncMemoryManager(config) as memory:
        expected = memory.scoped("plain").add_memory(FACT).importance_score
    with SyncMemoryManager(config.replaced(importance=answer)) as memory:
        assert memory.add_memory(FACT).importance_score == expected


def test_a_scorer_that_hangs_costs_its_time_limit_once(config: MemoryConfig, hanging: object) -> None:
    """Many memories are stored in the time of one limit."""
    slow = config.replaced(importance=hanging, model=ModelConfig(timeout_seconds=0.2))
    with SyncMemoryManager(slow) as memory:
        entries = memory.add_memories([f"{FACT} {number}" for number in range(50)])
        assert len(entries) == 50
        assert memory.stats().total == 50


def test_a_working_scorer_is_believed_within_bounds(config: MemoryConfig) -> None:
    """Its numbers are brought into [0, 1]."""
    with SyncMemoryManager(config.replaced(importance=lambda text, *, role, previous: len(text) / 10)) as memory:
        assert memory.add_memory("four").importance_score == 0.4
        assert memory.add_memory("much longer than ten").importance_score == 1.0
