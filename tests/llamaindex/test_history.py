"""The memory as a whole: any history put in is kept, and what is given out fits and can be sent."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from llama_index.core.base.llms.types import ChatMessage

from llamaindex_memory_mgr import TieredMemory
from llamaindex_memory_mgr.messages import answered_call, calls_of
from memory_mgr import EpisodicConfig, MemoryConfig, SyncMemoryManager
from memory_mgr.testing import FakeEmbedder

from .helpers import ScriptedLLM, assistant, user
from .test_trimming import WORDS, messages, nameless

LIMIT = 80


@settings(max_examples=40, deadline=None)
@given(history=st.lists(messages(), min_size=1, max_size=20), asked=st.sampled_from([None, "alpha", "what of gamma"]))
def test_any_history_is_kept_and_what_is_given_fits(history: list[ChatMessage], asked: str | None) -> None:
    """Within the limit by exact count, unless system messages and the last user's alone are over it; in pairs."""
    with SyncMemoryManager(MemoryConfig(path=":memory:", embedder=FakeEmbedder())) as store:
        memory = TieredMemory.from_defaults(
            memory=store, conversation_id="c", token_limit=LIMIT, tokenizer_fn=str.split, insert_method="system"
        )
        for message in history:
            memory.put(message)
        given_out = memory.get(asked)
        assert memory.get_all() == history
    pinned = [m for m in given_out if m.role == "system"] + [m for m in given_out if m.role == "user"][-1:]
    total = sum(map(WORDS.message, given_out))
    assert total <= LIMIT or len(given_out) == len(pinned)
    assert_sendable(given_out, history)


def assert_sendable(sent: Sequence[ChatMessage], history: Sequence[ChatMessage]) -> None:
    """A user first, if one has spoken; every result behind its call; every call with its result."""
    turns = [message for message in sent if message.role != "system"]
    if any(message.role == "user" for message in history):
        assert not turns or turns[0].role == "user"
    asked: set[str] = set()
    for message in turns:
        if message.role == "tool":
            answered = answered_call(message)
            assert answered is None or answered in asked
            asked.discard(str(answered))
        else:
            assert not asked or nameless(history)
            asked = {call.id for call in calls_of(message)}


def test_a_reload_gives_the_same_and_asks_no_model(tmp_path: Path) -> None:
    """Summary and watermark are stored: opened again, the prompt is the same and nothing is summarised again."""
    asked: list[Any] = []

    def rule(prompt: Any) -> str:
        asked.append(prompt)
        return "Ada moved to Porto and asked about many ferries."

    config = MemoryConfig(
        path=tmp_path, embedder=FakeEmbedder(), llm=ScriptedLLM(rule), episodic=EpisodicConfig(summary_tokens=60)
    )
    with SyncMemoryManager(config) as store:
        memory = TieredMemory.from_defaults(memory=store, conversation_id="c", token_limit=200)
        for n in range(30):
            memory.put_messages([user(f"ferry question number {n}"), assistant(f"ferry answer number {n}")])
        before = memory.get("Which ferries did Ada ask about?")
        summaries = [entry.id for entry in store.conversation("c").summaries()]
    assert summaries
    questions = len(asked)
    assert questions
    with SyncMemoryManager(config) as store:
        memory = TieredMemory.from_defaults(memory=store, conversation_id="c", token_limit=200)
        assert memory.get("Which ferries did Ada ask about?") == before
        assert [entry.id for entry in store.conversation("c").summaries()] == summaries
    assert len(asked) == questions
