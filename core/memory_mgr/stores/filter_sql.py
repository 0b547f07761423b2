"""Filters as SQL over the catalog: what `filters.matches` says of one entry, asked of all at once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from itertools import chain
from typing import NamedTuple

from memory_mgr.stores.filters import AllOf, AnyOf, Between, Condition, Filter, NotThat
from memory_mgr.trust import TRUST

_SIGNS = {"$gt": ">", "$gte": ">=", "$lt": "<", "$lte": "<="}
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
_MEASURED = ("timestamp", "importance_score")
_MOST_SETS, _DEEPEST_SETS = 100, 3
"""Parts of a filter, and levels of them, that are put together as sets of rows; SQLite takes 500, and about ten."""
_BY_ATTRIBUTE = "SELECT entry FROM attributes WHERE "
Sql = tuple[str, list[object]]
"""A piece of SQL and its parameters."""


def to_sql(expression: Filter, *, per_row: bool = False) -> Sql:
    """A condition over the catalog's `entries` and its parameters.

    Args:
        expression: What to ask.
        per_row: Ask each row for its attributes (few rows to check) rather than the attributes for their rows (all
            rows that match are wanted).
    """
    if isinstance(expression, NotThat):
        condition, parameters = to_sql(expression.part, per_row=per_row)
        return f"NOT ({condition})", parameters
    test = _attribute_test(expression)
    if test is not None:
        return _attribute_sql(test, per_row=per_row)
    if isinstance(expression, Condition):
        return _field_sql(_FIELDS[str(expression.field)], expression)
    parts = [to_sql(part, per_row=per_row) for part in _parts(expression)]
    word, nothing = (" AND ", "1") if isinstance(expression, AllOf) else (" OR ", "0")
    return _joined([f"({sql})" for sql, _ in parts], word) or nothing, [v for _, values in parts for v in values]


def names_rows(expression: Filter) -> bool:
    """Whether metadata picks the rows, so that a walk through them all is not needed to find them."""
    if isinstance(expression, AllOf):
        by_source = any(isinstance(p, Condition) and p.field == "source" for p in expression.parts)
        return not by_source and any(names_rows(part) for part in expression.parts)
    if isinstance(expression, AnyOf):
        return bool(expression.parts) and all(names_rows(part) for part in expression.parts)
    return _attribute_test(expression) is not None


class Picked(NamedTuple):
    """A filter in two steps that look at no entry.

    Attributes:
        rows: What finds the rows by their metadata; None = all.
        without: What finds rows that are not among them.
        measured: Comparisons of a time or an importance that they have to pass besides.
    """

    rows: Sql | None
    without: list[Sql]
    measured: list[Condition]


def picked(expression: Filter) -> Picked | None:
    """The two steps of a filter, None if it needs others."""
    parts = expression.parts if isinstance(expression, AllOf) else (expression,)
    measured = [part for part in parts if isinstance(part, Condition) and part.field in _MEASURED]
    without = [part.part for part in parts if isinstance(part, NotThat)]
    within = [part for part in parts if part not in measured and not isinstance(part, NotThat)]
    rows = _rows(AllOf(tuple(within))) if within else None
    gone = [sql for part in without if (sql := _rows(part)) is not None]
    untold = (within and rows is None) or len(gone) < len(without)
    return None if untold else Picked(rows, gone, measured)


def _rows(expression: Filter, depth: int = 0) -> Sql | None:
    """What selects the rows by metadata alone, None if it takes more to tell them."""
    test = _attribute_test(expression)
    if test is not None:
        return _BY_ATTRIBUTE + test[0], test[1]
    parts = _parts(expression)
    if not 0 < len(parts) <= _MOST_SETS or depth == _DEEPEST_SETS:
        return None
    told = [sql for part in parts if (sql := _rows(part, depth + 1)) is not None]
    if len(told) < len(parts):
        return None
    if len(told) == 1:
        return told[0]
    word = " INTERSECT " if isinstance(expression, AllOf) else " UNION "
    return word.join(f"SELECT entry FROM ({sql})" for sql, _ in told), [v for _, values in told for v in values]


def _parts(expression: Filter) -> tuple[Filter, ...]:
    return expression.parts if isinstance(expression, AllOf | AnyOf) else ()


def _attribute_sql(test: Sql, *, per_row: bool) -> Sql:
    if per_row:
        own = "SELECT 1 FROM attributes INDEXED BY attributes_by_entry WHERE entry = entries.rowid"
        return f"EXISTS ({own} AND {test[0]})", test[1]
    return f"entries.rowid IN ({_BY_ATTRIBUTE}{test[0]})", test[1]


def _attribute_test(part: Filter) -> Sql | None:
    """What one attribute has to be, None if that is not all the filter asks."""
    if isinstance(part, AnyOf):
        return _one_of(part)
    if isinstance(part, Between):
        bounds = part.bounds
    elif isinstance(part, Condition) and part.field is None:
        bounds = (part,)
    else:
        return None
    letter, operand = bounds[0].operand
    if bounds[0].operator != "$contains":
        tests = _joined([f"value {_SIGNS.get(bound.operator, '=')} ?" for bound in bounds], " AND ")
        return f"key = ? AND type = ? AND {tests}", [part.path, letter, *(bound.operand[1] for bound in bounds)]
    test, values = "type = ? AND value = ?", [letter.upper(), operand]
    if letter == "s":
        test, values = f"({test} OR type = 's' AND instr(value, ?) > 0)", [*values, operand]
    return f"key = ? AND {test}", [part.path, *values]


def _one_of(part: AnyOf) -> Sql | None:
    """A value of several for one key, as `$in` asks."""
    equal = [one for one in part.parts if isinstance(one, Condition) and one.operator == "$eq" and one.field is None]
    if not equal or len(equal) < len(part.parts) or len({one.path for one in equal}) > 1:
        return None
    values: dict[str, list[object]] = defaultdict(list)
    for one in equal:
        values[one.operand[0]].append(one.operand[1])
    tests = " OR ".join(f"type = ? AND value IN ({', '.join('?' * len(own))})" for own in values.values())
    return f"key = ? AND ({tests})", [equal[0].path, *chain.from_iterable((k, *own) for k, own in values.items())]


def _joined(conditions: Sequence[str], word: str) -> str:
    """Conditions as one, balanced: SQLite takes no tree that is deeper than 1,000."""
    if len(conditions) <= 2:
        return word.join(conditions)
    middle = len(conditions) // 2
    return f"({_joined(conditions[:middle], word)}){word}({_joined(conditions[middle:], word)})"


def _field_sql(column: str, condition: Condition) -> Sql:
    letter, operand = condition.operand
    if letter == "z":
        return f"{column} IS NULL", []
    if condition.operator == "$contains":
        return f"({column} IS NOT NULL AND instr({column}, ?) > 0)", [operand]
    sign = _SIGNS.get(condition.operator, "=")
    # IS NOT NULL keeps the value two-valued, so that NOT means what it says.
    return f"({column} IS NOT NULL AND {column} {sign} ?)", [operand]
