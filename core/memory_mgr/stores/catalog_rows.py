"""Entries as rows of the catalog's tables. Pure, so that another thread can make them while SQLite is at work."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from memory_mgr.policy.cues import is_question, speaker_of, substance
from memory_mgr.stores.codec import encode_entry
from memory_mgr.stores.filters import flatten
from memory_mgr.stores.quantized import Quantized
from memory_mgr.types import PASSAGE, MemoryEntry

_NO_VECTOR = 0.0
"""The scale of an entry that is not found by its meaning: None keeps the vector that is there."""
_AS_IT_IS = (None, None)


class Rows(NamedTuple):
    """What is to be written of some entries.

    Attributes:
        entries: For the table of that name, all columns but those that only recall changes.
        attributes: For the table of that name: key, kind of value, value, row of the entry.
    """

    entries: list[tuple[object, ...]]
    attributes: list[tuple[object, ...]]


def rows_of(
    entries: Sequence[MemoryEntry],
    vectors: Sequence[Quantized] | None,
    rowids: Mapping[str, int],
    records: Sequence[str] | None = None,
) -> Rows:
    """The rows of entries.

    Args:
        entries: What to write.
        vectors: Of each; None keeps those that are there.
        rowids: Where each is to be, by its id.
        records: Each as `encode_entry` writes it, if that is at hand.
    """
    written = map(encode_entry, entries) if records is None else records
    told = zip(entries, written, [_AS_IT_IS] * len(entries) if vectors is None else vectors, strict=True)
    return Rows(
        [_row(entry, rowids[entry.id], record, *vector) for entry, record, vector in told],
        [(key, kind, value, rowids[entry.id]) for entry in entries for key, kind, value in flatten(entry.metadata)],
    )


def shown(entry: MemoryEntry) -> tuple[object, ...]:
    """What the word index says of an entry and its neighbours: place in the stream, speaker, text."""
    stream = (entry.memory_type.value, entry.source, entry.timestamp.timestamp(), entry.sequence)
    return (*stream, entry.speaker, entry.content)


def _row(entry: MemoryEntry, rowid: int, record: str, vector: bytes | None, scale: float | None) -> tuple[object, ...]:
    hidden = entry.found_by == ()
    return (
        rowid,
        entry.id,
        *shown(entry),
        entry.importance_score,
        entry.expires_at.timestamp() if entry.expires_at else None,
        entry.superseded_by,
        entry.pinned,
        entry.kind,
        entry.details.get("whole") if entry.kind == PASSAGE else None,
        record,
        entry.speaker or speaker_of(entry.content),
        substance(entry.content),
        is_question(entry.content),
        None if hidden else vector,
        _NO_VECTOR if hidden else scale,
    )
