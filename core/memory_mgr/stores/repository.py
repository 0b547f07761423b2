"""One namespace: Chroma and its catalog kept saying the same.

The order of every write is: note the ids in the catalog, write Chroma, bring the catalog up to date and take the
note back. A write that fails or a process that dies anywhere in between leaves notes, and whoever uses the namespace
next asks Chroma what became of those ids (`stores.recovery`). Entries that move between tiers are written to the
destination before they are deleted from the source, with a higher revision, so that a copy left behind is recognised
and removed.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from datetime import datetime
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from memory_mgr.bars import Progress, progress_bar
from memory_mgr.errors import ManagerClosedError, StoreError, StoreUnavailableError
from memory_mgr.policy.recall_config import RecallConfig
from memory_mgr.protocols import Vectors
from memory_mgr.stores.base import VectorStore
from memory_mgr.stores.catalog import Catalog
from memory_mgr.stores.catalog_file import is_damage
from memory_mgr.stores.catalog_place import CatalogPlace
from memory_mgr.stores.journal import Journal
from memory_mgr.stores.leftovers import mostly_deleted, note_compacted, note_deleted
from memory_mgr.stores.passages import following, has_passages
from memory_mgr.stores.recovery import by_tier, refill, settle
from memory_mgr.stores.undisturbed import is_as_left, note_left
from memory_mgr.types import MemoryEntry, MemoryType, Namespace

log = logging.getLogger(__name__)
_SEEN = "journal"
_FORGETTING = "forgetting"
"""What the catalog remembers of the journal."""
T = TypeVar("T")
_NOTED = 5_000
"""Recalled entries whose counts are kept in memory; if there are more, the next write of entries writes them, too."""
_PAUSE_SECONDS = 1.0
"""How long reading goes on with what the catalog knows before an unavailable store is asked again."""
_BAR_AFTER_SECONDS = 2.0
"""A rebuild that takes longer shows a bar, on a terminal."""


class Repository:
    """The entries of one namespace. Thread-safe.

    Args:
        store: Where the truth is.
        namespace: Whose entries.
        catalog_path: The catalog's file, None = in memory (rebuilt at every opening).
        recall: What the catalog indexes beside an entry's own words.
        read_only: Change neither Chroma nor a catalog that others read; one that is out of date is made in memory.
    """

    def __init__(
        self,
        store: VectorStore,
        namespace: Namespace,
        catalog_path: Path | None,
        recall: RecallConfig,
        *,
        read_only: bool = False,
    ) -> None:
        self.store = store
        self.namespace = namespace
        self.lock = threading.RLock()
        self._read_only = read_only
        self._unsettled = False
        self._incomplete = False
        self._not_before = 0.0
        self._closed = False
        self._place = CatalogPlace(catalog_path, namespace, recall, read_only=read_only)
        records = store.records(namespace)
        self._journal = None if records is None else Journal(records)
        self._catalog = self._open()
        self._sequence = self.read(lambda catalog: catalog.last_sequence())
        self._accesses: dict[str, int] = defaultdict(int)
        self._accessed = 0.0

    # --- opening, recovering -------------------------------------------------------------------------------

    def _open(self) -> Catalog:
        try:
            return self._opened()
        except sqlite3.DatabaseError as error:
            if not is_damage(error):
                raise self._place.unavailable(error) from error
            log.warning("catalog %s cannot be used (%s); rebuilding it from Chroma", self._place.path, error)
            self._place.discard()
            return self._opened()

    def _opened(self) -> Catalog:
        catalog = self._place.connect()
        try:
            in_order = is_as_left(self.store, catalog) and not catalog.meta(_FORGETTING)
            return catalog if in_order else self._recovered(catalog)
        except BaseException:
            catalog.close()
            raise

    def _recovered(self, catalog: Catalog) -> Catalog:
        """Settle what an earlier process left undone, then compare counts and rebuild if they differ."""
        if catalog.meta(_FORGETTING) and not self._read_only:
            self.store.drop(self.namespace)
            self._rebuild(catalog)
            catalog.set_meta(_FORGETTING, "")
        unsettled = catalog.pending()
        if unsettled and self._read_only:
            catalog.close()
            self._place.discard()
            catalog = self._place.connect()
        elif unsettled:
            settle(self.store, catalog, unsettled)
        if not self._follows(catalog) or self._differs(catalog):
            self._rebuild(catalog)
        return catalog

    def _differs(self, catalog: Catalog) -> bool:
        return any(self.store.count(self.namespace, tier) != n for tier, n in catalog.stored_counts().items())

    # --- other clients of the same server -------------------------------------------------------------------

    def _follows(self, catalog: Catalog) -> bool:
        """Bring a catalog that was closed to what others changed since; False if that cannot be told."""
        if self._journal is None:
            return True
        return self._journal.resume(catalog.meta(_SEEN)) and self._learn(self._journal, catalog)

    def _learn(self, journal: Journal, catalog: Catalog) -> bool:
        """Bring the catalog to what other clients changed; False if that cannot be told."""
        news = journal.news()
        if news is None:
            return False
        if news:
            settle(self.store, catalog, news, read_only=True)
        return True

    def _catch_up(self) -> None:
        """Learn of others' changes, unless another thread is at work, which then does it."""
        if self._journal is None or not self.lock.acquire(blocking=False):
            return
        try:
            if self._journal.due() and not self._closed and not self._learn(self._journal, self._catalog):
                self._rebuild(self._catalog)
        except StoreUnavailableError as error:
            log.warning("what other clients changed is not known yet: %s", error)
        finally:
            self.lock.release()

    def _settle(self) -> None:
        """Ask Chroma what became of a write that failed."""
        with self.lock:
            if not self._unsettled:
                return
            try:
                self._catalog = self._recovered(self._catalog)
            except sqlite3.DatabaseError as error:
                if not is_damage(error):
                    raise self._place.unavailable(error) from error
                self.rebuild()
            self._unsettled = self._incomplete = False

    def rebuild(self, progress: Progress | None = None) -> int:
        """Make the catalog anew from Chroma; the number of entries in it."""
        with self.lock:
            self._begin_anew()
            total = self._rebuild(self._catalog, progress)
            self._sequence = self._catalog.last_sequence()
            self._unsettled = self._incomplete = False
            return total

    def _begin_anew(self) -> None:
        """An empty catalog, which nobody is to read as it is."""
        self._unsettled = self._incomplete = True
        self._catalog.close()
        self._place.discard()
        self._catalog = self._place.connect()

    def _rebuild(self, catalog: Catalog, progress: Progress | None = None) -> int:
        title = f"Rebuilding the catalog of {'/'.join(self.namespace)}"
        with progress_bar(title, after_seconds=_BAR_AFTER_SECONDS) as bar:
            return self._made_anew(catalog, progress or bar)

    def _made_anew(self, catalog: Catalog, progress: Progress) -> int:
        total = sum(self.store.count(self.namespace, tier) for tier in MemoryType)
        read_only = self._read_only
        if self._journal is not None:
            self._journal.start()
            read_only = read_only or not self._journal.quiet()
        return refill(self.store, catalog, lambda done: progress(done, total), read_only=read_only)

    def read(self, question: Callable[[Catalog], T]) -> T:
        """Ask the catalog; one that turns out damaged is rebuilt and asked again, once.

        Raises:
            StoreUnavailableError: The catalog's file cannot be used.
            ManagerClosedError: The memory was closed meanwhile.
        """
        if self._unsettled:
            self._try_to_settle()
        if self._journal is not None and self._journal.due():
            self._catch_up()
        try:
            return question(self._catalog)
        except sqlite3.DatabaseError as error:
            if self._closed:
                raise ManagerClosedError from error
            if not is_damage(error):
                raise self._place.unavailable(error) from error
            log.warning("catalog %s is damaged (%s); rebuilding it from Chroma", self._place.path, error)
            self.rebuild()
            return question(self._catalog)

    def _try_to_settle(self) -> None:
        if time.monotonic() < self._not_before and not self._incomplete:
            return
        try:
            self._settle()
        except StoreUnavailableError as error:
            if self._incomplete:
                raise
            self._not_before = time.monotonic() + _PAUSE_SECONDS
            log.warning("what became of a failed write is not known yet: %s", error)

    # --- writing -------------------------------------------------------------------------------------------

    def next_sequences(self, count: int) -> range:
        """Sequences for `count` new entries."""
        with self.lock:
            if self._journal is None:
                numbers = range(self._sequence + 1, self._sequence + 1 + count)
            else:
                numbers = self._journal.sequences(self._sequence, count)
            self._sequence = max(self._sequence, *numbers[-1:], 0)
            return numbers

    def skip_sequences(self, last: int) -> None:
        """Entries that come with sequences up to `last` are about to be stored; new ones come after them."""
        with self.lock:
            self._sequence = max(self._sequence, last)

    @contextmanager
    def _changing(self, entries: Sequence[MemoryEntry]) -> Iterator[None]:
        """Note what is about to change; if it fails on the way, the next call asks Chroma what became of it."""
        with self.lock:
            self._settle()
            if len(self._accesses) > _NOTED:
                self.flush()
            self.read(lambda catalog: catalog.mark(e.id for e in entries))
            try:
                with nullcontext() if self._journal is None else self._journal.telling([e.id for e in entries]):
                    yield
            except BaseException:
                self._unsettled = True
                raise

    def add(self, entries: Sequence[MemoryEntry], vectors: Vectors, *, replacing: Sequence[MemoryEntry] = ()) -> None:
        """Store entries, of any tiers.

        Args:
            entries: What to write; same ids are replaced.
            vectors: Theirs, shape (len(entries), dimensions).
            replacing: What was there in their place; those that are not written again are deleted.
        """
        rows = {entry.id: row for row, entry in enumerate(entries)}
        gone = [entry for entry in replacing if entry.id not in rows]
        with self._changing([*entries, *gone]):
            for tier, group in by_tier(entries).items():
                self.store.upsert(self.namespace, tier, group, vectors[[rows[e.id] for e in group]])
            self._delete(gone)
            self.read(lambda catalog: catalog.apply(entries, vectors, [e.id for e in gone]))
        if gone:
            self._compact()

    def rewrite(self, entries: Sequence[MemoryEntry]) -> None:
        """Store changes of entries whose text and tier stay as they are."""
        with self.lock:
            entries = [*entries, *following(self.passages(entries), entries)]
            with self._changing(entries):
                for tier, group in by_tier(entries).items():
                    self.store.update(self.namespace, tier, group)
                self.read(lambda catalog: catalog.apply(entries))

    def move(self, moved: Sequence[MemoryEntry], origins: Sequence[MemoryType]) -> None:
        """Put entries into the tier they now name, with the vectors they have.

        Args:
            moved: The entries as they shall be, `memory_type` and `revision` changed.
            origins: The tier each is in now.
        """
        with self.lock:
            passages = self.passages(moved)
            left = [entry.with_changes(memory_type=tier) for entry, tier in zip(moved, origins, strict=True)]
            left += passages
            moved = [*moved, *following(passages, moved)]
            vectors = self.vectors(left)
            with self._changing(moved):
                for tier, group in by_tier(moved).items():
                    self.store.upsert(self.namespace, tier, group, np.stack([vectors[e.id] for e in group]))
                self._delete(left)
                self.read(lambda catalog: catalog.apply(moved))
            self._compact()

    def remove(self, entries: Sequence[MemoryEntry]) -> None:
        """Delete entries."""
        with self.lock:
            entries = [*entries, *self.passages(entries)]
            with self._changing(entries):
                self._delete(entries)
                self.read(lambda catalog: catalog.apply(removed=[e.id for e in entries]))
            self._compact()

    def _delete(self, entries: Sequence[MemoryEntry]) -> None:
        for tier, group in by_tier(entries).items():
            self.store.delete(self.namespace, tier, [e.id for e in group])
            note_deleted(self._catalog, tier, len(group))

    def _compact(self) -> None:
        """Free what deleted entries take, once that is most of a tier; it can wait if it fails."""
        with self.lock:
            for tier in self.read(mostly_deleted):
                try:
                    self.store.compact(self.namespace, tier)
                except StoreError as error:
                    log.warning("the %s tier of %s could not be compacted: %s", tier.value, self.namespace, error)
                    return
                note_compacted(self._catalog, tier)

    def passages(self, entries: Sequence[MemoryEntry]) -> list[MemoryEntry]:
        """The passages of those entries that have any."""
        long = [entry.id for entry in entries if has_passages(entry)]
        return self.read(lambda catalog: catalog.passages(long)) if long else []

    def vectors(self, entries: Sequence[MemoryEntry]) -> dict[str, NDArray[np.float32]]:
        """The vectors of entries by id, as they were stored."""
        found: dict[str, NDArray[np.float32]] = {}
        for tier, group in by_tier(entries).items():
            found |= self.store.vectors(self.namespace, tier, [e.id for e in group])
        return found

    def forget(self) -> dict[MemoryType, int]:
        """Remove the namespace, Chroma's collections and the catalog's file; what was there by tier."""
        with self.lock:
            counts = self.read(lambda catalog: catalog.tier_counts())
            if self._journal is None:
                # Each tier is dropped by itself: who comes after a kill drops the rest. Not where others may have
                # written since.
                self.read(lambda catalog: catalog.set_meta(_FORGETTING, "yes"))
            self._unsettled = self._incomplete = True
            self.store.drop(self.namespace)
            self._begin_anew()
            if self._journal is not None:
                self._journal.start()
            self._sequence = 0
            self._accesses.clear()
            self._unsettled = self._incomplete = False
            self.store.scrub()
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

    def leave(self) -> None:
        """Close it, but remember that it is in order: who opens it again in this session need not look."""
        with self.lock:
            try:
                if not self._unsettled and not self._read_only:
                    self.read(lambda catalog: note_left(self.store, catalog))
            finally:
                self.close()

    def close(self) -> None:
        """Let go of the catalog's file; the store stays open for others."""
        with self.lock:
            try:
                self.flush()
                if self._journal is not None and not self._read_only:
                    self._catalog.set_meta(_SEEN, self._journal.state())
            finally:
                self._closed = True
                self._catalog.close()
