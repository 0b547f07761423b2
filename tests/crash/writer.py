"""Works on a memory until it is killed; says line by line what was acknowledged. Run by kill.py."""

from __future__ import annotations

import json
import random
import sys
from typing import Any

from memory_mgr import MemoryConfig, ShortTermConfig, SyncMemoryManager
from memory_mgr.testing import FakeEmbedder
from tests.crash.workload import Workload


def settings(**place: Any) -> MemoryConfig:
    """Of the memory that is killed: small windows, so that much moves."""
    return MemoryConfig(
        embedder=FakeEmbedder(),
        short_term=ShortTermConfig(max_messages=12),
        episodic={"summary_tokens": 60},
        **place,
    )


def _say(line: dict[str, Any]) -> None:
    print(json.dumps(line), flush=True)


def main(path: str, seed: int) -> None:
    """One step after another, for ever."""
    memory = SyncMemoryManager(settings(path=path))
    known = [e.id for e in memory.list_memories(["long_term", "episodic", "working"], limit=None) if e.kind == "memory"]
    work = Workload(memory, random.Random(seed), _say, known)
    print("ready", flush=True)
    while True:
        work.step()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
