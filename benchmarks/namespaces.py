"""Many namespaces in one long-lived process: few open files, bounded memory, quick wherever one looks.

python benchmarks/namespaces.py [--full 2000] [--entries 100] [--touched 5000] [--json OUT]

One process with a store of `--touched` namespaces of three entries each, another with one of `--full` namespaces of
`--entries` each; all along, earlier namespaces are searched again. Each allows itself 1,024 file descriptors, the
usual limit, and it ends with an error if the memory passes `--rss-limit` or still grows while the second half is
touched. Vectors cost next to nothing. What a write costs grows with what is in Chroma's log, which keeps whatever no
index has saved yet: namespaces of fewer than 1,000 entries.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import synthetic
from circumstances import circumstances
from scale import opened, size_of, timed

from memory_mgr import SyncMemoryManager

FILES = 1024
FEW = 3
"""Entries of a namespace that is only touched."""
EVERY = 50
"""Namespaces between two samples."""
AGAIN = 2
"""Earlier namespaces searched for every new one."""
QUERIES = 60
GROWTH = 1.25
"""How much more memory there may be at the end than half way: caches are full by then."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--full", type=int, default=2000)
    parser.add_argument("--entries", type=int, default=100)
    parser.add_argument("--touched", type=int, default=5000)
    parser.add_argument("--rss-limit", type=int, default=1500, metavar="MB")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    resource.setrlimit(resource.RLIMIT_NOFILE, (FILES, FILES))
    report = circumstances(
        f"python benchmarks/namespaces.py --full {arguments.full} --entries {arguments.entries} "
        f"--touched {arguments.touched}"
    )
    report |= {"versions": synthetic.versions(), "files_allowed": FILES}
    for what, count, entries in (
        ("touched", arguments.touched, FEW),
        ("full", arguments.full, arguments.entries),
    ):
        with tempfile.TemporaryDirectory() as folder:
            report[what] = in_a_process(lived, Path(folder), count, entries)
            report[what]["reopened"] = in_a_process(reopened, Path(folder))
    report["failed"] = failures(report, arguments.rss_limit)
    print(json.dumps(report, indent=2))
    if arguments.json:
        arguments.json.write_text(json.dumps(report, indent=2) + "\n")
    sys.exit("; ".join(report["failed"]) or None)


def in_a_process(work: Callable[..., dict[str, Any]], *arguments: Any) -> dict[str, Any]:
    """What `work` returns in a new process, which inherits the limit on files."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(work, *arguments).result()


def lived(folder: Path, count: int, entries: int) -> dict[str, Any]:
    """The life of one store: what it cost, and samples of the process's files and memory on the way."""
    with opened(folder, namespace="many") as memory:
        report = _grow(memory, count, entries)
        report |= {
            "search, any namespace": _latency(memory, count, lambda n: n),
            "search, the same 20 namespaces": _latency(memory, count, lambda n: n % 20),
        }
    report["bytes_per_entry"] = size_of(folder) / (count * entries)
    return report


def _grow(memory: SyncMemoryManager, count: int, entries: int) -> dict[str, Any]:
    """Write to namespaces one after the other, each time looking into earlier ones."""
    chosen = random.Random(1)
    adding, searching, samples = [], [], []
    for number in range(count):
        news = synthetic.memories(entries, number * entries)
        adding.append(timed(lambda number=number, news=news: memory.scoped(number).add_memories(news)))
        for _ in range(AGAIN):
            earlier = memory.scoped(chosen.randrange(number + 1))
            searching.append(timed(lambda earlier=earlier, asked=news[0].content: _found(earlier, asked)))
        if number % EVERY == EVERY - 1:
            samples.append(_sample(number + 1, adding[-EVERY:], searching[-EVERY * AGAIN :]))
    return {
        "namespaces": count,
        "entries_each": entries,
        "seconds": sum(adding) + sum(searching),
        "open_files_most": max(sample["open_files"] for sample in samples),
        "rss_most": max(sample["rss"] for sample in samples),
        "rss_end_to_middle": samples[-1]["rss"] / samples[len(samples) // 2]["rss"],
        "samples": samples,
    }


def _sample(number: int, adding: list[float], searching: list[float]) -> dict[str, float]:
    """What the process holds after so many namespaces, and what the last ones took."""
    sample = {
        "namespaces": number,
        "open_files": synthetic.open_files(),
        "rss": synthetic.rss_bytes(),
        "add_p50_ms": float(np.median(adding)) * 1000,
        "search_p50_ms": float(np.median(searching)) * 1000,
    }
    print(
        f"{number:,} namespaces: {sample['open_files']} files, {sample['rss'] / 1e6:.0f} MB, "
        f"add {sample['add_p50_ms']:.0f} ms, search {sample['search_p50_ms']:.0f} ms",
        file=sys.stderr,
        flush=True,
    )
    return sample


def _found(memory: SyncMemoryManager, asked: str) -> None:
    assert memory.search_memory(asked, "long_term", 10), f"nothing is found in {memory.namespace}"


def _latency(memory: SyncMemoryManager, there: int, which: Callable[[int], int]) -> dict[str, float]:
    """Of searches in namespaces drawn at random, each turned by `which` into the one that is searched."""
    chosen = random.Random(1)
    taken = []
    for warm in (False, True):
        for asked in synthetic.questions(QUERIES):
            scoped = memory.scoped(which(chosen.randrange(there)))
            seconds = timed(lambda scoped=scoped, asked=asked: _found(scoped, asked))
            taken += [seconds] if warm else []
    return {"p50_ms": float(np.median(taken)) * 1000, "p95_ms": float(np.quantile(taken, 0.95)) * 1000}


def reopened(folder: Path) -> dict[str, float]:
    """What it costs a new process to open the store and search one namespace of many."""
    import memory_mgr.engine.manager
    import memory_mgr.stores.chroma  # noqa: F401 - imports are not what is measured

    before = time.perf_counter()
    with opened(folder, namespace="many") as memory:
        _found(memory.scoped(0), "a first search")
        return {"open_and_search_s": time.perf_counter() - before, "rss": synthetic.rss_bytes()}


def failures(report: dict[str, Any], rss_limit: int) -> list[str]:
    """What is not as promised. Too many files need no look: the process could not have opened them."""
    failed = [
        f"{what}: {report[what]['rss_most'] / 1e6:.0f} MB of memory, more than {rss_limit}"
        for what in ("touched", "full")
        if report[what]["rss_most"] > rss_limit * 1e6
    ]
    if report["touched"]["rss_end_to_middle"] > GROWTH:
        failed.append(f"touched: memory grew by {report['touched']['rss_end_to_middle']:.2f} in the second half")
    return failed


if __name__ == "__main__":
    main()
