"""What the adapters cost on top of the core calls they make: target at most 1.1x.

    python benchmarks/adapters.py [--turns 200] [--rounds 80] [--output benchmarks/results/adapters.json]

A conversation of `turns` turns is stored, the window filled; then the adapter's read and the core calls in it
(the window, and the context of the same question in the same budget) are measured in turn. `ratio` is of the
processor time of the thread that does the work, which other work on the machine does not count in; the wall time
beside it does wait for that. Compared are medians. The embedder is the default (local MiniLM); the questions differ
in every round, so that nothing is answered from a cache.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

from memory_mgr import MemoryConfig, Message, SyncMemoryManager
from memory_mgr.policy.eviction import fitting

LIMIT = 2000
TARGET = 1.1
TOPICS = ("boat", "garden", "harbour", "allergy", "holiday", "piano", "budget", "recipe", "meeting", "weather")


def sentence(number: int) -> str:
    topic = TOPICS[number % len(TOPICS)]
    return f"About the {topic}: in week {number} we said that number {number * 7 % 101} of the {topic} plan is done."


def filled(folder: Path, turns: int, share: float) -> SyncMemoryManager:
    """A memory with a conversation, its window limited as the adapters limit it."""
    memory = SyncMemoryManager(MemoryConfig(path=folder))
    limits = fitting(memory.config.short_term, int(LIMIT * (1 - share)))
    conversation = memory.conversation("chat", short_term=limits)
    for number in range(turns):
        conversation.add_messages(
            [Message(role="user", content=sentence(number)), Message(role="assistant", content=f"Noted, {number}.")]
        )
    return memory


def core_call(memory: SyncMemoryManager, question: str, budget: int) -> None:
    """What an adapter asks of the core for one prompt."""
    conversation = memory.conversation("chat")
    sent = {message.id or "" for message in conversation.window()}
    conversation.build_context(question, budget, include_recent=False, sent=sent)


def measured(call: Callable[[], Any]) -> tuple[float, float]:
    """Milliseconds of this thread's processor time, and of wall time."""
    wall, cpu = time.perf_counter(), time.thread_time()
    call()
    return (time.thread_time() - cpu) * 1000, (time.perf_counter() - wall) * 1000


def compared(core: Callable[[str], Any], adapter: Callable[[str], Any], rounds: int) -> dict[str, float]:
    """Medians; who goes first changes every round, and each question is asked once."""
    times: dict[str, list[tuple[float, float]]] = {"core": [], "adapter": []}
    for number in range(rounds + 5):
        pair = [("core", core), ("adapter", adapter)]
        for name, call in pair if number % 2 else reversed(pair):
            question = f"What did we say about the {TOPICS[number % 10]} in week {number * 3}, {name}?"
            times[name].append(measured(lambda call=call, question=question: call(question)))  # type: ignore[misc]
    (core_cpu, core_wall), (cpu, wall) = (
        [statistics.median(column) for column in zip(*times[name][5:], strict=True)] for name in ("core", "adapter")
    )
    return {
        "core_ms": round(core_cpu, 2),
        "adapter_ms": round(cpu, 2),
        "ratio": round(cpu / core_cpu, 3),
        "core_wall_ms": round(core_wall, 2),
        "adapter_wall_ms": round(wall, 2),
    }


def langchain(memory: SyncMemoryManager, rounds: int) -> dict[str, Any]:
    """`load_memory_variables`, as text and as messages."""
    from langchain_memory_mgr import TieredMemory

    results = {}
    for messages in (False, True):
        adapter = TieredMemory(memory=memory, conversation_id="chat", max_token_limit=LIMIT, return_messages=messages)
        budget = int(LIMIT * 0.3)
        name = f"langchain load_memory_variables({'messages' if messages else 'text'})"
        results[name] = compared(
            lambda q, budget=budget: core_call(memory, q, budget),
            lambda q, adapter=adapter: adapter.load_memory_variables({"input": q}),
            rounds,
        )
    return results


def llama_index(memory: SyncMemoryManager, rounds: int) -> dict[str, Any]:
    """`get`, which is what `aget` awaits in a worker thread of the memory."""
    from llamaindex_memory_mgr import TieredMemory

    adapter = TieredMemory(memory=memory, conversation_id="chat", token_limit=LIMIT)
    budget = int(LIMIT * 0.3)
    return {"llama_index get": compared(lambda q: core_call(memory, q, budget), adapter.get, rounds)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=80)
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results/adapters.json"))
    options = parser.parse_args()
    results: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder, filled(Path(folder) / "memory", options.turns, 0.3) as memory:
        for measure in (langchain, llama_index):
            results |= measure(memory, options.rounds)
    packages = ("chromadb", "langchain-core", "langchain-classic", "llama-index-core", "memory-mgr")
    report = {
        "command": f"python benchmarks/adapters.py --turns {options.turns} --rounds {options.rounds}",
        "target": f"ratio <= {TARGET}",
        "python": platform.python_version(),
        "load_average": os.getloadavg()[0],
        "versions": {name: version(name) for name in packages},
        "results": results,
    }
    options.output.write_text(json.dumps(report, indent=2) + "\n")
    print(json.dumps(results, indent=2))


if __name__ == "__main__":
    main()
