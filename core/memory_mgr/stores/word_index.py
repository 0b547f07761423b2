"""The catalog's full-text table: each entry's own words, and in columns of less weight the words said before it.

The table keeps no copy of its texts ("contentless"): they are several times as long as the entries, and can be had
from the entries again. FTS5 wants them once more when a row is taken out, so rows are taken out before the entries
change, and `made_by` tells what their texts depend on beside the entries.
"""

from __future__ import annotations

import json
import sqlite3
import unicodedata
from collections import defaultdict, deque
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from datetime import UTC, datetime
from itertools import chain, groupby
from operator import itemgetter
from typing import NamedTuple

from memory_mgr.policy.lexical import Said, context_columns, index_text, lexicon_digest
from memory_mgr.policy.recall_config import RecallConfig
from memory_mgr.stores.ahead import made_ahead
from memory_mgr.stores.lines import Line

_INDEXED_CHARS = 20_000
"""Characters whose words are indexed with an entry; what follows is found by the passages of the entry."""
_SLICE = 1000
"""Rows indexed together; their texts are in memory meanwhile."""
_LARGE_SLICE, _LARGE_SLICE_CHARS = 8000, 8_000_000
"""Of a whole table: rows, or the characters of about so many; of more at once FTS5 makes fewer segments to merge."""
_HASH_SIZE = "INSERT INTO words (words, rank) VALUES ('hashsize', ?)"
"""Bytes of words FTS5 keeps in memory before it writes a segment (`sqlite3Fts5ConfigSetValue` in fts5_config.c)."""
_SMALL_HASH, _LARGE_HASH = 2**20, 2**24
"""FTS5's own, and enough for a large slice."""
_INSERT = """
INSERT INTO words (rowid, own, near, far)
SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]'),
    json_extract(value, '$[2]'), json_extract(value, '$[3]')
FROM json_each(?)
"""
"""As one statement it leaves the interpreter to others until all rows are in."""
_MERGE = "INSERT INTO words (words, rank) VALUES ('merge', ?)"
"""Let FTS5 merge segments, at most so many pages (https://sqlite.org/fts5.html#the_merge_command)."""
_PAGES, _ROWS_A_PAGE, _MOST_PAGES = 4, 2, 100
"""Pages merged after a write: about what it added, times the levels of the index, but not all at once after many rows.

A word is looked up in each segment, and there are fewer then; left to itself FTS5 merges after many writes, and
whoever makes the next one waits for it.
"""
_REMOVE = "INSERT INTO words (words, rowid, own, near, far) VALUES ('delete', ?, ?, ?, ?)"

_AFTER = """
SELECT rowid, ts, seq FROM entries WHERE tier = ? AND source = ? AND (ts, seq) > (?, ?) AND whole IS NULL
ORDER BY ts, seq
"""
_LAST = "SELECT ts, seq FROM entries WHERE tier = ? AND source = ? AND whole IS NULL ORDER BY ts DESC, seq DESC LIMIT 1"
_PLACES = """
SELECT tier, source, ts, seq FROM json_each(?) AS wanted CROSS JOIN entries e ON e.rowid = wanted.value
"""
_BEFORE = """
SELECT e.rowid, before.rowid FROM json_each(?) AS wanted CROSS JOIN entries e ON e.rowid = wanted.value
CROSS JOIN entries before ON before.rowid IN (
    SELECT p.rowid FROM entries p WHERE p.tier = e.tier AND p.source = e.source AND (p.ts, p.seq) < (e.ts, e.seq)
    AND p.whole IS NULL ORDER BY p.ts DESC, p.seq DESC LIMIT ?)
WHERE e.whole IS NULL ORDER BY before.ts DESC, before.seq DESC, before.rowid DESC
"""
_TEXTS = """
SELECT e.rowid, e.speaker, e.content, e.ts FROM json_each(?) AS wanted CROSS JOIN entries e ON e.rowid = wanted.value
"""


class _Part(NamedTuple):
    """Rows to be written together: those that were said before each, and (rowid, speaker, content, time) of all."""

    before: dict[int, Sequence[int]]
    texts: list[tuple[int, str | None, str, float]]


class WordIndex:
    """Writes the table `words` of a catalog; transactions are its caller's.

    Args:
        db: The catalog's connection.
        recall: How much of what was said before is indexed with an entry.
    """

    def __init__(self, db: sqlite3.Connection, recall: RecallConfig) -> None:
        self._db = db
        self._recall = recall
        self.made_by = json.dumps([recall.reach(), lexicon_digest(), unicodedata.unidata_version])
        """What the columns of a row depend on beside the entries and this code."""

    def following(self, rowids: Collection[int]) -> set[int]:
        """The rows whose context columns show any of these rows, as they stand now."""
        places = self._db.execute(_PLACES, (json.dumps(list(rowids)),)).fetchall()
        return {rowid for place in places for rowid in self._later(*place)}

    def after(self, lines: Iterable[Line]) -> set[int]:
        """The rows whose context columns will show any of these entries, which are yet to be written."""
        streams: dict[tuple[str, str], list[tuple[float, int]]] = defaultdict(list)
        for line in lines:
            if line.source is not None:
                streams[line.tier, line.source].append((line.timestamp, line.sequence))
        return {rowid for stream, moments in streams.items() for rowid in self._after_some(stream, moments)}

    def _after_some(self, stream: tuple[str, str], moments: Iterable[tuple[float, int]]) -> Iterator[int]:
        """The next rows after moments of a stream; mostly all there is was before, which is asked once."""
        last = self._db.execute(_LAST, stream).fetchone()
        for moment in moments:
            if last is not None and moment < last:
                yield from self._later(*stream, *moment)

    def _later(self, tier: str, source: str | None, ts: float, seq: int) -> Iterator[int]:
        """The next rows of a stream, as many as context reaches; with the last one those of the same moment."""
        if source is None or not self._recall.context_entries:
            return
        with closing(self._db.execute(_AFTER, (tier, source, ts, seq))) as rows:
            last = None
            for count, (rowid, *moment) in enumerate(rows):
                if count >= self._recall.context_entries and moment != last:
                    return
                last = moment
                yield rowid

    def remove(self, rowids: Collection[int]) -> None:
        """Take rows out, whose entries are still as they were when the rows were made."""
        for part in _slices(rowids):
            self._db.executemany(_REMOVE, self._columns(self._read(part)))

    def index(self, rowids: Collection[int]) -> None:
        """Index rows that are not in."""
        for part in _slices(rowids):
            self._db.execute(_INSERT, (self._as_json(self._read(part)),))
            self._db.execute(_MERGE, (min(_PAGES + len(part) // _ROWS_A_PAGE, _MOST_PAGES),))

    def clear(self) -> None:
        """Take all rows out."""
        self._db.execute("INSERT INTO words (words) VALUES ('delete-all')")

    def index_all(self) -> None:
        """Index every row of an empty table."""
        self._db.execute(_HASH_SIZE, (_LARGE_HASH,))
        # SQLite does one thing at a time, so it is asked for texts while it has nothing to insert.
        for rows in made_ahead(self._as_json, self._all_in_parts()):
            self._db.execute(_INSERT, (rows,))
        self._db.execute(_HASH_SIZE, (_SMALL_HASH,))

    def _all_in_parts(self) -> Iterator[_Part]:
        """Every row, in parts of about as many characters as there were in the last."""
        before = self._all_before()
        ordered = sorted(before)
        start, size = 0, _SLICE
        while start < len(ordered):
            part = self._read(ordered[start : start + size], before)
            yield part
            start += size
            characters = sum(len(content) for _, _, content, _ in part.texts) / len(part.texts)
            size = int(min(max(_LARGE_SLICE_CHARS / max(characters, 1), 1), _LARGE_SLICE))

    def _as_json(self, part: _Part) -> str:
        return json.dumps(list(self._columns(part)))

    def _columns(self, part: _Part) -> Iterator[tuple[int | str, ...]]:
        """(rowid, own, near, far) of rows."""
        said = {
            rowid: Said(_said(speaker, content), datetime.fromtimestamp(ts, UTC))
            for rowid, speaker, content, ts in part.texts
        }
        for rowid, speaker, content, _ in part.texts:
            if (earlier := part.before.get(rowid)) is not None:
                own = index_text(_said(speaker, content[:_INDEXED_CHARS]))
                yield (rowid, own, *context_columns([said[i] for i in earlier], said[rowid].timestamp, self._recall))

    def _read(self, rowids: Sequence[int], before: Mapping[int, Sequence[int]] | None = None) -> _Part:
        """Rows as their entries are now, with the entries before each, if these are known."""
        known = self._before(rowids) if before is None else before
        earlier = {rowid: known[rowid] for rowid in rowids}
        wanted = sorted({*rowids, *chain.from_iterable(earlier.values())})
        return _Part(earlier, self._db.execute(_TEXTS, (json.dumps(wanted),)).fetchall())

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
        rows = self._db.execute("SELECT ts, seq, rowid, tier, source, whole FROM entries ORDER BY ts, seq, rowid")
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


def _slices(rowids: Collection[int]) -> Iterator[list[int]]:
    """In order: FTS5 writes a segment whenever a row comes out of it."""
    ordered = sorted(rowids)
    return (ordered[start : start + _SLICE] for start in range(0, len(ordered), _SLICE))


def _said(speaker: str | None, content: str) -> str:
    return f"{speaker}: {content}" if speaker else content
