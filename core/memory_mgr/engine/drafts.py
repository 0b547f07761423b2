"""Validated memories as the entries they will be."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta

from memory_mgr.types import JSON, MemoryEntry, MemoryType, Namespace, NewMemory

GIVEN = "importance_given"
"""Key in `details` of entries whose importance the caller set: they are never scored again."""
SCORED = ("memory", "message")
"""Kinds of entries whose importance is scored unless it is given."""


def draft(
    new: NewMemory,
    namespace: Namespace,
    tier: MemoryType,
    now: datetime,
    score: float,
    ttl_seconds: float | None,
) -> MemoryEntry:
    """A validated memory as the entry it will be."""
    ttl = new.ttl_seconds if new.ttl_seconds is not None else ttl_seconds
    return MemoryEntry(
        id=new.id or str(uuid.uuid4()),
        content=new.content,
        memory_type=tier,
        namespace=namespace,
        timestamp=new.timestamp or now,
        created_at=now,
        source=new.source,
        speaker=new.speaker,
        importance_score=score,
        metadata=dict(new.metadata or {}),
        expires_at=None if ttl is None else now + timedelta(seconds=ttl),
        pinned=new.pinned,
        derived_from=tuple(new.derived_from),
        kind=new.kind,
        details=_details(new),
    )


def _details(new: NewMemory) -> dict[str, JSON]:
    given: dict[str, JSON] = {GIVEN: True} if new.importance_score is not None and new.kind in SCORED else {}
    found_by: dict[str, JSON] = {} if new.found_by is None else {"found_by": list(new.found_by)}
    return {**(new.details or {}), **found_by, **given}
