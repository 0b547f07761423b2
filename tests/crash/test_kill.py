"""A process that is killed in the middle of a stream of writes loses nothing that it acknowledged."""

from __future__ import annotations

import random
import subprocess
import sys
from collections import Counter
from pathlib import Path

from memory_mgr import MemoryType, ShortTermConfig, SyncMemoryManager
from memory_mgr.testing import FakeEmbedder

WRITER = Path(__file__).with_name("writer.py")
ROUNDS = 6


def _acknowledged_until_killed(path: Path, start: int, lines: int) -> list[str]:
    """Run the writer, kill it after so many acknowledgements, return all that it printed."""
    process = subprocess.Popen([sys.executable, str(WRITER), str(path), str(start)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    said: list[str] = []
    assert process.stdout.readline().strip() == "ready"
    for _ in range(lines):
        said += process.stdout.readline().split()
    process.kill()
    said += process.stdout.read().split()
    process.wait()
    process.stdout.close()
    return said


def test_every_acknowledged_entry_is_there_once(tmp_path: Path) -> None:
    """After each kill, each acknowledged entry is listed once, found by words, and known to Chroma and catalog."""
    chance = random.Random(7)
    acknowledged: set[str] = set()
    for number in range(ROUNDS):
        words = _acknowledged_until_killed(tmp_path / "memory", number * 10_000, chance.randint(5, 40))
        # The last line may have been cut short by the kill: it counts only if it is a whole word of a whole line.
        acknowledged |= set(words[:-1])
        window = ShortTermConfig(max_messages=6)
        with SyncMemoryManager(path=tmp_path / "memory", embedder=FakeEmbedder(), short_term=window) as memory:
            _check(memory, acknowledged, chance)


def _check(memory: SyncMemoryManager, acknowledged: set[str], chance: random.Random) -> None:
    listed = Counter(
        word for e in memory.list_memories(["long_term", "short_term"], limit=None) for word in e.content.split()[-1:]
    )
    assert acknowledged <= listed.keys()
    assert set(listed.values()) == {1}
    for word in chance.sample(sorted(acknowledged), 5):
        hits = memory.search_memory(word, limit=1)
        assert hits[0].content.endswith(word)
        assert memory.search_memory(hits[0].content, limit=3)
    ids = [e.id for e in memory.list_memories(limit=None)]
    with memory._lease() as repository:
        in_chroma = [
            e.id
            for t in MemoryType
            for b, _ in memory._runtime.store.scan(memory.namespace, t, with_vectors=False)
            for e in b
        ]
        assert sorted(in_chroma) == sorted(ids)
        assert repository.read(lambda catalog: catalog.pending()) == []
