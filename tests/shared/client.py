"""One client process of a Chroma server: writes, changes and deletes entries of its own, and says what should be there.

    python -m tests.shared.client URL NAMESPACE NAME COUNT

Prints a line of JSON when it is ready, waits for a line, works, and prints the ids it has left in the namespace.
After another line it prints what it finds there, its own and the others'.
"""

from __future__ import annotations

import json
import sys
from threading import Thread

from memory_mgr import MemoryConfig, SyncMemoryManager
from memory_mgr.testing import FakeEmbedder


def main() -> None:
    """Take part; see above."""
    url, namespace, name, count = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
    config = MemoryConfig(url=url, namespace=namespace, embedder=FakeEmbedder())
    with SyncMemoryManager(config) as memory:
        memory.stats()
        tell("ready")
        kept = work(memory, name, count)
        tell(sorted(kept))
        tell({entry.id: entry.content for entry in memory.list_memories(limit=None)})


def tell(value: object) -> None:
    """Print, then wait for a line."""
    print(json.dumps(value), flush=True)
    sys.stdin.readline()


def work(memory: SyncMemoryManager, name: str, count: int) -> set[str]:
    """Two threads write `count` entries each; a third of them is changed, a third deleted. The ids that stay."""
    kept: set[str] = set()

    def write(thread: int) -> None:
        for number in range(count):
            memory_id = f"{name}-{thread}-{number}"
            memory.add_memory(f"{name} noted number {number}", "long_term", id=memory_id)
            assert memory.get_memory(memory_id).content.endswith(str(number)), "own writes are seen at once"
            kept.add(memory_id)
            if number % 3 == 1:
                memory.update_memory(memory_id, content=f"{name} changed number {number}")
            if number % 3 == 2:
                memory.delete_memory(memory_id)
                kept.discard(memory_id)

    threads = [Thread(target=write, args=(thread,)) for thread in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return kept


if __name__ == "__main__":
    main()
