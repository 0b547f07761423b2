"""The catalog's full-text table: each entry's own words, and in columns of less weight the words said before it."""

from __future__ import annotations

import json
import sqlite3
from collections import defaultdict, deque
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from itertools import groupby
from operator import itemgetter
from typing import NamedTuple

from memory_mgr.policy.lexical import Said, context_columns, index_text
from memory_mgr.policy.recall_config import RecallConfig

_INDEXED_CHARS = 20_000
"""Characters whose words are indexed with an entry; what follows is found by the passages of the entry."""
_SLICE = 5000
"""Rows indexed together; their texts are in memory meanwhile."""

_FOLLOWING = """
SELECT DISTINCT after.rowid FROM json_each(?) AS wanted CROSS JOIN entries e ON e.rowid = wanted.value
CROSS JOIN entries after ON after.rowid IN (
    SELECT n.rowid FROM entries n WHERE n.tier = e.tier AND n.source = e.source AND (n.ts, n.seq) > (e.ts, e.seq)
    AND n.whole IS NULL ORDER BY n.ts, n.seq LIMIT ?)
"""
_BEFORE = """
SELECT e.rowid, before.rowid FROM json_each(?) AS wanted CROSS JOIN entries e ON e.rowid = wanted.value
CROSS JOIN entries before ON before.rowid IN (
    SELECT p.rowid FROM entries p WHERE p.tier = e.tier AND p.source = e.source AND (p.ts, p.seq) < (e.ts, e.seq)
    AND p.whole IS NULL ORDER BY p.ts DESC, p.seq DESC LIMIT ?)
WHERE e.whole IS NULL ORDER BY before.ts DESC, before.seq DESC
"""
_TEXTS = """
SELECT e.rowid, e.speaker, e.content, e.ts FROM json_each(?) AS wanted CROSS JOIN entries e ON e.rowid = wanted.value
"""


class _Row(NamedTuple):
    said: Said
    own: str


class WordIndex:
    """Writes the table `words` of a catalog; transactions are its caller's.

    Args:
        db: The catalog's connection.
        recall: How much of what was said before is indexed with an entry.
    """

    def __init__(self, db: sqlite3.Connection, recall: RecallConfig) -> None:
        self._db = db
        self._recall = recall

    def following(self, rowids: Collection[int]) -> set[int]:
        """The rows whose context columns show any of these rows, as they stand now."""
        if not rowids or not self._recall.context_entries:
            return set()
        rows = self._db.execute(_FOLLOWING, (json.dumps(list(rowids)), self._recall.context_entries))
        return {int(row[0]) for row in rows}

    def remove(self, rowids: Collection[int]) -> None:
        """Take rows out."""
        self._db.executemany("DELETE FROM words WHERE rowid = ?", ((rowid,) for rowid in rowids))

    def index(self, rowids: Collection[int]) -> None:
        """Index rows, or index them again."""
        # FTS5 writes a segment whenever a row comes out of order.
        ordered = sorted(rowids)
        for start in range(0, len(ordered), _SLICE):
            self._index(ordered[start : start + _SLICE])

    def index_all(self) -> None:
        """Index every row of an empty table."""
        before = self._all_before()
        ordered = sorted(before)
        for start in range(0, len(ordered), _SLICE):
            self._insert(ordered[start : start + _SLICE], before)

    def _index(self, rowids: Sequence[int]) -> None:
        self.remove(rowids)
        self._insert(rowids, self._before(rowids))

    def _insert(self, rowids: Sequence[int], before: Mapping[int, Sequence[int]]) -> None:
        rows = self._rows({*rowids, *(earlier for rowid in rowids for earlier in before[rowid])})
        self._db.executemany(
            "INSERT INTO words (rowid, own, near, far) VALUES (?, ?, ?, ?)",
            (
                (rowid, index_text(rows[rowid].own), *self._context(rows, rowid, before[rowid]))
                for rowid in rowids
                if rowid in rows
            ),
        )

    def _context(self, rows: dict[int, _Row], rowid: int, before: Sequence[int]) -> tuple[str, str]:
        return context_columns([rows[i].said for i in before], rows[rowid].said.timestamp, self._recall)

    def _before(self, rowids: Sequence[int]) -> dict[int, list[int]]:
        """The entries before each row in its stream, nearest first."""
        found: dict[int, list[int]] = defaultdict(list)
        if self._recall.context_entries:
            for rowid, earlier in self._db.execute(_BEFORE, (json.dumps(rowids), self._recall.context_entries)):
                found[rowid].append(earlier)
        return found

    def _all_before(self) -> dict[int, tuple[int, ...]]:
        """What `_before` tells, of all rows: read in order of time, with the last rows of each stream at hand."""
        found: dict[int, tuple[int, ...]] = {}
        streams: dict[object, deque[int]] = defaultdict(lambda: deque(maxlen=self._recall.context_entries))
        rows = self._db.execute("SELECT ts, seq, rowid, tier, source, whole FROM entries ORDER BY ts, seq")
        for _, together in groupby(rows, itemgetter(0, 1)):
            moment = [
                (rowid, (tier, source), source is not None and whole is None)
                for *_, rowid, tier, source, whole in together
            ]
            found |= {rowid: tuple(streams[stream]) if spoken else () for rowid, stream, spoken in moment}
            for rowid, stream, spoken in moment:
                if spoken:
                    streams[stream].appendleft(rowid)
        return found

    def _rows(self, rowids: Collection[int]) -> dict[int, _Row]:
        return {
            rowid: _Row(Said(_said(speaker, content), datetime.fromtimestamp(ts, UTC)), _own(speaker, content))
            for rowid, speaker, content, ts in self._db.execute(_TEXTS, (json.dumps(list(rowids)),))
        }


def _own(speaker: str | None, content: str) -> str:
    return _said(speaker, content[:_INDEXED_CHARS])


def _said(speaker: str | None, content: str) -> str:
    return f"{speaker}: {content}" if speaker else content
