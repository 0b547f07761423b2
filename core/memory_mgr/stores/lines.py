"""What the catalog keeps of an entry, in plain values: made of an entry, or of its record without making one first."""

from __future__ import annotations

from typing import Any, NamedTuple

from memory_mgr.types import MemoryEntry


class Line(NamedTuple):
    """One entry; attributes as of `MemoryEntry`, times in seconds since 1970, and its record beside them."""

    id: str
    tier: str
    source: str | None
    timestamp: float
    sequence: int
    speaker: str | None
    content: str
    importance_score: float
    expires_at: float | None
    superseded_by: str | None
    pinned: bool
    kind: str
    revision: int
    metadata: dict[str, Any]
    details: dict[str, Any]
    record: str

    @property
    def shown(self) -> tuple[object, ...]:
        """What the word index says of an entry and its neighbours: place in the stream, speaker, text."""
        return self[1:7]


def line_of(entry: MemoryEntry, record: str) -> Line:
    """The line of an entry whose record is `record`."""
    return Line(
        entry.id,
        entry.memory_type.value,
        entry.source,
        entry.timestamp.timestamp(),
        entry.sequence,
        entry.speaker,
        entry.content,
        entry.importance_score,
        entry.expires_at.timestamp() if entry.expires_at else None,
        entry.superseded_by,
        entry.pinned,
        entry.kind,
        entry.revision,
        entry.metadata,
        entry.details,
        record,
    )
