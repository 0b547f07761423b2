"""A chat that never ends: what a message costs at its beginning and at its end, with everything on.

python benchmarks/soak.py [--messages 100000] [--in-memory] [--json OUT]

Messages go through `SyncConversationContext` one turn (two messages) at a time: window, eviction into the archive,
summaries and their roll-up, consolidation in the background; every tenth turn builds a context. The cost of a turn is
given as time on the processor too, which other programs on the machine do not change. `--in-memory` leaves Chroma out.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import synthetic

from memory_mgr import MemoryConfig, Message, SyncConversationContext
from memory_mgr.config import AutoConsolidateConfig
from memory_mgr.policy.eviction import EvictionConfig

STEPS = 20
SESSION = 40
"""Messages after which the chat rests for a day."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--messages", type=int, default=100_000)
    parser.add_argument("--in-memory", action="store_true")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        config = MemoryConfig(
            path=":memory:" if arguments.in_memory else folder,
            embedder=synthetic.embedder(),
            embedding_cache=0,
            short_term=EvictionConfig(max_messages=30),
            auto_consolidate=AutoConsolidateConfig(after_adds=500),
        )
        with SyncConversationContext("soak", config) as chat:
            steps = soaked(chat, arguments.messages)
    report = {
        "command": "python benchmarks/soak.py" + (" --in-memory" if arguments.in_memory else ""),
        "versions": synthetic.versions(),
        "messages": arguments.messages,
        "steps": steps,
        "end_to_beginning": {
            name: float(np.mean([s[name] for s in steps[-3:]]) / np.mean([s[name] for s in steps[1:4]]))
            for name in ("cpu_ms", "p50_ms")
        },
    }
    print(json.dumps(report["end_to_beginning"]))
    if arguments.json:
        arguments.json.write_text(json.dumps(report, indent=2) + "\n")


def soaked(chat: SyncConversationContext, messages: int) -> list[dict[str, Any]]:
    """The cost of a turn in each twentieth of the chat."""
    steps = []
    each = messages // STEPS
    for step in range(STEPS):
        said = synthetic.texts(each, seed=step + 10)
        before, taken = time.process_time(), []
        for number in range(0, each - 1, 2):
            started = time.perf_counter()
            turn(chat, step * each + number, said[number : number + 2])
            taken.append(time.perf_counter() - started)
        row = {
            "messages": (step + 1) * each,
            "cpu_ms": (time.process_time() - before) / len(taken) * 1000,
            "p50_ms": float(np.median(taken)) * 1000,
            "p95_ms": float(np.quantile(taken, 0.95)) * 1000,
            "rss": synthetic.rss_bytes(),
        }
        steps.append(row)
        print(json.dumps(row), flush=True)
    return steps


def turn(chat: SyncConversationContext, number: int, said: list[str]) -> None:
    """One turn; every tenth asks for a context first."""
    at = synthetic.START + timedelta(minutes=number) + timedelta(days=number // SESSION)
    if number % 20 == 0:
        chat.build_context(said[0], 500)
    chat.add_messages(
        [
            Message(role="user", content=said[0], timestamp=at),
            Message(role="assistant", content=said[1], timestamp=at + timedelta(seconds=20)),
        ]
    )


if __name__ == "__main__":
    main()
