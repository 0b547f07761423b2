"""What a filter costs: the same searches on one tier with and without, on entries made up for it.

python benchmarks/filtered_search.py [--entries 20000] [--json OUT]
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from memory_mgr import MemoryConfig, NewMemory, SyncMemoryManager
from memory_mgr.testing import FakeEmbedder

WORDS = 5_000
QUERIES = 60
FILTERS: dict[str, dict[str, Any] | None] = {
    "none": None,
    "half (equality)": {"side": "left"},
    "a tenth (range)": {"rank": {"$lt": 0.1}},
    "one source of 200": {"source": "stream-7"},
    "50 entries": {"rare": True},
    "almost all (not)": {"$not": {"rare": True}},
}


def texts(count: int, chance: random.Random) -> list[str]:
    """Sentences whose words are as unevenly frequent as in language (Zipf)."""
    weights = 1 / np.arange(1, WORDS + 1)
    generator = np.random.default_rng(chance.randrange(2**32))
    drawn = generator.choice(WORDS, size=(count, 18), p=weights / weights.sum())
    return [" ".join(f"w{word}" for word in row) for row in drawn]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--entries", type=int, default=20_000)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    chance = random.Random(1)
    news = [
        NewMemory(
            content=text,
            source=f"stream-{number % 200}",
            metadata={"side": chance.choice(["left", "right"]), "rank": chance.random(), "rare": number % 400 == 0},
            importance_score=0.5,
        )
        for number, text in enumerate(texts(arguments.entries, chance))
    ]
    queries = [" ".join(f"w{chance.randrange(5, 800)}" for _ in range(5)) for _ in range(QUERIES)]
    config = {"embedder": FakeEmbedder(384), "embedding_cache": 0}
    with tempfile.TemporaryDirectory() as folder, SyncMemoryManager(MemoryConfig(path=folder, **config)) as memory:
        started = time.perf_counter()
        memory.add_memories(news)
        print(f"{len(news) / (time.perf_counter() - started):.0f} entries/s stored")
        results = {name: measured(memory, queries, filters) for name, filters in FILTERS.items()}
    base = results["none"]["p50_ms"]
    for name, row in results.items():
        row["ratio"] = row["p50_ms"] / base
        print(f"{name:20} p50 {row['p50_ms']:6.1f} ms  p95 {row['p95_ms']:6.1f} ms  {row['ratio']:.2f}x")
    if arguments.json:
        report = {
            "command": f"python benchmarks/filtered_search.py --entries {arguments.entries}",
            "versions": {p: version(p) for p in ("memory-mgr", "chromadb", "numpy")},
            "results": results,
        }
        arguments.json.write_text(json.dumps(report, indent=2) + "\n")


def measured(memory: SyncMemoryManager, queries: list[str], filters: dict[str, Any] | None) -> dict[str, float]:
    """Latency of the queries in milliseconds."""
    taken = []
    for query in [queries[0], *queries]:
        before = time.perf_counter()
        memory.search_memory(query, "long_term", 10, filters)
        taken.append(time.perf_counter() - before)
    milliseconds = np.array(taken[1:]) * 1000
    return {"p50_ms": float(np.median(milliseconds)), "p95_ms": float(np.quantile(milliseconds, 0.95))}


if __name__ == "__main__":
    main()
