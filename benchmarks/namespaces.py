"""Many namespaces in one long-lived process: few open files, bounded memory, quick wherever one looks.

python benchmarks/namespaces.py [--full 2000] [--entries 100] [--touched 5000] [--json OUT]

First `--full` namespaces of `--entries` entries each, then further ones of three entries until `--touched` were
written to; all along, earlier ones are searched again. The process allows itself 1,024 file descriptors, the usual
limit, and ends with an error if its memory passes `--rss-limit` or still grows in the second half. Vectors cost next
to nothing.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
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
    parser.add_argument("--reopen", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.reopen:
        print(json.dumps(reopened(arguments.reopen)))
        return
    resource.setrlimit(resource.RLIMIT_NOFILE, (FILES, FILES))
    report = circumstances(
        f"python benchmarks/namespaces.py --full {arguments.full} --entries {arguments.entries} "
        f"--touched {arguments.touched}"
    )
    report |= {"versions": synthetic.versions(), "files_allowed": FILES}
    with tempfile.TemporaryDirectory() as folder:
        report |= lived(Path(folder), arguments.full, arguments.entries, arguments.touched)
        report["touched"]["disk_bytes"] = size_of(Path(folder))
        command = [sys.executable, __file__, "--reopen", folder]
        report["reopened"] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    report["failed"] = failures(report, arguments.rss_limit)
    print(json.dumps({name: value for name, value in report.items() if name != "samples"}, indent=2))
    if arguments.json:
        arguments.json.write_text(json.dumps(report, indent=2) + "\n")
    sys.exit("; ".join(report["failed"]) or None)


def lived(folder: Path, full: int, entries: int, touched: int) -> dict[str, Any]:
    """The life of the process: what it cost, and samples of its files and memory on the way."""
    samples: list[dict[str, float]] = []
    with opened(folder, namespace="many") as memory:
        report: dict[str, Any] = {"samples": samples}
        report["full"] = _grow(memory, range(full), entries, samples)
        report["full"] |= {
            "disk_bytes": size_of(folder),
            "search, any namespace": _latency(memory, full, lambda n: n),
            "search, the same namespace": _latency(memory, full, lambda _: 0),
            "search, the same 50 namespaces": _latency(memory, full, lambda n: n % 50),
        }
        report["touched"] = _grow(memory, range(full, touched), FEW, samples)
        report["touched"]["search, any namespace"] = _latency(memory, touched, lambda n: n)
    report["open_files_most"] = max(sample["open_files"] for sample in samples)
    report["rss_most"] = max(sample["rss"] for sample in samples)
    return report


def _grow(memory: SyncMemoryManager, numbers: range, entries: int, samples: list[dict[str, float]]) -> dict[str, Any]:
    """Write to namespaces one after the other, each time looking into earlier ones."""
    chosen = random.Random(numbers.start)
    adding, searching = [], []
    for number in numbers:
        news = synthetic.memories(entries, number * entries)
        adding.append(timed(lambda number=number, news=news: memory.scoped(number).add_memories(news)))
        for _ in range(AGAIN):
            asked = news[0].content
            earlier = memory.scoped(chosen.randrange(number + 1))
            searching.append(timed(lambda earlier=earlier, asked=asked: _found(earlier, asked)))
        if number % 10 == 9:
            samples.append(
                {"namespaces": number + 1, "open_files": synthetic.open_files(), "rss": synthetic.rss_bytes()}
            )
        if number % 100 == 99:
            last = samples[-1]
            print(
                f"{number + 1:,} namespaces: {last['open_files']} files, {last['rss'] / 1e6:.0f} MB, "
                f"add {np.median(adding[-100:]) * 1000:.0f} ms, search {np.median(searching[-200:]) * 1000:.0f} ms",
                file=sys.stderr,
                flush=True,
            )
    return {
        "namespaces": len(numbers),
        "entries_each": entries,
        "seconds": sum(adding) + sum(searching),
        "add_p50_ms": float(np.median(adding)) * 1000,
        "add_last_to_first": float(np.median(adding[-100:]) / np.median(adding[:100])),
        "search_earlier_p50_ms": float(np.median(searching)) * 1000,
        "search_earlier_p95_ms": float(np.quantile(searching, 0.95)) * 1000,
    }


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
    """What is not as promised."""
    failed = []
    samples = report["samples"]
    if report["rss_most"] > rss_limit * 1e6:
        failed.append(f"{report['rss_most'] / 1e6:.0f} MB of memory, more than {rss_limit}")
    growth = samples[-1]["rss"] / samples[len(samples) // 2]["rss"]
    report["rss_end_to_middle"] = growth
    if growth > GROWTH:
        failed.append(f"memory grew by {growth:.2f} in the second half")
    return failed


if __name__ == "__main__":
    main()
