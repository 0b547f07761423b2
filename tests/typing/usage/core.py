"""How the core is used, for type checkers only: nothing here is run."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import assert_type

from matplotlib.axes import Axes

from memory_mgr import (
    AutoConsolidateConfig,
    Context,
    ConversationContext,
    Embedder,
    Event,
    LongTermConfig,
    MemoryConfig,
    MemoryEntry,
    MemoryManager,
    MemoryMgrError,
    MemoryType,
    Message,
    NewMemory,
    ShortTermConfig,
    Stats,
    SyncConversationContext,
    SyncMemoryManager,
    TokenCounter,
    UpkeepReport,
    acting_as,
    viz,
)
from memory_mgr.testing import FakeClock, FakeEmbedder


def embed(texts: Sequence[str], *, kind: str) -> list[list[float]]:
    return [[float(len(text)), 1.0] for text in texts]


def complete(prompt: str, *, max_tokens: int) -> str:
    return prompt[:max_tokens]


class Words:
    def count(self, text: str) -> int:
        return len(text.split())


def settings() -> MemoryConfig:
    """A text is as good as a path, a label as a namespace; a function as good as an object."""
    embedder: Embedder = FakeEmbedder()
    counter: TokenCounter = Words()
    MemoryConfig(path="./memory", namespace="ann", queue_path="queue.sqlite3", embedder=embedder)
    MemoryConfig(path=Path("memory"), namespace=("acme", "ann"), token_counter=counter, clock=FakeClock())
    MemoryConfig(url="http://127.0.0.1:8000", headers={"Authorization": "token"}, catalog_path="catalog")
    config = MemoryConfig(
        namespace=["acme", "ann"],
        short_term=ShortTermConfig(max_messages=20),
        long_term=LongTermConfig(quota=10_000),
        auto_consolidate=AutoConsolidateConfig(after_adds=500),
        embedder=embed,
        llm=complete,
        token_counter=len,
        importance=lambda text, role=None, previous=None: 0.5,
        redactor=str.strip,
        on_event=told,
    )
    return config.replaced(path="elsewhere")


def told(event: Event) -> None:
    print(event)


def blocking(config: MemoryConfig) -> None:
    with SyncMemoryManager(config) as memory, acting_as("ann"):
        assert_type(memory, SyncMemoryManager)
        entry = memory.add_memory("I live in Lisbon", "long_term", metadata={"topic": "home", "tags": ["city"]})
        assert_type(entry, MemoryEntry)
        assert_type(memory.add_memories([NewMemory(content="Nuts")], MemoryType.LONG_TERM), list[MemoryEntry])
        hits = memory.search_memory("where?", ["long_term", MemoryType.EPISODIC], 3, {"topic": "home"}, explain=True)
        assert_type(hits, list[MemoryEntry])
        assert_type(hits[0].score, float | None)
        assert_type(memory.build_context("where?", 500), Context)
        assert_type(memory.consolidate(dry_run=True), UpkeepReport)
        assert_type(memory.stats(), Stats)
        assert_type(memory.scoped("ben"), SyncMemoryManager)
        chat = memory.conversation("chat-1")
        assert_type(chat, SyncConversationContext)
        assert_type(chat.add_message(Message(role="user", content="Hello")), Message)
        assert_type(chat.window(), list[Message])
        chat.working.set("goal", {"city": "Porto", "nights": 2})
    with SyncConversationContext("chat-1", path="./memory") as alone:
        assert_type(alone, SyncConversationContext)


async def awaited(config: MemoryConfig) -> None:
    async with MemoryManager(config) as memory:
        assert_type(memory, MemoryManager)
        entry = await memory.add_memory("I live in Lisbon", memory_type="long_term", importance_score=0.9)
        assert_type(entry, MemoryEntry)
        assert_type(await memory.search_memory("where?", limit=3), list[MemoryEntry])
        assert_type(await memory.build_context("where?", budget_tokens=500), Context)
        assert_type(await memory.supersede_memory(entry.id, "I live in Porto"), MemoryEntry)
        assert_type(await memory.prune(quota=10), UpkeepReport)
        assert_type(memory.scoped("ben", 7), MemoryManager)
        try:
            await memory.get_memory("none")
        except MemoryMgrError as error:
            print(error)
        chat = memory.conversation("chat-1")
        assert_type(chat, ConversationContext)
        assert_type(await chat.add_messages([Message(role="user", content="Hello")]), list[Message])
        assert_type(await chat.build_context("where?", 300, explain=True), Context)
        await chat.set_slot("goal", "Porto")
    async with ConversationContext("chat-1", MemoryConfig(path="./memory")) as alone:
        assert_type(alone, ConversationContext)


def pictures(memory: SyncMemoryManager, now: datetime) -> None:
    entries = memory.list_memories(limit=None, include_superseded=True)
    assert_type(viz.timeline(entries), Axes)
    assert_type(viz.token_budget(memory.build_context("where?")), Axes)
    assert_type(viz.tier_sizes([(now, memory.stats())]), Axes)
