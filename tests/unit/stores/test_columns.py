"""The rows in memory say what the rows in SQLite say, whatever is written, moved and removed."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from memory_mgr.policy.recall_config import RecallConfig
from memory_mgr.stores import catalog_file, catalog_ranking
from memory_mgr.stores.catalog import Catalog
from memory_mgr.stores.columns import Columns
from memory_mgr.stores.selection import ALL_TIERS, Selection
from memory_mgr.types import MemoryEntry, MemoryType

NOW = datetime(2026, 1, 1, tzinfo=UTC)
AXES = np.eye(8, dtype=np.float32)
EVERYTHING = Selection(ALL_TIERS, NOW, hidden=True, passages=True)

entries = st.builds(
    lambda number, tier, source, minute, speaker, content, found_by, hidden: MemoryEntry(
        id=f"e{number}",
        namespace=("a",),
        content=content,
        memory_type=tier,
        timestamp=NOW + timedelta(minutes=minute),
        source=source,
        speaker=speaker,
        sequence=number,
        created_at=NOW,
        details={} if found_by is None else {"found_by": []},
        expires_at=NOW if hidden == "expired" else None,
        superseded_by="e1" if hidden == "superseded" else None,
    ),
    st.integers(1, 9),
    st.sampled_from([MemoryType.SHORT_TERM, MemoryType.LONG_TERM]),
    st.sampled_from([None, "x", "y"]),
    st.integers(0, 3),
    st.sampled_from([None, "Ada", "Bob"]),
    st.sampled_from(["Is it?", "Cem: it is", "so"]),
    st.sampled_from([None, None, None, ()]),
    st.sampled_from([None, None, "expired", "superseded"]),
)
steps = st.lists(st.lists(entries, max_size=4, unique_by=lambda e: e.id) | st.integers(1, 9), max_size=12)


def view(catalog: Catalog, columns: Columns) -> dict[int, dict[str, Any]]:
    """What the columns hold, in terms that do not depend on where."""
    rows = [row[0] for row in catalog.all_rows("SELECT rowid FROM entries ORDER BY rowid")]
    slots = columns.slots(rows)
    assert (slots >= 0).all()
    found = {}
    streams = {stream: i for i, stream in enumerate(dict.fromkeys(columns.table["stream"][slots].tolist()))}
    for row, slot in zip(rows, slots.tolist(), strict=True):
        held = dict(zip(columns.table.dtype.names or (), columns.table[slot].tolist(), strict=True))
        for name in ("previous", "following"):
            held[name] = int(columns.table["row"][held[name]]) if held[name] >= 0 else None
        held["speaker"] = columns.speaker_names[held["speaker"]] if held["speaker"] >= 0 else None
        held["stream"] = streams[held["stream"]] if held["stream"] >= 0 else None
        held |= {name: str(held[name]) for name in ("recalled", "expires")}
        held["cosines"] = [round(float(columns.cosines(axis, np.array([slot]))[0]), 5) for axis in AXES]
        found[row] = held
    return found


@given(steps)
def test_they_follow_every_change(changes: list[list[MemoryEntry] | int]) -> None:
    """Rows read before some changes and kept up to date are what is read afterwards: values, vectors and links."""
    catalog = Catalog(None, ("a",), RecallConfig())
    kept = catalog._loaded()
    for number, change in enumerate(changes):
        if isinstance(change, int):
            catalog.apply(removed=[f"e{change}"])
            catalog.touch({f"e{change - 1}": 1}, float(number))
        else:
            catalog.apply(change, AXES[[(number + i) % 8 for i, _ in enumerate(change)]])
    assert catalog._columns is kept
    followed = view(catalog, kept)
    catalog._columns = None
    assert followed == view(catalog, catalog._loaded())
    catalog.close()


@given(steps, st.integers(1, 3))
def test_many_rows_a_statement_are_the_rows_one_by_one(changes: list[list[MemoryEntry] | int], rows: int) -> None:
    """New and known ids, attributes, and vectors that stay or go are the same however many rows a statement writes."""

    def written() -> list[list[tuple[Any, ...]]]:
        with closing(Catalog(None, ("a",), RecallConfig())) as catalog:
            for number, change in enumerate(changes):
                if isinstance(change, int):
                    catalog.apply(removed=[f"e{change}"])
                    continue
                told = [entry.with_changes(metadata={"of": [number, entry.id]}) for entry in change]
                catalog.apply(told, None if number % 3 == 2 else AXES[[(number + i) % 8 for i, _ in enumerate(told)]])
            return [catalog.all_rows(f"SELECT * FROM {table}") for table in ("entries", "attributes", "counts")]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(catalog_file, "_ROWS", rows)
        few = written()
    assert few == written()


def stored(count: int) -> Catalog:
    """A conversation, a minute a turn; the vector of turn n is axis n of eight."""
    catalog = Catalog(None, ("a",), RecallConfig())
    turns = [
        MemoryEntry(
            id=f"t{n}",
            namespace=("a",),
            content=f"turn {n}",
            memory_type=MemoryType.LONG_TERM,
            timestamp=NOW + timedelta(minutes=n),
            source="x",
            sequence=n,
            created_at=NOW,
        )
        for n in range(count)
    ]
    catalog.apply(turns, AXES[[n % 8 for n in range(count)]])
    return catalog


def test_candidates_come_with_their_neighbours() -> None:
    """What is found by words or by meaning, and the turns right beside it, linked in order."""
    catalog = stored(20)
    rows = {text.id: text.rowid for text in catalog.texts(list(range(1, 21)))}
    found = catalog.candidates(AXES[3], {rows["t3"]: 2.5}, {rows["t11"]}, EVERYTHING)
    ids = [text.id for text in catalog.texts(found.keys.tolist())]
    assert ids == ["t2", "t3", "t4", "t10", "t11", "t12"]
    assert found.lexical.tolist() == [0, 2.5, 0, 0, 0, 0]
    assert found.dense.round(2).tolist() == [0, 1, 0, 0, 1, 0]
    assert found.previous.tolist() == [-1, 0, 1, -1, 3, 4]
    assert found.following.tolist() == [1, 2, -1, 4, 5, -1]
    assert not found.alone.any()
    assert found.eligible.all()
    catalog.close()


def test_what_is_beside_a_new_row_is_found_by_its_stream() -> None:
    """A write of an entry reads its stream, or nothing if it is of none, and never its tier."""
    asked: list[str] = []
    with closing(stored(20)) as catalog:
        catalog.exact(AXES[0], EVERYTHING.narrowed([MemoryType.LONG_TERM]), 3)
        catalog.db.set_trace_callback(asked.append)
        catalog.apply([e.with_changes(source=None) for e in catalog.by_ids(["t3"])])
        catalog.db.set_trace_callback(None)
        (refreshing,) = [sql for sql in asked if catalog_ranking._BESIDE in sql]
        plan = [step for *_, step in catalog.all_rows(f"EXPLAIN QUERY PLAN {refreshing}")]
    beside = [step for step in plan if step.startswith(("SEARCH p", "SEARCH n", "SCAN p", "SCAN n"))]
    assert len(beside) == 2
    assert all("entries_by_stream (tier=? AND source=? AND ts" in step for step in beside)


def test_words_are_counted_as_far_as_it_matters() -> None:
    """Frequent words are counted up to a number, unless all are as frequent; words nobody wrote are left out."""
    with closing(stored(40)) as catalog:
        assert catalog.document_frequency(["turn", "1", "never"], 40, 100) == {"turn": 40, "1": 9}
        assert catalog.document_frequency(["turn", "1", "!"], 40, 20) == {"turn": 20, "1": 9}
        assert catalog.document_frequency(["turn", "1"], 40, 5) == {"turn": 40, "1": 9}
        assert catalog.document_frequency([], 40, 5) == {}


def test_the_nearest_are_those_in_sight() -> None:
    """What is superseded or has expired is not among the nearest, however many there are of it."""
    catalog = stored(40)
    long_term = Selection((MemoryType.LONG_TERM,), NOW + timedelta(days=1), passages=True)
    texts = {text.rowid: text.id for text in catalog.texts(list(range(1, 41)))}
    near = {texts[row] for row in catalog.exact(AXES[0], long_term, 5)}
    assert near == {"t0", "t8", "t16", "t24", "t32"}
    hidden = [e.with_changes(expires_at=NOW) for e in catalog.by_ids(["t0", "t8", "t16", "t1", "t2", "t3", "t4", "t5"])]
    catalog.apply(hidden)
    for wanted in (2, 5, 32):
        found = {texts[row] for row in catalog.exact(AXES[0], long_term, wanted)}
        assert len(found) == wanted
        assert found.isdisjoint(e.id for e in hidden)
        assert {"t24", "t32"} <= found
    catalog.close()


def test_rows_that_another_connection_wrote(tmp_path: Any) -> None:
    """What somebody else wrote to the file is seen."""
    one = Catalog(tmp_path / "catalog", ("a",), RecallConfig())
    other = Catalog(tmp_path / "catalog", ("a",), RecallConfig())
    assert one.exact(AXES[0], EVERYTHING.narrowed([MemoryType.LONG_TERM]), 3) == []
    with closing(stored(1)) as third:
        other.apply(third.by_ids(["t0"]), AXES[:1])
    assert one.exact(AXES[0], EVERYTHING.narrowed([MemoryType.LONG_TERM]), 3) == [1]
    one.close()
    other.close()


def test_words_are_scored_alike_however_they_are_narrowed() -> None:
    """Known rows, few or many, and words that must be there, leave out matches and change no score."""
    catalog = stored(3000)
    words = catalog.document_frequency(["turn", "7"], 3000, 5000)
    rows = {text.rowid: int(text.id[1:]) for text in catalog.texts(list(range(1, 3001)))}
    everything = {rows[row]: score for row, score in catalog.words_matching(words, EVERYTHING, (1, 0, 0), 5000).items()}
    assert len(everything) == 3000
    for kept in (lambda n: n % 10 == 7, lambda n: n % 10 != 3):
        among = np.array(sorted(row for row, n in rows.items() if kept(n)))
        found = catalog.words_matching(words, EVERYTHING, (1, 0, 0), 5000, among=among)
        assert {rows[row]: pytest.approx(score) for row, score in found.items()} == {
            n: score for n, score in everything.items() if kept(n)
        }
    needed = catalog.words_matching(words, EVERYTHING, (1, 0, 0), 5000, needed=["7"])
    said_soon_after = range(7, 16)
    assert {rows[row]: pytest.approx(score) for row, score in needed.items()} == {
        n: everything[n] for n in said_soon_after
    }
    assert max(everything, key=lambda n: everything[n]) == 7
    catalog.close()


@given(
    st.lists(
        st.sets(st.sampled_from(["river", "stone", "amber", "cloud", "maple"]), min_size=1), min_size=1, max_size=30
    )
)
def test_words_are_scored_as_fts5_scores_them(texts: list[set[str]]) -> None:
    """Where each word is said once; after entries were replaced and removed too."""
    told = [
        MemoryEntry(
            id=f"e{n}",
            namespace=("a",),
            content=" ".join(sorted(text)),
            memory_type=MemoryType.LONG_TERM,
            timestamp=NOW,
            sequence=n,
            created_at=NOW,
        )
        for n, text in enumerate(texts)
    ]
    weights = (1.0, 0.4, 0.2)
    with closing(Catalog(None, ("a",), RecallConfig())) as catalog:
        vectors = AXES[[n % 8 for n in range(len(told))]]
        catalog.apply([e.with_changes(content="amber amber lake") for e in told], vectors)
        catalog.words_matching({"amber": len(told)}, EVERYTHING, weights, 100)
        catalog.apply(told, vectors)
        catalog.apply(removed=["e0"])
        words = catalog.document_frequency(["river", "stone", "amber"], len(told) * 2, 100)
        found = catalog.words_matching(words, EVERYTHING, weights, 100)
        sql = "SELECT rowid, -bm25(words, 1.0, 0.4, 0.2) FROM words WHERE words MATCH 'river OR stone OR amber'"
        assert found == {row: pytest.approx(score) for row, score in catalog.all_rows(sql)}
