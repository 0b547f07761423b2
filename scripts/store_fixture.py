"""Writes a small store with the code of this checkout and packs it, so that later versions can be tested on it.

    git worktree add /tmp/old v0.1.0 && PYTHONPATH=/tmp/old/core python scripts/store_fixture.py tests/fixtures/stores

Uses only what every version has had; the file is named by the schema and the version that wrote it. What is in it is
told by `expected.json` inside, which `tests/versions/test_old_stores.py` compares with what it finds.
"""

from __future__ import annotations

import json
import sys
import tarfile
import tempfile
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from memory_mgr import Message, NewMemory, ShortTermConfig, SyncMemoryManager
from memory_mgr.stores.schema import SCHEMA_VERSION
from memory_mgr.testing import FakeClock, FakeEmbedder

LONG = " ".join(f"Sentence number {n} tells of river {n} and of mountain {n * 7}." for n in range(40))


def write(path: Path) -> dict[str, list[dict[str, object]]]:
    """Fill a store; what is in it, by namespace."""
    clock = FakeClock()
    window = ShortTermConfig(max_messages=4)
    with SyncMemoryManager(
        path=path, namespace="old", embedder=FakeEmbedder(), clock=clock, short_term=window
    ) as memory:
        memory.add_memory(
            "Ana lives in Rome", id="rome", metadata={"nested": {"list": [1, None, True, "é"]}}, source="s"
        )
        memory.supersede_memory("rome", "Ana lives in Oslo")
        memory.add_memories([NewMemory(content=LONG, id="long", pinned=True), NewMemory(content="gone", ttl_seconds=1)])
        memory.add_memory("Ben likes tea", "episodic", importance_score=0.75)
        chat = memory.conversation("chat")
        for n in range(5):
            chat.add_message(Message(role="user", content=f"question {n}", id=f"u{n}", name="Ana"))
            chat.add_message(Message(role="assistant", content=f"answer {n}", id=f"a{n}"))
            clock.advance(10)
        chat.working.set("goal", {"city": "Oslo"})
        below = memory.scoped("below")
        below.add_memory("another namespace")
        return {"/".join(m.namespace): told(m) for m in (memory, below)}


def told(memory: SyncMemoryManager) -> list[dict[str, object]]:
    """Every entry of a namespace, as far as later versions must keep it."""
    return [
        {
            "id": e.id,
            "content": e.content,
            "tier": e.memory_type.value,
            "timestamp": e.timestamp.isoformat(),
            "source": e.source,
            "speaker": e.speaker,
            "metadata": e.metadata,
            "importance": e.importance_score,
            "pinned": e.pinned,
            "superseded_by": e.superseded_by,
            "expires": None if e.expires_at is None else e.expires_at.isoformat(),
            "kind": e.kind,
            "from": list(e.derived_from),
        }
        for e in memory.list_memories(limit=None, include_superseded=True)
    ]


def main(folder: Path) -> None:
    """Write and pack."""
    try:
        written_by = version("memory-mgr")
    except PackageNotFoundError:
        written_by = "unreleased"
    target = folder / f"schema-{SCHEMA_VERSION}-{written_by}.tar.xz"
    with tempfile.TemporaryDirectory() as place:
        store = Path(place) / "store"
        (Path(place) / "expected.json").write_text(json.dumps(write(store), ensure_ascii=False, indent=1))
        with tarfile.open(target, "w:xz") as packed:
            packed.add(store, "store")
            packed.add(Path(place) / "expected.json", "expected.json")
    print(f"{target}: {target.stat().st_size} bytes")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
