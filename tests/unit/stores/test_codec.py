"""Entries come back from their records as they were, in either form."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memory_mgr.stores.codec import decode_entry, encode_entry, lines_of
from memory_mgr.stores.lines import line_of
from memory_mgr.stores.schema import OLDEST_SCHEMA, SCHEMA_VERSION
from memory_mgr.types import MemoryEntry, MemoryType

MOMENTS = st.datetimes(timezones=st.just(UTC))
OBJECTS = st.dictionaries(st.text(max_size=5), st.none() | st.booleans() | st.integers() | st.text(max_size=5))
ENTRIES = st.builds(
    MemoryEntry,
    id=st.uuids().map(str),
    content=st.text(min_size=1),
    memory_type=st.sampled_from(MemoryType),
    namespace=st.just(("a", "b")),
    timestamp=MOMENTS,
    created_at=MOMENTS,
    source=st.none() | st.text(),
    speaker=st.none() | st.text(),
    importance_score=st.just(0.5) | st.floats(0, 1),
    metadata=OBJECTS,
    expires_at=st.none() | MOMENTS,
    superseded_by=st.none() | st.uuids().map(str),
    pinned=st.booleans(),
    derived_from=st.lists(st.uuids().map(str)).map(tuple),
    kind=st.sampled_from(["memory", "message", "summary"]),
    details=OBJECTS,
    sequence=st.integers(0, 2**53),
    revision=st.integers(0, 100),
)


@pytest.mark.parametrize("schema", range(OLDEST_SCHEMA, SCHEMA_VERSION + 1))
@given(entry=ENTRIES)
def test_what_was_encoded_is_decoded(schema: int, entry: MemoryEntry) -> None:
    """To the microsecond, from year 1 to 9999."""
    record = encode_entry(entry, schema)
    assert decode_entry(entry.id, entry.content, record, entry.namespace, entry.memory_type) == entry


@given(entries=st.lists(ENTRIES, max_size=5))
def test_a_line_made_of_a_record_is_that_of_its_entry(entries: list[MemoryEntry]) -> None:
    """Whatever is left out of the record, and to the last bit of its times."""
    records = [encode_entry(entry) for entry in entries]
    for tier in {entry.memory_type for entry in entries}:
        of_tier = [(entry, record) for entry, record in zip(entries, records, strict=True) if entry.memory_type == tier]
        lines = lines_of([e.id for e, _ in of_tier], [e.content for e, _ in of_tier], [r for _, r in of_tier], tier)
        assert lines == [line_of(entry, record) for entry, record in of_tier]


def test_a_plain_memory_has_a_short_record() -> None:
    """What is the default, or is known beside the record, is left out."""
    now = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(microseconds=7)
    entry = MemoryEntry(
        id="id",
        content="text",
        memory_type=MemoryType.LONG_TERM,
        namespace=("a",),
        timestamp=now,
        created_at=now,
        sequence=3,
    )
    assert json.loads(encode_entry(entry)) == {"ts": 1_767_225_600_000_007, "seq": 3}
