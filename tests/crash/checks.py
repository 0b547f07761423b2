"""What must hold of a namespace at any time nobody is writing to it, however it came to be as it is."""

from __future__ import annotations

from collections import Counter, defaultdict

import numpy as np
from numpy.typing import NDArray

from memory_mgr import MemoryEntry, MemoryType, SyncMemoryManager
from memory_mgr.stores.codec import encode_entry
from memory_mgr.stores.passages import has_passages
from memory_mgr.types import PASSAGE

_DIFFER = "the catalog and Chroma differ"


def check_consistent(memory: SyncMemoryManager) -> None:
    """Catalog equal to Chroma, ids unique over all tiers, turns whole, summaries with sources, passages with wholes."""
    with memory._lease() as repository:
        stored = {
            tier: [
                (entry, vector)
                for read in memory._runtime.store.scan(memory.namespace, tier, with_vectors=True)
                for entry, vector in zip(read.entries(), read.vectors if read.vectors is not None else (), strict=True)
            ]
            for tier in MemoryType
        }
        rows = repository.read(
            lambda catalog: catalog.all_rows("SELECT id, tier, content, record, vector FROM entries ORDER BY id")
        )
        assert repository.read(lambda catalog: catalog.pending()) == []
        words = repository.read(lambda catalog: catalog.all_rows("SELECT count(*) FROM words"))[0][0]
        loose = "SELECT count(*) FROM attributes WHERE entry NOT IN (SELECT rowid FROM entries)"
        assert repository.read(lambda catalog: catalog.all_rows(loose))[0][0] == 0
    entries = [entry for group in stored.values() for entry, _ in group]
    assert max(Counter(entry.id for entry in entries).values(), default=0) <= 1, "an id is there twice"
    in_chroma = sorted(
        (
            (e.id, e.memory_type.value, e.content, encode_entry(e), None if e.found_by == () else _small(v))
            for group in stored.values()
            for e, v in group
        ),
        key=lambda row: row[0],
    )
    assert [row[:4] for row in rows] == [row[:4] for row in in_chroma], _DIFFER
    for (*_, blob), (*_, vector) in zip(rows, in_chroma, strict=True):
        assert (blob is None) == (vector is None), _DIFFER
        if blob is not None and vector is not None:
            apart = np.frombuffer(blob, np.int8).astype(int) - vector.astype(int)
            assert np.abs(apart).max() <= 1, _DIFFER
    assert words == len(rows), "the word index and the entries differ"
    _check_parts(entries)


def _small(vector: NDArray[np.float32]) -> NDArray[np.int8]:
    """A vector as exact as eight bits are."""
    return np.rint(vector / (np.abs(vector).max() / 127)).astype(np.int8)


def _check_parts(entries: list[MemoryEntry]) -> None:
    by_id = {entry.id: entry for entry in entries}
    parts: Counter[str] = Counter()
    for entry in entries:
        if entry.kind == PASSAGE:
            whole = by_id[str(entry.details["whole"])]
            assert whole.memory_type is entry.memory_type, "a passage is not where its whole is"
            parts[whole.id] += 1
    for entry in entries:
        assert parts[entry.id] == (entry.details["passages"] if has_passages(entry) else 0), "passages are missing"
    tiers: dict[tuple[str | None, str], set[MemoryType]] = defaultdict(set)
    for entry in entries:
        for call in entry.details.get("tool_calls") or []:  # type: ignore[union-attr]
            tiers[entry.source, call["id"]].add(entry.memory_type)  # type: ignore[index, call-overload, arg-type]
        if answered := entry.details.get("tool_call_id"):
            tiers[entry.source, str(answered)].add(entry.memory_type)
    assert all(len(places) == 1 for places in tiers.values()), "a call and its result are in different tiers"


def check_summaries(memory: SyncMemoryManager) -> None:
    """Every summary's sources are there, as long as nobody deletes or prunes messages."""
    entries = {entry.id: entry for entry in memory.list_memories(limit=None, include_superseded=True)}
    for entry in entries.values():
        if entry.kind == "summary":
            assert set(entry.derived_from) <= entries.keys(), "a summary without its sources"
