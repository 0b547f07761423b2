"""Summaries as the engine stores them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from memory_mgr import MemoryConfig, Message, ShortTermConfig, SyncMemoryManager


def _said(number: int, text: str, name: str = "Ann") -> Message:
    moment = datetime(2026, 3, 1, 9, tzinfo=UTC) + timedelta(days=number)
    return Message(role="user", name=name, content=text, id=f"m{number}", timestamp=moment)


def test_a_summary_tells_who_said_what_and_when(config: MemoryConfig) -> None:
    """Small talk stays out; what was told is attributed and stands under its date."""
    with SyncMemoryManager(config) as memory:
        memory.conversation("chat").add_messages(
            [
                _said(0, "Hi there!"),
                _said(1, "We adopted a beagle called Biscuit from the shelter in Leeds."),
                _said(2, "Ok"),
            ]
        )
        summary = memory.summarize("chat")
        assert summary is not None
        assert summary.content == ("[2 March 2026]\nAnn: We adopted a beagle called Biscuit from the shelter in Leeds.")
        assert summary.derived_from == tuple(entry.id for entry in memory.conversation("chat").entries())


def test_a_summary_of_nothing_is_still_one(config: MemoryConfig) -> None:
    """A span of small talk is summarised by how it begins, so that it is not tried again for ever."""
    with SyncMemoryManager(config) as memory:
        memory.conversation("chat").add_messages([_said(0, "Hm."), _said(1, "Ok!")])
        assert (summary := memory.summarize("chat")) is not None
        assert "Ann: Hm." in summary.content
        assert memory.summarize("chat") is None


def test_summaries_hold_their_budget(config: MemoryConfig) -> None:
    """Also when a single message is longer than a summary may be."""
    episodic = {"summary_tokens": 16}
    with SyncMemoryManager(config.replaced(episodic=episodic, short_term=ShortTermConfig(max_tokens=None))) as memory:
        memory.conversation("chat").add_message(_said(0, "the quick brown fox jumps over Berlin " * 200))
        assert (summary := memory.summarize("chat")) is not None
        assert 0 < memory._runtime.counter.count(summary.content) <= 16
