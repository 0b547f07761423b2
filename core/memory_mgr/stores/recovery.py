"""After an interruption: which copy of an entry counts, and what is only left over from before it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain

import numpy as np

from memory_mgr.stores.ahead import ahead
from memory_mgr.stores.base import VectorStore
from memory_mgr.stores.catalog import Catalog
from memory_mgr.stores.catalog_rows import Rows, rows_of
from memory_mgr.stores.lines import Line
from memory_mgr.stores.passages import is_part
from memory_mgr.stores.quantized import quantized
from memory_mgr.stores.scanned import Scanned
from memory_mgr.types import PASSAGE, MemoryEntry, MemoryType, Namespace

_WHOLES = 500
"""Long texts whose passages are looked through together."""


def settle(store: VectorStore, catalog: Catalog, ids: Sequence[str], *, read_only: bool = False) -> None:
    """Bring the catalog to what Chroma says of entries that were changed, or whose change was never reported done.

    Args:
        store: Where the truth is.
        catalog: What to correct.
        ids: The entries.
        read_only: Leave what seems left over where it is: another client may be in the middle of writing it.
    """
    copies = [entry for tier in MemoryType for entry in store.get(catalog.namespace, tier, ids)]
    current, left_over = _sorted_out(copies, lambda missing: _wholes(store, catalog.namespace, missing))
    if not read_only:
        _delete(store, catalog.namespace, left_over)
    entries = [entry for entry in current if entry.id in set(ids)]
    for tier, group in by_tier(entries).items():
        found = store.vectors(catalog.namespace, tier, [e.id for e in group])
        there = [entry for entry in group if entry.id in found]
        catalog.apply(there, [found[e.id] for e in there])
    kept = {entry.id for entry in entries}
    catalog.apply(removed=[i for i in ids if i not in kept])


def refill(store: VectorStore, catalog: Catalog, report: Callable[[int], None], *, read_only: bool) -> int:
    """Write every entry of a namespace into an empty catalog as it is read, and delete what is left over.

    Args:
        store: Where the entries are.
        catalog: Where they go.
        report: Told how many were read so far.
        read_only: Leave what is left over where it is.

    Returns:
        How many entries the catalog has now.
    """
    reading = _Reading()
    done = 0
    with catalog.transaction():
        catalog.clear()
        with catalog.without_indexes():
            for tier in MemoryType:
                # Three threads: one reads, one makes rows of what was read before, and SQLite writes those before.
                batches = store.scan(catalog.namespace, tier, with_vectors=True)
                for rows, replaced, read in ahead(map(reading.rows, batches)):
                    catalog.load(rows, replaced)
                    done += read
                    report(done)
        parts = list(_parts_of_nothing(catalog))
        if not read_only:
            for part in parts:
                reading.left_over[part.memory_type].append(part.id)
            for tier, ids in reading.left_over.items():
                store.delete(catalog.namespace, tier, ids)
        catalog.unload([part.id for part in parts])
        catalog.index_words()
    catalog.shrink()
    return len(reading.rowids) - len(parts)


class _Reading:
    """All copies of all entries, one batch after the other, as rows; of two copies the one of higher revision counts.

    Attributes:
        rowids: Where the entries go, by id.
        left_over: Ids of older copies, by the tier they are in.
    """

    def __init__(self) -> None:
        self.rowids: dict[str, int] = {}
        self.left_over: dict[MemoryType, list[str]] = defaultdict(list)
        # No pairs of the two: Python's collector would go through all of them again and again.
        self._revisions: dict[str, int] = {}
        self._tiers: dict[str, MemoryType] = {}

    def rows(self, read: Scanned) -> tuple[Rows, set[int], int]:
        """The rows of those that count, which of them are there already, and how many entries were looked at."""
        lines = read.lines()
        places = [place for place, line in enumerate(lines) if self._counts(line, read.tier)]
        counting = [lines[place] for place in places]
        replaced = {self.rowids[line.id] for line in counting if line.id in self.rowids}
        for line in counting:
            self.rowids.setdefault(line.id, len(self.rowids) + 1)
        vectors = quantized(np.asarray(read.vectors)[places])
        return rows_of(counting, vectors, self.rowids), replaced, len(lines)

    def _counts(self, line: Line, tier: MemoryType) -> bool:
        """Whether an entry is newer than its copies so far; the older of two is noted as left over."""
        revision = self._revisions.get(line.id)
        newer = revision is None or line.revision > revision
        if revision is not None:
            self.left_over[self._tiers[line.id] if newer else tier].append(line.id)
        if newer:
            self._revisions[line.id], self._tiers[line.id] = line.revision, tier
        return newer


def _parts_of_nothing(catalog: Catalog) -> Iterator[MemoryEntry]:
    """Passages of texts that are gone or were replaced."""
    wholes = [row[0] for row in catalog.all_rows("SELECT DISTINCT whole FROM entries WHERE whole IS NOT NULL")]
    for start in range(0, len(wholes), _WHOLES):
        ids = wholes[start : start + _WHOLES]
        current = {entry.id: entry for entry in catalog.by_ids(ids)}
        for passage in catalog.passages(ids):
            whole = current.get(str(passage.details["whole"]))
            if whole is None or not is_part(passage, whole):
                yield passage


def truth(store: VectorStore, namespace: Namespace) -> list[MemoryEntry]:
    """Every entry of a namespace that counts, in order of time; what is left over stays where it is."""
    batches = (read.entries() for tier in MemoryType for read in store.scan(namespace, tier, with_vectors=False))
    current, _ = _sorted_out(chain.from_iterable(batches), lambda missing: [])
    return sorted(current, key=lambda e: (e.timestamp, e.sequence))


def by_tier(entries: Iterable[MemoryEntry]) -> dict[MemoryType, list[MemoryEntry]]:
    """Entries in groups of one tier, in order."""
    groups: dict[MemoryType, list[MemoryEntry]] = defaultdict(list)
    for entry in entries:
        groups[entry.memory_type].append(entry)
    return groups


def _sorted_out(
    copies: Iterable[MemoryEntry], look_up: Callable[[list[str]], list[MemoryEntry]]
) -> tuple[list[MemoryEntry], list[MemoryEntry]]:
    """The entries that count, and those that are left over.

    Of two copies the one of the higher revision counts; a passage counts as long as it is part of its whole: others
    are of a text that was replaced or deleted.
    """
    current: dict[str, MemoryEntry] = {}
    left_over: list[MemoryEntry] = []
    for entry in copies:
        other = current.get(entry.id)
        if other is None or entry.revision > other.revision:
            current[entry.id] = entry
            left_over += [other] if other else []
        else:
            left_over.append(entry)
    passages = [entry for entry in current.values() if entry.kind == PASSAGE]
    missing = {str(passage.details["whole"]) for passage in passages} - current.keys()
    wholes = current | {whole.id: whole for whole in look_up(sorted(missing))}
    for passage in passages:
        whole = wholes.get(str(passage.details["whole"]))
        if whole is None or not is_part(passage, whole):
            left_over.append(current.pop(passage.id))
    return list(current.values()), left_over


def _wholes(store: VectorStore, namespace: Namespace, ids: list[str]) -> list[MemoryEntry]:
    return [entry for tier in MemoryType for entry in store.get(namespace, tier, ids)] if ids else []


def _delete(store: VectorStore, namespace: Namespace, entries: Iterable[MemoryEntry]) -> None:
    for tier, group in by_tier(entries).items():
        store.delete(namespace, tier, [e.id for e in group])
