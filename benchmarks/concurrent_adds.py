"""One at a time or 64 at once: what adding a memory costs, beside one upsert to Chroma itself.

python benchmarks/concurrent_adds.py [--rounds 5] [--json OUT]

Every round adds 64 memories one after another, 64 others at once through `MemoryManager`, and 64 to a collection of
Chroma one after another, with an embedder that costs nothing and with the local one. Rounds of all kinds alternate, so
that what else the machine does weighs on all; medians of the rounds are compared.
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    embedders: dict[str, Embedder] = {"free": synthetic.embedder(), "local": LocalEmbedder()}
    report: dict[str, Any] = {"command": "python benchmarks/concurrent_adds.py", "versions": synthetic.versions()}
    for name, embedder in embedders.items():
        with tempfile.TemporaryDirectory() as folder:
            report[name] = asyncio.run(measured(Path(folder), embedder, arguments.rounds))
        print(name, json.dumps(report[name]), flush=True)
    if arguments.json:
        arguments.json.write_text(json.dumps(report, indent=2) + "\n")


async def measured(folder: Path, embedder: Embedder, rounds: int) -> dict[str, float]:
    """Milliseconds for one memory, by the clock and on the processor, and how much faster 64 at once are."""
    collection = chromadb.PersistentClient(str(folder / "raw")).create_collection(
        "raw", embedding_function=None, configuration={"hnsw": {"space": "cosine"}}
    )

    async def raw(texts: Sequence[str]) -> None:
        for text in texts:
            collection.upsert(ids=[text], embeddings=embedder.embed([text], kind="document"), documents=[text])

    config = MemoryConfig(path=folder / "ours", embedder=embedder, embedding_cache=0)
    async with MemoryManager(config) as memory:

        async def apart(texts: Sequence[str]) -> None:
            for text in texts:
                await memory.add_memory(text)

        async def together(texts: Sequence[str]) -> None:
            await asyncio.gather(*(memory.add_memory(text) for text in texts))

        ways = {"raw": raw, "apart": apart, "together": together}
        taken: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
        for number in range(rounds + 1):
            for place, (name, way) in enumerate(ways.items()):
                taken[name].append(await timed(way, synthetic.texts(TOGETHER, seed=len(ways) * number + place)))
    figures: dict[str, float] = {}
    for name, rows in taken.items():  # the first round warms up
        clock, cpu = np.median(np.array(rows[1:]), axis=0)
        figures |= {f"{name}_ms": float(clock), f"{name}_cpu_ms": float(cpu)}
    for unit in ("ms", "cpu_ms"):
        figures[f"together_faster_{unit}"] = figures[f"apart_{unit}"] / figures[f"together_{unit}"]
        figures[f"apart_to_raw_{unit}"] = figures[f"apart_{unit}"] / figures[f"raw_{unit}"]
    return figures


async def timed(way: Callable[[Sequence[str]], Awaitable[None]], texts: Sequence[str]) -> tuple[float, float]:
    """Milliseconds a text, by the clock and on the processor."""
    clock, cpu = time.perf_counter(), time.process_time()
    await way(texts)
    return (time.perf_counter() - clock) / len(texts) * 1000, (time.process_time() - cpu) / len(texts) * 1000


if __name__ == "__main__":
    main()
