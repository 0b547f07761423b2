"""One namespace: Chroma and its catalog kept saying the same.

The order of every write is: note the ids in the catalog, write Chroma, bring the catalog up to date and take the
note back. A process that dies anywhere in between leaves notes, and the next one to open the namespace asks
Chroma what became of those ids. Entries that move between tiers are written to the destination before they are
deleted from the source, with a higher revision, so that a copy left behind is recognised and removed.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from memory_mgr.errors import StoreUnavailableError
from memory_mgr.policy.recall_config import RecallConfig
from memory_mgr.protocols import Vectors
from memory_mgr.stores.base import VectorStore
from memory_mgr.stores.catalog import Catalog
from memory_mgr.stores.passages import following, has_passages
from memory_mgr.types import MemoryEntry, MemoryType, Namespace

log = logging.getLogger(__name__)
T = TypeVar("T")
Progress = Callable[[int, int], None]
"""Called with (entries done, entries in all) while the catalog is rebuilt."""


class Repository:
    """The entries of one namespace. Thread-safe.

    Args:
        store: Where the truth is.
        namespace: Whose entries.
        catalog_path: The catalog's file, None = in memory (rebuilt at every opening).
        recall: What the catalog indexes beside an entry's own words.
        progress: Told how far a rebuild is.
    """

    def __init__(
        self,
        store: VectorStore,
        namespace: Namespace,
        catalog_path: Path | None,
        recall: RecallConfig,
        progress: Progress | None = None,
    ) -> None:
        self.store = store
        self.namespace = namespace
        self.lock = threading.RLock()
        self._path = catalog_path
        self._recall = recall
        self._progress = progress
        self._catalog = self._open()
        self._sequence = self._catalog.last_sequence()
        self._accesses: dict[str, int] = defaultdict(int)
        self._accessed = 0.0

    # --- opening, recovering -------------------------------------------------------------------------------

    def _open(self) -> Catalog:
        try:
            catalog = self._connect()
        except sqlite3.OperationalError as error:
            raise _unavailable(self._path, error) from error
        except sqlite3.DatabaseError as error:
            log.warning("catalog %s cannot be used (%s); rebuilding it from Chroma", self._path, error)
            self._discard()
            catalog = self._connect()
        self._recover(catalog)
        return catalog

    def _connect(self) -> Catalog:
        if self._path is not None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
        return Catalog(self._path, self.namespace, self._recall)

    def _discard(self) -> None:
        if self._path is None:
            return
        for suffix in ("", "-wal", "-shm"):
            self._path.with_name(self._path.name + suffix).unlink(missing_ok=True)

    def _recover(self, catalog: Catalog) -> None:
        """Settle what an earlier process left undone, then compare counts and rebuild if they differ."""
        unsettled = catalog.pending()
        if unsettled:
            self._settle(catalog, unsettled)
        if any(self.store.count(self.namespace, tier) != n for tier, n in catalog.stored_counts().items()):
            self._rebuild(catalog)

    def _settle(self, catalog: Catalog, ids: Sequence[str]) -> None:
        copies = [entry for tier in MemoryType for entry in self.store.get(self.namespace, tier, ids)]
        current = self._newest(copies)
        for tier, entries in _by_tier(current.values()).items():
            found = self.store.vectors(self.namespace, tier, [e.id for e in entries])
            catalog.apply(entries, np.stack([found[e.id] for e in entries]))
        catalog.apply(removed=[i for i in ids if i not in current])

    def _newest(self, copies: Iterable[MemoryEntry]) -> dict[str, MemoryEntry]:
        """The entry of the highest revision by id; copies left behind by an interrupted move are deleted."""
        current: dict[str, MemoryEntry] = {}
        left_behind: list[MemoryEntry] = []
        for entry in copies:
            other = current.get(entry.id)
            if other is None or entry.revision > other.revision:
                current[entry.id] = entry
                left_behind += [other] if other else []
            else:
                left_behind.append(entry)
        for tier, entries in _by_tier(left_behind).items():
            self.store.delete(self.namespace, tier, [e.id for e in entries])
        return current

    def rebuild(self) -> int:
        """Make the catalog anew from Chroma; the number of entries in it."""
        with self.lock:
            self._catalog.close()
            self._discard()
            self._catalog = self._connect()
            total = self._rebuild(self._catalog)
            self._sequence = self._catalog.last_sequence()
            return total

    def _rebuild(self, catalog: Catalog) -> int:
        entries: dict[str, MemoryEntry] = {}
        vectors: dict[str, NDArray[np.float32]] = {}
        copies: list[MemoryEntry] = []
        total = sum(self.store.count(self.namespace, tier) for tier in MemoryType)
        for tier in MemoryType:
            for batch, found in self.store.scan(self.namespace, tier, with_vectors=True):
                copies += batch
                if found is not None:
                    vectors.update(zip((e.id for e in batch), found, strict=True))
                self._report(len(copies), 2 * total)
        entries = self._newest(copies)
        ordered = sorted(entries.values(), key=lambda e: (e.timestamp, e.sequence))
        with catalog.transaction():
            catalog.clear()
            for start in range(0, len(ordered), 1000):
                batch = ordered[start : start + 1000]
                catalog.apply(batch, [vectors[e.id] for e in batch])
                self._report(total + start + len(batch), 2 * total)
        return len(ordered)

    def _report(self, done: int, total: int) -> None:
        if self._progress is not None:
            self._progress(done, total)

    def read(self, question: Callable[[Catalog], T]) -> T:
        """Ask the catalog; one that turns out damaged is rebuilt and asked again, once."""
        try:
            return question(self._catalog)
        except sqlite3.OperationalError as error:
            raise _unavailable(self._path, error) from error
        except sqlite3.DatabaseError as error:
            log.warning("catalog %s is damaged (%s); rebuilding it from Chroma", self._path, error)
            self.rebuild()
            return question(self._catalog)

    # --- writing -------------------------------------------------------------------------------------------

    def next_sequences(self, count: int) -> range:
        """Sequences for `count` new entries."""
        with self.lock:
            first = self._sequence + 1
            self._sequence += count
            return range(first, first + count)

    def skip_sequences(self, last: int) -> None:
        """Entries that come with sequences up to `last` are about to be stored; new ones come after them."""
        with self.lock:
            self._sequence = max(self._sequence, last)

    def add(self, entries: Sequence[MemoryEntry], vectors: Vectors) -> None:
        """Store entries, of any tiers, with vectors of shape (len(entries), dimensions)."""
        with self.lock:
            self._mark(entries)
            rows = {entry.id: row for row, entry in enumerate(entries)}
            for tier, group in _by_tier(entries).items():
                self.store.upsert(self.namespace, tier, group, vectors[[rows[e.id] for e in group]])
            self.read(lambda catalog: catalog.apply(entries, vectors))

    def rewrite(self, entries: Sequence[MemoryEntry]) -> None:
        """Store changes of entries whose text and tier stay as they are."""
        with self.lock:
            entries = [*entries, *following(self._passages(entries), entries)]
            self._mark(entries)
            for tier, group in _by_tier(entries).items():
                self.store.update(self.namespace, tier, group)
            self.read(lambda catalog: catalog.apply(entries))

    def move(self, moved: Sequence[MemoryEntry], origins: Sequence[MemoryType]) -> None:
        """Put entries into the tier they now name, with the vectors they have.

        Args:
            moved: The entries as they shall be, `memory_type` and `revision` changed.
            origins: The tier each is in now.
        """
        with self.lock:
            passages = self._passages(moved)
            origins = [*origins, *(passage.memory_type for passage in passages)]
            moved = [*moved, *following(passages, moved)]
            self._mark(moved)
            vectors = self._vectors(moved, origins)
            for tier, group in _by_tier(moved).items():
                self.store.upsert(self.namespace, tier, group, np.stack([vectors[e.id] for e in group]))
            left: dict[MemoryType, list[str]] = defaultdict(list)
            for entry, origin in zip(moved, origins, strict=True):
                left[origin].append(entry.id)
            for tier, ids in left.items():
                self.store.delete(self.namespace, tier, ids)
            self.read(lambda catalog: catalog.apply(moved))

    def remove(self, entries: Sequence[MemoryEntry]) -> None:
        """Delete entries."""
        with self.lock:
            entries = [*entries, *self._passages(entries)]
            self._mark(entries)
            for tier, group in _by_tier(entries).items():
                self.store.delete(self.namespace, tier, [e.id for e in group])
            self.read(lambda catalog: catalog.apply(removed=[e.id for e in entries]))

    def _passages(self, entries: Sequence[MemoryEntry]) -> list[MemoryEntry]:
        long = [entry.id for entry in entries if has_passages(entry)]
        return self.read(lambda catalog: catalog.passages(long)) if long else []

    def _mark(self, entries: Sequence[MemoryEntry]) -> None:
        self.read(lambda catalog: catalog.mark(e.id for e in entries))

    def vectors(self, entries: Sequence[MemoryEntry]) -> dict[str, NDArray[np.float32]]:
        """The vectors of entries by id, as they were stored."""
        return self._vectors(entries, [e.memory_type for e in entries])

    def _vectors(self, entries: Sequence[MemoryEntry], tiers: Sequence[MemoryType]) -> dict[str, NDArray[np.float32]]:
        ids: dict[MemoryType, list[str]] = defaultdict(list)
        for entry, tier in zip(entries, tiers, strict=True):
            ids[tier].append(entry.id)
        found: dict[str, NDArray[np.float32]] = {}
        for tier, group in ids.items():
            found |= self.store.vectors(self.namespace, tier, group)
        return found

    def forget(self) -> dict[MemoryType, int]:
        """Remove the namespace, Chroma's collections and the catalog's file; what was there by tier."""
        with self.lock:
            counts = self.read(lambda catalog: catalog.tier_counts())
            self.store.drop(self.namespace)
            self._catalog.close()
            self._discard()
            self._catalog = self._connect()
            self._sequence = 0
            return counts

    # --- access counts: collected here, written now and then, lost with the catalog ---------------------------

    def accessed(self, ids: Iterable[str], moment: float) -> None:
        """Note that these entries were recalled at `moment`, epoch seconds."""
        with self.lock:
            for memory_id in ids:
                self._accesses[memory_id] += 1
            self._accessed = moment

    def accesses(self) -> dict[str, tuple[int, datetime]]:
        """How often and when last each entry was recalled, for those that were."""
        self.flush()
        return self.read(lambda catalog: catalog.accesses())

    def flush(self) -> None:
        """Write what was only noted."""
        with self.lock:
            if self._accesses:
                counts, self._accesses = dict(self._accesses), defaultdict(int)
                self.read(lambda catalog: catalog.touch(counts, self._accessed))

    def close(self) -> None:
        """Let go of the catalog's file; the store stays open for others."""
        with self.lock:
            self.flush()
            self._catalog.close()


def _by_tier(entries: Iterable[MemoryEntry]) -> dict[MemoryType, list[MemoryEntry]]:
    groups: dict[MemoryType, list[MemoryEntry]] = defaultdict(list)
    for entry in entries:
        groups[entry.memory_type].append(entry)
    return groups


def _unavailable(path: Path | None, error: sqlite3.OperationalError) -> StoreUnavailableError:
    return StoreUnavailableError(
        f"the catalog {path} cannot be used: {error}; check that the folder is writable, the disk has room and no "
        "other program holds the file (deleting it is safe: it is rebuilt from Chroma)"
    )
