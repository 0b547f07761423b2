"""How soon a client of a busy Chroma server sees what another client of the same namespace wrote and deleted."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any
from urllib.parse import urlsplit

import numpy as np

from memory_mgr import MemoryConfig, SyncMemoryManager
from memory_mgr.errors import MemoryNotFoundError
from memory_mgr.testing import FakeEmbedder

PAUSE_SECONDS = 0.01
LONGEST_SECONDS = 30.0
"""Whoever waits longer for a change will not see it at all."""
TOGETHER = "together"
"""The namespace that many clients write to."""


def lags(url: str, through: Callable[[], bool]) -> dict[str, Any]:
    """Write and delete one entry after the other while other clients are at work in the same namespace.

    Args:
        url: The server.
        through: Whether the others are.

    Returns:
        For additions and for deletions: how many were waited for, and the seconds from the return of the call to
        the moment another client's answer shows it (median and most).
    """
    waits: dict[str, list[float]] = {"added": [], "deleted": []}
    with ExitStack() as stack:
        writer, reader = (stack.enter_context(_client(url)) for _ in range(2))
        while not through() or not waits["deleted"]:
            entry = writer.add_memory(f"probe {len(waits['added'])}", "long_term")
            assert _has(writer, entry.id), "its own write is seen at once"
            waits["added"].append(_waited(lambda i=entry.id: _has(reader, i)))
            writer.delete_memory(entry.id)
            assert not _has(writer, entry.id), "its own deletion is seen at once"
            waits["deleted"].append(_waited(lambda i=entry.id: not _has(reader, i)))
    return {
        what: {"waited_for": len(some), "median_s": float(np.median(some)), "most_s": max(some)}
        for what, some in waits.items()
    }


def _client(url: str) -> SyncMemoryManager:
    """One that shares nothing with others but the server, as in another process."""
    import chromadb
    from chromadb.config import Settings

    client = chromadb.HttpClient(port=urlsplit(url).port or 0, settings=Settings(anonymized_telemetry=False))
    return SyncMemoryManager(MemoryConfig(client=client, namespace=TOGETHER, embedder=FakeEmbedder()))


def _has(memory: SyncMemoryManager, memory_id: str) -> bool:
    try:
        memory.get_memory(memory_id)
    except MemoryNotFoundError:
        return False
    return True


def _waited(done: Callable[[], bool]) -> float:
    """Seconds until it is so."""
    began = time.perf_counter()
    while not done():
        if time.perf_counter() - began > LONGEST_SECONDS:
            raise AssertionError(f"another client did not see a change within {LONGEST_SECONDS:.0f} s")
        time.sleep(PAUSE_SECONDS)
    return time.perf_counter() - began
