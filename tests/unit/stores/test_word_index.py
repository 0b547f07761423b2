"""The word index made at once is the one that grew entry by entry."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from memory_mgr.policy.recall_config import RecallConfig
from memory_mgr.stores.catalog import Catalog
from memory_mgr.types import PASSAGE, MemoryEntry, MemoryType

START = datetime(2026, 1, 1, tzinfo=UTC)
INDEXED = 'SELECT term, doc, col, "offset" FROM places ORDER BY doc, col, "offset", term'


def _entry(number: int, made: tuple[Any, ...]) -> MemoryEntry:
    text, source, speaker, minute, sequence, tier, passage = made
    return MemoryEntry(
        id=f"id-{number}",
        content=text,
        memory_type=tier,
        namespace=("a",),
        timestamp=START + timedelta(minutes=minute),
        created_at=START,
        source=source,
        speaker=speaker,
        sequence=sequence,
        kind=PASSAGE if passage else "message",
        details={"whole": "id-0"} if passage else {},
    )


ENTRIES = st.lists(
    st.tuples(
        st.lists(st.sampled_from(["tea", "Oslo", "ran", "東京都"]), min_size=1, max_size=4).map(" ".join),
        st.sampled_from(["chat", "mail", None]),
        st.sampled_from(["Ana", None]),
        st.integers(0, 5),
        st.integers(0, 3),
        st.sampled_from([MemoryType.SHORT_TERM, MemoryType.LONG_TERM]),
        st.booleans(),
    ),
    min_size=1,
    max_size=15,
)


@given(made=ENTRIES, reach=st.integers(0, 4))
def test_an_index_made_at_once(made: list[tuple[Any, ...]], reach: int) -> None:
    """Entries added in any order, some at the same moment with the same sequence, some passages, in several streams."""
    recall = RecallConfig(context_entries=reach)
    grown = Catalog(None, ("a",), recall)
    for entry in (_entry(number, one) for number, one in enumerate(made)):
        grown.apply([entry], [[1.0, 0.0]])  # type: ignore[list-item]
    grown.db.execute("CREATE VIRTUAL TABLE temp.places USING fts5vocab(main, words, instance)")
    expected = grown.all_rows(INDEXED)
    sizes = grown.all_rows("SELECT * FROM words_docsize ORDER BY id")
    grown.db.execute("DELETE FROM words")
    grown.index_words()
    assert grown.all_rows(INDEXED) == expected
    assert grown.all_rows("SELECT * FROM words_docsize ORDER BY id") == sizes
    grown.close()


def test_indexes_are_there_after_loading() -> None:
    """What is dropped while many rows are written is made again, triggers and all."""
    catalog = Catalog(None, ("a",), RecallConfig())
    schema = "SELECT type, name, sql FROM sqlite_master ORDER BY type, name"
    before = catalog.all_rows(schema)
    with catalog.without_indexes():
        assert len(catalog.all_rows(schema)) < len(before)
    assert catalog.all_rows(schema) == before
    catalog.close()
