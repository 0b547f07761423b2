"""A window through which a long chat passes does not keep what passed, and nothing is lost while it is made anew."""

from __future__ import annotations

from itertools import count
from pathlib import Path
from typing import Any

import pytest
from chromadb.api.client import Client
from chromadb.api.models.Collection import Collection

from memory_mgr import MemoryConfig, Message, SyncConversationContext, SyncMemoryManager
from memory_mgr.policy.eviction import EvictionConfig
from memory_mgr.stores import leftovers
from memory_mgr.testing import FakeEmbedder
from tests.crash.faulty import Killed

STEPS = ("create_collection", "upsert", "delete_collection", "modify")


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Compaction is worth it from twelve deleted entries on."""
    monkeypatch.setattr(leftovers, "LEAST", 12)


def config(folder: Path) -> MemoryConfig:
    """A small window."""
    return MemoryConfig(path=folder, embedder=FakeEmbedder(), short_term=EvictionConfig(max_messages=4))


def said(number: int) -> list[Message]:
    """A turn."""
    return [
        Message(role="user", content=f"question number {number}", id=f"q{number}"),
        Message(role="assistant", content=f"answer number {number}", id=f"a{number}"),
    ]


def everything(folder: Path) -> list[str]:
    """All messages that are stored, in order; each is searched for, too."""
    with SyncMemoryManager(config(folder)) as memory:
        found = [e.content for e in memory.list_memories(["short_term", "long_term"], limit=None)]
        for content in found:
            hits = memory.search_memory(content, ["short_term", "long_term"], 1)
            assert [hit.content for hit in hits] == [content]
        assert memory.rebuild_catalog() >= len(found)
        assert [e.content for e in memory.list_memories(["short_term", "long_term"], limit=None)] == found
    return found


def test_the_window_stays_small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After many turns the collection of the window holds little more than the window."""
    compacted: list[str] = []
    modify = Collection.modify
    monkeypatch.setattr(Collection, "modify", lambda self, **new: compacted.append(new["name"]) or modify(self, **new))
    with SyncConversationContext("chat", config(tmp_path)) as chat:
        for number in range(40):
            chat.add_messages(said(number))
    assert len(compacted) >= 3
    assert {name.partition("-")[0] for name in compacted} == {"short_term"}
    assert everything(tmp_path) == [m.content for n in range(40) for m in said(n)]


def _kill_at(monkeypatch: pytest.MonkeyPatch, step: str, when: str, at: int) -> None:
    """Let the process die at the `at`-th call of a step."""
    owner: Any = Collection if step in ("upsert", "modify") else Client
    original, calls = getattr(owner, step), count(1)

    def call(self: Any, *args: Any, **options: Any) -> Any:
        compacting = "compacted" in str(getattr(self, "name", "")) + str(args) + str(options) or step == "modify"
        due = (compacting or step == "delete_collection") and next(calls) == at
        if due and when == "before":
            raise Killed
        try:
            return original(self, *args, **options)
        finally:
            if due:
                raise Killed

    monkeypatch.setattr(owner, step, call)


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("at", [1, 2])
def test_killed_while_it_is_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, when: str, at: int
) -> None:
    """Killed before or after any step of it: every message is there once, and the chat goes on."""
    stored: list[str] = []
    killed = False
    with monkeypatch.context() as patched:
        _kill_at(patched, step, when, at)
        chat = SyncConversationContext("chat", config(tmp_path))
        try:
            for number in range(20):
                stored += [m.content for m in said(number)]
                chat.add_messages(said(number))
        except Killed:
            killed = True
        finally:
            chat.close()
    assert killed
    assert everything(tmp_path) == stored
    with SyncConversationContext("chat", config(tmp_path)) as chat:
        for number in range(len(stored) // 2, 30):
            chat.add_messages(said(number))
    assert everything(tmp_path) == [m.content for n in range(30) for m in said(n)]
