"""Turn-level evidence recall on LoCoMo, through the public API.

One memory a conversation, one entry a turn ("<speaker>: <text>", a shared picture's caption appended), queries are
the questions and nothing else. Prints R@k (mean share of evidence found), any@k and all@k, overall and by category.

    python benchmarks/locomo.py --data PATH [--json OUT] [--ratio]
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import tempfile
import time
from collections import defaultdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from memory_mgr import MemoryConfig, NewMemory, SyncMemoryManager
from memory_mgr.cli.transcripts import Transcript, read_transcripts
from memory_mgr.defaults.embedder import LocalEmbedder

DEPTHS = (1, 5, 10, 20)


def memories(transcript: Transcript) -> list[NewMemory]:
    """The turns as the protocol stores them."""
    return [
        NewMemory(
            content=f"{message.name}: {message.content}",
            source=session,
            timestamp=message.timestamp,
            metadata={"turn_id": message.id},
        )
        for session, message in transcript.turns
    ]


def evaluate(transcript: Transcript) -> dict[str, Any]:
    """Ingest one conversation into a fresh store and ask all its questions."""
    with tempfile.TemporaryDirectory() as folder, SyncMemoryManager(MemoryConfig(path=folder)) as memory:
        news = memories(transcript)
        memory.search_memory("warm up")
        started = time.perf_counter()
        memory.add_memories(news)
        seconds = time.perf_counter() - started
        rows, latencies = [], []
        for question in transcript.questions:
            before = time.perf_counter()
            hits = memory.search_memory(question.text, "long_term", max(DEPTHS))
            latencies.append(time.perf_counter() - before)
            found = [hit.metadata["turn_id"] for hit in hits]
            ranks = [found.index(turn) if turn in found else None for turn in question.evidence]
            rows.append({"category": question.category, "ranks": ranks})
    return {"turns": len(news), "seconds": seconds, "rows": rows, "latencies": latencies}


def scores(rows: list[dict[str, Any]]) -> dict[str, float]:
    """R@k, any@k and all@k of some questions."""
    table = {}
    for depth in DEPTHS:
        hits = [[rank is not None and rank < depth for rank in row["ranks"]] for row in rows]
        table[f"R@{depth}"] = float(np.mean([np.mean(h) for h in hits]))
        table[f"any@{depth}"] = float(np.mean([any(h) for h in hits]))
        table[f"all@{depth}"] = float(np.mean([all(h) for h in hits]))
    return table


def raw_rate(transcript: Transcript) -> float:
    """Entries per second of embedding the same texts and adding them to plain Chroma."""
    import chromadb
    from chromadb.config import Settings

    texts = [new.content for new in memories(transcript)]
    embedder = LocalEmbedder()
    embedder.embed(["warm up"], kind="document")
    with tempfile.TemporaryDirectory() as folder:
        client = chromadb.PersistentClient(folder, settings=Settings(anonymized_telemetry=False))
        collection = client.create_collection("raw", embedding_function=None)
        started = time.perf_counter()
        vectors = embedder.embed(texts, kind="document")
        ids = [f"id-{number}" for number in range(len(texts))]
        collection.add(ids=ids, embeddings=vectors, documents=texts, metadatas=[{"turn_id": i} for i in ids])
        return len(texts) / (time.perf_counter() - started)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="LoCoMo's JSON")
    parser.add_argument("--json", type=Path, help="where to write the results")
    parser.add_argument("--ratio", action="store_true", help="also compare ingest with embedding + plain Chroma")
    arguments = parser.parse_args()
    if not arguments.data.exists():
        sys.exit(f"skipped: {arguments.data} is not here (LoCoMo's JSON is not part of this project)")

    transcripts = [t for t in read_transcripts(arguments.data) if t.questions]
    runs = {t.name: evaluate(t) for t in transcripts}
    rows = [row for run in runs.values() for row in run["rows"]]
    by_category: dict[int, list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        by_category[row["category"]].append(row)
    latencies = np.array([one for run in runs.values() for one in run["latencies"]]) * 1000
    report = {
        "command": "python benchmarks/locomo.py --data PATH" + (" --ratio" if arguments.ratio else ""),
        "versions": {p: version(p) for p in ("memory-mgr", "chromadb", "numpy", "onnxruntime")}
        | {"python": platform.python_version()},
        "questions": len(rows),
        "overall": scores(rows),
        "by_category": {str(c): scores(r) | {"questions": len(r)} for c, r in sorted(by_category.items())},
        "by_conversation": {name: scores(run["rows"]) for name, run in runs.items()},
        "ingest_per_second": sum(r["turns"] for r in runs.values()) / sum(r["seconds"] for r in runs.values()),
        "search_ms": {"p50": float(np.median(latencies)), "p95": float(np.quantile(latencies, 0.95))},
    }
    if arguments.ratio:
        raw = [raw_rate(t) for t in transcripts]
        own = [runs[t.name]["turns"] / runs[t.name]["seconds"] for t in transcripts]
        report["ingest_ratio_to_raw_chroma"] = float(np.mean(np.array(own) / np.array(raw)))
    show(report)
    if arguments.json:
        arguments.json.write_text(json.dumps(report, indent=2) + "\n")


def show(report: dict[str, Any]) -> None:
    """Print the report as a table."""
    names = [f"{kind}@{depth}" for depth in DEPTHS for kind in ("R", "any", "all")]
    print("".rjust(10), *(name.rjust(7) for name in names))
    for label, table in [("all", report["overall"]), *((f"cat {c}", t) for c, t in report["by_category"].items())]:
        print(label.rjust(10), *(f"{table[name]:7.3f}" for name in names))
    print(f"ingest {report['ingest_per_second']:.0f}/s", end="")
    if "ingest_ratio_to_raw_chroma" in report:
        print(f" = {report['ingest_ratio_to_raw_chroma']:.2f} of embedding + plain Chroma", end="")
    print(f"; search p50 {report['search_ms']['p50']:.1f} ms, p95 {report['search_ms']['p95']:.1f} ms")


if __name__ == "__main__":
    main()
