"""Filter expressions: read once, then asked of one entry in Python or of the whole catalog in SQL.

    {"source": "chat-1"}                                    equal
    {"importance_score": {"$gte": 0.5}, "topic": "food"}    both
    {"$or": [{"tags": {"$contains": "urgent"}}, {"timestamp": {"$lt": "2026-01-01"}}]}

Operators: `$eq $ne $gt $gte $lt $lte $in $nin $contains`, and `$and $or $not` around expressions. The names
`timestamp`, `source`, `importance_score`, `memory_type`, `origin`, `trust` and `suspicious` (true or false) mean the
entry's; every other name, and any name after `metadata.`, is a key of the metadata, with dots for nested keys.
Comparison is by type: `True` is not 1 and "1" is not 1, and a range never matches a value of another type. `$ne`,
`$nin` and `$not` match whatever their opposite does not, entries without the key included. `$contains` finds an
element of a list or a part of a text.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeAlias

from memory_mgr.errors import InvalidFilterError
from memory_mgr.trust import TRUST
from memory_mgr.types import JSON, MemoryEntry, MemoryType, utc

COMPARISONS = ("$eq", "$ne", "$gt", "$gte", "$lt", "$lte", "$in", "$nin", "$contains")
COMBINATIONS = ("$and", "$or", "$not")
_RANGES = {"$gt": ">", "$gte": ">=", "$lt": "<", "$lte": "<="}
_ORIGIN = "coalesce(json_extract(entries.record, '$.det.origin'), 'user')"
_TRUST = " ".join(f"WHEN '{name}' THEN {trust}" for name, trust in TRUST.items())
SUSPICIOUS = "(json_extract(entries.record, '$.det.suspicious') IS NOT NULL)"
_FIELDS = {
    "timestamp": "entries.ts",
    "source": "entries.source",
    "importance_score": "entries.importance",
    "memory_type": "entries.tier",
    "origin": _ORIGIN,
    "trust": f"(CASE {_ORIGIN} {_TRUST} END)",
    "suspicious": SUSPICIOUS,
}
_MAX_DEPTH = 32
_MAX_PARTS = 1000

Typed: TypeAlias = tuple[str, Any]
"""(type letter, value as SQLite keeps it)."""
Attribute: TypeAlias = tuple[str, str, Any]
"""(path, type letter, value): what the catalog knows of one metadata value."""


@dataclass(frozen=True, slots=True)
class Condition:
    """One comparison; `operator` is one of $eq, $gt, $gte, $lt, $lte, $contains."""

    field: str | None
    path: str
    operator: str
    operand: Typed


@dataclass(frozen=True, slots=True)
class AllOf:
    """True if all parts are; of no parts, true."""

    parts: tuple[Filter, ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    """True if one part is; of no parts, false."""

    parts: tuple[Filter, ...]


@dataclass(frozen=True, slots=True)
class NotThat:
    """True if the part is not."""

    part: Filter


Filter: TypeAlias = Condition | AllOf | AnyOf | NotThat


# --- values as attributes --------------------------------------------------------------------------------------


def flatten(metadata: Mapping[str, JSON]) -> list[Attribute]:
    """The attributes of a metadata object: nested keys joined by dots, list elements under the list's path.

    Type letters: s text, n number, b boolean, z null, j whole object or list as canonical JSON; the same in upper
    case for an element of a list.
    """
    return list(_flattened(metadata, ""))


def _flattened(value: Mapping[str, JSON], prefix: str) -> Iterator[Attribute]:
    for key, inner in value.items():
        path = f"{prefix}{key}"
        yield (path, *typed(inner))
        if isinstance(inner, dict):
            yield from _flattened(inner, f"{path}.")
        elif isinstance(inner, list):
            for element in inner:
                letter, kept = typed(element)
                yield path, letter.upper(), kept


def typed(value: JSON) -> Typed:
    """A JSON value with its type letter, in a form that Python and SQLite compare alike."""
    if value is None:
        return "z", 0
    if isinstance(value, bool):
        return "b", int(value)
    if isinstance(value, int | float):
        return "n", _storable(value)
    if isinstance(value, str):
        return "s", value
    return "j", json.dumps(value, sort_keys=True, ensure_ascii=False)


def _storable(number: float) -> float:
    """Whole numbers beyond 64 bits as the nearest float, which is what SQLite can compare."""
    if isinstance(number, int) and not -(2**63) <= number < 2**63:
        try:
            return float(number)
        except OverflowError:
            return math.inf if number > 0 else -math.inf
    return number


# --- reading ---------------------------------------------------------------------------------------------------


def parse_filter(expression: object) -> Filter:
    """Read a filter expression.

    Raises:
        InvalidFilterError: It has an unknown operator, a wrong operand, or is too large.
    """
    parsed = _expression(expression, 0)
    if _size(parsed) > _MAX_PARTS:
        raise InvalidFilterError(f"the filter has more than {_MAX_PARTS} comparisons; use fewer, or a $in over a key")
    return parsed


def _size(part: Filter) -> int:
    if isinstance(part, NotThat):
        return _size(part.part)
    return sum(map(_size, part.parts)) if isinstance(part, AllOf | AnyOf) else 1


def _expression(expression: object, depth: int) -> Filter:
    if depth > _MAX_DEPTH:
        raise InvalidFilterError(f"the filter is nested deeper than {_MAX_DEPTH} levels")
    if not isinstance(expression, Mapping):
        raise InvalidFilterError(f"a filter is a mapping like {{'source': 'chat-1'}}, not {expression!r:.80}")
    return AllOf(tuple(_entry(key, value, depth) for key, value in expression.items()))


def _entry(key: object, value: object, depth: int) -> Filter:
    if not isinstance(key, str) or not key:
        raise InvalidFilterError(f"a filter's keys are names or operators, not {key!r:.80}")
    if not key.startswith("$"):
        return _comparisons(key, value, depth)
    if key == "$not":
        return NotThat(_expression(value, depth + 1))
    if key in {"$and", "$or"}:
        if not isinstance(value, Sequence) or isinstance(value, str) or not value:
            raise InvalidFilterError(f"{key} takes a list of filters, not {value!r:.80}")
        parts = tuple(_expression(part, depth + 1) for part in value)
        return AllOf(parts) if key == "$and" else AnyOf(parts)
    raise _unknown(key)


def _unknown(operator: str) -> InvalidFilterError:
    return InvalidFilterError(
        f"unknown operator {operator!r:.80}; comparisons: {' '.join(COMPARISONS)}; "
        f"around filters: {' '.join(COMBINATIONS)}"
    )


def _comparisons(name: str, value: object, depth: int) -> Filter:
    if not isinstance(value, Mapping) or not value:
        return _comparison(name, "$eq", value)
    operators = [key for key in value if isinstance(key, str) and key.startswith("$")]
    if not operators:
        if depth > _MAX_DEPTH:
            raise InvalidFilterError(f"the filter is nested deeper than {_MAX_DEPTH} levels")
        return AllOf(tuple(_comparisons(f"{name}.{key}", inner, depth + 1) for key, inner in value.items()))
    if len(operators) != len(value):
        raise InvalidFilterError(f"{name!r} mixes operators and keys: {value!r:.80}; use $and")
    return AllOf(tuple(_operation(name, operator, value[operator], depth) for operator in operators))


def _operation(name: str, operator: str, value: object, depth: int) -> Filter:
    if operator == "$not":
        return NotThat(_comparisons(name, value, depth + 1))
    if operator not in COMPARISONS:
        raise _unknown(operator)
    return _comparison(name, operator, value)


def _comparison(name: str, operator: str, value: object) -> Filter:
    if operator in {"$in", "$nin"}:
        if not isinstance(value, Sequence | set | frozenset) or isinstance(value, str):
            raise InvalidFilterError(f"{operator} takes a list of values, not {value!r:.80}")
        found = AnyOf(tuple(_condition(name, "$eq", item) for item in value))
        return NotThat(found) if operator == "$nin" else found
    if operator == "$ne":
        return NotThat(_condition(name, "$eq", value))
    return _condition(name, operator, value)


def _condition(name: str, operator: str, value: object) -> Condition:
    try:
        name.encode()
    except UnicodeEncodeError as error:
        raise InvalidFilterError(f"the key {name!r:.80} holds a lone surrogate; no stored key does") from error
    field = name if name in _FIELDS else None
    path = name.removeprefix("metadata.") if field is None else name
    operand = _operand(name, value) if field is None else _field_operand(name, value)
    if operator in _RANGES and operand[0] not in {"s", "n"}:
        raise InvalidFilterError(f"{operator} compares numbers or texts, not {value!r:.80}")
    if operator == "$contains" and field is not None and field != "source":
        raise InvalidFilterError(f"$contains looks into lists and texts; {name} is neither")
    return Condition(field, path, operator, operand)


def _operand(name: str, value: object) -> Typed:
    if isinstance(value, float) and not math.isfinite(value):
        raise InvalidFilterError(f"{name!r} is compared with {value!r}, which no stored value can be")
    try:
        json.dumps(value, allow_nan=False, sort_keys=True, ensure_ascii=False).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidFilterError(f"{name!r} is compared with {value!r:.80}, which is not JSON") from error
    return typed(list(value) if isinstance(value, tuple) else value)  # type: ignore[arg-type]


def _field_operand(name: str, value: object) -> Typed:
    if name == "timestamp":
        return "n", _moment(value).timestamp()
    if name in {"importance_score", "trust"}:
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise InvalidFilterError(f"{name} is compared with numbers, not {value!r:.80}; use 'metadata.{name}'")
        return "n", _storable(value)
    if name == "suspicious":
        if not isinstance(value, bool):
            raise InvalidFilterError(f"suspicious is compared with true or false, not {value!r:.80}")
        return "b", int(value)
    if name == "origin" and value not in TRUST:
        raise InvalidFilterError(f"unknown origin {value!r:.80}; use 'metadata.origin' for a key of the metadata")
    if name == "memory_type":
        try:
            return "s", MemoryType(str(value)).value
        except ValueError as error:
            raise InvalidFilterError(f"unknown memory type {value!r:.80}") from error
    if value is None:
        return "z", 0
    if not isinstance(value, str):
        raise InvalidFilterError(f"source is compared with texts, not {value!r:.80}; use 'metadata.source'")
    return _operand(name, value)


def _moment(value: object) -> datetime:
    try:
        return utc(datetime.fromisoformat(value) if isinstance(value, str) else value)  # type: ignore[arg-type]
    except (ValueError, AttributeError, TypeError, OverflowError) as error:
        raise InvalidFilterError(
            f"timestamp is compared with datetimes or ISO 8601 texts (naive = UTC), not {value!r:.80}"
        ) from error


# --- asking one entry ------------------------------------------------------------------------------------------


def matches(expression: Filter, entry: MemoryEntry) -> bool:
    """Whether an entry is what the filter asks for; what `to_sql` finds, one by one."""
    return _holds(expression, entry, flatten(entry.metadata))


def _holds(part: Filter, entry: MemoryEntry, attributes: list[Attribute]) -> bool:
    if isinstance(part, AllOf):
        return all(_holds(p, entry, attributes) for p in part.parts)
    if isinstance(part, AnyOf):
        return any(_holds(p, entry, attributes) for p in part.parts)
    if isinstance(part, NotThat):
        return not _holds(part.part, entry, attributes)
    if part.field is not None:
        return _compares(part, _field_value(part.field, entry))
    return any(_compares(part, (letter, value)) for path, letter, value in attributes if path == part.path)


def _field_value(field: str, entry: MemoryEntry) -> Typed:
    value: JSON = {
        "timestamp": entry.timestamp.timestamp(),
        "source": entry.source,
        "importance_score": entry.importance_score,
        "memory_type": entry.memory_type.value,
        "origin": entry.origin,
        "trust": entry.trust,
        "suspicious": bool(entry.suspicious),
    }[field]
    return typed(value)


def _compares(condition: Condition, stored: Typed) -> bool:
    letter, operand = condition.operand
    if condition.operator == "$contains":
        return stored == (letter.upper(), operand) or (letter == "s" == stored[0] and operand in stored[1])
    if stored[0] != letter:
        return False
    value = stored[1]
    return bool(
        {
            "$eq": value == operand,
            "$gt": value > operand,
            "$gte": value >= operand,
            "$lt": value < operand,
            "$lte": value <= operand,
        }[condition.operator]
    )


# --- asking the catalog ----------------------------------------------------------------------------------------


def to_sql(expression: Filter, *, per_row: bool = False) -> tuple[str, list[object]]:
    """A condition over the catalog's `entries` and its parameters.

    Args:
        expression: What to ask.
        per_row: Ask each row for its attributes (few rows to check) rather than the attributes for their rows (all
            rows that match are wanted).
    """
    if isinstance(expression, NotThat):
        condition, parameters = to_sql(expression.part, per_row=per_row)
        return f"NOT ({condition})", parameters
    if isinstance(expression, Condition):
        return _condition_sql(expression, per_row=per_row)
    word, nothing = (" AND ", "1") if isinstance(expression, AllOf) else (" OR ", "0")
    texts, values = [], []
    for part in expression.parts:
        condition, parameters = to_sql(part, per_row=per_row)
        texts.append(f"({condition})")
        values += parameters
    return word.join(texts) or nothing, values


def names_rows(expression: Filter) -> bool:
    """Whether metadata picks the rows, so that a walk through them all is not needed to find them."""
    if isinstance(expression, AllOf):
        by_source = any(isinstance(p, Condition) and p.field == "source" for p in expression.parts)
        return not by_source and any(names_rows(part) for part in expression.parts)
    if isinstance(expression, AnyOf):
        return bool(expression.parts) and all(names_rows(part) for part in expression.parts)
    return isinstance(expression, Condition) and expression.field is None


def _condition_sql(condition: Condition, *, per_row: bool) -> tuple[str, list[object]]:
    letter, operand = condition.operand
    if condition.field is not None:
        return _field_sql(_FIELDS[condition.field], condition)
    if condition.operator == "$contains":
        test, values = "type = ? AND value = ?", [letter.upper(), operand]
        if letter == "s":
            test, values = f"({test} OR type = 's' AND instr(value, ?) > 0)", [*values, operand]
    else:
        sign = _RANGES.get(condition.operator, "=")
        test, values = f"type = ? AND value {sign} ?", [letter, operand]
    parameters: list[object] = [condition.path, *values]
    if per_row:
        own = "SELECT 1 FROM attributes INDEXED BY attributes_by_entry WHERE entry = entries.rowid"
        return f"EXISTS ({own} AND key = ? AND {test})", parameters
    return f"entries.rowid IN (SELECT entry FROM attributes WHERE key = ? AND {test})", parameters


def _field_sql(column: str, condition: Condition) -> tuple[str, list[object]]:
    letter, operand = condition.operand
    if letter == "z":
        return f"{column} IS NULL", []
    if condition.operator == "$contains":
        return f"({column} IS NOT NULL AND instr({column}, ?) > 0)", [operand]
    sign = _RANGES.get(condition.operator, "=")
    # IS NOT NULL keeps the value two-valued, so that NOT means what it says.
    return f"({column} IS NOT NULL AND {column} {sign} ?)", [operand]
