"""Filters of a LangGraph store as the core's: the same operators, on the value of an item."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from langchain_memory_mgr.items import NAMESPACE, UNDER, VALUE, namespace_text
from memory_mgr import InvalidFilterError
from memory_mgr.types import Filters

_COMBINATIONS = ("$and", "$or", "$not")
_RANGES = ("$gt", "$gte", "$lt", "$lte")
_LARGEST = 1.7976931348623157e308
_NEVER: Filters = {f"metadata.{NAMESPACE}": {"$in": []}}
_BAD_KEY = re.compile(r"""['"`;\\\x00-\x1f]""")
"""Field names with these are attempts at something else in every case seen; refusing says so."""


def below(prefix: Sequence[str], value_filter: Mapping[str, Any] | None = None) -> Filters | None:
    """What holds for items whose namespace begins with `prefix`, and whose value is as `value_filter` says.

    Args:
        prefix: Labels; compared whole, one by one.
        value_filter: Field names (dots lead into nested objects) with a value, or with $eq $ne $gt $gte $lt $lte $in
            $nin $contains $not; around such filters $and, $or, $not.

    Raises:
        InvalidFilterError: An operator is unknown, an operand of the wrong type, a field name suspicious.
    """
    parts: list[Filters] = []
    if prefix:
        parts.append({f"metadata.{UNDER}.{len(prefix)}": namespace_text(prefix)})
    if value_filter:
        parts.append(_translated(value_filter))
    return {"$and": parts} if parts else None


def _translated(expression: object) -> Filters:
    if not isinstance(expression, Mapping):
        raise InvalidFilterError(f"a filter is a mapping like {{'color': 'red'}}, not {expression!r:.80}")
    return {"$and": [_entry(key, value) for key, value in expression.items()] or [{}]}


def _entry(key: object, value: Any) -> Filters:
    if key == "$not":
        return {"$not": _translated(value)}
    if key in _COMBINATIONS:
        if not isinstance(value, list | tuple) or not value:
            raise InvalidFilterError(f"{key} takes a list of filters, not {value!r:.80}")
        return {str(key): [_translated(part) for part in value]}
    if not isinstance(key, str) or not key or _BAD_KEY.search(key):
        raise InvalidFilterError(f"Invalid filter key: {key!r:.80}; name a field, with dots into nested ones")
    if key.startswith("$"):
        return {key: value}  # The core says which operators there are.
    if not isinstance(value, Mapping):
        return _comparison(key, "$eq", value)
    if not any(str(name).startswith("$") for name in value):
        return {f"metadata.{VALUE}.{key}": value}
    return {"$and": [_comparison(key, str(operator), operand) for operator, operand in value.items()]}


def _comparison(key: str, operator: str, operand: Any) -> Filters:
    if isinstance(operand, float) and not math.isfinite(operand):
        if operator in {"$ne", "$nin"}:
            return {}
        if math.isnan(operand) or operator not in _RANGES:
            return _NEVER  # Stored numbers are finite.
        operand = math.copysign(_LARGEST, operand)
        operator = operator if operator.endswith("e") else f"{operator}e"
    return {f"metadata.{VALUE}.{key}": {operator: operand}}
