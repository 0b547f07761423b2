"""What the catalog answers: words, neighbours, similarity, filters, order of time, counts."""

from __future__ import annotations

import heapq
import json
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from operator import itemgetter
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from memory_mgr.stores.catalog_file import CatalogFile
from memory_mgr.stores.codec import decode_entry
from memory_mgr.stores.selection import Selection
from memory_mgr.stores.vector_cache import LIMIT_BYTES, VectorCache
from memory_mgr.types import MemoryEntry, MemoryType, Namespace

_FREQUENT = 1000
"""Entries from which on a term's count is remembered."""
_TEXT_CHARS = 4000
"""Characters of an entry that ranking looks at."""
_SPARE = 2
"""Times as many matches of words as wanted are read first, because some may be out of sight."""


class PoolRow(NamedTuple):
    """An entry as ranking sees it.

    `previous` and `following` are rows of the same stream, `ts` is in epoch seconds, as is `recalled` (when it was
    last a result, as far as that was flushed); `whole` is the id of the entry that a passage is part of; `eligible`
    tells whether the selection holds it.
    """

    rowid: int
    id: str
    tier: str
    source: str | None
    speaker: str | None
    content: str
    ts: float
    importance: float
    previous: int | None
    following: int | None
    whole: str | None
    recalled: float | None
    eligible: int
    similarity: float


class CatalogReader(CatalogFile):
    """The questions. Thread-safe."""

    def __init__(self, path: Path | None, namespace: Namespace) -> None:
        self._vectors: VectorCache | None = None
        self._vectors_version: object = None
        self._frequent: dict[str, int] = {}
        self._counted_at = 0
        self.seen_often: set[str] = set()
        """Questions to the word index that found as many entries as anybody counts, see `surroundings`."""
        super().__init__(path, namespace)

    def words_matching(
        self,
        match: str,
        selection: Selection,
        weights: Sequence[float],
        limit: int,
        among: Collection[int] | None = None,
    ) -> list[tuple[int, float]]:
        """The best (rowid, BM25) for an FTS5 expression, higher is better, best first.

        Args:
            match: An FTS5 expression made by `policy.lexical`, never raw user text.
            selection: What may be found.
            weights: One per column of the word index.
            limit: How many at most.
            among: The rows of the selection if they are known.
        """
        ranked = f"SELECT rowid, -bm25(words, {', '.join('?' * len(weights))}) AS score FROM words WHERE words MATCH ?"
        # One look at an entry for each match costs more than finding the matches.
        if among is not None:
            found = [row for row in self.all_rows(ranked, [*weights, match]) if row[0] in among]
            return heapq.nlargest(limit, found, key=itemgetter(1))
        spare = self.all_rows(f"{ranked} ORDER BY score DESC LIMIT ?", [*weights, match, _SPARE * limit])
        if self._holds_all(selection):
            return spare[:limit]
        seen = self.eligible([row[0] for row in spare], selection)
        best = [row for row in spare if row[0] in seen][:limit]
        if len(best) == limit or len(spare) < _SPARE * limit:
            return best
        condition, parameters = selection.where(per_row=True)
        return self.all_rows(
            f"WITH found AS ({ranked}) SELECT found.rowid, score FROM found CROSS JOIN entries"
            f" ON entries.rowid = found.rowid WHERE {condition} ORDER BY score DESC LIMIT ?",
            [*weights, match, *parameters, limit],
        )

    def _holds_all(self, selection: Selection) -> bool:
        """Whether every entry is in sight, but for those that no search may find."""
        if selection.filter is not None or selection.harmless:
            return False
        tiers = {tier for tier, count in self.stored_counts().items() if count}
        return tiers <= set(selection.tiers) and (selection.hidden or not any(self.hidden(selection.now)))

    def document_frequency(self, terms: Sequence[str], entries: int) -> dict[str, int]:
        """In how many entries each indexed term occurs, about; terms that do not occur are left out.

        Counting takes as long as a term is frequent, so counts of frequent ones are remembered.

        Args:
            terms: As they are indexed.
            entries: How many there are now; remembered counts serve until it has changed by a tenth.
        """
        if abs(entries - self._counted_at) > self._counted_at / 10:
            self._frequent, self._counted_at = {}, entries
        known = {term: self._frequent[term] for term in terms if term in self._frequent}
        rows = self.all_rows(
            "SELECT term, doc FROM vocabulary WHERE term IN (SELECT value FROM json_each(?))",
            (json.dumps([term for term in terms if term not in known]),),
        )
        found = {str(term): int(count) for term, count in rows}
        self._frequent |= {term: count for term, count in found.items() if count >= _FREQUENT}
        return known | found

    def tier_counts(self) -> dict[MemoryType, int]:
        """All entries by tier, hidden ones too."""
        return self._counted("SELECT tier, n FROM counts WHERE NOT passages")

    def stored_counts(self) -> dict[MemoryType, int]:
        """What Chroma should count by tier: entries and their passages."""
        return self._counted("SELECT tier, sum(n) FROM counts GROUP BY tier")

    def _counted(self, sql: str) -> dict[MemoryType, int]:
        rows = dict(self.all_rows(sql))
        return {tier: int(rows.get(tier.value, 0)) for tier in MemoryType}

    def hidden(self, now: datetime) -> tuple[int, int]:
        """How many entries are superseded, and how many of the others have expired."""
        row = self.all_rows(
            "SELECT coalesce(sum(superseded_by IS NOT NULL), 0),"
            " coalesce(sum(superseded_by IS NULL AND expires <= ?), 0)"
            " FROM entries WHERE superseded_by IS NOT NULL OR expires IS NOT NULL",
            (now.timestamp(),),
        )[0]
        return int(row[0]), int(row[1])

    def rowids(self, selection: Selection, ids: Sequence[str]) -> dict[str, int]:
        """Rows by id of those among `ids` that the selection holds."""
        # The index of ids alone tells the rows if no entry has to be looked at.
        condition, parameters = ("1", []) if self._holds_all(selection) else selection.where(per_row=True)
        # CROSS JOIN keeps SQLite from walking the tier to look for the ids.
        rows = self.all_rows(
            "SELECT entries.id, entries.rowid FROM json_each(?) AS wanted"
            f" CROSS JOIN entries ON entries.id = wanted.value WHERE {condition}",
            [json.dumps(list(ids)), *parameters],
        )
        return dict(rows)

    def eligible(self, rowids: Sequence[int], selection: Selection) -> set[int]:
        """Those of `rowids` that the selection holds."""
        condition, parameters = selection.where(per_row=True)
        rows = self.all_rows(
            "SELECT entries.rowid FROM json_each(?) AS wanted"
            f" CROSS JOIN entries ON entries.rowid = wanted.value WHERE {condition}",
            [json.dumps(list(rowids)), *parameters],
        )
        return {int(row[0]) for row in rows}

    def vocabulary(self, prefix: str, limit: int = 2000) -> list[tuple[str, int]]:
        """Indexed terms that begin with `prefix`, with the number of entries they occur in."""
        rows = self.all_rows(
            "SELECT term, doc FROM vocabulary WHERE term >= ? AND term < ? LIMIT ?",
            (prefix, prefix + "\U0010ffff", limit),
        )
        return [(str(term), int(count)) for term, count in rows]

    def matching(self, selection: Selection) -> list[int]:
        """The rows of a selection."""
        condition, parameters = selection.where()
        return [int(row[0]) for row in self.all_rows(f"SELECT rowid FROM entries WHERE {condition}", parameters)]

    def exact(self, query: NDArray[np.float32], rowids: Sequence[int], top_k: int) -> list[int]:
        """The `top_k` of some rows that are nearest, best first, every vector compared."""
        best = np.argsort(-self._cosines(query, rowids), kind="stable")[:top_k]
        return [rowids[i] for i in best.tolist()]

    def nearest(self, query: NDArray[np.float32], selection: Selection) -> dict[str, str]:
        """Every entry of the selection that has a vector, best first, with the nearest of it and its passages."""
        condition, parameters = selection.with_passages().where()
        rows = self.all_rows(f"SELECT rowid, id, coalesce(whole, id) FROM entries WHERE {condition}", parameters)
        best: dict[str, str] = {}
        for i in np.argsort(-self._cosines(query, [row[0] for row in rows]), kind="stable").tolist():
            best.setdefault(rows[i][2], rows[i][1])
        return best

    def values(self, path: str, selection: Selection) -> list[str]:
        """The different texts that entries of the selection hold under a path of their metadata, sorted."""
        condition, parameters = selection.where()
        rows = self.all_rows(
            "SELECT DISTINCT value FROM attributes JOIN entries ON entries.rowid = attributes.entry"
            f" WHERE key = ? AND type = 's' AND {condition} ORDER BY value",
            [path, *parameters],
        )
        return [str(row[0]) for row in rows]

    def pool(self, rowids: Sequence[int], query: NDArray[np.float32], selection: Selection) -> list[PoolRow]:
        """Rows as ranking needs them, each with its cosine to the query and its neighbours' rows."""
        condition, parameters = selection.where(per_row=True)
        rows = self.all_rows(_POOL.format(eligible=condition), [_TEXT_CHARS, *parameters, json.dumps(list(rowids))])
        scores = self._cosines(query, [row[0] for row in rows])
        return [PoolRow._make((*row, score)) for row, score in zip(rows, scores.tolist(), strict=True)]

    def _cosines(self, query: NDArray[np.float32], rowids: Sequence[int]) -> NDArray[np.float32]:
        with self._lock:
            version = self.db.execute("PRAGMA data_version").fetchone()
            if self._vectors is None or version != self._vectors_version:
                rows = self.db.execute("SELECT rowid, vector, scale FROM entries WHERE vector IS NOT NULL")
                count = sum(self.stored_counts().values())
                self._vectors, self._vectors_version = VectorCache(rows, count), version
            scores = self._vectors.cosines(query, rowids)
            if self._vectors.bytes > LIMIT_BYTES:
                self._vectors = None
            return scores

    def by_ids(self, ids: Sequence[str], scores: Mapping[str, float] | None = None) -> list[MemoryEntry]:
        """Whole entries in the order of `ids`, hidden ones too, with their scores; missing ones are left out."""
        rows = self.all_rows(
            f"SELECT {_ENTRY} FROM entries WHERE id IN (SELECT value FROM json_each(?))",
            (json.dumps(list(ids)),),
        )
        told = scores or {}
        found = {row[0]: self._entry(row, told.get(row[0])) for row in rows}
        return [found[i] for i in dict.fromkeys(ids) if i in found]

    def passages(self, wholes: Sequence[str]) -> list[MemoryEntry]:
        """The passages of these entries."""
        rows = self.all_rows(
            f"SELECT {_ENTRY} FROM entries WHERE whole IN (SELECT value FROM json_each(?))",
            (json.dumps(list(wholes)),),
        )
        return [self._entry(row) for row in rows]

    def listed(
        self, selection: Selection, *, limit: int | None, offset: int = 0, newest_first: bool = False
    ) -> list[MemoryEntry]:
        """Entries of the selection in order of time."""
        condition, parameters = selection.where()
        direction = "DESC" if newest_first else "ASC"
        rows = self.all_rows(
            f"SELECT {_ENTRY} FROM entries WHERE {condition} ORDER BY ts {direction}, seq {direction} LIMIT ? OFFSET ?",
            [*parameters, -1 if limit is None else limit, offset],
        )
        return [self._entry(row) for row in rows]

    def since(self, tier: MemoryType, source: str, sequence: int) -> list[MemoryEntry]:
        """Messages and summaries of a stream that were stored after `sequence`, hidden ones too."""
        rows = self.all_rows(
            f"SELECT {_ENTRY} FROM entries WHERE tier = ? AND source = ? AND seq > ? AND kind <> 'memory'"
            " AND whole IS NULL ORDER BY seq",
            (tier.value, source, sequence),
        )
        return [self._entry(row) for row in rows]

    def episodes(self, source: str) -> list[MemoryEntry]:
        """The summaries of a stream that are not rolled up into others, in order of time, expired ones too."""
        rows = self.all_rows(
            f"SELECT {_ENTRY} FROM entries INDEXED BY episodes_in_sight"
            " WHERE tier = 'episodic' AND source = ? AND superseded_by IS NULL"
            " AND whole IS NULL ORDER BY ts, seq",
            (source,),
        )
        return [self._entry(row) for row in rows]

    def mentioning(self, text: str) -> list[MemoryEntry]:
        """Entries whose record holds `text`, hidden ones too; every record is looked at."""
        rows = self.all_rows(f"SELECT {_ENTRY} FROM entries WHERE instr(record, ?) AND whole IS NULL", (text,))
        return [self._entry(row) for row in rows]

    def expired(self, moment: datetime) -> list[MemoryEntry]:
        """Entries whose time was up by `moment`."""
        rows = self.all_rows(
            f"SELECT {_ENTRY} FROM entries WHERE expires <= ? AND whole IS NULL", (moment.timestamp(),)
        )
        return [self._entry(row) for row in rows]

    def conversations(self) -> list[str]:
        """Sources of messages, sorted."""
        rows = self.all_rows("SELECT DISTINCT source FROM entries WHERE kind = 'message' ORDER BY source")
        return [str(row[0]) for row in rows]

    def derivations(self) -> dict[str, int]:
        """Of how many entries each entry is a source, for those that are any."""
        rows = self.all_rows(
            "SELECT origin.value, count(*) FROM entries, json_each(entries.record, '$.from') AS origin"
            " WHERE instr(record, '\"from\":') GROUP BY origin.value"
        )
        return {str(i): int(n) for i, n in rows}

    def vectors(self, ids: Sequence[str]) -> NDArray[np.float32]:
        """The vectors of these entries in their order, as exact as int8 is; shape (len(ids), dimensions)."""
        rows = self.all_rows(
            "SELECT vector, scale FROM json_each(?) AS wanted CROSS JOIN entries ON entries.id = wanted.value"
            " ORDER BY wanted.key",
            (json.dumps(list(ids)),),
        )
        stored = np.frombuffer(b"".join(row[0] for row in rows), np.int8).reshape(len(rows), -1)
        scales = np.fromiter((row[1] for row in rows), np.float32, len(rows))
        return stored * scales[:, None]

    def accesses(self) -> dict[str, tuple[int, datetime]]:
        """How often and when last each entry was recalled, for those that were."""
        rows = self.all_rows("SELECT id, accesses, accessed FROM entries WHERE accesses > 0")
        return {str(i): (int(n), datetime.fromtimestamp(at, UTC)) for i, n, at in rows}

    def last_sequence(self) -> int:
        """The highest sequence in the namespace, 0 if there is none."""
        return int(self.all_rows("SELECT coalesce(max(seq), 0) FROM entries")[0][0])

    def _entry(self, row: tuple[Any, ...], score: float | None = None) -> MemoryEntry:
        memory_id, tier, content, record = row
        return decode_entry(memory_id, content, record, self.namespace, MemoryType(tier), score=score)


_ENTRY = "id, tier, content, record"
_POOL = """
SELECT entries.rowid, entries.id, tier, source, speaker, substr(content, 1, ?), ts, importance,
    (SELECT p.rowid FROM entries p WHERE p.tier = entries.tier AND p.source = entries.source
     AND (p.ts, p.seq) < (entries.ts, entries.seq) AND p.whole IS NULL AND entries.whole IS NULL
     ORDER BY p.ts DESC, p.seq DESC LIMIT 1),
    (SELECT n.rowid FROM entries n WHERE n.tier = entries.tier AND n.source = entries.source
     AND (n.ts, n.seq) > (entries.ts, entries.seq) AND n.whole IS NULL AND entries.whole IS NULL
     ORDER BY n.ts, n.seq LIMIT 1),
    whole, accessed, {eligible}
FROM json_each(?) AS wanted CROSS JOIN entries ON entries.rowid = wanted.value
"""
