"""Entries as text and JSON: exports have one form, Chroma and the catalog a shorter one.

The content is a text of its own (Chroma's document), namespace and tier follow from where it is kept, and all the
rest is one JSON object with short keys; what has its default value is left out. Exports and stores of schema 1 hold
the id and ISO 8601 times. Since schema 2 an entry's id stands beside its record, times are microseconds since 1970,
and importance and the time of storing are left out too where they are the default and the time itself: Chroma
keeps a record twice, in a table and in an index, and a shorter one takes a third less of the whole file. Both forms
are read.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from memory_mgr.stores.lines import Line
from memory_mgr.stores.schema import SCHEMA_VERSION
from memory_mgr.types import MemoryEntry, MemoryType, Namespace

_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_MICROSECONDS = 1_000_000
"""In a second."""
_IMPORTANCE = 0.5
_PLAIN = {
    "source": "src",
    "speaker": "who",
    "metadata": "meta",
    "superseded_by": "next",
    "pinned": "pin",
    "derived_from": "from",
    "kind": "kind",
    "details": "det",
    "revision": "rev",
}
_DEFAULTS: dict[str, Any] = {
    "source": None,
    "speaker": None,
    "metadata": {},
    "superseded_by": None,
    "pinned": False,
    "derived_from": (),
    "kind": "memory",
    "details": {},
    "revision": 0,
}
_WRITTEN = tuple((short, name, _DEFAULTS[name]) for name, short in _PLAIN.items())


def encode_entry(entry: MemoryEntry, schema: int = SCHEMA_VERSION) -> str:
    """Everything of an entry but id, content, namespace, tier, and what only search results have.

    Args:
        entry: What to write.
        schema: Of the collection it is written to.
    """
    return as_json(record_of(entry) if schema == 1 else short_record_of(entry))


def as_json(value: object) -> str:
    """JSON without spaces, text as it is: the same value is always the same text."""
    return _ENCODER.encode(value)


def record_of(entry: MemoryEntry) -> dict[str, Any]:
    """The form of exports and of schema 1."""
    record: dict[str, Any] = {
        "id": entry.id,
        "ts": entry.timestamp.isoformat(),
        "made": entry.created_at.isoformat(),
        "imp": entry.importance_score,
        "seq": entry.sequence,
    }
    if entry.expires_at is not None:
        record["exp"] = entry.expires_at.isoformat()
    return record | _plain(entry)


def short_record_of(entry: MemoryEntry) -> dict[str, Any]:
    """The form of schema 2."""
    record: dict[str, Any] = {"ts": _microseconds(entry.timestamp), "seq": entry.sequence}
    if entry.created_at != entry.timestamp:
        record["made"] = _microseconds(entry.created_at)
    if entry.importance_score != _IMPORTANCE:
        record["imp"] = entry.importance_score
    if entry.expires_at is not None:
        record["exp"] = _microseconds(entry.expires_at)
    return record | _plain(entry)


def _plain(entry: MemoryEntry) -> dict[str, Any]:
    """What both forms write alike."""
    return {short: value for short, name, default in _WRITTEN if (value := getattr(entry, name)) != default}


def decode_entry(
    memory_id: str,
    content: str,
    record: str,
    namespace: Namespace,
    tier: MemoryType,
    *,
    score: float | None = None,
) -> MemoryEntry:
    """The entry that `encode_entry` was given, whatever the schema, with the score of a search result."""
    values = json.loads(record)
    left_out = {"id": memory_id, "imp": _IMPORTANCE, "made": values["ts"]}
    return entry_of(content, left_out | values, namespace, tier, score=score)


def entry_of(
    content: str, values: dict[str, Any], namespace: Namespace, tier: MemoryType, *, score: float | None = None
) -> MemoryEntry:
    """The entry of a record with nothing but defaults left out, its times in either form."""
    plain = {name: values[short] for name, short in _PLAIN.items() if short in values}
    if "derived_from" in plain:
        plain["derived_from"] = tuple(plain["derived_from"])
    expires, said, stored = values.get("exp"), values["ts"], values["made"]
    timestamp = _time(said)
    return MemoryEntry(
        id=values["id"],
        content=content,
        memory_type=tier,
        namespace=namespace,
        timestamp=timestamp,
        created_at=timestamp if stored == said else _time(stored),
        importance_score=values["imp"],
        sequence=values["seq"],
        expires_at=None if expires is None else _time(expires),
        score=score,
        **plain,
    )


def lines_of(ids: Sequence[str], contents: Sequence[str], records: Sequence[str], tier: MemoryType) -> list[Line]:
    """What the catalog keeps of entries with records of schema 2.

    The same as of the entries themselves, but those are slow to make, and there may be a million.
    """
    told = json.loads(f"[{','.join(records)}]")
    return [
        Line(
            memory_id,
            tier.value,
            values.get("src"),
            values["ts"] / _MICROSECONDS,
            values["seq"],
            values.get("who"),
            content,
            values.get("imp", _IMPORTANCE),
            values["exp"] / _MICROSECONDS if "exp" in values else None,
            values.get("next"),
            values.get("pin", False),
            values.get("kind", _DEFAULTS["kind"]),
            values.get("rev", 0),
            values.get("meta", {}),
            values.get("det", {}),
            record,
        )
        for memory_id, content, record, values in zip(ids, contents, records, told, strict=True)
    ]


def _time(value: str | int) -> datetime:
    if isinstance(value, int):
        return _EPOCH + timedelta(microseconds=value)
    return datetime.fromisoformat(value).astimezone(UTC)


def _microseconds(moment: datetime) -> int:
    return (moment - _EPOCH) // _MICROSECOND
