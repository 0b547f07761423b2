"""Filter expressions: read once, then asked of one entry in Python or of the whole catalog in SQL.

    {"source": "chat-1"}                                    equal
    {"importance_score": {"$gte": 0.5}, "topic": "food"}    both
    {"$or": [{"tags": {"$contains": "urgent"}}, {"timestamp": {"$lt": "2026-01-01"}}]}

Operators: `$eq $ne $gt $gte $lt $lte $in $nin $contains`, and `$and $or $not` around expressions. The names
`timestamp`, `source`, `importance_score`, `memory_type`, `origin`, `trust` and `suspicious` (true or false) mean the
entry's; every other name, and any name after `metadata.`, is a key of the metadata, with dots for nested keys.
Comparison is by type: `True` is not 1 and "1" is not 1, and a range never matches a value of another type; of several
values under one key, one has to keep all bounds of a range. `$ne`, `$nin` and `$not` match whatever their opposite does
not, entries without the key included. `$contains` finds an element of a list or a part of a text.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeAlias

from memory_mgr.errors import InvalidFilterError
from memory_mgr.trust import TRUST
from memory_mgr.types import JSON, MemoryEntry, MemoryType, utc

COMPARISONS = ("$eq", "$ne", "$gt", "$gte", "$lt", "$lte", "$in", "$nin", "$contains")
COMBINATIONS = ("$and", "$or", "$not")
_RANGES = ("$gt", "$gte", "$lt", "$lte")
_FIELDS = ("timestamp", "source", "importance_score", "memory_type", "origin", "trust", "suspicious")
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
class Between:
    """Bounds of one type on one key of the metadata; one and the same value keeps them all."""

    path: str
    bounds: tuple[Condition, ...]


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


Filter: TypeAlias = Condition | Between | AllOf | AnyOf | NotThat


# --- values as attributes --------------------------------------------------------------------------------------


def flatten(metadata: Mapping[str, JSON]) -> list[Attribute]:
    """The attributes of a metadata object: nested keys joined by dots, list elements under the list's path.

    Type letters: s text, n number, b boolean, z null, j whole object or list as canonical JSON; the same in upper
    case for an element of a list.
    """
    found: list[Attribute] = []
    _flatten_into(found, metadata, "")
    return found


def _flatten_into(found: list[Attribute], value: Mapping[str, JSON], prefix: str) -> None:
    for key, inner in value.items():
        path = f"{prefix}{key}"
        found.append((path, *typed(inner)))
        if isinstance(inner, dict):
            _flatten_into(found, inner, f"{path}.")
        elif isinstance(inner, list):
            for letter, kept in map(typed, inner):
                found.append((path, letter.upper(), kept))


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
    if isinstance(part, Between):
        return len(part.bounds)
    return sum(map(_size, part.parts)) if isinstance(part, AllOf | AnyOf) else 1


def _expression(expression: object, depth: int) -> Filter:
    if depth > _MAX_DEPTH:
        raise InvalidFilterError(f"the filter is nested deeper than {_MAX_DEPTH} levels")
    if not isinstance(expression, Mapping):
        raise InvalidFilterError(f"a filter is a mapping like {{'source': 'chat-1'}}, not {expression!r:.80}")
    return _all_of([_entry(key, value, depth) for key, value in expression.items()])


def _all_of(parts: Sequence[Filter]) -> AllOf:
    """All parts as one list, bounds on the same key joined, so that the catalog looks up what is between them."""
    flat = [inner for part in parts for inner in (part.parts if isinstance(part, AllOf) else [part])]
    bounds: dict[tuple[str, str], list[Condition]] = {}
    others: list[Filter] = []
    for part in flat:
        for one in part.bounds if isinstance(part, Between) else [part]:
            if isinstance(one, Condition) and one.field is None and one.operator in _RANGES:
                bounds.setdefault((one.path, one.operand[0]), []).append(one)
            else:
                others.append(one)
    joined = [Between(path, tuple(own)) if len(own) > 1 else own[0] for (path, _), own in bounds.items()]
    return AllOf((*joined, *others))


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
        return _all_of(parts) if key == "$and" else AnyOf(parts)
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
        return _all_of([_comparisons(f"{name}.{key}", inner, depth + 1) for key, inner in value.items()])
    if len(operators) != len(value):
        raise InvalidFilterError(f"{name!r} mixes operators and keys: {value!r:.80}; use $and")
    return _all_of([_operation(name, operator, value[operator], depth) for operator in operators])


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
    """Whether an entry is what the filter asks for; what `filter_sql.to_sql` finds, one by one."""
    return _holds(expression, entry, flatten(entry.metadata))


def _holds(part: Filter, entry: MemoryEntry, attributes: list[Attribute]) -> bool:
    if isinstance(part, AllOf):
        return all(_holds(p, entry, attributes) for p in part.parts)
    if isinstance(part, AnyOf):
        return any(_holds(p, entry, attributes) for p in part.parts)
    if isinstance(part, NotThat):
        return not _holds(part.part, entry, attributes)
    if isinstance(part, Condition) and part.field is not None:
        return _compares(part, _field_value(part.field, entry))
    values = [(letter, value) for path, letter, value in attributes if path == part.path]
    bounds = part.bounds if isinstance(part, Between) else (part,)
    return any(all(_compares(bound, value) for bound in bounds) for value in values)


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
