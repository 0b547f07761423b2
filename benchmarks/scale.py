"""How cost grows with one namespace: search, context, filters, reopening, rebuilding, disk and memory.

python benchmarks/scale.py [--sizes 1000 20000 50000 200000] [--json OUT]

Times are of the store alone: vectors cost next to nothing here. The default embedder adds its own to a search
(the benchmark prints how much). Ratios to plain Chroma are taken in the same run.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import synthetic

from memory_mgr import MemoryConfig, SyncMemoryManager
from memory_mgr.policy.recall_config import RecallConfig

QUERIES = 60
BATCH = 5000
PLAIN = RecallConfig(
    neighbour_weight=0,
    utterance_weight=0,
    answer_weight=0,
    session_weight=0,
    time_weight=0,
    speaker_weight=0,
    substance_weight=0,
    statement_weight=0,
    cue_weight=0,
    context_entries=0,
)
"""Fusion of words and vectors with nothing added."""
FILTERS: dict[str, dict[str, Any]] = {
    "tenant": {"tenant": "tenant-3"},
    "conversation": {"source": "stream-7"},
    "time range": {"number": {"$gte": 100, "$lt": 1100}},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[1000, 20_000, 50_000, 200_000])
    parser.add_argument("--json", type=Path)
    parser.add_argument("--measure-rss", nargs=2, metavar=("KIND", "FOLDER"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure_rss:
        print(json.dumps(rss_of(*arguments.measure_rss)))
        return
    results = {}
    with tempfile.TemporaryDirectory() as folder:
        for entries, memory, raw in grown(Path(folder), arguments.sizes):
            results[str(entries)] = row = measured(memory, raw)
            if entries == max(arguments.sizes):
                continue
            print(entries, json.dumps(row), flush=True)
        row |= left_on_disk(Path(folder), max(arguments.sizes))
        print(max(arguments.sizes), json.dumps(row), flush=True)
    report = {"command": "python benchmarks/scale.py", "versions": synthetic.versions(), "by_entries": results}
    report["growth"] = growth(results)
    print(json.dumps(report["growth"], indent=2))
    if arguments.json:
        arguments.json.write_text(json.dumps(report, indent=2) + "\n")


def grown(folder: Path, sizes: list[int]) -> Iterator[tuple[int, SyncMemoryManager, Any]]:
    """One namespace, and plain Chroma with the same entries, as they grow through the sizes."""
    with opened(folder / "own") as memory:
        raw = plain(folder / "raw")
        done = 0
        for size in sizes:
            rates = {"own": 0.0, "raw": 0.0}
            for first in range(done, size, BATCH):
                news = synthetic.memories(min(BATCH, size - first), first)
                rates["own"] += timed(lambda news=news: memory.add_memories(news))
                rates["raw"] += timed(lambda news=news: fill(raw, news))
            print(f"{size}: own {rates['own']:.1f} s, plain {rates['raw']:.1f} s", flush=True)
            done = size
            yield size, memory, raw


def opened(folder: Path, **settings: Any) -> SyncMemoryManager:
    return SyncMemoryManager(MemoryConfig(path=folder, embedder=synthetic.embedder(), embedding_cache=0, **settings))


def plain(folder: Path) -> Any:
    import chromadb
    from chromadb.config import Settings

    client = chromadb.PersistentClient(str(folder), settings=Settings(anonymized_telemetry=False))
    return client.get_or_create_collection("raw", embedding_function=None, configuration={"hnsw": {"space": "cosine"}})


def fill(raw: Any, news: list[Any]) -> None:
    """Store the same entries as one would in plain Chroma: times (epoch seconds) and importance are numbers beside."""
    stored = time.time()
    vectors = synthetic.embedder().embed([new.content for new in news], kind="document")
    raw.add(
        ids=[str(uuid.uuid4()) for _ in news],
        embeddings=vectors,
        documents=[new.content for new in news],
        metadatas=[
            {
                "source": new.source,
                "timestamp": new.timestamp.timestamp(),
                "created_at": stored,
                "importance": new.importance_score,
                **new.metadata,
            }
            for new in news
        ],
    )


def timed(work: Any) -> float:
    before = time.perf_counter()
    work()
    return time.perf_counter() - before


def measured(memory: SyncMemoryManager, raw: Any) -> dict[str, Any]:
    """Latencies of one size."""
    asked = synthetic.questions(QUERIES)
    embed = synthetic.embedder()
    plainly = {
        "raw query": lambda q: raw.query(query_embeddings=embed.embed([q], kind="query"), n_results=10),
    }
    own = {
        "search": lambda q: memory.search_memory(q, "long_term", 10),
        "build_context": lambda q: memory.build_context(q, 1000),
    } | {
        f"search, {name}": lambda q, f=wanted: memory.search_memory(q, "long_term", 10, f)
        for name, wanted in FILTERS.items()
    }
    return {name: synthetic.latency(call, asked) for name, call in (plainly | own).items()}


def left_on_disk(folder: Path, entries: int) -> dict[str, Any]:
    """What the closed stores take, and how long it takes to have them back."""
    row: dict[str, Any] = {
        "disk_ratio": size_of(folder / "own") / size_of(folder / "raw"),
        "bytes_per_entry": size_of(folder / "own") / entries,
    }
    rss = {kind: child_rss(kind, folder / kind) for kind in ("own", "raw")}
    row["rss"] = rss
    row["rss_ratio"] = rss["own"]["rss"] / rss["raw"]["rss"]
    before = time.perf_counter()
    with opened(folder / "own") as memory:
        memory.search_memory("a first search", "long_term", 10)
        row["reopen_and_search_s"] = time.perf_counter() - before
        before = time.perf_counter()
        cpu = time.process_time()
        memory.rebuild_catalog()
        row["rebuild_per_second"] = entries / (time.perf_counter() - before)
        row["rebuild_per_cpu_second"] = entries / (time.process_time() - cpu)
    with opened(folder / "own", recall=PLAIN) as memory:
        asked = synthetic.questions(QUERIES)
        row["search, fusion only"] = synthetic.latency(lambda q: memory.search_memory(q, "long_term", 10), asked)
    return row


def size_of(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def child_rss(kind: str, folder: Path) -> dict[str, float]:
    command = [sys.executable, __file__, "--measure-rss", kind, str(folder)]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def rss_of(kind: str, folder: str) -> dict[str, float]:
    """Memory of a fresh process after it has answered some questions."""
    asked = synthetic.questions(QUERIES)
    with asking(kind, Path(folder)) as ask:
        before = synthetic.rss_bytes()
        first = timed(lambda: ask(asked[0]))
        for one in asked:
            ask(one)
        return {"rss": synthetic.rss_bytes(), "rss_before": before, "first_s": first}


@contextmanager
def asking(kind: str, folder: Path) -> Iterator[Any]:
    if kind == "raw":
        raw, embed = plain(folder), synthetic.embedder()
        yield lambda q: raw.query(query_embeddings=embed.embed([q], kind="query"), n_results=10)
        return
    with opened(folder) as memory:
        yield lambda q: memory.search_memory(q, "long_term", 10)


def growth(results: dict[str, Any]) -> dict[str, float]:
    """The ratios that are promised, by the clock and by the processor."""
    small, large = results[min(results, key=int)], results[max(results, key=int)]
    told = {}
    for unit in ("p50_ms", "cpu_ms"):
        told[f"search, largest to smallest, {unit}"] = large["search"][unit] / small["search"][unit]
        told |= {
            f"build_context to search at {size}, {unit}": row["build_context"][unit] / row["search"][unit]
            for size, row in results.items()
        }
        if "search, fusion only" in large:
            told[f"search to fusion only, {unit}"] = large["search"][unit] / large["search, fusion only"][unit]
    return told


if __name__ == "__main__":
    main()
