"""Items of a LangGraph store as memories and back."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from langgraph.store.base import Item, PutOp, SearchItem, get_text_at_path

from langchain_memory_mgr.values import decoded, encoded
from memory_mgr import InvalidInputError, MemoryEntry, MemoryType, NewMemory

Labels = tuple[str, ...]

TIER = MemoryType.LONG_TERM
"""Where items are kept."""
KIND = "item"
"""`MemoryEntry.kind` of items."""
NAMESPACE = "namespace"
"""The metadata that names an item's namespace, as JSON, in which no label can run into the next."""
UNDER = "under"
"""The metadata that holds every prefix of the namespace, by its length: equal texts are looked up in an index."""
KEY = "key"
"""The metadata that holds the key."""
VALUE = "value"
"""The metadata that holds the value; filters look into it."""
UNINDEXED = "unindexed"
"""The metadata of items that no query finds."""


def namespace_text(namespace: Sequence[str]) -> str:
    """A namespace as one text, different for different namespaces."""
    return json.dumps(list(namespace), separators=(",", ":"))


def namespace_of(text: str) -> Labels:
    """The namespace that `namespace_text` was given."""
    return tuple(json.loads(text))


def item_id(namespace: Sequence[str], key: str) -> str:
    """The id of an item's memory."""
    return hashlib.sha256(json.dumps([list(namespace), key]).encode()).hexdigest()[:32]


def as_new_memory(op: PutOp, fields: Sequence[str]) -> NewMemory:
    """What a put stores.

    Args:
        op: With a value.
        fields: Paths of the value whose texts it is found by; the best match counts.

    Raises:
        InvalidInputError: The key is not text, or the value not an object of what can be stored as it is.
    """
    if not isinstance(op.key, str):
        raise InvalidInputError(f"a key must be a string, not {op.key!r:.80}; str() makes one")
    if not isinstance(op.value, Mapping):
        raise InvalidInputError(f"the value of {op.key!r:.80} must be a dict, not {op.value!r:.80}; wrap it in one")
    value = _stored(op.key, op.value)
    found = dict.fromkeys(_plain(text) for path in fields for text in _texts(op.value, path))
    texts = [text for text in found if text.strip()]
    metadata: dict[str, Any] = {
        NAMESPACE: namespace_text(op.namespace),
        UNDER: {str(n): namespace_text(op.namespace[:n]) for n in range(1, len(op.namespace) + 1)},
        KEY: encoded(op.key)[0],
        VALUE: value,
    }
    if not texts:
        metadata[UNINDEXED] = True
    seconds = None if op.ttl is None else op.ttl * 60
    return NewMemory(
        id=item_id(op.namespace, op.key),
        content=texts[0] if len(texts) == 1 else json.dumps(value, ensure_ascii=False),
        found_by=None if len(texts) == 1 else texts,
        metadata=metadata,
        importance_score=0.5,
        ttl_seconds=seconds,
        kind=KIND,
        details={} if seconds is None else {"ttl_seconds": seconds},
    )


def as_item(entry: MemoryEntry) -> Item:
    """The item that a memory was made of."""
    return Item(**_fields(entry))


def as_search_item(entry: MemoryEntry) -> SearchItem:
    """The same, with its score."""
    return SearchItem(**_fields(entry), score=entry.score)


def _fields(entry: MemoryEntry) -> dict[str, Any]:
    return {
        "namespace": namespace_of(str(entry.metadata[NAMESPACE])),
        "key": decoded(entry.metadata[KEY]),
        "value": decoded(entry.metadata[VALUE]),
        "created_at": entry.created_at,
        "updated_at": entry.timestamp,
    }


def _stored(key: str, value: Mapping[str, Any]) -> Any:
    try:
        stored, whole = encoded(dict(value))
    except RecursionError as error:
        raise InvalidInputError(f"the value of {key!r:.80} holds itself, or is nested too deeply") from error
    if not whole:
        raise InvalidInputError(
            f"the value of {key!r:.80} holds an object that cannot be stored as it is: {value!r:.120}; "
            "pass JSON types, bytes, dates, or what LangChain can serialise"
        )
    return stored


def _texts(value: Mapping[str, Any], path: str) -> list[str]:
    """The texts under a path; what is not JSON reads as `str` gives it."""
    try:
        return get_text_at_path(value, path)
    except TypeError:
        return get_text_at_path(json.loads(json.dumps(value, default=str, skipkeys=True)), path)


def _plain(text: str) -> str:
    """The text without characters that no database keeps; for search only."""
    return text.encode("utf-8", "replace").decode().replace("\0", " ")
