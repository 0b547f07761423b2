"""The SQLite index beside Chroma: one file per namespace, never the truth, rebuilt from Chroma when in doubt.

It answers what Chroma answers slowly or not at all: filters, neighbours, words, exact similarity of any few
entries, and order of time. Here it is written; `catalog_reading` has the questions, `catalog_file` the tables.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from memory_mgr.policy.recall_config import RecallConfig
from memory_mgr.stores.catalog_ranking import CatalogRanking
from memory_mgr.stores.catalog_rows import COLUMNS_OF_ATTRIBUTES, COLUMNS_OF_ENTRIES, Rows, rows_of
from memory_mgr.stores.codec import encode_entry
from memory_mgr.stores.lines import Line, line_of
from memory_mgr.stores.quantized import Quantized, quantized
from memory_mgr.stores.word_index import WordIndex
from memory_mgr.types import MemoryEntry, Namespace

Matrix = Sequence[NDArray[np.float32]] | NDArray[np.float32]

_MANY = 500
"""Entries written together that leave SQLite's cache full of what was written."""
_WORDS = "words"
"""The setting that tells how the words were indexed."""
_KNOWN = """
SELECT e.id, e.rowid, e.tier, e.source, e.ts, e.seq, e.speaker, e.content
FROM json_each(?) AS wanted CROSS JOIN entries e ON e.id = wanted.value
"""
_UPSERT = """
INSERT INTO entries (rowid, id, tier, source, ts, seq, speaker, content, importance, expires, superseded_by, pinned,
    kind, whole, record, voice, substance, asks, vector, scale)
VALUES {rows}
ON CONFLICT (id) DO UPDATE SET tier = excluded.tier, source = excluded.source, ts = excluded.ts, seq = excluded.seq,
    speaker = excluded.speaker, content = excluded.content, importance = excluded.importance,
    expires = excluded.expires, superseded_by = excluded.superseded_by, pinned = excluded.pinned,
    kind = excluded.kind, record = excluded.record, voice = excluded.voice, substance = excluded.substance,
    asks = excluded.asks,
    vector = iif(excluded.scale = 0, NULL, coalesce(excluded.vector, vector)),
    scale = coalesce(excluded.scale, scale)
"""
_ATTRIBUTES = "INSERT OR IGNORE INTO attributes VALUES {rows}"


class _Known(NamedTuple):
    """A row as it is, and what its words in the index depend on."""

    rowid: int
    shown: tuple[object, ...]


class Catalog(CatalogRanking):
    """The index of one namespace: what was written is found again. Thread-safe.

    Args:
        path: Its file; None keeps it in memory.
        namespace: Whose entries it holds.
        recall: How much of what was said before is indexed with an entry.
    """

    def __init__(self, path: Path | None, namespace: Namespace, recall: RecallConfig) -> None:
        super().__init__(path, namespace)
        self._words = WordIndex(self.db, recall)

    def apply(
        self, entries: Sequence[MemoryEntry] = (), vectors: Matrix | None = None, removed: Sequence[str] = ()
    ) -> None:
        """Make the catalog say what Chroma now says, in one transaction.

        Args:
            entries: Written entries; ids are unique.
            vectors: Their vectors; None keeps those that are there.
            removed: Ids that are gone.
        """
        with self._lock:
            with self.transaction():
                changed, gone = self._apply(entries, vectors, removed)
                done = [*removed, *(entry.id for entry in entries)]
                self.db.executemany("DELETE FROM pending WHERE id = ?", ((i,) for i in done))
            self._refresh(changed, gone)
            if len(entries) >= _MANY:
                self.shrink()

    def _apply(
        self, entries: Sequence[MemoryEntry], vectors: Matrix | None, removed: Sequence[str]
    ) -> tuple[Collection[int], Collection[int]]:
        """Which rows were written, and which are gone."""
        self.renew_words()
        lines = [line_of(entry, encode_entry(entry)) for entry in entries]
        known = self._known([*removed, *(line.id for line in lines)])
        gone = {known.pop(i).rowid for i in dict.fromkeys(removed) if i in known}
        changed = [line for line in lines if line.id not in known or known[line.id].shown != line.shown]
        leaving = gone | {known[line.id].rowid for line in changed if line.id in known}
        stale = self._words.following(leaving) | self._words.after(changed)
        self._words.remove(leaving | stale)
        self._remove(gone)
        rowids = self._put(lines, None if vectors is None else quantized(vectors), known)
        self._words.index((stale - gone) | {rowids[line.id] for line in changed})
        return {rowids[line.id] for line in lines} | (stale - gone), gone

    def load(self, rows: Rows, replaced: Collection[int]) -> None:
        """Write many rows without their words, for `index_words` to follow; `apply` is for all else.

        Args:
            rows: What to write.
            replaced: Which of them were loaded before, with other content.
        """
        with self.transaction():
            self._columns = None
            self._write(rows, replaced)

    def unload(self, ids: Sequence[str]) -> None:
        """Take rows out again that were loaded and have no words yet."""
        with self.transaction():
            self._columns = None
            self._remove({row.rowid for row in self._known(ids).values()})

    def index_words(self) -> None:
        """Index the words of all rows, of which none is indexed yet."""
        with self.transaction():
            if self._columns is not None and len(self._columns):
                self._columns = None  # how many words a row has may be another
            self._words.index_all()
            self.set_meta(_WORDS, self._words.made_by)

    def renew_words(self) -> None:
        """Index the words of all rows anew if they were indexed with other settings or other tables of words."""
        with self.transaction():
            if self.meta(_WORDS) != self._words.made_by:
                self._words.clear()
                self.index_words()

    def clear(self) -> None:
        """Forget all rows."""
        self._columns = None
        self.seen_often.clear()
        with self.transaction():
            self._words.clear()
            for table in ("entries", "attributes", "pending"):
                self.db.execute(f"DELETE FROM {table}")

    def _known(self, ids: Sequence[str]) -> dict[str, _Known]:
        rows = self.db.execute(_KNOWN, (json.dumps(ids),))
        return {memory_id: _Known(rowid, tuple(shown)) for memory_id, rowid, *shown in rows}

    def _put(
        self, lines: Sequence[Line], vectors: Sequence[Quantized] | None, known: dict[str, _Known]
    ) -> dict[str, int]:
        """Write rows; where each entry is."""
        (last,) = self.db.execute("SELECT coalesce(max(rowid), 0) FROM entries").fetchone()
        fresh = (line.id for line in lines if line.id not in known)
        rowids = {i: row.rowid for i, row in known.items()} | {i: n for n, i in enumerate(fresh, last + 1)}
        self._write(rows_of(lines, vectors, rowids), [row.rowid for row in known.values()])
        return rowids

    def _write(self, rows: Rows, replaced: Collection[int]) -> None:
        self.insert(_UPSERT, rows.entries, COLUMNS_OF_ENTRIES)
        self._forget_attributes(replaced)
        self.insert(_ATTRIBUTES, rows.attributes, COLUMNS_OF_ATTRIBUTES)

    def _remove(self, rowids: Collection[int]) -> None:
        self._forget_attributes(rowids)
        self.db.executemany("DELETE FROM entries WHERE rowid = ?", ((rowid,) for rowid in rowids))

    def _forget_attributes(self, rowids: Collection[int]) -> None:
        self.db.executemany("DELETE FROM attributes WHERE entry = ?", ((rowid,) for rowid in rowids))

    def touch(self, accesses: dict[str, int], moment: float) -> None:
        """Add to the access counts of entries; `moment` in epoch seconds."""
        rowids: list[int] = []
        with self._lock:
            with self.transaction():
                for memory_id, times in accesses.items():
                    sql = "UPDATE entries SET accesses = accesses + ?, accessed = ? WHERE id = ? RETURNING rowid"
                    rowids += (row[0] for row in self.all_rows(sql, (times, moment, memory_id)))
            if self._columns is not None:
                self._columns.note_recalled(rowids, moment)
