"""Python values as JSON and back: what JSON has not is kept under a key that says what it was."""

from __future__ import annotations

import base64
import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from typing import Any
from uuid import UUID

from langchain_core.load import load
from langchain_core.load.serializable import Serializable

from memory_mgr.types import JSON

_MARK = "$"
"""Dicts with a key that starts so are written as pairs, so that no user's dict is taken for one of ours."""


_DEEP = 12
"""Levels after which what follows is kept as JSON text: the core refuses metadata of more than 32."""
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")
"""Characters that Unicode text in a database cannot have."""


def encoded(value: Any, depth: int = 0) -> tuple[Any, bool]:
    """`value` in JSON types, and whether `decoded` gives back an equal one."""
    if isinstance(value, Mapping | list | tuple):
        if depth and depth % _DEEP == 0:
            inner, whole = encoded(value, 1)
            return {"$json": json.dumps(inner, ensure_ascii=False)}, whole
        return _encoded_mapping(value, depth) if isinstance(value, Mapping) else _encoded_sequence(value, depth)
    if isinstance(value, str):
        return {"$text": json.dumps(value)} if _UNSTORABLE.search(value) else str(value), True
    if value is None or isinstance(value, bool | int) or (isinstance(value, float) and math.isfinite(value)):
        return value, True
    return _encoded_object(value)


def _encoded_sequence(value: Sequence[Any], depth: int) -> tuple[JSON, bool]:
    parts = [encoded(item, depth + 1) for item in value]
    items = [part for part, _ in parts]
    return items if isinstance(value, list) else {"$tuple": items}, all(whole for _, whole in parts)


def _encoded_mapping(value: Mapping[Any, Any], depth: int) -> tuple[JSON, bool]:
    parts = {key: encoded(item, depth + 1) for key, item in value.items()}
    whole = all(exact for _, exact in parts.values())
    if all(isinstance(key, str) and not key.startswith(_MARK) and not _UNSTORABLE.search(key) for key in parts):
        return {key: part for key, (part, _) in parts.items()}, whole
    keys = [encoded(key) for key in parts]
    pairs: list[JSON] = [[key, part] for (key, _), (part, _) in zip(keys, parts.values(), strict=True)]
    return {"$dict": pairs}, whole and all(exact for _, exact in keys)


def _encoded_object(value: Any) -> tuple[JSON, bool]:
    for kind, (mark, encode, _) in _SCALARS.items():
        if type(value) is kind:
            return {mark: encode(value)}, True
    if isinstance(value, Serializable) and value.is_lc_serializable():
        dumped, whole = encoded(value.to_json())
        if whole and _loaded(dumped) == value:
            return {"$langchain": dumped}, True
    return {"$repr": repr(value)}, False


def decoded(value: Any) -> Any:
    """What `encoded` was given; a text stands for what had no other form."""
    if isinstance(value, list):
        return [decoded(item) for item in value]
    if not isinstance(value, dict):
        return value
    mark, inner = next(iter(value.items()), ("", None))
    if not mark.startswith(_MARK):
        return {key: decoded(item) for key, item in value.items()}
    return _DECODERS[mark](inner)


def _loaded(dumped: Any) -> Any:
    try:
        return load(decoded(dumped), allowed_objects="core")
    except (NotImplementedError, ValueError, TypeError, ImportError):
        return None


_SCALARS: dict[type, tuple[str, Callable[[Any], JSON], Callable[[Any], Any]]] = {
    float: ("$float", str, float),
    bytes: ("$bytes", lambda value: base64.b64encode(value).decode(), base64.b64decode),
    datetime: ("$datetime", datetime.isoformat, datetime.fromisoformat),
    date: ("$date", date.isoformat, date.fromisoformat),
    UUID: ("$uuid", str, UUID),
}
_DECODERS: dict[str, Callable[[Any], Any]] = {
    **{mark: decode for mark, _, decode in _SCALARS.values()},
    "$tuple": lambda items: tuple(decoded(item) for item in items),
    "$dict": lambda pairs: {decoded(key): decoded(item) for key, item in pairs},
    "$langchain": _loaded,
    "$repr": str,
    "$text": json.loads,
    "$json": lambda text: decoded(json.loads(text)),
}
