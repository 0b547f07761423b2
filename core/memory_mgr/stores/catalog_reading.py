"""What the catalog answers: words, filters, order of time, counts."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from memory_mgr.policy.lexical import match_expression
from memory_mgr.stores.catalog_file import CatalogFile
from memory_mgr.stores.codec import decode_entry
from memory_mgr.stores.selection import Selection
from memory_mgr.types import MemoryEntry, MemoryType, Namespace

_FREQUENT = 1000
"""Entries from which on a word's count is remembered."""

Rows = NDArray[np.int64]
"""Rows of the catalog."""


class CatalogReader(CatalogFile):
    """The questions. Thread-safe."""

    def __init__(self, path: Path | None, namespace: Namespace) -> None:
        self._frequent: dict[str, int] = {}
        self._counted_at = 0
        self.seen_often: set[str] = set()
        """Questions to the word index that found as many entries as anybody counts, see `surroundings`."""
        super().__init__(path, namespace)

    def _holds_all(self, selection: Selection) -> bool:
        """Whether every entry is in sight, but for those that no search may find."""
        if selection.filter is not None or selection.harmless:
            return False
        tiers = {tier for tier, count in self.stored_counts().items() if count}
        return tiers <= set(selection.tiers) and (selection.hidden or not any(self.hidden(selection.now)))

    def document_frequency(self, words: Sequence[str], entries: int, most: int) -> dict[str, int]:
        """In how many entries each word of a query occurs, about; words that do not occur are left out.

        Counting takes as long as a word is frequent, so counts of frequent ones are remembered.

        Args:
            words: Not stemmed.
            entries: How many there are now; remembered counts serve until it has changed by a tenth.
            most: No word is counted further, but if all of them are as frequent, they are told apart; >= 1.
        """
        if abs(entries - self._counted_at) > self._counted_at / 10:
            self._frequent, self._counted_at = {}, entries
        known = {word: self._frequent[word] for word in words if word in self._frequent}
        found = known | self._matches([word for word in words if word not in known], most)
        if found and min(found.values()) >= most:
            found |= self._matches([word for word, count in found.items() if count == most], -1)
        self._frequent |= {word: count for word, count in found.items() if count >= _FREQUENT}
        return found

    def _matches(self, words: Sequence[str], most: int) -> dict[str, int]:
        """In how many entries each word occurs, counted up to `most`; -1 = however many."""
        matches = {word: match for word in words if (match := match_expression([word]))}
        rows = self.all_rows(
            "SELECT (SELECT count(*) FROM (SELECT 1 FROM words WHERE words MATCH value LIMIT ?)) FROM json_each(?)",
            (most, json.dumps(list(matches.values()))),
        )
        return {word: int(count) for word, (count,) in zip(matches, rows, strict=True) if count}

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

    def vocabulary(self, prefix: str, shortest: int, longest: int, limit: int = 2000) -> list[tuple[str, int]]:
        """Indexed terms of some length that begin with `prefix`, with the number of entries they occur in."""
        rows = self.all_rows(
            "SELECT term, doc FROM vocabulary WHERE term >= ? AND term < ? AND length(term) BETWEEN ? AND ? LIMIT ?",
            (prefix, prefix + "\U0010ffff", shortest, longest, limit),
        )
        return [(str(term), int(count)) for term, count in rows]

    def matching(self, selection: Selection) -> list[int]:
        """The rows of a selection."""
        condition, parameters = selection.where()
        return [int(row[0]) for row in self.all_rows(f"SELECT rowid FROM entries WHERE {condition}", parameters)]

    def values(self, path: str, selection: Selection) -> list[str]:
        """The different texts that entries of the selection hold under a path of their metadata, sorted."""
        condition, parameters = selection.where()
        rows = self.all_rows(
            "SELECT DISTINCT value FROM attributes JOIN entries ON entries.rowid = attributes.entry"
            f" WHERE key = ? AND type = 's' AND {condition} ORDER BY value",
            [path, *parameters],
        )
        return [str(row[0]) for row in rows]

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
