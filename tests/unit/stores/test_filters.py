"""Filters: what SQL finds is what reading each entry by hand would find."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from memory_mgr import InvalidFilterError, MemoryConfig, MemoryEntry, MemoryType, NewMemory, SyncMemoryManager
from memory_mgr.testing import FakeEmbedder

START = datetime(2026, 1, 1, tzinfo=UTC)
SCALARS: list[Any] = [None, True, False, 0, 1, 1.0, -2.5, 2**70, "", "1", "true", "red", "reddish", "É", "%", "_"]
VALUES: list[Any] = [*SCALARS, [], ["red", 1], [True, None], {}, {"deep": "red"}, {"deep": {"er": 1}}, [["red"]]]
PATHS = ["a", "b", "a.deep", "a.deep.er", "metadata.source", "nowhere"]


def value_at(entry: MemoryEntry, name: str) -> tuple[bool, Any]:
    """Whether the entry has the field, and its value, read by hand."""
    fields: dict[str, Any] = {"source": entry.source, "importance_score": entry.importance_score}
    fields |= {"memory_type": entry.memory_type.value, "timestamp": entry.timestamp.timestamp()}
    if name in fields:
        return fields[name] is not None, fields[name]
    value: Any = entry.metadata
    for key in name.removeprefix("metadata.").split("."):
        if not isinstance(value, dict) or key not in value:
            return False, None
        value = value[key]
    return True, value


def same(left: Any, right: Any) -> bool:
    """Equal in value and JSON type; 1 and 1.0 are the same number."""
    if isinstance(left, bool) or isinstance(right, bool) or left is None or right is None:
        return left is right
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(same(left[k], right[k]) for k in left)
    numbers = isinstance(left, int | float) and isinstance(right, int | float)
    return (numbers or type(left) is type(right)) and bool(left == right)


def holds(entry: MemoryEntry, expression: dict[str, Any]) -> bool:
    """The filter language's meaning, as plainly as it can be written."""
    return all(_part(entry, name, operand) for name, operand in expression.items())


def _part(entry: MemoryEntry, name: str, operand: Any) -> bool:
    if name == "$and":
        return all(holds(entry, part) for part in operand)
    if name == "$or":
        return any(holds(entry, part) for part in operand)
    if name == "$not":
        return not holds(entry, operand)
    tests = (
        operand if isinstance(operand, dict) and operand and next(iter(operand)).startswith("$") else {"$eq": operand}
    )
    return all(_compared(*value_at(entry, name), operator, wanted) for operator, wanted in tests.items())


def _compared(there: bool, value: Any, operator: str, wanted: Any) -> bool:
    match operator:
        case "$eq":
            return there and same(value, wanted)
        case "$ne":
            return not (there and same(value, wanted))
        case "$in":
            return there and any(same(value, w) for w in wanted)
        case "$nin":
            return not (there and any(same(value, w) for w in wanted))
        case "$contains" if isinstance(value, list):
            return any(same(element, wanted) for element in value)
        case "$contains":
            return isinstance(value, str) and isinstance(wanted, str) and wanted in value
    wanted = wanted.timestamp() if isinstance(wanted, datetime) else wanted
    both_numbers = all(isinstance(v, int | float) and not isinstance(v, bool) for v in (value, wanted))
    if not there or not (both_numbers or (isinstance(value, str) and isinstance(wanted, str))):
        return False
    return bool(
        {"$gt": value > wanted, "$gte": value >= wanted, "$lt": value < wanted, "$lte": value <= wanted}[operator]
    )


BOUNDS = [0, 1, -2.5, 1.5, "red", "1"]
ranges = st.builds(
    lambda lower, low, upper, high: {lower: low, upper: high},
    st.sampled_from(["$gt", "$gte"]),
    st.sampled_from(BOUNDS),
    st.sampled_from(["$lt", "$lte"]),
    st.sampled_from(BOUNDS),
)
single = st.one_of(
    st.tuples(st.sampled_from(["$eq", "$ne"]), st.sampled_from(VALUES)),
    st.tuples(st.sampled_from(["$gt", "$gte", "$lt", "$lte"]), st.sampled_from(BOUNDS)),
    st.tuples(st.sampled_from(["$in", "$nin"]), st.lists(st.sampled_from(SCALARS), max_size=3)),
    st.tuples(st.just("$contains"), st.sampled_from(["red", "re", "1", 1, True, None, "%"])),
).map(lambda pair: {pair[0]: pair[1]})
comparisons = single | ranges
hours = st.integers(0, len(VALUES)).map(lambda hour: START + timedelta(hours=hour))
leaves = st.one_of(
    st.dictionaries(st.sampled_from(PATHS), comparisons, min_size=1, max_size=2),
    st.dictionaries(
        st.just("importance_score"), st.sampled_from([{"$gte": 0.5}, {"$lt": 0.25}, {"$eq": 0.5}]), min_size=1
    ),
    st.dictionaries(
        st.just("source"), st.sampled_from([{"$eq": "s1"}, {"$ne": "s1"}, {"$in": ["s0", "x"]}]), min_size=1
    ),
    st.builds(lambda since, until: {"timestamp": {"$gte": since, "$lt": until}}, hours, hours),
    st.dictionaries(st.just("memory_type"), st.sampled_from(["long_term", {"$ne": "long_term"}]), min_size=1),
)
expressions = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.builds(lambda parts: {"$and": parts}, st.lists(inner, min_size=1, max_size=3)),
        st.builds(lambda parts: {"$or": parts}, st.lists(inner, min_size=1, max_size=3)),
        st.builds(lambda part: {"$not": part}, inner),
    ),
    max_leaves=6,
)


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Entries with every value under some key, in two tiers, with and without a source; some superseded or expired."""
    folder: Path = tmp_path_factory.mktemp("filters")
    with SyncMemoryManager(MemoryConfig(path=folder, embedder=FakeEmbedder())) as memory:
        for number, value in enumerate(VALUES):
            news = NewMemory(
                content=f"entry {number}",
                metadata={"a": value, "b": VALUES[-number]} if number % 5 else {"b": value},
                source=f"s{number % 3}" if number % 4 else None,
                importance_score=(number % 5) / 4,
                timestamp=START + timedelta(hours=number),
                ttl_seconds=1e-6 if number % 7 == 5 else None,
            )
            stored = memory.add_memories([news], "long_term" if number % 3 else "episodic")[0]
            if number % 7 == 3:
                memory.supersede_memory(stored.id, f"entry {number} put right")
        yield memory, memory.list_memories(limit=None)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(expression=expressions)
def test_listing_agrees_with_reading_each_entry(filled: Any, expression: dict[str, Any]) -> None:
    """Any expression, nested and mixed, finds exactly what it means."""
    memory, entries = filled
    expected = [entry.id for entry in entries if holds(entry, expression)]
    assert [entry.id for entry in memory.list_memories(filters=expression, limit=None)] == expected


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(expression=expressions)
def test_search_finds_nothing_else(filled: Any, expression: dict[str, Any]) -> None:
    """A search with a filter finds all that match, as every text shares its word, and nothing more."""
    memory, entries = filled
    expected = {entry.id for entry in entries if holds(entry, expression)}
    assert {hit.id for hit in memory.search_memory("entry", limit=100, filters=expression)} == expected


def nested(expression: dict[str, Any], depth: int) -> dict[str, Any]:
    """The same meaning for entries with b = 1, behind so many pairs of brackets."""
    for level in range(depth):
        expression = {"$or": [expression, {"b": "no such"}]} if level % 2 else {"$and": [expression, {"b": 1}]}
    return expression


@pytest.mark.parametrize(
    "expression",
    [
        {"b": {"$in": [1, *range(2, 1000)]}},
        {"b": 1, "source": {"$in": [f"s{n}" for n in range(999)]}},
        {"$and": [{"b": {"$gte": -n}} for n in range(999)] + [{"b": 1}]},
        {"$or": [{"b": {"$gt": 2**70 + n}} for n in range(900)] + [{"b": 1}]},
        {"$and": [{"b": {"$ne": 2 + n}} for n in range(900)] + [{"b": 1}]},
        nested({"b": {"$in": [1, *range(2, 900)]}}, 30),
    ],
)
def test_filters_may_be_as_large_as_they_are_allowed(filled: Any, expression: dict[str, Any]) -> None:
    """A thousand comparisons, thirty-two levels: the database underneath has limits of its own."""
    memory, entries = filled
    expected = {entry.id for entry in entries if holds(entry, expression)}
    assert expected
    assert {entry.id for entry in memory.list_memories(filters=expression, limit=None)} == expected
    assert {hit.id for hit in memory.search_memory("entry", limit=100, filters=expression)} == expected


def test_times_compare_as_times(filled: Any) -> None:
    """A time may be given as a datetime of any zone or as ISO 8601 text."""
    memory, entries = filled
    bound = START + timedelta(hours=10)
    later = [entry.id for entry in entries if entry.timestamp >= bound]
    for given_as in (bound, bound.replace(tzinfo=None), bound.isoformat(), "2026-01-01T12:00:00+02:00"):
        found = memory.list_memories(filters={"timestamp": {"$gte": given_as}}, limit=None)
        assert [entry.id for entry in found] == later
    assert all(e.memory_type is MemoryType.EPISODIC for e in memory.list_memories(filters={"memory_type": "episodic"}))


@pytest.mark.parametrize(
    "expression",
    [
        {"a": {"$regex": "x"}},
        {"$nor": [{"a": 1}]},
        {"a": {"$gt": None}},
        {"a": {"$gt": [1]}},
        {"a": {"$in": "red"}},
        {"$and": {"a": 1}},
        {"$or": []},
        {"$not": [1]},
        {"timestamp": {"$gt": "yesterday"}},
        {"importance_score": {"$gt": "high"}},
        {"a": {"$eq": 1, "plain": 2}},
        {"a": {"$in": list(range(2)) * 40_000}},
        {1: 2},
        {"a": float("nan")},
        {"a": object()},
        {"a": [{"k": 1, None: 2}]},
        {"a": ["\ud800"]},
        ["a"],
        {"\ud800": None},
    ],
)
def test_what_cannot_be_read_is_refused(filled: Any, expression: Any) -> None:
    """With the filter's own error, never an empty answer."""
    with pytest.raises(InvalidFilterError):
        filled[0].list_memories(filters=expression)
