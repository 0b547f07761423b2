"""LoCoMo's questions asked of memories: how turns get in, what stands in the contexts, means."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import summaries
from recall_data import Conversation, Question

from memory_mgr import MemoryConfig, Message, NewMemory, SyncMemoryManager
from memory_mgr.defaults.adapters import as_embedder

BUDGETS = (1000, 500)
Numbers = dict[str, float]
Rows = list[tuple[str, Numbers]]
"""Of each question: its conversation, and what was found."""

EMBEDDER = as_embedder(None, cache=100_000)


def config(folder: str | Path, **settings: Any) -> MemoryConfig:
    """The default configuration, embeddings shared between the runs."""
    return MemoryConfig(path=Path(folder), embedder=EMBEDDER, **settings)


def stored(memory: SyncMemoryManager, conversation: Conversation) -> None:
    """One long_term entry a turn."""
    memory.add_memories(
        [
            NewMemory(content=turn.text, source=turn.session, timestamp=turn.timestamp, metadata={"turn": place})
            for place, turn in enumerate(conversation.turns)
        ]
    )


def said(memory: SyncMemoryManager, conversation: Conversation, variant: str) -> None:
    """The turns as messages, one by one."""
    names = list(dict.fromkeys(turn.text.split(": ", 1)[0] for turn in conversation.turns))
    for place, turn in enumerate(conversation.turns):
        name, text = turn.text.split(": ", 1)
        chat = memory.conversation(conversation.name if variant == "one" else turn.session)
        role = "assistant" if variant == "roles" and name == names[1] else "user"
        chat.add_message(
            Message(role=role, name=name, content=text, timestamp=turn.timestamp, metadata={"turn": place})
        )


def answers(memory: SyncMemoryManager, conversation: Conversation) -> Rows:
    """Every question asked of an open memory."""
    return [(conversation.name, _answered(memory, conversation, question)) for question in conversation.questions]


def _answered(memory: SyncMemoryManager, conversation: Conversation, question: Question) -> Numbers:
    numbers: Numbers = {}
    for budget in BUDGETS:
        context = memory.build_context(question.text, budget)
        if summaries.COUNTER.count(context.text) > budget:
            raise AssertionError(f"{context.tokens} tokens for a budget of {budget}: {question.text!r}")
        shown = {entry.metadata.get("turn") for entry in context.entries}
        found = [
            any(i in shown and _text(conversation, i) in _flat(context.text) for i in group)
            for group in question.evidence
        ]
        numbers |= {f"any@{budget}": any(found), f"all@{budget}": all(found), f"tokens@{budget}": context.tokens}
    return numbers


def _text(conversation: Conversation, place: int) -> str:
    return _flat(conversation.turns[place].text.split(": ", 1)[1])


def _flat(text: str) -> str:
    """`text` with its white space made even: packing indents the lines of one entry."""
    return " ".join(text.split())


def asked(
    conversations: Sequence[Conversation],
    fill: Callable[[SyncMemoryManager, Conversation], None],
    then: Callable[[SyncMemoryManager, Conversation], None] | None = None,
) -> Rows:
    """All questions, each conversation in a store of its own that is reopened before them, read-only."""
    rows: Rows = []
    for conversation in conversations:
        with tempfile.TemporaryDirectory() as folder:
            with SyncMemoryManager(config(folder)) as memory:
                fill(memory, conversation)
                if then is not None:
                    then(memory, conversation)
            with SyncMemoryManager(config(folder, read_only=True)) as memory:
                rows += answers(memory, conversation)
        print(f"  {conversation.name}: {shown_row(means(rows[-len(conversation.questions) :]))}", flush=True)
    return rows


def means(rows: Rows) -> Numbers:
    return {name: round(float(np.mean([row[name] for _, row in rows])), 4) for name in rows[0][1]}


def by_conversation(rows: Rows) -> dict[str, Numbers]:
    names = [*dict.fromkeys(name for name, _ in rows)]
    return {"all": means(rows)} | {name: means([row for row in rows if row[0] == name]) for name in names}


def shown_row(numbers: Numbers) -> str:
    return "  ".join(f"{name} {value:.3f}" for name, value in numbers.items())
