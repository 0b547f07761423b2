"""Works on a memory until it is killed; says line by line what was acknowledged. Run by kill.py."""

from __future__ import annotations

import json
import random
import sys
from pathlib import Path
from typing import Any

from memory_mgr import SyncMemoryManager
from memory_mgr.stores import chroma
from tests.crash.home import Home
from tests.crash.workload import Workload

REEMBED = 0.01
"""How often, of all steps."""


def _say(line: dict[str, Any]) -> None:
    print(json.dumps(line), flush=True)


def main(path: str, seed: int, save_every: int) -> None:
    """One step after another, for ever; Chroma saves its index of a new collection after so many writes."""
    chroma._SYNC_THRESHOLD = save_every
    home, chance = Home(Path(path)), random.Random(seed)
    home.finish()
    memory = SyncMemoryManager(home.config())
    known = [e.id for e in memory.list_memories(["long_term", "episodic", "working"], limit=None) if e.kind == "memory"]
    work = Workload(memory, chance, _say, known)
    print("ready", flush=True)
    while True:
        if chance.random() < REEMBED:
            memory.close()
            home.reembed()
            memory = work.memory = SyncMemoryManager(home.config())
            _say({"reembedded": True})
        work.step()


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:]))
