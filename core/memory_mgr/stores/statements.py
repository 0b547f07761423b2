"""What consolidation asks the catalog: what is new, and what a new statement has to be compared with.

Statements are noted under lines, keys that those share which can replace each other, in order of time; so what is
compared is what is near in a line, however long the namespace is. If the notes are lost, so is the mark up to which
they were taken.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from memory_mgr.policy.lexical import index_text
from memory_mgr.stores.catalog import Catalog
from memory_mgr.stores.codec import decode_entry
from memory_mgr.types import MemoryEntry, MemoryType

_NEAR = 50
"""Statements looked at before and after a new one in its line; it replaces the one before it."""
_MENTIONS = 200
"""The latest entries looked at that hold a word, or that were said shortly before."""
_LONG_AGO = 10**11
"""Seconds added to times, so that all that Python knows sort as texts of one length."""
_STAMP_CHARS = 19
_CURRENT = "e.tier = ? AND e.whole IS NULL AND e.superseded_by IS NULL AND (e.expires IS NULL OR e.expires > ?)"
_ENTRY = "e.id, e.tier, e.content, e.record"


class Statements:
    """The entries of one tier that are current.

    Args:
        catalog: Knows them.
        tier: Which tier.
        now: Entries that expired by then are none.
    """

    def __init__(self, catalog: Catalog, tier: MemoryType, now: datetime) -> None:
        self._catalog = catalog
        self._current = (tier.value, now.timestamp())

    def since(self, sequence: int) -> list[tuple[int, str]]:
        """(sequence, id) of those that were stored after `sequence`, in order."""
        sql = f"SELECT e.seq, e.id FROM entries e WHERE {_CURRENT} AND e.seq > ? ORDER BY e.seq"
        return [(int(seq), str(i)) for seq, i in self._catalog.all_rows(sql, (*self._current, sequence))]

    def by_ids(self, ids: Iterable[str]) -> list[MemoryEntry]:
        """Those with these ids."""
        return self._found(
            f"SELECT {_ENTRY} FROM json_each(?) AS wanted CROSS JOIN entries e ON e.id = wanted.value WHERE {_CURRENT}",
            (json.dumps(list(ids)), *self._current),
        )

    def all(self) -> list[MemoryEntry]:
        """All of them."""
        return self._found(f"SELECT {_ENTRY} FROM entries e WHERE {_CURRENT}", self._current)

    def facts(self) -> list[MemoryEntry]:
        """Those that are not messages."""
        return self._found(f"SELECT {_ENTRY} FROM entries e WHERE {_CURRENT} AND e.kind <> 'message'", self._current)

    # --- lines ---------------------------------------------------------------------------------------------

    def note(self, lines: Iterable[tuple[str, MemoryEntry]]) -> None:
        """Remember entries under lines; twice does no harm."""
        with self._catalog.transaction():
            for line, entry in lines:
                self._catalog.set_meta(f"{_prefix(line)}{_stamp(entry.timestamp)}/{entry.id}", "")

    def near(self, line: str, moment: datetime) -> list[str]:
        """Ids of what was said in a line around a moment."""
        middle = _prefix(line) + _stamp(moment)
        before = self._in_line(line, _prefix(line), middle + "0", "DESC")
        return [*before, *self._in_line(line, middle, _prefix(line) + ":", "ASC")]

    def following(self, line: str, since: datetime, within: timedelta | None = None) -> list[str]:
        """Ids of what was said in a line from a moment on."""
        end = ":" if within is None else _stamp(since + within) + "0"
        return self._in_line(line, _prefix(line) + _stamp(since), _prefix(line) + end, "ASC")

    def _in_line(self, line: str, start: str, end: str, direction: str) -> list[str]:
        rows = self._catalog.all_rows(
            "SELECT e.id FROM meta m CROSS JOIN entries e ON e.id = substr(m.key, ?)"
            f" WHERE m.key >= ? AND m.key < ? AND {_CURRENT} ORDER BY m.key {direction} LIMIT ?",
            (len(_prefix(line)) + _STAMP_CHARS + 2, start, end, *self._current, _NEAR),
        )
        return [str(row[0]) for row in rows]

    # --- words and times -----------------------------------------------------------------------------------

    def holding(self, word: str) -> list[str]:
        """Ids of the latest that hold a word."""
        terms = index_text(word).replace('"', " ").strip()
        rows = self._catalog.all_rows(
            "SELECT e.id FROM words CROSS JOIN entries e ON e.rowid = words.rowid"
            f" WHERE words MATCH ? AND {_CURRENT} ORDER BY words.rowid DESC LIMIT ?",
            (f'own : "{terms}"', *self._current, _MENTIONS),
        )
        return [str(row[0]) for row in rows] if terms else []

    def before(self, source: str | None, moment: datetime, within: timedelta) -> list[str]:
        """Ids of what was said last in a stream up to a moment."""
        rows = self._catalog.all_rows(
            f"SELECT e.id FROM entries e WHERE {_CURRENT} AND e.source IS ? AND e.ts BETWEEN ? AND ?"
            " ORDER BY e.ts DESC, e.seq DESC LIMIT ?",
            (*self._current, source, (moment - within).timestamp(), moment.timestamp(), _MENTIONS),
        )
        return [str(row[0]) for row in rows]

    def _found(self, sql: str, parameters: Sequence[object]) -> list[MemoryEntry]:
        rows: list[tuple[Any, ...]] = self._catalog.all_rows(sql, parameters)
        namespace = self._catalog.namespace
        return [decode_entry(i, text, record, namespace, MemoryType(tier)) for i, tier, text, record in rows]


def _prefix(line: str) -> str:
    return f"line/{hashlib.sha256(line.encode()).hexdigest()[:16]}/"


def _stamp(moment: datetime) -> str:
    return f"{moment.timestamp() + _LONG_AGO:0{_STAMP_CHARS}.6f}"
