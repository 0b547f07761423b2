"""The word index made at once is the one that grew entry by entry."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

from hypothesis import given, settings
from hypothesis import strategies as st

from memory_mgr.policy.recall_config import RecallConfig
from memory_mgr.stores import word_index
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


MADE = st.tuples(
    st.lists(st.sampled_from(["tea", "Oslo", "ran", "東京都"]), min_size=1, max_size=4).map(" ".join),
    st.sampled_from(["chat", "mail", None]),
    st.sampled_from(["Ana", None]),
    st.integers(0, 5),
    st.integers(0, 3),
    st.sampled_from([MemoryType.SHORT_TERM, MemoryType.LONG_TERM]),
    st.booleans(),
)
ENTRIES = st.lists(MADE, min_size=1, max_size=15)
CHANGES = st.lists(
    st.tuples(
        st.dictionaries(st.integers(0, 7), MADE, max_size=4),
        st.sets(st.integers(0, 7), max_size=3),
    ),
    max_size=8,
)
"""What is written and what is removed, by number, again and again."""


def _index(catalog: Catalog) -> list[list[tuple[Any, ...]]]:
    """Every word at its place, and how long each row is."""
    catalog.db.execute("CREATE VIRTUAL TABLE IF NOT EXISTS temp.places USING fts5vocab(main, words, instance)")
    return [catalog.all_rows(INDEXED), catalog.all_rows("SELECT * FROM words_docsize ORDER BY id")]


def _index_made_anew(catalog: Catalog) -> list[list[tuple[Any, ...]]]:
    catalog.db.execute("INSERT INTO words (words) VALUES ('delete-all')")
    catalog.index_words()
    return _index(catalog)


@given(made=ENTRIES, reach=st.integers(0, 4), rows=st.integers(1, 4), characters=st.integers(1, 60))
def test_an_index_made_at_once(made: list[tuple[Any, ...]], reach: int, rows: int, characters: int) -> None:
    """Entries in any order, some at the same moment, some passages, in several streams; indexed by few or by many."""
    recall = RecallConfig(context_entries=reach)
    grown = Catalog(None, ("a",), recall)
    for entry in (_entry(number, one) for number, one in enumerate(made)):
        grown.apply([entry], [[1.0, 0.0]])  # type: ignore[list-item]
    expected = _index(grown)
    with patch.multiple(word_index, _SLICE=rows, _LARGE_SLICE_CHARS=characters):
        assert _index_made_anew(grown) == expected
    grown.close()


@settings(deadline=None)
@given(changes=CHANGES, reach=st.integers(0, 4))
def test_an_index_that_was_changed(changes: list[Any], reach: int) -> None:
    """Whatever is written anew, moved, said by another or removed: no word of before is left, none is missing."""
    catalog = Catalog(None, ("a",), RecallConfig(context_entries=reach))
    for written, removed in changes:
        entries = [_entry(number, one) for number, one in written.items()]
        gone = [f"id-{number}" for number in removed - written.keys()]
        catalog.apply(entries, [[1.0, 0.0]] * len(entries), gone)  # type: ignore[list-item]
        catalog.db.execute("INSERT INTO words (words) VALUES ('integrity-check')")
    expected = _index(catalog)
    assert _index_made_anew(catalog) == expected
    catalog.close()


@given(made=ENTRIES, more=MADE)
def test_other_settings_make_another_index(made: list[tuple[Any, ...]], more: tuple[Any, ...]) -> None:
    """A catalog opened with another reach of context, or by two who differ, has the index of who writes."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "catalog"
        first = Catalog(path, ("a",), RecallConfig(context_entries=1))
        first.apply([_entry(number, one) for number, one in enumerate(made)], [[1.0, 0.0]] * len(made))  # type: ignore[list-item]
        second = Catalog(path, ("a",), RecallConfig(context_entries=3))
        for catalog in (second, first):
            catalog.apply([_entry(3, more)], [[1.0, 0.0]])  # type: ignore[list-item]
            catalog.apply(removed=["id-3"])
            expected = _index(catalog)
            with suppress(TakenBackError), catalog.transaction():
                assert _index_made_anew(catalog) == expected
                raise TakenBackError
        first.close()
        second.close()


class TakenBackError(Exception):
    """Ends a transaction without effect."""


def test_indexes_are_there_after_loading() -> None:
    """What is dropped while many rows are written is made again, triggers and all."""
    catalog = Catalog(None, ("a",), RecallConfig())
    schema = "SELECT type, name, sql FROM sqlite_master ORDER BY type, name"
    before = catalog.all_rows(schema)
    with catalog.without_indexes():
        assert len(catalog.all_rows(schema)) < len(before)
    assert catalog.all_rows(schema) == before
    catalog.close()
