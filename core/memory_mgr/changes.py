"""What was changed of an entry, as it is told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class Change:
    """One change of an entry.

    Attributes:
        at: When (aware, UTC).
        kind: "update", or what upkeep did: "consolidate", "prune", "supersede".
        by: Who, see `acting_as`; None if nobody was named.
        why: The reason, if there was one.
        before: What the fields held that were changed; empty with `audit="names"`, where only `fields` are known.
        fields: The names of those fields.
        operation_id: To `undo` what upkeep did.
    """

    at: datetime
    kind: str
    by: str | None
    why: str | None
    before: dict[str, Any]
    fields: tuple[str, ...]
    operation_id: str | None = None

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> Change:
        """A change as an entry's `details` note it."""
        before = dict(record.get("before", {}))
        return cls(
            at=datetime.fromisoformat(record["at"]).astimezone(UTC),
            kind=record.get("kind", "update"),
            by=record.get("by"),
            why=record.get("why"),
            before=before,
            fields=tuple(record.get("fields", before)),
            operation_id=record.get("op"),
        )
