"""The async face: the same names and arguments, many at once, on any event loop."""

from __future__ import annotations

import asyncio
import inspect

import pytest

from memory_mgr import ConversationContext, ManagerClosedError, MemoryConfig, MemoryManager, Message, SyncMemoryManager
from memory_mgr.engine.conversation import SyncConversationContext


def _public(cls: type) -> dict[str, inspect.Signature]:
    functions = {n: f for n, f in vars(cls).items() if inspect.isfunction(f) and not n.startswith("_")}
    return {name: inspect.signature(function) for name, function in functions.items()}


def test_every_blocking_method_has_its_async_twin() -> None:
    """Same names, same parameters with the same defaults; all awaitable but the two that only make objects."""
    for blocking, awaited in ((SyncMemoryManager, MemoryManager), (SyncConversationContext, ConversationContext)):
        twins = _public(awaited)
        for name, signature in _public(blocking).items():
            assert name in twins, name
            if name in {"scoped", "conversation"}:
                continue
            assert inspect.iscoroutinefunction(getattr(awaited, name)), name
            assert list(signature.parameters.values())[1:] == list(twins[name].parameters.values())[1:], name


def test_concurrent_adds_are_all_stored_in_few_writes(config: MemoryConfig) -> None:
    """Each add returns its own entry; the store is written far fewer times than there are adds."""

    async def add_many() -> None:
        async with MemoryManager(config) as memory:
            store = memory.sync._runtime.store
            writes: list[int] = []
            upsert = store.upsert

            def counted(*args: object) -> None:
                writes.append(1)
                upsert(*args)  # type: ignore[arg-type]

            store.upsert = counted  # type: ignore[method-assign]
            entries = await asyncio.gather(*(memory.add_memory(f"fact number {n}") for n in range(100)))
            assert [e.content for e in entries] == [f"fact number {n}" for n in range(100)]
            assert (await memory.stats()).total == 100
            assert len(writes) <= 50

    asyncio.run(add_many())


def test_a_memory_outlives_event_loops(config: MemoryConfig) -> None:
    """The same object works on one loop after another."""
    memory = MemoryManager(config)
    asyncio.run(_added(memory, "first"))
    asyncio.run(_added(memory, "second"))
    assert {h.content for h in asyncio.run(_found(memory))} == {"first fact", "second fact"}
    asyncio.run(memory.close())
    with pytest.raises(ManagerClosedError):
        asyncio.run(_added(memory, "third"))


async def _added(memory: MemoryManager, word: str) -> None:
    await memory.add_memory(f"{word} fact")


async def _found(memory: MemoryManager) -> list[object]:
    return list(await memory.search_memory("fact"))


def test_a_conversation_from_a_config_opens_and_closes_its_own_memory(config: MemoryConfig) -> None:
    """Three lines are enough, and the folder is free afterwards."""

    async def chat() -> list[str]:
        async with ConversationContext("chat", config) as context:
            await context.add_message(Message(role="user", content="hello there"))
            await context.set_slot("goal", "greet")
            packed = await context.build_context("hello", 200)
            assert packed.messages[0].content == "hello there"
            assert "goal: greet" in packed.text
            return [m.content for m in await context.window()]

    assert asyncio.run(chat()) == asyncio.run(chat())[:1] == ["hello there"]


def test_a_conversation_on_a_blocking_memory(memory: SyncMemoryManager) -> None:
    """An open SyncMemoryManager is taken as it is and stays open."""

    async def chat() -> None:
        async with ConversationContext("chat", memory=memory) as context:
            await context.add_message(Message(role="user", content="hello there"))

    asyncio.run(chat())
    assert memory.conversation("chat").window()[0].content == "hello there"
