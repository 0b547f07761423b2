"""Threads, tasks and event loops on one memory: the same ids raced, closing in the middle, loops coming and going."""

from __future__ import annotations

import asyncio
import random
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from memory_mgr import (
    ConfigurationError,
    InvalidInputError,
    ManagerClosedError,
    MemoryConfig,
    MemoryManager,
    MemoryMgrError,
    Message,
    NewMemory,
    ShortTermConfig,
    SyncMemoryManager,
)
from memory_mgr.policy.recall_config import RecallConfig
from memory_mgr.testing import FakeEmbedder
from tests.crash.checks import check_consistent

THREADS = 8


def raced(call: Callable[[int], Any], times: int = THREADS) -> list[Any]:
    """The results or errors of `call(0)`, `call(1)`, ... begun at the same moment."""
    gate = threading.Barrier(times)

    def begin(number: int) -> Any:
        gate.wait()
        try:
            return call(number)
        except MemoryMgrError as error:
            return error

    with ThreadPoolExecutor(times) as pool:
        return list(pool.map(begin, range(times)))


def _refused(results: list[Any]) -> int:
    return sum(isinstance(result, InvalidInputError) for result in results)


def test_one_id_with_one_content(memory: SyncMemoryManager) -> None:
    """Everybody gets the same entry, and it is there once."""
    results = raced(lambda n: memory.add_memory("the cat sleeps", id="cat"))
    assert {entry.id for entry in results} == {"cat"}
    assert memory.stats().total == 1
    check_consistent(memory)


def test_one_id_with_many_contents(memory: SyncMemoryManager) -> None:
    """One wins, everybody else is told."""
    results = raced(lambda n: memory.add_memory(f"cat number {n}", id="cat"))
    assert _refused(results) == THREADS - 1
    assert memory.stats().total == 1
    check_consistent(memory)


def test_a_fact_is_superseded_once(memory: SyncMemoryManager) -> None:
    """One wins, nobody forks the history."""
    memory.add_memory("Ana lives in Rome", id="home")
    results = raced(lambda n: memory.supersede_memory("home", f"Ana lives in city {n}"))
    assert _refused(results) == THREADS - 1
    assert len(memory.list_memories()) == 1
    assert len(memory.history("home")) == 2
    check_consistent(memory)


def test_every_change_counts(memory: SyncMemoryManager) -> None:
    """Changes of different fields and texts of one entry follow each other; none is lost."""
    memory.add_memory("text", id="one")

    def change(n: int) -> Any:
        if n % 2:
            return memory.update_memory("one", content=f"text number {n} " * 100)
        return memory.update_memory("one", importance_score=n / 10)

    results = raced(change)
    assert _refused(results) == 0
    assert memory.get_memory("one").revision == THREADS
    check_consistent(memory)


_ACTS: list[Callable[[SyncMemoryManager, str, str], Any]] = [
    lambda memory, known, new: memory.put_memories([NewMemory(content=f"fact {known} {new}", id=known)]),
    lambda memory, known, new: memory.update_memory(known, content=f"long fact {known} {new} " * 60),
    lambda memory, known, new: memory.delete_memory(known),
    lambda memory, known, new: memory.supersede_memory(known, f"newer {known} {new}"),
    lambda memory, known, new: memory.conversation("c").add_message(Message(role="user", content=new, id=new)),
    lambda memory, known, new: memory.search_memory(f"fact {known}", limit=3),
    lambda memory, known, new: memory.consolidate(),
    lambda memory, known, new: memory.prune(quota=20),
    lambda memory, known, new: memory.rebuild_catalog(),
]


def test_everything_at_once(config: MemoryConfig) -> None:
    """Adding, changing, deleting, moving, tidying up and rebuilding: whatever is left is consistent."""
    config = config.replaced(short_term=ShortTermConfig(max_messages=4), episodic={"summary_tokens": 60})
    with SyncMemoryManager(config) as memory:

        def work(n: int) -> None:
            chance = random.Random(n)
            for step in range(12):
                act = chance.choices(_ACTS, [6, 4, 3, 3, 8, 4, 1, 1, 1])[0]
                with suppress(MemoryMgrError):
                    act(memory, f"f{chance.randrange(6)}", f"{n}-{step}")

        raced(work, 6)
        check_consistent(memory)


def test_messages_of_many_tasks(config: MemoryConfig) -> None:
    """Tasks times threads with loops of their own: every message is there once."""
    with SyncMemoryManager(config) as memory:

        async def speak(thread: int, task: int) -> None:
            chat = MemoryManager.wrapping(memory).conversation("chat")
            for n in range(3):
                await chat.add_message(Message(role="user", content=f"{thread} {task} {n}", id=f"{thread}-{task}-{n}"))

        async def all_tasks(thread: int) -> None:
            await asyncio.gather(*(speak(thread, task) for task in range(3)))

        raced(lambda thread: asyncio.run(all_tasks(thread)), 4)
        ids = [message.id for message in memory.conversation("chat").messages()]
        assert len(ids) == len(set(ids)) == 4 * 3 * 3
        check_consistent(memory)


@pytest.mark.parametrize("pause", [0.0, 0.05, 0.3])
def test_closing_in_the_middle(config: MemoryConfig, pause: float) -> None:
    """What was acknowledged before the end is there afterwards; the rest is told that the memory was closed."""
    memory = SyncMemoryManager(config)
    stored: list[str] = []

    def write(n: int) -> None:
        for step in range(200):
            try:
                stored.append(memory.add_memory(f"fact {n} {step}", id=f"{n}-{step}").id)
            except ManagerClosedError:
                return

    threads = [threading.Thread(target=write, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    threading.Event().wait(pause)
    memory.close()
    for thread in threads:
        thread.join()
    with SyncMemoryManager(config) as memory:
        assert set(stored) == {entry.id for entry in memory.list_memories(limit=None)}
        check_consistent(memory)


def test_event_loops_come_and_go(config: MemoryConfig) -> None:
    """One async memory serves loop after loop, also from different threads."""
    memory = MemoryManager(config)

    async def add(n: int) -> None:
        await memory.add_memory(f"fact {n}", id=str(n))

    for n in range(5):
        asyncio.run(add(n))
    raced(lambda n: asyncio.run(add(5 + n)), 4)
    assert asyncio.run(memory.stats()).total == 9
    asyncio.run(memory.close())


def test_a_cancelled_await_does_no_harm(config: MemoryConfig) -> None:
    """The write that had begun is whole or did not happen, and the memory goes on."""

    async def cancel() -> None:
        async with MemoryManager(config) as memory:
            await memory.add_memory("first")
            tasks = [asyncio.create_task(memory.add_memory("cancelled " * 200, id=f"c{n}")) for n in range(5)]
            await asyncio.sleep(0.01)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await memory.add_memory("last")
            check_consistent(memory.sync)

    asyncio.run(cancel())


def test_memories_of_one_folder_with_other_weights_are_one(tmp_path: Path) -> None:
    """Settings that only matter to a search may differ: what one changes, also at once, the other sees."""
    config = MemoryConfig(path=tmp_path, embedder=FakeEmbedder())
    with (
        SyncMemoryManager(config) as one,
        SyncMemoryManager(config.replaced(recall=RecallConfig(lexical_weight=0.1))) as other,
    ):
        memories = (one, other)
        for n in range(10):
            memories[n % 2].add_memory(f"stone number {n}", id=f"turn-{n}")
            assert memories[(n + 1) % 2].search_memory(f"stone number {n}", limit=1)[0].id == f"turn-{n}"
        results = raced(lambda n: [memories[n % 2].add_memory(f"river {n} {m}", id=f"{n}-{m}") for m in range(5)])
        assert not [result for result in results if isinstance(result, MemoryMgrError)]
        sequences = [entry.sequence for entry in one.list_memories(limit=None)]
        assert len(set(sequences)) == len(sequences) == 10 + 5 * THREADS
        refused = raced(lambda n: memories[n % 2].supersede_memory("turn-0", f"stone number {n}, painted"))
        assert _refused(refused) == THREADS - 1
        assert sum(raced(lambda n: memories[n % 2].delete_memories(["turn-1"]))) == 1
        other.rebuild_catalog()
        assert sum(one.forget().values()) == 10 + 5 * THREADS
        assert other.list_memories() == []
        check_consistent(one)


def test_memories_of_one_folder_with_another_index_are_refused(tmp_path: Path) -> None:
    """It would be made anew by each in turn: the second is told, and may come when the first is closed."""
    config = MemoryConfig(path=tmp_path, embedder=FakeEmbedder())
    near = config.replaced(recall=RecallConfig(context_entries=1))
    with SyncMemoryManager(near) as memory:
        memory.add_memory("the cat sleeps", id="cat")
        with pytest.raises(ConfigurationError, match=r"recall\.context_entries is 1 there"):
            SyncMemoryManager(config)
    with SyncMemoryManager(config) as memory:
        assert memory.search_memory("cat", limit=1)[0].id == "cat"
        check_consistent(memory)
