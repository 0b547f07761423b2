"""One at a time or 64 at once: what adding a memory costs, beside one upsert to Chroma itself.

python benchmarks/concurrent_adds.py [--sizes 1000 10000] [--rounds 5] [--json OUT]

Every round adds 64 memories one after another, 64 others at once through `MemoryManager`, 64 in one `add_memories`
(what adding at once can at best come to), and 64 to a collection of Chroma one after another, with an embedder that
costs nothing and, at the first size, with the local one. Rounds of all kinds alternate, so that what else the machine
does weighs on all; medians of the rounds are compared.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import chromadb
import numpy as np
import synthetic

from memory_mgr import MemoryConfig, MemoryManager
from memory_mgr.defaults.embedder import LocalEmbedder
from memory_mgr.protocols import Embedder

TOGETHER = 64
CHROMA_BATCH = 5000
"""Entries that Chroma accepts in one call."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[1000, 10_000], help="entries that are there before")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    kinds: list[tuple[str, Embedder, int]] = [("free", synthetic.embedder(), size) for size in arguments.sizes]
    kinds.append(("local", LocalEmbedder(), arguments.sizes[0]))
    sizes = " ".join(map(str, arguments.sizes))
    report: dict[str, Any] = {"command": f"python benchmarks/concurrent_adds.py --sizes {sizes}"}
    report |= {"versions": synthetic.versions(), "results": []}
    for name, embedder, size in kinds:
        with tempfile.TemporaryDirectory() as folder:
            figures = asyncio.run(measured(Path(folder), embedder, size, arguments.rounds))
        report["results"].append({"embedder": name, "entries": size} | figures)
        faster = f"{figures['together_faster_ms']:.1f}x by the clock, {figures['together_faster_cpu_ms']:.1f}x on the"
        print(f"{name}, {size:,} entries: 64 at once are faster {faster} processor\n{json.dumps(figures)}", flush=True)
    if arguments.json:
        arguments.json.write_text(json.dumps(report, indent=2) + "\n")


async def measured(folder: Path, embedder: Embedder, size: int, rounds: int) -> dict[str, float]:
    """Milliseconds for one memory, by the clock and on the processor, and how much faster 64 at once are."""
    collection = chromadb.PersistentClient(str(folder / "raw")).create_collection(
        "raw", embedding_function=None, configuration={"hnsw": {"space": "cosine"}}
    )

    async def raw(texts: Sequence[str]) -> None:
        for text in texts:
            collection.upsert(ids=[text], embeddings=embedder.embed([text], kind="document"), documents=[text])

    config = MemoryConfig(path=folder / "ours", embedder=embedder, embedding_cache=0)
    async with MemoryManager(config) as memory:
        there = synthetic.memories(size)
        for start in range(0, size, CHROMA_BATCH):
            texts = [new.content for new in there[start : start + CHROMA_BATCH]]
            collection.upsert(ids=texts, embeddings=embedder.embed(texts, kind="document"), documents=texts)
        await memory.add_memories(there)

        async def apart(texts: Sequence[str]) -> None:
            for text in texts:
                await memory.add_memory(text)

        async def together(texts: Sequence[str]) -> None:
            await asyncio.gather(*(memory.add_memory(text) for text in texts))

        async def batch(texts: Sequence[str]) -> None:
            await memory.add_memories(list(texts))

        ways = {"raw": raw, "apart": apart, "together": together, "batch": batch}
        taken: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
        for number in range(rounds + 1):
            for place, (name, way) in enumerate(ways.items()):
                taken[name].append(await timed(way, synthetic.texts(TOGETHER, seed=100 + len(ways) * number + place)))
    return compared(taken)


def compared(taken: dict[str, list[tuple[float, float]]]) -> dict[str, float]:
    """Medians of the rounds of each way, and how they compare."""
    figures: dict[str, float] = {}
    for name, rows in taken.items():  # the first round warms up
        clock, cpu = np.median(np.array(rows[1:]), axis=0)
        figures |= {f"{name}_ms": float(clock), f"{name}_cpu_ms": float(cpu)}
    for unit in ("ms", "cpu_ms"):
        for way in ("together", "batch"):
            figures[f"{way}_faster_{unit}"] = figures[f"apart_{unit}"] / figures[f"{way}_{unit}"]
        figures[f"apart_to_raw_{unit}"] = figures[f"apart_{unit}"] / figures[f"raw_{unit}"]
    return figures


async def timed(way: Callable[[Sequence[str]], Awaitable[None]], texts: Sequence[str]) -> tuple[float, float]:
    """Milliseconds a text, by the clock and on the processor."""
    clock, cpu = time.perf_counter(), time.process_time()
    await way(texts)
    return (time.perf_counter() - clock) / len(texts) * 1000, (time.process_time() - cpu) / len(texts) * 1000


if __name__ == "__main__":
    main()
