"""Entries made up for measurements of cost: as many as wanted, their words as uneven as in language."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from typing import Any

import numpy as np

from memory_mgr import NewMemory
from memory_mgr.testing import FakeEmbedder

WORDS = 30_000
LENGTH = 16
SOURCES = 200
START = datetime(2026, 1, 1, tzinfo=UTC)


def texts(count: int, seed: int = 1) -> list[str]:
    """Sentences of made-up words; how often each word occurs follows Zipf's law."""
    generator = np.random.default_rng(seed)
    weights = 1 / np.arange(1, WORDS + 1)
    drawn = generator.choice(WORDS, size=(count, LENGTH), p=weights / weights.sum())
    return [" ".join(map(_word, row)) for row in drawn.tolist()]


def _word(number: int) -> str:
    """A pronounceable word; different numbers make different words."""
    word = ""
    number += 1
    while number:
        number, rest = divmod(number, 80)
        word += "bdfgklmnprstvzhj"[rest // 5] + "aeiou"[rest % 5]
    return word


def questions(count: int, seed: int = 2) -> list[str]:
    """Six words each, frequent and rare ones mixed as in questions."""
    return [" ".join(text.split()[:6]) for text in texts(count, seed)]


def memories(count: int, first: int = 0, seed: int = 1) -> list[NewMemory]:
    """Entries of many streams, a minute apart, belonging to ten tenants."""
    return [
        NewMemory(
            content=text,
            source=f"stream-{number % SOURCES}",
            timestamp=START + timedelta(minutes=number),
            metadata={"tenant": f"tenant-{number % 10}", "number": number},
            importance_score=0.5,
        )
        for number, text in enumerate(texts(count, seed + first), first)
    ]


def embedder() -> FakeEmbedder:
    """Vectors of the default's length at next to no cost, so that what is measured is the store."""
    return FakeEmbedder(384)


def latency(call: Callable[[str], Any], inputs: Sequence[str]) -> dict[str, float]:
    """Median and 95th percentile of a call in milliseconds, and its mean time on the processor.

    The first input is run once before, to warm up. Other programs change the processor's time less than the clock's.
    """
    call(inputs[0])
    taken, cpu = [], time.process_time()
    for one in inputs:
        before = time.perf_counter()
        call(one)
        taken.append(time.perf_counter() - before)
    cpu_ms = (time.process_time() - cpu) / len(inputs) * 1000
    milliseconds = np.array(taken) * 1000
    return {
        "p50_ms": float(np.median(milliseconds)),
        "p95_ms": float(np.quantile(milliseconds, 0.95)),
        "cpu_ms": cpu_ms,
    }


def rss_bytes() -> int:
    """Memory this process holds."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def open_files() -> int:
    """File descriptors this process holds."""
    return len(os.listdir("/proc/self/fd"))


def versions() -> dict[str, str]:
    """What was measured."""
    return {name: version(name) for name in ("memory-mgr", "chromadb", "numpy")}
