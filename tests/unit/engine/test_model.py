"""With a language model: what it adds when it works, and that nothing is lost when it does not."""

from __future__ import annotations

import json
import logging
import re
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest

from memory_mgr import MemoryConfig, MemoryEntry, Message, NewMemory, ShortTermConfig, SyncMemoryManager
from memory_mgr.config import ModelConfig

TALK = [f"On day {n} we visited the castle of town number {n} with my aunt Clara." for n in range(12)]
Answer = Callable[[str], object]


class _Model:
    """A model that answers by `answer`, and remembers what it was asked."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.prompts: list[str] = []

    def complete(self, prompt: str, *, max_tokens: int) -> str:
        self.prompts.append(prompt)
        return self.answer(prompt)  # type: ignore[return-value]


def _raise(_: str) -> object:
    raise ConnectionError("no route to the model")


_OVER = threading.Event()


@pytest.fixture(autouse=True)
def _end_what_hangs() -> Iterator[None]:
    _OVER.clear()
    yield
    _OVER.set()


BROKEN: dict[str, Answer] = {
    "raises": _raise,
    "returns None": lambda _: None,
    "returns nothing": lambda _: "  \n",
    "returns garbage": lambda _: "%%% \x07 qwrtz 0xDEADBEEF }}{{ zxcv bnmq wert" * 3,
    "returns another object": lambda _: {"answer": 42},
    "refuses": lambda _: "I'm sorry, but I can't help with that request.",
    "hangs": lambda _: _OVER.wait(60) and "late",
    "returns ten times the budget": lambda _: "We visited the castle of town with aunt Clara. " * 300,
}


def _config(config: MemoryConfig, answer: Answer, **settings: object) -> tuple[MemoryConfig, _Model]:
    model = _Model(answer)
    how = ModelConfig(timeout_seconds=0.3, **settings)  # type: ignore[arg-type]
    return config.replaced(llm=model, model=how, short_term=ShortTermConfig(max_messages=4)), model


def _talk(memory: SyncMemoryManager) -> None:
    moment = datetime(2026, 1, 1, 9, tzinfo=UTC)
    for number, text in enumerate(TALK):
        memory.conversation("chat").add_message(
            Message(role="user", name="Ann", content=text, timestamp=moment + timedelta(days=number))
        )


def _plain(entries: list[MemoryEntry]) -> list[tuple[str, str]]:
    return [(entry.id, entry.content) for entry in entries]


@pytest.mark.parametrize("answer", BROKEN.values(), ids=BROKEN.keys())
def test_a_model_that_is_no_use_costs_nothing(
    config: MemoryConfig, answer: Answer, caplog: pytest.LogCaptureFixture
) -> None:
    """Every message is there, the summaries are extractive, the failure is told, and consolidation changes nothing."""
    broken, model = _config(config, answer)
    started = time.monotonic()
    with caplog.at_level(logging.WARNING), SyncMemoryManager(broken) as memory:
        _talk(memory)
        chat = memory.conversation("chat")
        assert [m.content for m in chat.messages()] == TALK
        assert "aunt Clara" in chat.summaries()[0].content
        facts = [memory.add_memory(text) for text in ("I live in a house in Oslo.", "My cat is called Tom.")]
        before = _plain(memory.list_memories(limit=None, include_superseded=True))
        scores = [entry.importance_score for entry in memory.get_memories([f.id for f in facts])]
        report = memory.consolidate()
        assert report.errors
        assert "model" in report.errors[0]
        assert _plain(memory.list_memories(limit=None, include_superseded=True)) == before
        assert [entry.importance_score for entry in memory.get_memories([f.id for f in facts])] == scores
    assert model.prompts
    assert "the model" in caplog.text
    assert time.monotonic() - started < 20


def test_summaries_are_the_models_when_it_works(config: MemoryConfig) -> None:
    """The whole span is shown to it, in parts that fit; each part's summary is in the result."""

    def told(prompt: str) -> str:
        numbers = re.findall(r"town number (\d+)", prompt)
        return f"Ann and aunt Clara visited castles in towns {numbers[0]} to {numbers[-1]}."

    with_model, model = _config(config, told, chunk_tokens=100)
    with SyncMemoryManager(with_model) as memory:
        memory.conversation("chat", short_term=ShortTermConfig()).add_messages(
            [Message(role="user", name="Ann", content=text) for text in TALK]
        )
        summary = memory.summarize("chat")
        assert summary is not None
    shown = [n for prompt in model.prompts for n in re.findall(r"town number (\d+)", prompt)]
    assert shown == [str(n) for n in range(12)]
    assert len(model.prompts) > 1
    assert summary.content.splitlines()[0].startswith("Ann and aunt Clara visited castles in towns 0 to ")
    assert summary.content.splitlines()[-1].endswith("to 11.")


def _judging(verdicts: list[dict[str, object]]) -> Answer:
    """Rates everything 9, and gives these verdicts, between fences and small talk as models do."""

    def answer(prompt: str) -> str:
        if "out of date" in prompt:
            return f"Sure!\n```json\n{json.dumps(verdicts)}\n```"
        numbers = re.findall(r"^(\d+)\. ", prompt, re.MULTILINE)
        return json.dumps([{"number": int(n), "importance": 9} for n in numbers])

    return answer


REPLACES: dict[str, object] = {"number": 1, "letter": "a", "relation": "replaces", "reason": "sold"}


def _facts(memory: SyncMemoryManager) -> tuple[MemoryEntry, MemoryEntry]:
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    old = memory.add_memory("Ann drives the red car of her aunt Clara to work.", timestamp=moment, speaker="Ann")
    new = memory.add_memory(
        "Ann gave away the red car of her aunt Clara in May.", timestamp=moment + timedelta(days=9), speaker="Ann"
    )
    return old, new


def test_the_model_rates_and_finds_what_is_out_of_date(config: MemoryConfig) -> None:
    """Importance is the model's, the older fact is hidden, both are told, undone, and not asked about again."""
    with_model, model = _config(config, _judging([REPLACES]))
    with SyncMemoryManager(with_model) as memory:
        old, new = _facts(memory)
        report = memory.consolidate()
        assert {(a.kind, a.id) for a in report.actions} == {("score", old.id), ("score", new.id), ("supersede", old.id)}
        assert memory.get_memory(new.id).importance_score == 0.9
        assert memory.get_memory(old.id).superseded_by == new.id
        assert report.operation_id is not None
        memory.undo(report.operation_id)
        assert [entry.superseded_by for entry in memory.get_memories([old.id, new.id])] == [None, None]
        assert memory.get_memory(new.id).importance_score == new.importance_score
        asked = len(model.prompts)
        assert memory.consolidate().actions == ()
        assert len(model.prompts) == asked


def test_the_model_only_links_messages_and_what_is_pinned(config: MemoryConfig) -> None:
    """What was said stays in sight."""
    with_model, _ = _config(config, _judging([REPLACES]))
    with SyncMemoryManager(with_model) as memory:
        old, new = _facts(memory)
        memory.update_memory(old.id, pinned=True)
        kinds = {a.kind for a in memory.consolidate().actions}
        assert kinds == {"score", "link"}
        assert memory.get_memory(old.id).superseded_by is None
        assert memory.get_memory(old.id).details["updated_by"] == new.id


def test_what_is_believed_less_hides_nothing(config: MemoryConfig) -> None:
    """Whatever the model makes of a tool's words, they are only linked to what the user said."""
    with_model, _ = _config(config, _judging([REPLACES]))
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    with SyncMemoryManager(with_model) as memory:
        said = memory.add_memory("Ann drives the red car of her aunt Clara.", timestamp=moment)
        web = NewMemory(
            content="Ann sold the red car of her aunt Clara.", timestamp=moment + timedelta(days=1), origin="tool"
        )
        memory.add_memories([web])
        assert "supersede" not in {a.kind for a in memory.consolidate().actions}
        assert memory.get_memory(said.id).superseded_by is None


def test_a_given_importance_is_not_rated(config: MemoryConfig) -> None:
    """The caller's word stands, also against the model."""
    with_model, _ = _config(config, _judging([]))
    with SyncMemoryManager(with_model) as memory:
        given = memory.add_memory("Ann likes tea.", importance_score=0.2)
        memory.consolidate()
        assert memory.get_memory(given.id).importance_score == 0.2


@pytest.mark.parametrize(
    "verdict",
    [
        REPLACES | {"number": 7},
        REPLACES | {"letter": "z"},
        REPLACES | {"letter": "'; DROP"},
        REPLACES | {"relation": "deletes"},
        {"number": 1},
    ],
)
def test_verdicts_about_what_was_not_asked_change_nothing(config: MemoryConfig, verdict: dict[str, object]) -> None:
    """An answer that names anything else is refused whole, told, and asked for again next time."""
    with_model, model = _config(config, _judging([verdict]))
    with SyncMemoryManager(with_model) as memory:
        old, _ = _facts(memory)
        report = memory.consolidate()
        assert report.errors
        assert report.actions == ()
        assert memory.get_memory(old.id).superseded_by is None
        model.answer = _judging([REPLACES])
        assert "supersede" in {a.kind for a in memory.consolidate().actions}
