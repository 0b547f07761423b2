"""Entries as text and JSON, the one way they are written everywhere: Chroma, the catalog, exports.

The content is a text of its own (Chroma's document), namespace and tier follow from where it is kept, and all the
rest is one JSON object with short keys; what has its default value is left out.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from memory_mgr.types import MemoryEntry, MemoryType, Namespace

_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False)
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


def encode_entry(entry: MemoryEntry) -> str:
    """Everything of an entry but content, namespace, tier, and what only search results have."""
    return as_json(record_of(entry))


def as_json(value: object) -> str:
    """JSON without spaces, text as it is: the same value is always the same text."""
    return _ENCODER.encode(value)


def record_of(entry: MemoryEntry) -> dict[str, Any]:
    """What `encode_entry` writes, as an object."""
    record: dict[str, Any] = {
        "id": entry.id,
        "ts": entry.timestamp.isoformat(),
        "made": entry.created_at.isoformat(),
        "imp": entry.importance_score,
        "seq": entry.sequence,
    }
    if entry.expires_at is not None:
        record["exp"] = entry.expires_at.isoformat()
    for name, short in _PLAIN.items():
        value = getattr(entry, name)
        if value != _DEFAULTS[name]:
            record[short] = value
    return record


def decode_entry(content: str, record: str, namespace: Namespace, tier: MemoryType) -> MemoryEntry:
    """The entry that `encode_entry` was given."""
    return entry_of(content, json.loads(record), namespace, tier)


def entry_of(content: str, values: dict[str, Any], namespace: Namespace, tier: MemoryType) -> MemoryEntry:
    """The entry that `record_of` was given."""
    plain = {name: values[short] for name, short in _PLAIN.items() if short in values}
    if "derived_from" in plain:
        plain["derived_from"] = tuple(plain["derived_from"])
    expires = values.get("exp")
    return MemoryEntry(
        id=values["id"],
        content=content,
        memory_type=tier,
        namespace=namespace,
        timestamp=_time(values["ts"]),
        created_at=_time(values["made"]),
        importance_score=values["imp"],
        sequence=values["seq"],
        expires_at=None if expires is None else _time(expires),
        **plain,
    )


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)
