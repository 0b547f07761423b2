"""A conversation: its window, what leaves it, and what stays."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from memory_mgr import InvalidInputError, MemoryConfig, Message, ShortTermConfig, SyncMemoryManager, ToolCall
from memory_mgr.testing import FakeEmbedder


def _turn(number: int) -> list[Message]:
    return [
        Message(role="user", content=f"question {number} about topic {number}"),
        Message(role="assistant", content=f"answer {number} to that"),
    ]


def _small_window(config: MemoryConfig, **limits: object) -> MemoryConfig:
    return config.replaced(short_term=ShortTermConfig(**limits))


def test_nothing_is_lost_and_the_window_holds(config: MemoryConfig) -> None:
    """After many messages the window is within its limit and the log is complete and in order."""
    with SyncMemoryManager(_small_window(config, max_messages=6)) as memory:
        chat = memory.conversation("chat")
        said = [message for number in range(10) for message in _turn(number)]
        for message in said:
            chat.add_message(message)
            assert len(chat.window()) <= 6
        assert [m.content for m in chat.messages()] == [m.content for m in said]
        assert chat.window()[0].role == "user"
        archived = len(said) - len(chat.window())
        assert memory.stats().counts["long_term"] == archived
        assert chat.summaries()


def test_a_restart_finds_the_same_window(config: MemoryConfig) -> None:
    """Window, log and summaries are read back as they were."""
    small = _small_window(config, max_messages=6)
    with SyncMemoryManager(small) as memory:
        chat = memory.conversation("chat")
        chat.add_messages([message for number in range(7) for message in _turn(number)])
        before = (chat.window(), chat.messages(), chat.summaries())
    with SyncMemoryManager(small) as memory:
        chat = memory.conversation("chat")
        assert (chat.window(), chat.messages(), chat.summaries()) == before


def test_a_message_comes_back_as_it_was(memory: SyncMemoryManager) -> None:
    """Every field of every role round-trips."""
    moment = datetime(2026, 3, 4, 5, 6, 7, 890123, tzinfo=UTC)
    call = ToolCall(id="call-1", name="weather", arguments={"city": "Lisbon", "days": [1, 2]})
    said = [
        Message(role="system", content="You are kind.", id="s", timestamp=moment),
        Message(
            role="user",
            content="  Rain?  ",
            name="Ana",
            id="u",
            timestamp=moment,
            metadata={"n": {"a": [None]}},
        ),
        Message(role="assistant", tool_calls=(call,), id="a", timestamp=moment, original={"type": "ai", "x": 1}),
        Message(role="tool", content="", tool_call_id="call-1", id="t", timestamp=moment),
    ]
    chat = memory.conversation("chat")
    assert chat.add_messages(said) == said
    assert chat.messages() == said


def test_adding_a_message_again_changes_nothing(config: MemoryConfig) -> None:
    """The same id with the same content is the same message, in the window or archived."""
    with SyncMemoryManager(_small_window(config, max_messages=4)) as memory:
        chat = memory.conversation("chat")
        said = [Message(role="user", content=f"words {n}", id=f"m{n}") for n in range(12)]
        chat.add_messages(said)
        log = chat.messages()
        chat.add_messages(said)
        chat.add_message(said[0])
        assert chat.messages() == log
        with pytest.raises(InvalidInputError, match="other content"):
            chat.add_message(Message(role="user", content="something else", id="m3"))


def test_conversations_with_the_same_message_ids_are_apart(memory: SyncMemoryManager) -> None:
    """A message id belongs to its conversation."""
    one, two = memory.conversation("one"), memory.conversation("two")
    one.add_message(Message(role="user", content="in one", id="1"))
    two.add_message(Message(role="user", content="in two", id="1"))
    assert [m.content for m in one.messages()] == ["in one"]
    assert two.delete() == 1
    assert [m.content for m in one.messages()] == ["in one"]


def test_reset_keeps_what_was_archived_and_delete_does_not(config: MemoryConfig) -> None:
    """reset empties window and slots, delete the whole conversation and nothing else."""
    with SyncMemoryManager(_small_window(config, max_messages=4)) as memory:
        fact = memory.add_memory("Ana is allergic to nuts")
        chat = memory.conversation("chat")
        chat.add_messages([message for number in range(5) for message in _turn(number)])
        chat.working.set("goal", "dinner")
        kept = len(chat.messages()) - len(chat.window())
        chat.reset()
        assert (chat.window(), chat.working.slots(), len(chat.messages())) == ([], {}, kept)
        chat.delete()
        assert (chat.messages(), chat.summaries()) == ([], [])
        assert memory.list_memories() == [fact]


def test_a_failing_summarizer_loses_nothing(config: MemoryConfig) -> None:
    """Messages are stored before anything is condensed, and the next eviction summarises what is missing."""

    class Moody:
        broken = True

        def summarize(self, messages: Sequence[Message], *, max_tokens: int, previous: str = "") -> str:
            if self.broken:
                raise RuntimeError("model is down")
            return " / ".join(m.content for m in messages)

    moody = Moody()
    small = _small_window(config, max_messages=4).replaced(summarizer=moody)
    with SyncMemoryManager(small) as memory:
        chat = memory.conversation("chat")
        for number in range(6):
            chat.add_messages(_turn(number))
        assert len(chat.messages()) == 12
        moody.broken = False
        chat.add_messages([m for n in range(6, 9) for m in _turn(n)])
        covered = {i for s in chat.summaries() for i in s.derived_from}
        window = {m.id for m in chat.window()}
        assert covered == {e.id for e in chat.entries() if e.details["message_id"] not in window}


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    roles=st.lists(st.sampled_from(["user", "assistant", "call"]), min_size=1, max_size=25),
    limit=st.integers(2, 8),
)
def test_calls_and_their_results_never_part(roles: list[str], limit: int) -> None:
    """Whatever is said, window and archive each hold both or neither side of a tool call."""
    config = MemoryConfig(path=":memory:", embedder=FakeEmbedder(), short_term=ShortTermConfig(max_messages=limit))
    with SyncMemoryManager(config) as memory:
        chat = memory.conversation("chat")
        for number, role in enumerate(roles):
            if role == "call":
                call = ToolCall(id=f"c{number}", name="look")
                chat.add_message(Message(role="assistant", tool_calls=(call,)))
                chat.add_message(Message(role="tool", content=f"result {number}", tool_call_id=call.id))
            else:
                chat.add_message(Message(role=role, content=f"words {number}"))  # type: ignore[arg-type]
            window = chat.window()
            calls = {c.id for m in window for c in m.tool_calls}
            assert calls == {m.tool_call_id for m in window if m.tool_call_id}


def test_messages_keep_their_order_when_clocks_do_not(memory: SyncMemoryManager) -> None:
    """The log is in the order of adding, even if a timestamp goes back."""
    now = datetime(2026, 1, 1, tzinfo=UTC)
    chat = memory.conversation("chat")
    for number, shift in enumerate((0, 5, -5, 1)):
        chat.add_message(Message(role="user", content=f"{number}", timestamp=now + timedelta(seconds=shift)))
    assert [m.content for m in chat.messages()] == ["0", "1", "2", "3"]
