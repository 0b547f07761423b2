"""What the LlamaIndex adapter costs over the core calls it makes.

python benchmarks/adapters_llamaindex.py [--entries N] [--json OUT]

`aget` of a question that was not asked before, against the core calls behind it on the same data: the window and
`build_context`. Both awaited, from the same event loop, taking turns. An agent's second `aget` in a turn is timed too.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

from llama_index.core.base.llms.types import ChatMessage

from llamaindex_memory_mgr import TieredMemory
from memory_mgr import MemoryConfig, MemoryManager, NewMemory
from memory_mgr.testing import FakeEmbedder

CHAT = "chat"
LIMIT = 3000


async def timed(call: Callable[[], Awaitable[Any]]) -> float:
    start = time.perf_counter()
    await call()
    return (time.perf_counter() - start) * 1000


async def measured(entries: int, rounds: int) -> dict[str, float]:
    """Median milliseconds of each call, and the adapter's share over the core's."""
    with tempfile.TemporaryDirectory() as folder:
        async with MemoryManager(MemoryConfig(path=folder, embedder=FakeEmbedder())) as manager:
            news = [NewMemory(content=f"Fact {n}: plant {n % 97} stands in room {n % 31}.") for n in range(entries)]
            await manager.add_memories(news, "long_term")
            memory = TieredMemory.from_defaults(memory=manager, conversation_id=CHAT, token_limit=LIMIT)
            for number in range(40):
                await memory.aput(ChatMessage(role="user", content=f"Which plant is in room {number}, please?"))
                await memory.aput(ChatMessage(role="assistant", content=f"Plant {number} is in room {number}."))
            budget = int(LIMIT * 0.3)

            def core(question: str) -> Callable[[], Awaitable[Any]]:
                def calls() -> None:
                    sync = manager.sync
                    sent = {str(message.id) for message in sync.conversation(CHAT).window()}
                    sync.build_context(question, budget, CHAT, include_recent=False, sent=sent)

                return lambda: manager.workers.run(calls)

            ours, cores, again = [], [], []
            for number in range(rounds):
                question = f"Where does plant {number} stand, question {number}?"
                # By turns first, so that neither always finds the caches warm.
                pair = [(cores, core(question)), (ours, lambda q=question: memory.aget(q))]
                for times, call in pair if number % 2 else reversed(pair):
                    times.append(await timed(call))
                again.append(await timed(lambda q=question: memory.aget(q)))
    medians = {"core": statistics.median(cores), "aget": statistics.median(ours)}
    return medians | {
        "aget, same question again": statistics.median(again),
        "aget / core": medians["aget"] / medians["core"],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--entries", type=int, default=5000)
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    result = asyncio.run(measured(arguments.entries, arguments.rounds))
    report = {
        "command": "python benchmarks/adapters_llamaindex.py "
        f"--entries {arguments.entries} --rounds {arguments.rounds}",
        "versions": {name: version(name) for name in ("memory-mgr", "chromadb", "llama-index-core", "pydantic")},
        "milliseconds": {name: round(value, 3) for name, value in result.items()},
    }
    print(json.dumps(report["milliseconds"], indent=2))
    if arguments.json:
        arguments.json.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
