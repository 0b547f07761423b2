"""One line of an export, looked at before it is believed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from memory_mgr.engine import validation as check
from memory_mgr.errors import ImportFileError, InvalidInputError
from memory_mgr.stores.base import EmbeddingSpace
from memory_mgr.stores.codec import entry_of
from memory_mgr.stores.portable import decode_vector
from memory_mgr.types import JSON, PASSAGE, MemoryEntry, Namespace

_REQUIRED = {"tier", "text", "id", "ts", "made", "imp", "seq"}
_OPTIONAL = {"exp", "src", "who", "meta", "next", "pin", "from", "kind", "det", "rev", "vectors"}
_LARGEST = 2**62
"""SQLite and Chroma hold twice that, so there is room to count on; clients of a server number by nanoseconds, 2**61."""
_ENGINE_DEPTH = -8
"""What the engine notes about a change wraps what the user gave in a few more levels."""


@dataclass(frozen=True, slots=True)
class Imported:
    """An entry as a line tells it.

    Attributes:
        line: Its number in the file, from 1.
        entry: As it was exported, in the namespace it is read into.
        vectors: Its own and those of its passages, empty if the line has none that can be used.
    """

    line: int
    entry: MemoryEntry
    vectors: tuple[NDArray[np.float32], ...] = ()


def read_line(text: str, line: int, namespace: Namespace, told: EmbeddingSpace | None, own: EmbeddingSpace) -> Imported:
    """The entry of a line.

    Args:
        text: The line.
        line: Its number.
        namespace: Where it is read into.
        told: Whose vectors the file says it has.
        own: Whose vectors can be used.

    Raises:
        ImportFileError: Something about it is wrong; the message says what.
    """
    try:
        values = _object(text)
        entry = entry_of(values["text"], values, namespace, check.checked_tier(values["tier"]))
        vectors = _vectors(values.get("vectors"), told)
    except (InvalidInputError, ValueError, RecursionError) as error:
        raise ImportFileError(line, str(error)) from error
    return Imported(line, entry, vectors if told == own else ())


def _object(text: str) -> dict[str, Any]:
    """The fields of a line, each checked."""
    values = json.loads(text, parse_constant=_not_json)
    if not isinstance(values, dict):
        raise ValueError(f"is not a JSON object: {check.shown(values)}")
    missing, unknown = _REQUIRED - values.keys(), values.keys() - _REQUIRED - _OPTIONAL
    if missing or unknown:
        names = ", ".join(sorted(missing or unknown))
        raise ValueError(f"{'lacks' if missing else 'has unknown fields'} {names}")
    checked: dict[str, Any] = {"tier": values["tier"], "text": check.checked_text(values["text"], "text")}
    for name, value in values.items():
        if name not in checked:
            checked[name] = _CHECKS[name](value, name)
    return checked


def _not_json(constant: str) -> NoReturn:
    raise ValueError(f"holds {constant}, which JSON has not")


def _id(value: object, name: str) -> str:
    return check.checked_id(value)


def _time(value: object, name: str) -> str:
    """ISO 8601 text of a time in UTC."""
    if not isinstance(value, str):
        raise ValueError(f"{name} is not a time: {check.shown(value)}")
    return check.checked_time(datetime.fromisoformat(value), name).isoformat()


def _kind(value: object, name: str) -> str:
    if value == PASSAGE:
        raise ValueError("is a passage; passages are made of their whole text, they are not entries")
    return check.checked_text(value, name)


def _flag(value: object, name: str) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"{name} is neither true nor false: {check.shown(value)}")
    return value


def _number(value: object, name: str) -> int:
    number = check.checked_count(value, name)
    if number > _LARGEST:
        raise ValueError(f"{name} is over {_LARGEST}: {check.shown(value)}")
    return number


def _ids(value: object, name: str) -> list[str]:
    if not isinstance(value, list):
        raise ValueError(f"{name} is not a list of ids: {check.shown(value)}")
    return [check.checked_id(item) for item in value]


def _details(value: object, name: str) -> JSON:
    if not isinstance(value, Mapping):
        raise ValueError(f"{name} is not an object: {check.shown(value)}")
    return check.checked_json(value, name, _ENGINE_DEPTH)


def _as_is(value: object, name: str) -> object:
    return value


def _vectors(value: object, space: EmbeddingSpace | None) -> tuple[NDArray[np.float32], ...]:
    if value is None:
        return ()
    if space is None:
        raise ValueError("has vectors, but the first line names no embedder")
    if not isinstance(value, list):
        raise ValueError(f"vectors is not a list: {check.shown(value)}")
    return tuple(decode_vector(text, space.dimensions) for text in value)


_CHECKS: dict[str, Any] = {
    "id": _id,
    "ts": _time,
    "made": _time,
    "exp": _time,
    "imp": check.checked_unit,
    "seq": _number,
    "rev": _number,
    "src": check.checked_text,
    "who": check.checked_text,
    "meta": check.checked_object,
    "det": _details,
    "next": _id,
    "from": _ids,
    "pin": _flag,
    "kind": _kind,
    "vectors": _as_is,
}
"""What each field must be; (value, name) in, the value out."""
