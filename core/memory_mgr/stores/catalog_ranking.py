"""What the catalog answers to a search that ranks: the nearest rows, and the candidates with what is around them."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from memory_mgr.policy.bm25 import Postings, bm25, matched
from memory_mgr.policy.candidates import Candidates, Flags
from memory_mgr.policy.lexical import FTS_COLUMNS, match_expression
from memory_mgr.stores.catalog_reading import CatalogReader, Rows
from memory_mgr.stores.columns import ROW, TIERS, Columns, Slots
from memory_mgr.stores.filter_sql import picked
from memory_mgr.stores.selection import Selection
from memory_mgr.types import MemoryType, Namespace

Vector = NDArray[np.float32]
_TEXT_CHARS = 4000
"""Characters of an entry that ranking looks at."""
_SPARE = 2
"""Times as many of the best as wanted are looked at first, because some may be out of sight."""
_COMPUTED = {
    "rowid": "entries.rowid",
    "passage": "whole IS NOT NULL",
    "superseded": "superseded_by IS NOT NULL",
    "sizes": "(SELECT sz FROM words_docsize WHERE id = entries.rowid)",
}
_ROW = ", ".join(_COMPUTED.get(name, name) for name in ROW)
_MEASURES = {"timestamp": "time", "importance_score": "importance"}
_TESTS = {"$eq": np.equal, "$gt": np.greater, "$gte": np.greater_equal, "$lt": np.less, "$lte": np.less_equal}
_BESIDE = """
    (SELECT p.rowid FROM entries p WHERE p.tier = entries.tier AND p.source = entries.source
     AND (p.ts, p.seq, p.rowid) < (entries.ts, entries.seq, entries.rowid) AND p.whole IS NULL AND entries.whole IS NULL
     ORDER BY p.ts DESC, p.seq DESC LIMIT 1),
    (SELECT n.rowid FROM entries n WHERE n.tier = entries.tier AND n.source = entries.source
     AND (n.ts, n.seq, n.rowid) > (entries.ts, entries.seq, entries.rowid) AND n.whole IS NULL AND entries.whole IS NULL
     ORDER BY n.ts, n.seq LIMIT 1)
"""
"""What is said at one moment comes in the order of the index of streams, by row; asked for that order too, SQLite takes
another index, and reads a whole tier for an entry that is of no stream."""


class Text(NamedTuple):
    """What is read of a row near the top; `whole` is the id of the entry that a passage is part of."""

    rowid: int
    id: str
    content: str
    speaker: str | None
    whole: str | None


class CatalogRanking(CatalogReader):
    """The questions of a search. Thread-safe."""

    def __init__(self, path: Path | None, namespace: Namespace) -> None:
        self._columns: Columns | None = None
        self._columns_version: object = None
        super().__init__(path, namespace)

    # --- the columns -----------------------------------------------------------------------------------------

    def _loaded(self) -> Columns:
        """All rows by columns, read again if another connection wrote."""
        version = self.db.execute("PRAGMA data_version").fetchone()
        if self._columns is None or version != self._columns_version:
            rows = self.db.execute(f"SELECT {_ROW} FROM entries")
            count = sum(self.stored_counts().values())
            self._columns, self._columns_version = Columns(rows, count), version
        return self._columns

    def _refresh(self, changed: Collection[int], gone: Collection[int]) -> None:
        """Bring the columns, if they are in memory, to what was just committed."""
        if self._columns is None:
            return
        self._columns.remove(gone)
        rows = self.all_rows(
            f"SELECT {_ROW}, {_BESIDE} FROM json_each(?) AS wanted CROSS JOIN entries ON entries.rowid = wanted.value",
            (json.dumps(list(changed)),),
        )
        self._columns.put([row[:-2] for row in rows], [row[-2:] for row in rows])

    # --- what is in sight --------------------------------------------------------------------------------

    def rows(self, selection: Selection) -> dict[MemoryType, Rows]:
        """The rows by tier that a search of the selection may find, each tier's in ascending order."""
        steps = None if selection.filter is None or selection.harmless else picked(selection.filter)
        if steps is None:
            found = {tier: self.matching(selection.narrowed([tier])) for tier in selection.tiers}
            return {tier: np.sort(np.array(rows, np.int64)) for tier, rows in found.items()}
        with self._lock:
            columns = self._loaded()
            slots = columns.filled() if steps.rows is None else columns.slots(self._named(*steps.rows))
            slots = slots[slots >= 0]
            for sql in steps.without:
                kept = np.ones(len(columns.table) + 1, bool)
                kept[columns.slots(self._named(*sql))] = False  # nowhere is the last of them
                slots = slots[kept[slots]]
            for condition in steps.measured:
                values = columns.table[_MEASURES[str(condition.field)]][slots]
                slots = slots[_TESTS[condition.operator](values, condition.operand[1])]
            slots = slots[_in_sight(columns, slots, selection)]
            rows, tiers = columns.table["row"][slots], columns.table["tier"][slots]
        return {tier: np.sort(rows[tiers == TIERS.index(tier)]) for tier in selection.tiers}

    def _named(self, sql: str, parameters: list[object]) -> Rows:
        # As one text, which takes less time than a tuple for each row.
        ((rows,),) = self.all_rows(f"SELECT json_group_array(entry) FROM ({sql})", parameters)
        return np.unique(np.array(json.loads(rows), np.int64))

    def eligible(self, rowids: Sequence[int], selection: Selection) -> set[int]:
        """Those of `rowids` that the selection holds."""
        if selection.filter is not None or selection.harmless:
            return super().eligible(rowids, selection)
        with self._lock:
            columns = self._loaded()
            slots = columns.slots(rowids)
            slots = slots[slots >= 0]
            return set(columns.table["row"][slots[_in_sight(columns, slots, selection)]].tolist())

    # --- by words ------------------------------------------------------------------------------------------------

    def words_matching(
        self,
        frequency: Mapping[str, int],
        selection: Selection,
        weights: Sequence[float],
        limit: int,
        *,
        among: Rows | None = None,
        needed: Sequence[str] = (),
    ) -> dict[int, float]:
        """The best rows that hold any of some words, with their BM25, higher is better, best first.

        Args:
            frequency: The words, and in how many entries each occurs, about; >= 1.
            selection: What may be found.
            weights: One per column of the word index.
            limit: How many at most.
            among: The rows of the selection, in ascending order, if they are known.
            needed: Words of which one must be there; none = any of all.
        """
        postings = self._postings(frequency, needed)
        rows = matched(postings)
        with self._lock:
            columns = self._loaded()
            lengths, count, mean = columns.lengths(rows), len(columns), columns.mean_length
        scores = bm25(rows, lengths, postings, weights, among=count, mean_length=mean)
        order = np.argsort(-scores, kind="stable")
        for most in (_SPARE * limit, len(order)):
            front = order[:most]
            best = front[self._seen(rows[front], selection, among)][:limit]
            if len(best) == limit or most >= len(order):
                break
        return dict(zip(rows[best].tolist(), scores[best].tolist(), strict=True))

    def _postings(self, frequency: Mapping[str, int], needed: Sequence[str]) -> list[Postings]:
        one_of = match_expression(needed)
        asked = []
        for word in frequency:
            beside = f" AND ({one_of})" if one_of and word not in needed else ""
            asked += [f"{column} : ({match_expression([word])}){beside}" for column in FTS_COLUMNS]
        # As one text each, which takes less time than a tuple for each row.
        found = self.all_rows(
            "SELECT (SELECT json_group_array(rowid) FROM words WHERE words MATCH value) FROM json_each(?)",
            (json.dumps(asked),),
        )
        rows = iter([np.array(json.loads(text), np.int64) for (text,) in found])
        return [Postings([next(rows) for _ in FTS_COLUMNS], count) for count in frequency.values()]

    # --- the nearest -----------------------------------------------------------------------------------------

    def exact(self, query: Vector, selection: Selection, wanted: int, among: Rows | None = None) -> list[int]:
        """The `wanted` rows of a selection that are nearest, every vector compared; in no order.

        Args:
            query: Shape (dimensions,).
            selection: Of one tier.
            wanted: How many at most; >= 1.
            among: Its rows if they are known.
        """
        if among is not None:
            return self._nearest(query, among, wanted)
        if self._holds_all(selection):
            return self._nearest(query, selection.tiers[0], wanted)
        near = self._nearest(query, selection.tiers[0], _SPARE * wanted)
        seen = self.eligible(near, selection)
        in_sight = [row for row in near if row in seen]
        if len(in_sight) >= wanted or len(near) < _SPARE * wanted:
            return self._nearest(query, in_sight, wanted)
        return self._nearest(query, self.matching(selection), wanted)

    def _nearest(self, query: Vector, among: Collection[int] | Rows | MemoryType, wanted: int) -> list[int]:
        with self._lock:
            columns = self._loaded()
            slots = columns.in_tier(among) if isinstance(among, MemoryType) else columns.slots(among)
            slots = slots[slots >= 0]
            if len(slots) > wanted:
                slots = slots[np.argpartition(-columns.cosines(query, slots), wanted - 1)[:wanted]]
            rows: list[int] = columns.table["row"][slots].tolist()
            return rows

    def nearest(self, query: Vector, selection: Selection) -> dict[str, str]:
        """Every entry of the selection that has a vector, best first, with the nearest of it and its passages."""
        condition, parameters = selection.with_passages().where()
        rows = self.all_rows(f"SELECT rowid, id, coalesce(whole, id) FROM entries WHERE {condition}", parameters)
        with self._lock:
            columns = self._loaded()
            scores = columns.cosines(query, columns.slots([row[0] for row in rows]))
        best: dict[str, str] = {}
        for i in np.argsort(-scores, kind="stable").tolist():
            best.setdefault(rows[i][2], rows[i][1])
        return best

    # --- the candidates --------------------------------------------------------------------------------------

    def candidates(
        self,
        query: Vector,
        words: Mapping[int, float],
        near: Collection[int],
        selection: Selection,
        among: Rows | None = None,
    ) -> Candidates:
        """What was found and what stands right beside it; the keys are rows, nothing is cued yet.

        Args:
            query: Shape (dimensions,).
            words: bm25 by row of what was found by words.
            near: Rows that were found by meaning.
            selection: What may be returned.
            among: Its rows, in ascending order, if they are known.
        """
        with self._lock:
            columns = self._loaded()
            hits = columns.slots({*words, *near})
            slots = columns.with_neighbours(hits[hits >= 0])
            similarity = columns.cosines(query, slots)
            rows = columns.table[slots]
            names = list(columns.speaker_names)
        candidates = _candidates(rows, slots, similarity, words, names)
        return candidates.with_eligible(self._eligible(rows, selection, among))

    def _eligible(self, rows: NDArray[np.void], selection: Selection, among: Rows | None) -> Flags:
        if among is None and self._holds_all(selection):
            return np.asarray(rows["scale"] > 0)
        return self._seen(rows["row"], selection, among)

    def _seen(self, rows: Rows, selection: Selection, among: Rows | None) -> Flags:
        """Which of these rows are in the selection."""
        if among is not None:
            return _held(rows, among)
        if self._holds_all(selection):
            return np.ones(len(rows), bool)
        seen = self.eligible(rows.tolist(), selection)
        return np.isin(rows, np.fromiter(seen, np.int64, len(seen)))

    def texts(self, rowids: Sequence[int]) -> list[Text]:
        """Rows to be read, in their order; those that are gone meanwhile are left out."""
        rows = self.all_rows(
            "SELECT entries.rowid, entries.id, substr(content, 1, ?), speaker, whole"
            " FROM json_each(?) AS wanted CROSS JOIN entries ON entries.rowid = wanted.value ORDER BY wanted.key",
            (_TEXT_CHARS, json.dumps(list(rowids))),
        )
        return [Text._make(row) for row in rows]


def _held(rows: Rows, among: Rows) -> Flags:
    """Which of `rows` are in `among`, which is in ascending order."""
    if not among.size:
        return np.zeros(len(rows), bool)
    return np.asarray(among[np.minimum(np.searchsorted(among, rows), among.size - 1)] == rows)


def _in_sight(columns: Columns, slots: Slots, selection: Selection) -> Flags:
    now, hidden, passages = selection.now.timestamp(), selection.hidden, selection.passages
    return columns.in_sight(slots, selection.tiers, now, hidden=hidden, passages=passages)


def _candidates(
    rows: NDArray[np.void], slots: Slots, similarity: Vector, words: Mapping[int, float], names: Sequence[str]
) -> Candidates:
    """Columns as ranking wants them; `slots` are sorted, so links to other candidates are found by bisection."""
    keys = rows["row"]
    return Candidates(
        keys=keys,
        times=rows["time"],
        tiers=rows["tier"].astype(np.int64),
        streams=rows["stream"].astype(np.int64),
        speakers=rows["speaker"].astype(np.int64),
        dense=similarity.astype(np.float64),
        lexical=np.array([words.get(key, 0.0) for key in keys.tolist()], np.float64),
        previous=_among(rows["previous"], slots),
        following=_among(rows["following"], slots),
        alone=(rows["previous"] < 0) & (rows["following"] < 0),
        importance=rows["importance"],
        recalled=rows["recalled"],
        substance=rows["substance"].astype(np.float64),
        asks=rows["asks"],
        cued=np.zeros(len(keys), bool),
        passage=rows["passage"],
        eligible=np.ones(len(keys), bool),
        tier_names=[tier.value for tier in TIERS],
        speaker_names=names,
    )


def _among(links: NDArray[np.int32], slots: Slots) -> NDArray[np.int64]:
    """Where in `slots` each link leads, -1 if out of them."""
    if not slots.size:
        return links.astype(np.int64)
    at = np.minimum(np.searchsorted(slots, links), slots.size - 1)
    return np.where(slots[at] == links, at, -1)
